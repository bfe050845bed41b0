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

/// With test vectors the types are read and written as JSON; a component has no use for that.
#[cfg(feature = "vectors")]
macro_rules! world {
    ($($options:tt)*) => {
        wit_bindgen::generate!({
            $($options)*
            path: "../wit",
            pub_export_macro: true,
            runtime_path: "wit_bindgen::rt",
            additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        });
    };
}

#[cfg(not(feature = "vectors"))]
macro_rules! world {
    ($($options:tt)*) => {
        wit_bindgen::generate!({
            $($options)*
            path: "../wit",
            pub_export_macro: true,
            runtime_path: "wit_bindgen::rt",
            additional_derives: [PartialEq],
        });
    };
}

pub mod describes {
    world! {
        world: "describes",
        export_macro_name: "export_manifest",
        default_bindings_module: "jackfield_sdk::bindings::describes",
    }
}

pub mod reads_webhooks {
    world! {
        world: "reads-webhooks",
        export_macro_name: "export_webhooks",
        default_bindings_module: "jackfield_sdk::bindings::reads_webhooks",
        with: { "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types },
    }
}

pub mod controls_calls {
    world! {
        world: "controls-calls",
        export_macro_name: "export_calls",
        default_bindings_module: "jackfield_sdk::bindings::controls_calls",
        with: { "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types },
    }
}

pub mod carries_media {
    world! {
        world: "carries-media",
        export_macro_name: "export_media",
        default_bindings_module: "jackfield_sdk::bindings::carries_media",
        with: { "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types },
    }
}

pub mod keeps_socket {
    world! {
        world: "keeps-socket",
        export_macro_name: "export_socket",
        default_bindings_module: "jackfield_sdk::bindings::keeps_socket",
        with: { "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types },
    }
}

pub mod controls_desks {
    world! {
        world: "controls-desks",
        export_macro_name: "export_desk",
        default_bindings_module: "jackfield_sdk::bindings::controls_desks",
        with: {
            "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types,
            "jackfield:provider/http@0.1.0": super::controls_calls::jackfield::provider::http,
        },
    }
}

pub mod chats {
    world! {
        world: "chats",
        export_macro_name: "export_chat",
        default_bindings_module: "jackfield_sdk::bindings::chats",
        with: {
            "jackfield:provider/types@0.1.0": super::describes::jackfield::provider::types,
            "jackfield:provider/http@0.1.0": super::controls_calls::jackfield::provider::http,
        },
    }
}
