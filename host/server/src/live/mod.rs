//! Calls that are up: one task for each, which owns its state machine, its generation and its media token.

mod actor;
pub(crate) mod provider;
mod registry;

pub(crate) use actor::{Parts, inspected, report_of, start, status_of};
pub(crate) use registry::{Handle, Registry, TakenStream, Whisper};
