//! A build that does not serve yet, on trial: its answers are compared with those of the one that serves, and dropped
//! (shadow), or a share of new calls begins on it (canary).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jackfield_plugins::types::{Account, Event, Request};
use jackfield_plugins::{Generation, GuestFaults};
use serde_json::{Value, json};

/// What a build on trial is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Shadow,
    /// So many of a hundred new calls.
    Canary(u8),
}

/// A build on trial.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) generation: Arc<Generation>,
    pub(crate) mode: Mode,
    /// Faults of its guests before: the same bytes may have been on trial already.
    faults_before: u64,
    compared: AtomicU64,
    different: AtomicU64,
    failed: AtomicU64,
    calls: AtomicU64,
    aborted: AtomicBool,
}

/// A webhook that the build in service has read, and what it made of it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) account: Account,
    pub(crate) request: Request,
    pub(crate) hook: String,
    /// Unix milliseconds.
    pub(crate) at: u64,
}

/// How another build reads a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The proof and the events, written out.
    Read(String),
    Failed(String),
}

impl Trial {
    pub(crate) fn new(generation: Arc<Generation>, mode: Mode) -> Self {
        let zero = AtomicU64::default;
        let (compared, different, failed, calls) = (zero(), zero(), zero(), zero());
        let (faults_before, aborted) = (total(generation.faults()), AtomicBool::new(false));
        Self { generation, mode, faults_before, compared, different, failed, calls, aborted }
    }

    /// Does a call of that name begin on the build on trial? The same name always has the same answer.
    pub(crate) fn takes(&self, call: &str) -> bool {
        let Mode::Canary(share) = self.mode else { return false };
        let digest = crate::token::digest(call);
        let takes = u16::from_be_bytes([digest[0], digest[1]]) % 100 < u16::from(share);
        if takes {
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
        takes && !self.is_aborted()
    }

    /// Compares how both builds read a sample.
    pub(crate) fn compare(&self, serving: &Arc<Generation>, sample: &Sample) {
        let (ours, theirs) = (read(serving, sample), read(&self.generation, sample));
        self.compared.fetch_add(1, Ordering::Relaxed);
        match (&ours, &theirs) {
            (Reading::Read(_), Reading::Failed(_)) => drop(self.failed.fetch_add(1, Ordering::Relaxed)),
            (ours, theirs) if ours != theirs => drop(self.different.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Why it must not go on, if it must not.
    pub(crate) fn verdict(&self, most_faults: u64) -> Option<String> {
        let failed = self.failed.load(Ordering::Relaxed);
        if failed > 0 {
            return Some(format!("it failed at {failed} webhooks that the build in service reads"));
        }
        let faults = self.faults();
        (faults >= most_faults).then(|| format!("its guests failed {faults} times"))
    }

    pub(crate) fn figures(&self) -> Value {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "compared": read(&self.compared), "different": read(&self.different), "failed": read(&self.failed),
            "calls": read(&self.calls), "faults": self.faults(),
        })
    }

    /// Of its guests, on this trial.
    fn faults(&self) -> u64 {
        total(self.generation.faults()).saturating_sub(self.faults_before)
    }
}

pub(crate) fn total(faults: GuestFaults) -> u64 {
    faults.traps + faults.deadlines + faults.bad_results
}

/// What a build makes of a sample: both its proof and its events count.
pub(crate) fn read(generation: &Arc<Generation>, sample: &Sample) -> Reading {
    let failed = |what: &dyn std::fmt::Display| Reading::Failed(what.to_string());
    let mut guest = match generation.webhooks() {
        Ok(guest) => guest,
        Err(error) => return failed(&error),
    };
    let proof = match guest.authenticate(&sample.account, &sample.request, sample.at) {
        Ok(Ok(proof)) => proof,
        Ok(Err(disproof)) => return failed(&format!("its proof is {disproof:?}").replace(char::is_numeric, "#")),
        Err(error) => return failed(&error),
    };
    match guest.read(&sample.account, &sample.request, &sample.hook) {
        Ok(Ok(events)) => Reading::Read(format!("{proof:?} {events:?}")),
        Ok(Err(_)) => Reading::Failed("it cannot read it".to_owned()),
        Err(error) => failed(&error),
    }
}

/// The kinds of the events, without what they say: numbers and names stay out of reports.
pub(crate) fn kinds(events: &[Event]) -> String {
    let kind = |event: &Event| {
        let text = format!("{event:?}");
        text.split(['(', ' ', '{']).next().unwrap_or_default().replace("Event::", "")
    };
    events.iter().map(kind).collect::<Vec<_>>().join(", ")
}
