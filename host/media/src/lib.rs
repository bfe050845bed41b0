//! The audio of one call. No socket, no clock, no thread: messages and ticks in, messages out.
//!
//! Promises: audio leaves in frames on absolute deadlines; a barge-in drops what is queued here and at the provider in
//! the same step; no queue is without a bound, and what is dropped is counted; equal formats pass through untouched.

mod ambient;
mod backlog;
mod elastic;
mod feed;
mod format;
pub mod g711;
mod playout;
mod reorder;
mod resample;
mod session;
mod tape;
mod voice;
pub mod wav;

pub use ambient::Ambient;
pub use backlog::Backlog;
pub use format::{Codec, Converter, Format};
pub use resample::{RATES, Resampler};
pub use session::{AgentMessage, EndReason, Input, Output, Session, SessionConfig, Stats, WireCommand};
