//! The last webhooks of each provider that were genuine, for trying a new build on. They are kept in memory alone, and shown to
//! nobody: reports say how many are read otherwise, and of which hook.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jackfield_plugins::Generation;

use super::trial::{Reading, Sample, read};

/// Webhooks of each provider and hook: a rare one is not pushed out by many of another kind.
const EACH: usize = 20;
const HOOKS: usize = 16;

/// A webhook that is larger is not kept.
const LARGEST: usize = 8 << 10;
/// Once there are enough of a hook, one in so many takes the place of the oldest.
const SELDOM: u64 = 16;

/// By provider, then by hook.
type Kept = HashMap<String, BTreeMap<String, VecDeque<Arc<Sample>>>>;

#[derive(Debug, Default)]
pub(crate) struct Samples {
    kept: Mutex<Kept>,
    asked: AtomicU64,
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replay {
    pub(crate) tried: usize,
    /// Read otherwise, by hook.
    pub(crate) different: BTreeMap<String, usize>,
    /// Failed at, where the build in service does not: by hook, with the first reason.
    pub(crate) failed: BTreeMap<String, String>,
}

impl Samples {
    /// Is one more of that hook wanted?
    pub(crate) fn wants(&self, provider: &str, hook: &str) -> bool {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let full = kept.get(provider).and_then(|hooks| hooks.get(hook)).is_some_and(|samples| samples.len() >= EACH);
        !full || asked.is_multiple_of(SELDOM)
    }

    pub(crate) fn keep(&self, provider: &str, sample: Sample) {
        if sample.request.body.len() > LARGEST {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let hooks = kept.entry(provider.to_owned()).or_default();
        if hooks.len() >= HOOKS && !hooks.contains_key(&sample.hook) {
            return;
        }
        let samples = hooks.entry(sample.hook.clone()).or_default();
        if samples.len() >= EACH {
            samples.pop_front();
        }
        samples.push_back(Arc::new(sample));
    }

    /// Has both builds read all samples of a provider.
    pub(crate) fn replay(&self, provider: &str, old: &Arc<Generation>, new: &Arc<Generation>) -> Replay {
        let samples: Vec<Arc<Sample>> = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get(provider).into_iter().flat_map(BTreeMap::values).flatten().cloned().collect()
        };
        let mut found = Replay { tried: samples.len(), different: BTreeMap::new(), failed: BTreeMap::new() };
        for sample in samples {
            match (read(old, &sample), read(new, &sample)) {
                (Reading::Read(_), Reading::Failed(why)) => {
                    found.failed.entry(sample.hook.clone()).or_insert(why);
                }
                (old, new) if old != new => *found.different.entry(sample.hook.clone()).or_default() += 1,
                _ => {}
            }
        }
        found
    }
}

impl Replay {
    /// For the stage's report: what was found, or why the build must not go on.
    pub(crate) fn verdict(&self) -> Result<String, String> {
        if let Some((hook, why)) = self.failed.first_key_value() {
            return Err(format!(
                "of {} recorded webhooks it fails where the build in service does not; at the hook `{hook}`: {why}",
                self.tried
            ));
        }
        let different: Vec<String> =
            self.different.iter().map(|(hook, count)| format!("{count} of `{hook}`")).collect();
        Ok(match (self.tried, different.is_empty()) {
            (0, _) => "no webhook was recorded yet".to_owned(),
            (tried, true) => format!("{tried} recorded webhooks are read the same"),
            (tried, false) => format!("of {tried} recorded webhooks it reads otherwise: {}", different.join(", ")),
        })
    }
}
