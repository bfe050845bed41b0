//! Everything a provider plugin needs, so that a plugin is only what is particular to its provider.
//!
//! A plugin is a type that implements a trait for each interface it has ([`Manifest`], [`Webhooks`], [`Calls`],
//! [`Media`], [`Socket`], [`Desk`], [`Chat`]) and names them in [`export!`]. All of it is plain Rust: it builds and is tested natively, and becomes a
//! component only when it is compiled for `wasm32-unknown-unknown`.
//!
//! A plugin reads no clock, has no randomness, opens no socket and sees no secret. It says what must be true or sent.

#[doc(hidden)]
pub mod bindings;

pub mod account;
pub mod dtmf;
pub mod encoding;
pub mod event;
mod export;
pub mod form;
pub mod http;
pub mod json;
pub mod manifest;
pub mod media_streams;
pub mod number;
pub mod play_audio;
pub mod play_webhooks;
pub mod play_xml;
mod plugin;
pub mod proof;
pub mod reply;
pub mod request;
pub mod rest;
pub mod time;
pub mod twiml;
#[cfg(feature = "vectors")]
pub mod vectors;
pub mod xml;

pub use plugin::{Calls, Chat, Desk, Manifest, Media, Socket, Webhooks};

/// Takes the memory that a module begins with before it asks for more.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The contract's types.
pub mod types {
    pub use crate::bindings::carries_media::exports::jackfield::provider::media::{
        Audio, MediaCommand, MediaEvent, Message, Started, StreamSetup,
    };
    pub use crate::bindings::chats::exports::jackfield::provider::chat::{Message as ChatMessage, Role};
    pub use crate::bindings::controls_calls::exports::jackfield::provider::calls::{
        Binding, ConferenceJoin, Inspection, NumberPage, PhoneNumber, PlaceRequest, Placed, TransferDial,
        TransferProgress, TransferStep,
    };
    pub use crate::bindings::controls_calls::jackfield::provider::http::{HttpError, HttpRequest, HttpResponse};
    pub use crate::bindings::controls_desks::exports::jackfield::provider::desk::{HistoryEntry, HistoryKind, Order};
    pub use crate::bindings::describes::exports::jackfield::provider::manifest::{
        Ability, Field, FieldKind, FieldProblem, Provider, SignIn,
    };
    pub use crate::bindings::describes::jackfield::provider::types::{
        Account, Action, Authorization, BasicAuthorization, Call, CallStatus, Codec, ConferenceAction, Credential,
        DeskCall, DeskEvent, DeskState, Direction, Event, Fault, HeaderAuthorization, Incoming, Instructions,
        JwtAuthorization, MediaFormat, MessageNotice, Money, Proceed, Refusal, RejectReason, Request, Response,
        SayAction, StatusUpdate, StreamAction, StreamUpdate,
    };
    pub use crate::bindings::keeps_socket::exports::jackfield::provider::socket::Endpoint;
    pub use crate::bindings::reads_webhooks::exports::jackfield::provider::webhooks::{
        Check, Disproof, Ed25519Check, EqualCheck, Hash, HmacCheck, Identity, Proof,
    };
}
