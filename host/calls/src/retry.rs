//! Whether to try a provider again: a pure decision. Time and randomness are arguments.

use crate::budget::RetryBudget;

/// What is known about a request that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was sent.
    NotSent,
    /// It may have been carried out.
    Unknown,
    /// The provider asks for patience, in milliseconds.
    Later(u64),
    /// The provider said no.
    Refused,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Send again after so many milliseconds.
    After(u64),
    /// Look first whether it was carried out.
    ReadBack,
    /// Give up.
    Never,
    /// Give up: it might be tried again, and the account has had its retries.
    NoBudget,
}

/// First delay in milliseconds; doubles with each attempt.
const FIRST: u64 = 100;
/// No delay is longer.
const LONGEST: u64 = 10_000;
/// Tries in all.
const ATTEMPTS: u32 = 3;
/// A delay is longer or shorter by up to this part of it, so that those who failed together do not come back together.
const SPREAD: u64 = 10;

/// The tries of one order. Times in milliseconds.
#[derive(Debug)]
pub struct Tries {
    attempt: u32,
    idempotent: bool,
    until: u64,
}

impl Tries {
    /// The order is about to be given for the first time; nobody waits for it for longer than `patience`.
    pub fn begin(idempotent: bool, patience: u64, now: u64, budget: &mut RetryBudget) -> Self {
        budget.first(now);
        Self { attempt: 1, idempotent, until: now.saturating_add(patience) }
    }

    /// The last try failed: what now? `dice` in 0..=255 spreads the delay.
    pub fn failed(&mut self, failure: Failure, now: u64, dice: u8, budget: &mut RetryBudget) -> Retry {
        let left = self.until.saturating_sub(now);
        let decided = decide(failure, self.attempt, self.idempotent, left);
        let Retry::After(delay) = decided else { return decided };
        // One of which nothing was sent has cost the provider nothing yet.
        if failure != Failure::NotSent && !budget.spend(now) {
            return Retry::NoBudget;
        }
        self.attempt += 1;
        Retry::After(spread(delay, failure, dice).min(left))
    }
}

/// A provider that named a time is not asked before it.
fn spread(delay: u64, failure: Failure, dice: u8) -> u64 {
    let part = delay / SPREAD;
    let shift = |range: u64| range * u64::from(dice) / u64::from(u8::MAX);
    match failure {
        Failure::Later(_) => delay + shift(part),
        _ => delay - part + shift(2 * part),
    }
}

