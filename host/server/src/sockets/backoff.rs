//! When to dial again.

use std::time::Duration;

/// A connection that lasted so long was a good one.
const STABLE: Duration = Duration::from_secs(30);

/// Doubles from connection to connection. Knows no clock.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
    }

    /// How long to wait after a connection that lasted `lived`, if it came about at all. `dice` in 0..=255 spreads
    /// those who lost theirs together over ± 20 %.
    pub(super) fn after(&mut self, lived: Option<Duration>, dice: u8) -> Duration {
        if lived.is_some_and(|lived| lived >= STABLE) {
            self.next = self.least;
        }
        let wait = self.next;
        self.next = (wait * 2).min(self.most);
        spread(wait, dice)
    }

    /// How long to wait after a refusal that another attempt would only repeat.
    pub(super) fn after_refusal(&mut self, dice: u8) -> Duration {
        self.next = self.most;
        spread(self.most, dice)
    }
}

fn spread(wait: Duration, dice: u8) -> Duration {
    wait.mul_f64(0.8 + 0.4 * f64::from(dice) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(backoff: &mut Backoff, lived: Option<u64>) -> u64 {
        // 128 is the middle, to a thousandth.
        backoff.after(lived.map(Duration::from_secs), 128).as_secs_f64().round() as u64
    }

    #[test]
    fn doubles_to_its_most_and_begins_anew_after_a_connection_that_lasted() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));
        let waits: Vec<u64> = (0..10).map(|_| seconds(&mut backoff, None)).collect();
        assert_eq!(&waits[..8], [1, 2, 4, 8, 16, 32, 64, 128]);
        assert!((256..=258).contains(&waits[8]) && (300..=302).contains(&waits[9]), "{waits:?}");
        assert!(seconds(&mut backoff, Some(29)) >= 300, "one that dies at once is no success");
        assert_eq!(seconds(&mut backoff, Some(30)), 1);
    }

    #[test]
    fn is_spread() {
        let wait = |dice| Backoff::new(Duration::from_secs(10), Duration::from_secs(300)).after(None, dice);
        assert_eq!((wait(0), wait(255)), (Duration::from_secs(8), Duration::from_secs(12)));
    }

    #[test]
    fn a_refusal_is_not_hurried() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300));
        assert!(backoff.after_refusal(0) >= Duration::from_secs(240));
    }
}
