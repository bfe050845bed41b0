//! The one clock of what the caller has heard.

use std::time::Duration;

/// A model of the provider's buffer: frames play one after the other as they come, and marks correct it.
#[derive(Debug)]
pub(crate) struct Ear {
    /// Length of everything sent that was not cut off.
    sent: Duration,
    /// When the last of it will have been played.
    until: Duration,
    /// What was heard can't be unheard.
    heard: Duration,
}

impl Ear {
    pub(crate) const fn new(now: Duration) -> Self {
        Self { sent: Duration::ZERO, until: now, heard: Duration::ZERO }
    }

    /// A frame goes out.
    pub(crate) fn send(&mut self, now: Duration, length: Duration) {
        self.heard = self.heard(now);
        self.until = self.until.max(now) + length;
        self.sent += length;
    }

    /// How much the caller has heard.
    pub(crate) fn heard(&self, now: Duration) -> Duration {
        self.sent.saturating_sub(self.until.saturating_sub(now)).max(self.heard)
    }

    /// Length of everything sent: the place of a mark.
    pub(crate) const fn sent(&self) -> Duration {
        self.sent
    }

    /// When everything sent will have been played.
    pub(crate) const fn until(&self) -> Duration {
        self.until
    }

    /// The provider says that all up to `place` was played by now.
    pub(crate) fn reach(&mut self, now: Duration, place: Duration) {
        self.until = now + self.sent.saturating_sub(place);
        self.heard = self.heard(now);
    }

    /// What is not yet heard never will be.
    pub(crate) fn cut(&mut self, now: Duration) {
        self.heard = self.heard(now);
        self.sent = self.heard;
        self.until = now;
    }
}
