//! The plugin's side of the contract, generated from `wit/`. One world for each interface, one set of Rust types.
#![allow(
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    unsafe_code,
    clippy::all,
    clippy::use_self,
    clippy::uninlined_format_args,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

pub mod describes {
    wit_bindgen::generate!({
        path: "../wit",
        world: "describes",
        pub_export_macro: true,
        export_macro_name: "export_manifest",
        default_bindings_module: "jackfield_sdk::bindings::describes",
        additional_derives: [PartialEq],
        runtime_path: "wit_bindgen::rt",
    });
}

pub mod reads_webhooks {
    wit_bindgen::generate!({
        path: "../wit",
        world: "reads-webhooks",
        pub_export_macro: true,
        export_macro_name: "export_webhooks",
        default_bindings_module: "jackfield_sdk::bindings::reads_webhooks",
        additional_derives: [PartialEq],
        runtime_path: "wit_bindgen::rt",
        with: { "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types },
    });
}

pub mod controls_calls {
    wit_bindgen::generate!({
        path: "../wit",
        world: "controls-calls",
        pub_export_macro: true,
        export_macro_name: "export_calls",
        default_bindings_module: "jackfield_sdk::bindings::controls_calls",
        additional_derives: [PartialEq],
        runtime_path: "wit_bindgen::rt",
        with: { "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types },
    });
}

pub mod carries_media {
    wit_bindgen::generate!({
        path: "../wit",
        world: "carries-media",
        pub_export_macro: true,
        export_macro_name: "export_media",
        default_bindings_module: "jackfield_sdk::bindings::carries_media",
        additional_derives: [PartialEq],
        runtime_path: "wit_bindgen::rt",
        with: { "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types },
    });
}
