//! Connectors to agents: what talks to the caller.
//!
//! Each protocol is a state machine behind one contract and knows no socket; one place drives the sockets of all.

mod ambience;
mod barge_in;
mod builtin;
mod connector;
mod contract;
mod engine;
mod handshake;
mod link;
mod listen;
mod pipecat;
mod protobuf;
mod queue;
mod realtime;
mod secret;
mod settings;
mod sieve;
mod twilio;
mod wav;

pub use ambience::Ambience;
pub use barge_in::host_barge_in;
pub use builtin::{Play, Tone};
pub use connector::{AgentError, Connector, Dialect, Endpoint, Start};
pub use contract::{Action, AgentAudio, FromAgent, Message, Protocol, Speaker, ToAgent, TransferWish};
pub use link::{Link, connect};
pub use secret::{Proof, Secret};
