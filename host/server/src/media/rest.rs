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
    static PACE: Cell<Pace> = const { Cell::new(Pace { parked: None, woken: None, is_busy: false }) };
}

/// How often the thread is woken.
#[derive(Clone, Copy)]
struct Pace {
    parked: Option<Instant>,
    woken: Option<Instant>,
    /// Whether there was something to do sooner than a rest would have lasted.
    is_busy: bool,
}

/// Before the thread waits for its sockets: sleeps for what is left of the rest if the last wait was short.
pub(super) fn before_wait() {
    let mut pace = PACE.get();
    if let Some(left) = pace.left(Instant::now()) {
        thread::sleep(left);
    }
    pace.parked = Some(Instant::now());
    PACE.set(pace);
}

/// After the wait.
pub(super) fn after_wait() {
    let mut pace = PACE.get();
    pace.woke(Instant::now());
    PACE.set(pace);
}

impl Pace {
    fn left(self, now: Instant) -> Option<Duration> {
        let woken = self.woken.filter(|_| self.is_busy)?;
        REST.checked_sub(now.duration_since(woken)).filter(|left| !left.is_zero())
    }

    fn woke(&mut self, now: Instant) {
        self.is_busy = self.parked.is_some_and(|parked| now.duration_since(parked) < REST);
        self.woken = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked_at(now: Instant) -> Pace {
        Pace { parked: Some(now), woken: None, is_busy: false }
    }

    #[test]
    fn what_comes_one_by_one_is_gathered() {
        let parked = Instant::now();
        let mut pace = parked_at(parked);
        let woken = parked + REST / 10;
        pace.woke(woken);
        assert_eq!(pace.left(woken + REST / 4), Some(REST * 3 / 4));
    }

    #[test]
    fn a_worker_with_little_to_do_does_not_rest() {
        let parked = Instant::now();
        let mut pace = parked_at(parked);
        pace.woke(parked + REST * 5);
        assert_eq!(pace.left(parked + REST * 5), None);
    }

    #[test]
    fn work_that_took_as_long_as_a_rest_stands_for_it() {
        let parked = Instant::now();
        let mut pace = parked_at(parked);
        pace.woke(parked);
        assert_eq!(pace.left(parked + REST), None);
    }
}
