//! What can go wrong with a guest, and whose fault it is.

use wasmtime::Trap;

/// A guest that did not give a legal answer. The store it ran in is gone.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum GuestError {
    /// Used up its time.
    #[error("the plugin ran out of time in `{export}`")]
    Deadline { export: &'static str },
    /// Trapped: a panic, a bad access, a stack overflow.
    #[error("the plugin trapped in `{export}`: {reason}")]
    Trap { export: &'static str, reason: String },
    /// Returned something that is not what the contract says, or too much of it.
    #[error("the plugin's answer from `{export}` could not be taken: {reason}")]
    Result { export: &'static str, reason: String },
    /// No instance was to be had.
    #[error("no instance for the plugin: {0}")]
    NoInstance(String),
    /// The plugin does not have this capability.
    #[error("the plugin does not export `{0}`")]
    Absent(&'static str),
}

impl GuestError {
    /// Sorts an error out of wasmtime. A fault in lifting a result is no trap, but the store is just as spent.
    pub(crate) fn classify(export: &'static str, error: &wasmtime::Error) -> Self {
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Self::Deadline { export },
            Some(trap) => Self::Trap { export, reason: trap.to_string() },
            None => Self::Result { export, reason: format!("{error:#}") },
        }
    }
}
