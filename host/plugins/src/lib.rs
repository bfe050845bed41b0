//! Plugins as WebAssembly components: the engine, their limits, how they are admitted, and which generation serves.
//!
//! Promises: a guest sees no socket, clock, randomness or secret; it cannot run longer, grow larger or return more than
//! its limits; new bytes serve only after every stage of admission; a running call keeps its generation. This is the
//! only crate that names wasmtime.

mod admission;
mod bindings;
mod cache;
mod compiler;
mod conformance;
mod contract;
mod engine;
mod fault;
mod generation;
mod grants;
mod guest;
mod host;
mod limits;
mod outbound;
pub mod proof;
mod sections;
mod signature;
mod stock;
mod trace;
mod trial;
mod turns;
mod vectors;
mod wasi;

pub use admission::{Refusal, StageReport, digest_of};
pub use cache::CompiledCache;
pub use compiler::{CompilerProcess, compile_as_child};
pub use conformance::Conformance;
pub use contract::{CONTRACT, Surface, Unfit};
pub use engine::Pooling;
pub use fault::GuestError;
pub use generation::{Generation, GuestCounts, GuestFaults, Pin, parts_of};
pub use grants::{Granted, Grants, PluginGrants, secrets_of};
pub use guest::{CallsGuest, ChatGuest, DeskGuest, MediaGuest, SocketGuest, WebhookGuest};
pub use host::{Admission, Candidate, GenerationSummary, PluginHost, PluginSummary, RollbackError};
pub use limits::GuestLimits;
pub use outbound::Outbound;
pub use signature::{NotASignerKey, SignerKey, Signers, SigningKey, SigningKeyError, sign};
pub use stock::StockPlugin;
pub use trace::{Exchange, Replayed, TraceEntry, replay};

/// The contract's types, generated from `wit/`.
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
        JwtAuthorization, MediaFormat, MessageNotice, Money, Proceed, Refusal as ProviderRefusal, RejectReason,
        Request, Response, SayAction, StatusUpdate, StreamAction, StreamUpdate,
    };
    pub use crate::bindings::keeps_socket::exports::jackfield::provider::socket::Endpoint;
    pub use crate::bindings::reads_webhooks::exports::jackfield::provider::webhooks::{
        Check, Disproof, Ed25519Check, EqualCheck, Hash, HmacCheck, Identity, Proof,
    };
}
