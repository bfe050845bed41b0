//! What became of one call's audio, while it is up and at its end.

use std::sync::{Mutex, PoisonError};

use jackfield_media::Stats;
use serde_json::{Value, json};

/// The figures of one call, as of the last second.
#[derive(Debug, Default)]
pub(crate) struct Figures(Mutex<Option<Value>>);

impl Figures {
    pub(crate) fn set(&self, stats: &Stats, heard_ms: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown(stats, heard_ms));
    }

    /// None before there was audio.
    pub(crate) fn get(&self) -> Option<Value> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// For the call's history and the API.
pub(crate) fn shown(stats: &Stats, heard_ms: u64) -> Value {
    json!({
        "frames_in": stats.frames_in, "frames_out": stats.frames_out, "bad": stats.bad, "dropped": stats.dropped,
        "underruns": stats.underruns, "late": stats.late, "flushes": stats.flushes, "concealed": stats.concealed,
        "filled": stats.filled, "healed_ms": stats.healed_ms, "first_audio_ms": stats.first_audio_ms,
        "hushed": stats.hushed, "silence_ms": stats.silence_ms, "heard_ms": heard_ms,
    })
}
