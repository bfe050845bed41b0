//! The one place where the server reads the wall clock. Everything below takes time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Unix milliseconds, as the contract counts them.
pub(crate) fn now_for_guests() -> u64 {
    u64::try_from(now_ms()).unwrap_or(0)
}
