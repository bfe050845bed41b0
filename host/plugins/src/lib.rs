//! Plugins as WebAssembly components: the engine, their limits, how they are admitted, and which generation serves.
//!
//! Promises: a guest sees no socket, clock, randomness or secret; it cannot run longer, grow larger or return more than
//! its limits; new bytes serve only after every stage of admission; a running call keeps its generation. This is the
//! only crate that names wasmtime.

mod admission;
mod bindings;
mod cache;
mod conformance;
mod contract;
mod engine;
mod fault;
mod generation;
mod guest;
mod host;
mod limits;
mod outbound;
pub mod proof;

pub use admission::{Refusal, StageReport, digest_of};
pub use cache::CompiledCache;
pub use conformance::Conformance;
pub use contract::{CONTRACT, Surface, Unfit};
pub use engine::Pooling;
pub use fault::GuestError;
pub use generation::{Generation, GuestFaults, Pin};
pub use guest::{CallsGuest, MediaGuest, WebhookGuest};
pub use host::{Admission, Candidate, GenerationSummary, PluginHost, PluginSummary, RollbackError};
pub use limits::GuestLimits;
pub use outbound::Outbound;

/// The contract's types, generated from `wit/`.
pub mod types {
    pub use crate::bindings::carries_media::exports::jackfield::provider::media::{
        Audio, MediaCommand, MediaEvent, Message, Started, StreamSetup,
    };
    pub use crate::bindings::controls_calls::exports::jackfield::provider::calls::{
        Binding, ConferenceJoin, Inspection, NumberPage, PhoneNumber, PlaceRequest, Placed, TransferDial,
        TransferProgress, TransferStep,
    };
    pub use crate::bindings::controls_calls::jackfield::provider::http::{
        Authorization, BasicAuthorization, Credential, HeaderAuthorization, HttpError, HttpRequest, HttpResponse,
        JwtAuthorization,
    };
    pub use crate::bindings::describes::exports::jackfield::provider::manifest::{
        Ability, Field, FieldKind, FieldProblem, Provider,
    };
    pub use crate::bindings::describes::jackfield::provider::types::{
        Account, Action, Call, CallStatus, Codec, ConferenceAction, Direction, Fault, MediaFormat, Money,
        Refusal as ProviderRefusal, RejectReason, Request, Response, SayAction, StreamAction,
    };
    pub use crate::bindings::reads_webhooks::exports::jackfield::provider::webhooks::{
        Check, Disproof, Ed25519Check, EqualCheck, Event, Hash, HmacCheck, Identity, Incoming, Instructions, Proof,
        StatusUpdate, StreamUpdate,
    };
}
