//! How often one address may be wrong.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// More addresses than this are not remembered; those whose time is longest past make room.
const MOST: usize = 10_000;
const WINDOW: Duration = Duration::from_secs(60);

/// Counts failures by address, and locks out who has too many. Time is an argument.
#[derive(Debug)]
pub(crate) struct Limiter {
    a_minute: u32,
    block: Duration,
    known: HashMap<IpAddr, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    until: Instant,
    blocked: bool,
}

impl Limiter {
    pub(crate) fn new(a_minute: u32, block: Duration) -> Self {
        Self { a_minute, block, known: HashMap::new() }
    }

    /// How long this address stays locked out; none if it is not.
    pub(crate) fn blocked(&self, who: IpAddr, now: Instant) -> Option<Duration> {
        let failures = self.known.get(&who).filter(|failures| failures.blocked)?;
        failures.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// One more failure. How long the address is locked out from here on, if it is.
    pub(crate) fn failed(&mut self, who: IpAddr, now: Instant) -> Option<Duration> {
        if self.known.len() >= MOST && !self.known.contains_key(&who) {
            self.make_room(now);
        }
        let fresh = Failures { count: 0, until: now + WINDOW, blocked: false };
        let failures = self.known.entry(who).or_insert(fresh);
        if failures.until <= now {
            *failures = fresh;
        }
        failures.count += 1;
        if failures.count <= self.a_minute {
            return None;
        }
        (failures.blocked, failures.until) = (true, now + self.block);
        Some(self.block)
    }

    fn make_room(&mut self, now: Instant) {
        self.known.retain(|_, failures| failures.until > now);
        if self.known.len() < MOST {
            return;
        }
        let first = self.known.iter().min_by_key(|(_, failures)| failures.until).map(|(who, _)| *who);
        if let Some(who) = first {
            self.known.remove(&who);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::net::Ipv4Addr;

    const BLOCK: Duration = Duration::from_secs(300);

    fn who(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    #[test]
    fn ten_failures_a_minute_are_forgiven_and_the_eleventh_locks_out_for_five_minutes() {
        let (mut limiter, now) = (Limiter::new(10, BLOCK), Instant::now());
        for _ in 0..10 {
            assert_eq!(limiter.failed(who(1), now), None);
        }
        assert_eq!(limiter.blocked(who(1), now), None);
        assert_eq!(limiter.failed(who(1), now), Some(BLOCK));
        assert_eq!(limiter.blocked(who(1), now + BLOCK / 2), Some(BLOCK / 2));
        assert_eq!(limiter.blocked(who(1), now + BLOCK), None);
        assert_eq!(limiter.failed(who(1), now + BLOCK), None, "the count begins anew");
        assert_eq!(limiter.blocked(who(2), now), None, "others are not concerned");
    }

    #[test]
    fn failures_that_are_spread_out_lock_nobody_out() {
        let (mut limiter, now) = (Limiter::new(10, BLOCK), Instant::now());
        for minute in 0..50 {
            assert_eq!(limiter.failed(who(1), now + WINDOW * minute), None);
        }
    }

    #[test]
    fn many_addresses_do_not_fill_the_memory_and_do_not_free_who_is_locked_out() {
        let (mut limiter, now) = (Limiter::new(0, BLOCK), Instant::now());
        assert!(limiter.failed(who(0), now + Duration::from_secs(1)).is_some());
        limiter.a_minute = 10;
        for number in 1..30_000 {
            limiter.failed(who(number), now);
        }
        assert!(limiter.known.len() <= MOST);
        assert!(limiter.blocked(who(0), now + Duration::from_secs(2)).is_some());
    }
}
