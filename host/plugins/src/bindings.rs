//! The host's side of the contract, generated from `wit/`.
//!
//! One small world for each capability: a world whose exports are missing is how an absent capability is found.
//! The worlds share one set of Rust types. They are read and written as JSON by conformance runs.
#![allow(
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::use_self,
    clippy::uninlined_format_args,
    reason = "generated code"
)]

pub(crate) mod describes {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "describes",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) mod reads_webhooks {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "reads-webhooks",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        with: { "jackfield:provider/types@0.1.0": crate::bindings::describes::jackfield::provider::types },
    });
}

pub(crate) mod controls_calls {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "controls-calls",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        imports: { "jackfield:provider/http.send": async },
        exports: { default: async },
        with: { "jackfield:provider/types@0.1.0": crate::bindings::describes::jackfield::provider::types },
    });
}

pub(crate) mod carries_media {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "carries-media",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        with: { "jackfield:provider/types@0.1.0": crate::bindings::describes::jackfield::provider::types },
    });
}

pub(crate) mod keeps_socket {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "keeps-socket",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        with: { "jackfield:provider/types@0.1.0": crate::bindings::describes::jackfield::provider::types },
    });
}

pub(crate) mod controls_desks {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "controls-desks",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        exports: { default: async },
        with: {
            "jackfield:provider/types@0.1.0": crate::bindings::describes::jackfield::provider::types,
            "jackfield:provider/http@0.1.0": crate::bindings::controls_calls::jackfield::provider::http,
        },
    });
}

pub(crate) mod chats {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "chats",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
        exports: { default: async },
        with: {
            "jackfield:provider/types@0.1.0": crate::bindings::describes::jackfield::provider::types,
            "jackfield:provider/http@0.1.0": crate::bindings::controls_calls::jackfield::provider::http,
        },
    });
}
