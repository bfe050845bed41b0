//! What happens to a call: events in, effects out. No socket, no clock, no randomness; time is an argument.
//!
//! Promises: statuses only move forward; a late, repeated or out-of-order report changes nothing; a call ends once, with
//! one reason; a call whose placing has an unknown outcome is looked for before anything else, and never placed twice.

pub mod bill;
mod budget;
mod desk;
mod errand;
mod events;
mod machine;
pub mod retry;
mod status;
mod transfer;

pub use budget::RetryBudget;
pub use desk::{DeskOrder, DeskStage};
pub use events::{Change, Effect, Ended, Input, Limits, Record, Report, Stored};
pub use machine::CallMachine;
pub use status::{Direction, Status};
pub use transfer::{TransferEffect, TransferFailure, TransferInput, TransferMachine, TransferMode, TransferState};
