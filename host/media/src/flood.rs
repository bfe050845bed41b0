//! Keeps a provider from sending audio faster than people speak.

use std::time::Duration;

/// A stalled network may deliver so much at once.
const BURST: Duration = Duration::from_secs(5);

/// A token bucket that fills at one and a half times real time.
#[derive(Debug)]
pub(crate) struct FloodGate {
    level: Duration,
    at: Duration,
}

impl FloodGate {
    pub(crate) const fn new(now: Duration) -> Self {
        Self { level: BURST, at: now }
    }

    /// Whether audio of this length may pass now.
    pub(crate) fn admits(&mut self, now: Duration, length: Duration) -> bool {
        let earned = now.saturating_sub(self.at) * 3 / 2;
        self.level = self.level.saturating_add(earned).min(BURST);
        self.at = now;
        let rest = self.level.checked_sub(length);
        self.level = rest.unwrap_or(self.level);
        rest.is_some()
    }
}
