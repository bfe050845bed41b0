//! Builds that keep failing at audio: each time costs a call, and the audio threads a guest's whole time.

use std::time::Instant;

use jackfield_plugins::Generation;
use serde_json::json;

use super::Rollout;
use super::breaker::Leave;

/// A call that is lost weighs as much as a webhook that ran out of time.
const WEIGHT: usize = 4;

impl Rollout {
    /// A build's part in a call's audio is over; `failure` says how the plugin failed at it.
    pub(crate) fn carried(&self, generation: &Generation, call: &str, failure: Option<&str>) {
        let (key, now) = (key(generation.digest()), Instant::now());
        let Some(why) = failure else { return self.breaker().did_well(&key) };
        let (plugin, digest) = (&generation.describe().name, generation.digest());
        let shown = || json!({ "error": why });
        if self.breaker().failed(&key, &crate::token::digest(call), WEIGHT, shown, now) {
            tracing::error!(plugin, digest, "a plugin keeps failing at audio, and gets no calls for a while");
        }
    }

    /// May a build be given a new call's audio? One that is out gets a call in a while, to see whether it does better.
    pub(crate) fn may_carry(&self, generation: &Generation) -> bool {
        self.breaker().leave(&key(generation.digest()), || [0; 32], Instant::now()) == Leave::Yes
    }

    /// An operator lets a build in again, for all it does.
    pub(crate) fn release(&self, digest: &str) {
        self.breaker().release(digest);
        self.breaker().release(&key(digest));
    }

    /// What keeps a build from being asked, for people.
    pub(crate) fn held_back(&self, digest: &str) -> serde_json::Value {
        let now = Instant::now();
        let mut shown = self.breaker().shown(digest, now);
        shown["audio"] = self.breaker().shown(&key(digest), now)["state"].clone();
        shown
    }
}

/// What its audio is remembered by.
fn key(digest: &str) -> String {
    format!("{digest}/audio")
}
