//! Whether to try a provider again: a pure decision.

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
}

/// First delay in milliseconds; doubles with each attempt.
const FIRST: u64 = 100;
/// No delay is longer.
const LONGEST: u64 = 10_000;
/// Tries in all.
const ATTEMPTS: u32 = 3;

/// Decides after attempt number `attempt` (the first is 1), with `left` milliseconds until the deadline.
pub fn decide(failure: Failure, attempt: u32, idempotent: bool, left: u64) -> Retry {
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
}
