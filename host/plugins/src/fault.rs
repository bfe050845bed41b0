//! What can go wrong with a guest, and whose fault it is.

use wasmtime::{Trap, WasmBacktrace};

use crate::trial;

/// Frames of a trap that are told, innermost first.
const FRAMES: usize = 6;

/// A guest that did not give a legal answer. The store it ran in is gone.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum GuestError {
    /// Used up its time.
    #[error("the plugin ran out of time in `{export}`")]
    Deadline { export: &'static str },
    /// Was on trial and took longer: it is begun again where it has all of its time, and nobody is to blame.
    #[error("the plugin takes longer in `{export}` than a network thread waits")]
    Postponed { export: &'static str },
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
            Some(Trap::Interrupt) if trial::ran_over() => Self::Postponed { export },
            Some(Trap::Interrupt) => Self::Deadline { export },
            Some(trap) => Self::Trap { export, reason: format!("{trap}{}", frames(error)) },
            None => Self::Result { export, reason: format!("{error:#}") },
        }
    }
}

/// Where it happened, by the names in the component; without a name section, by numbers.
fn frames(error: &wasmtime::Error) -> String {
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let name = |frame: &wasmtime::FrameInfo| match frame.func_name() {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("function {}", frame.func_index()),
    };
    let names: Vec<String> = frames.iter().take(FRAMES).map(name).collect();
    if names.is_empty() { String::new() } else { format!(", in {}", names.join(" < ")) }
}
