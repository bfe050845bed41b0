//! Keeps a build that keeps failing from being asked, and inputs that made it fail twice from being given to it again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// So many faults within such a time take a build out; then one webhook in a while is let through to see whether it does
/// better.
const FAULTS: usize = 20;
const WITHIN: Duration = Duration::from_secs(10);
const OUT: Duration = Duration::from_secs(15);
/// An input that failed so often is not tried again.
const TWICE: u8 = 2;
/// Inputs that are remembered for one build.
const INPUTS: usize = 1_000;
/// And shown.
const SHOWN: usize = 10;

/// May a build be asked?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    Yes,
    /// It is out, for so long.
    Out(Duration),
    /// This very input made it fail twice.
    Quarantined,
}

/// What is remembered of each build, by digest.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<HashMap<String, Record>>);

#[derive(Debug, Default)]
struct Record {
    faults: VecDeque<Instant>,
    out_until: Option<Instant>,
    /// By their digests.
    inputs: HashMap<[u8; 32], Input>,
    quarantined: u64,
}

/// An input that a build failed at.
#[derive(Debug)]
struct Input {
    times: u8,
    /// What it looked like, without what it said.
    shown: Value,
}

impl Breaker {
    /// Asked before an input is given to a build. What the input is known by is asked for where the build has failed at some.
    pub(crate) fn leave(&self, digest: &str, input: impl FnOnce() -> [u8; 32], now: Instant) -> Leave {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = records.get_mut(digest) else { return Leave::Yes };
        if !record.inputs.is_empty() && record.inputs.get(&input()).is_some_and(Input::is_bad) {
            record.quarantined += 1;
            return Leave::Quarantined;
        }
        match record.out_until {
            Some(until) if until > now => Leave::Out(until - now),
            Some(_) => {
                // This one is let through; the others wait for what becomes of it.
                record.out_until = Some(now + OUT);
                Leave::Yes
            }
            None => Leave::Yes,
        }
    }

    /// The build failed at an input, which is `shown` to people, and it weighs as much as so many faults. True when that
    /// takes it out.
    pub(crate) fn failed(
        &self,
        digest: &str,
        input: &[u8; 32],
        weight: usize,
        shown: impl FnOnce() -> Value,
        now: Instant,
    ) -> bool {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.entry(digest.to_owned()).or_default();
        if record.inputs.len() < INPUTS || record.inputs.contains_key(input) {
            let known = record.inputs.entry(*input).or_insert_with(|| Input { times: 0, shown: shown() });
            known.times = known.times.saturating_add(1);
        }
        record.faults.extend(std::iter::repeat_n(now, weight));
        while record.faults.front().is_some_and(|at| now.duration_since(*at) > WITHIN) {
            record.faults.pop_front();
        }
        let goes_out = record.faults.len() >= FAULTS && record.out_until.is_none_or(|until| until <= now);
        if goes_out {
            record.out_until = Some(now + OUT);
        }
        goes_out
    }

    /// The build did well: it is in again.
    pub(crate) fn did_well(&self, digest: &str) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = records.get_mut(digest).filter(|record| record.out_until.is_some()) {
            record.out_until = None;
            record.faults.clear();
        }
    }

    /// An operator lets a build in again, and its inputs.
    pub(crate) fn release(&self, digest: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }

    /// For people.
    pub(crate) fn shown(&self, digest: &str, now: Instant) -> Value {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = records.get(digest);
        let out = record.and_then(|record| record.out_until).filter(|until| *until > now);
        let bad: Vec<&Input> =
            record.into_iter().flat_map(|record| record.inputs.values()).filter(|i| i.is_bad()).collect();
        let shown = |input: &&Input| json!({ "times": input.times, "what": input.shown });
        json!({
            "state": if out.is_some() { "out" } else { "in" },
            "quarantined_inputs": bad.len(),
            "inputs": bad.iter().take(SHOWN).map(shown).collect::<Vec<_>>(),
            "quarantined_webhooks": record.map_or(0, |record| record.quarantined),
        })
    }
}

impl Input {
    fn is_bad(&self) -> bool {
        self.times >= TWICE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [u8; 32] = [0; 32];

    fn none() -> Value {
        Value::Null
    }

    #[test]
    fn a_build_that_keeps_failing_is_out_until_one_input_succeeds() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let mut out = 0;
        for index in 0..20u8 {
            assert_eq!(breaker.leave("d", || GOOD, now), Leave::Yes);
            out += usize::from(breaker.failed("d", &[index + 1; 32], 1, none, now));
        }
        assert_eq!(out, 1, "told once");
        assert!(matches!(breaker.leave("d", || GOOD, now), Leave::Out(_)));
        assert_eq!(breaker.leave("other", || GOOD, now), Leave::Yes);
        let later = now + OUT + Duration::from_millis(1);
        assert_eq!(breaker.leave("d", || GOOD, later), Leave::Yes, "one is let through");
        assert!(matches!(breaker.leave("d", || GOOD, later), Leave::Out(_)), "and no other");
        breaker.did_well("d");
        assert_eq!(breaker.leave("d", || GOOD, later), Leave::Yes);
    }

    #[test]
    fn an_input_that_failed_twice_is_not_tried_again_until_it_is_released() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let bad = [7; 32];
        for _ in 0..2 {
            assert_eq!(breaker.leave("d", || bad, now), Leave::Yes);
            breaker.failed("d", &bad, 1, || json!("a shape"), now);
        }
        assert_eq!(breaker.leave("d", || bad, now), Leave::Quarantined);
        assert_eq!(breaker.leave("d", || GOOD, now), Leave::Yes);
        assert_eq!(breaker.shown("d", now)["quarantined_inputs"], 1);
        assert_eq!(breaker.shown("d", now)["inputs"], json!([{ "times": 2, "what": "a shape" }]));
        breaker.release("d");
        assert_eq!(breaker.leave("d", || bad, now), Leave::Yes);
    }

    #[test]
    fn what_weighs_more_takes_a_build_out_sooner() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        let out: Vec<bool> = (0..5u8).map(|index| breaker.failed("d", &[index; 32], 4, none, now)).collect();
        assert_eq!(out, [false, false, false, false, true]);
    }

    #[test]
    fn faults_that_are_long_ago_do_not_count() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for index in 0..60u8 {
            let at = now + Duration::from_secs(u64::from(index));
            assert!(!breaker.failed("d", &[index; 32], 1, none, at));
        }
    }
}
