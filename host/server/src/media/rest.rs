//! Rests between a worker's looks at its sockets.
//!
//! Frames of hundreds of calls come one by one, and each would wake the thread for itself. What comes within a
//! millisecond is taken together instead, as network cards gather their interrupts; a worker with few calls does not
//! rest, and hears each frame at once.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

/// From one look at the sockets to the next: a twentieth of a frame. Twice as long takes no more off the CPU.
const REST: Duration = Duration::from_millis(1);

thread_local! {
    static PACE: Cell<Pace> = const { Cell::new(Pace { waited: None, woken: None }) };
}

/// How often the thread is woken.
#[derive(Clone, Copy)]
struct Pace {
    /// Since when it waited last.
    waited: Option<Instant>,
    /// Until when.
    woken: Option<Instant>,
}

/// Before the thread waits for its sockets: sleeps for what is left of the rest if the last wait was short.
pub(super) fn before_wait() {
    let mut pace = PACE.get();
    if let Some(left) = pace.left(Instant::now()) {
        thread::sleep(left);
    }
    pace.waited = Some(Instant::now());
    PACE.set(pace);
}

/// After the wait.
pub(super) fn after_wait() {
    PACE.set(Pace { woken: Some(Instant::now()), ..PACE.get() });
}

impl Pace {
    /// Of the rest, if there was something to do sooner than one lasts.
    fn left(self, now: Instant) -> Option<Duration> {
        let (waited, woken) = self.waited.zip(self.woken)?;
        let is_busy = woken.duration_since(waited) < REST;
        let left = REST.saturating_sub(now.duration_since(woken));
        (is_busy && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that waited so long until now.
    fn after(wait: Duration) -> (Pace, Instant) {
        let waited = Instant::now();
        (Pace { waited: Some(waited), woken: Some(waited + wait) }, waited + wait)
    }

    #[test]
    fn what_comes_one_by_one_is_gathered() {
        let (pace, woken) = after(REST / 10);
        assert_eq!(pace.left(woken + REST / 4), Some(REST * 3 / 4));
    }

    #[test]
    fn a_worker_with_little_to_do_does_not_rest() {
        let (pace, woken) = after(REST * 5);
        assert_eq!(pace.left(woken), None);
        assert_eq!(Pace { waited: None, woken: None }.left(woken), None);
    }

    #[test]
    fn work_that_took_as_long_as_a_rest_stands_for_it() {
        let (pace, woken) = after(Duration::ZERO);
        assert_eq!(pace.left(woken + REST), None);
    }
}
