//! The audio of one call, sans-IO: no socket, no task, no clock. Messages and ticks go in, messages come out.
//!
//! Promises: what the agent says reaches the wire in frames on absolute deadlines, whatever sizes it came in; bytes are
//! untouched where wire and agent speak the same codec; nothing is dropped without being counted; every mark is answered
//! exactly once; a session ends once, with one reason. `tests/session` shows each of them in virtual time.

mod ear;
mod flood;
mod format;
pub mod g711;
mod marks;
mod messages;
mod playout;
mod session;
mod tape;
pub mod wav;

pub use format::{Codec, Format};
pub use messages::{AgentMessage, EndReason, Input, Output, SessionConfig, Stats, WireCommand};
pub use session::Session;