/// Decides after attempt number `attempt` (the first is 1), with `left` milliseconds until the deadline.
fn decide(failure: Failure, attempt: u32, idempotent: bool, left: u64) -> Retry {
    let backoff = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST);
    let delay = match failure {
        Failure::Refused => return Retry::Never,
        Failure::Unknown if !idempotent => return Retry::ReadBack,
        Failure::Later(asked) => asked.max(backoff),
        Failure::NotSent | Failure::Unknown => backoff,
    };
    if attempt >= ATTEMPTS || delay > left { Retry::Never } else { Retry::After(delay) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_read_back_before_anything_is_sent_again() {
        for attempt in 1..10 {
            assert_eq!(decide(Failure::Unknown, attempt, false, u64::MAX), Retry::ReadBack);
        }
        assert_eq!(decide(Failure::Unknown, 1, true, 1_000), Retry::After(100));
    }

    #[test]
    fn a_refusal_is_final() {
        assert_eq!(decide(Failure::Refused, 1, true, u64::MAX), Retry::Never);
    }

    #[test]
    fn patience_that_was_asked_for_is_kept_and_not_past_the_deadline() {
        assert_eq!(decide(Failure::Later(3_000), 1, false, 10_000), Retry::After(3_000));
        assert_eq!(decide(Failure::Later(3_600_000), 1, false, 10_000), Retry::Never);
    }

    #[test]
    fn tries_are_bounded_and_delays_grow() {
        assert_eq!(decide(Failure::NotSent, 1, false, 10_000), Retry::After(100));
        assert_eq!(decide(Failure::NotSent, 2, false, 10_000), Retry::After(200));
        assert_eq!(decide(Failure::NotSent, 3, false, 10_000), Retry::Never);
    }

    /// Sends in all for so many orders, one every `apart` milliseconds, to a provider that fails half of what it is sent.
    fn sends_to_one_that_flaps(orders: u64, apart: u64) -> u64 {
        let (mut budget, mut coin, mut sends) = (RetryBudget::new(0), 7_u64, 0);
        for order in 0..orders {
            let mut now = order * apart;
            let mut tries = Tries::begin(true, 8_000, now, &mut budget);
            loop {
                sends += 1;
                coin = coin.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if coin >> 63 == 0 {
                    break;
                }
                match tries.failed(Failure::Unknown, now, (coin >> 32) as u8, &mut budget) {
                    Retry::After(delay) => now += delay,
                    _ => break,
                }
            }
        }
        sends
    }

    #[test]
    fn a_provider_that_flaps_gets_a_fifth_more_and_not_twice_as_much() {
        let sends = sends_to_one_that_flaps(1_000, 0);
        assert!((1_150..=1_200 + 3).contains(&sends), "{sends}");
        // At ten a second, a retry comes back every ten seconds beside.
        let sends = sends_to_one_that_flaps(1_000, 100);
        assert!((1_150..=1_200 + 3 + 10).contains(&sends), "{sends}");
    }

    #[test]
    fn one_that_is_asked_little_is_asked_as_often_as_ever() {
        let (mut budget, minute) = (RetryBudget::new(0), 60_000);
        for now in (0..100).map(|at| at * minute) {
            let mut tries = Tries::begin(true, 8_000, now, &mut budget);
            assert!(matches!(tries.failed(Failure::Unknown, now, 0, &mut budget), Retry::After(_)));
            assert!(matches!(tries.failed(Failure::Unknown, now, 0, &mut budget), Retry::After(_)));
            assert_eq!(tries.failed(Failure::Unknown, now, 0, &mut budget), Retry::Never);
        }
    }

    #[test]
    fn what_is_given_up_anyway_costs_no_retry() {
        let mut budget = RetryBudget::new(0);
        let mut tries = Tries::begin(false, 2_000, 0, &mut budget);
        let before = budget;
        assert_eq!(tries.failed(Failure::Refused, 0, 0, &mut budget), Retry::Never);
        assert_eq!(tries.failed(Failure::Unknown, 0, 0, &mut budget), Retry::ReadBack);
        assert_eq!(tries.failed(Failure::Later(3_000), 0, 0, &mut budget), Retry::Never);
        assert_eq!(budget, before);
        while budget.spend(0) {}
        assert_eq!(tries.failed(Failure::Later(1_000), 0, 0, &mut budget), Retry::NoBudget);
        assert_eq!(tries.failed(Failure::NotSent, 0, 0, &mut budget), Retry::After(90), "nothing was sent");
    }

    #[test]
    fn delays_are_spread_and_no_provider_is_asked_before_its_time() {
        let delay = |failure, dice, patience| {
            let mut budget = RetryBudget::new(0);
            Tries::begin(true, patience, 0, &mut budget).failed(failure, 0, dice, &mut budget)
        };
        assert_eq!(delay(Failure::Unknown, 0, 8_000), Retry::After(90));
        assert_eq!(delay(Failure::Unknown, 255, 8_000), Retry::After(110));
        assert_eq!(delay(Failure::Later(3_000), 0, 8_000), Retry::After(3_000));
        assert_eq!(delay(Failure::Later(3_000), 255, 8_000), Retry::After(3_300));
        assert_eq!(delay(Failure::Later(3_000), 255, 3_100), Retry::After(3_100), "nobody waits any longer");
    }
}
