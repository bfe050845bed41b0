//! The way to the end: serving, draining, closing. It only goes forward.

use std::sync::Arc;

use tokio::sync::watch;

/// How far on its way to the end a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everything is taken.
    Serving,
    /// Not ready: no new calls; calls that are up go on, and so does what they need.
    Draining,
    /// No new connections; requests that have begun are finished.
    Closing,
}

/// The server's phase, seen by all its parts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Drain(Arc<watch::Sender<Phase>>);

impl Default for Drain {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Serving)))
    }
}

impl Drain {
    /// Are new calls refused?
    pub fn draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Takes no new calls from here on.
    pub fn begin(&self) {
        self.advance(Phase::Draining);
    }

    /// Takes no new connections from here on.
    pub fn close(&self) {
        self.advance(Phase::Closing);
    }

    /// To wait for a phase with.
    pub(crate) fn watch(&self) -> watch::Receiver<Phase> {
        self.0.subscribe()
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let forward = to > *phase;
            *phase = to.max(*phase);
            forward
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_way_back_from_a_drain() {
        let drain = Drain::default();
        assert!(!drain.draining());
        drain.close();
        drain.begin();
        assert_eq!(*drain.watch().borrow(), Phase::Closing);
        assert!(drain.draining());
    }
}
