//! Connectors to agents: what talks to the caller.

mod connector;
mod handshake;
mod link;
pub mod listen;

pub use connector::{AgentError, Connector, Start};
pub use link::{FromAgent, Link, ToAgent, connect};
