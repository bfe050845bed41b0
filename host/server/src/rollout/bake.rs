//! The time after a promotion, in which a build that does worse than the one before goes back by itself.

use std::sync::Arc;
use std::time::Duration;

use jackfield_plugins::{Generation, GuestCounts};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Rollout;
use super::trial::total;
use crate::settings::RolloutSettings;

const GLANCE: Duration = Duration::from_millis(500);
/// Fewer webhooks than this say nothing about refusals or time.
const ENOUGH: u64 = 20;

/// How a generation fared since a moment.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    faults: u64,
    webhooks: u64,
    refused: u64,
    micros: u64,
}

impl Since {
    fn of(generation: &Generation) -> Self {
        let GuestCounts { webhooks, refused, micros, .. } = generation.counts();
        Self { faults: total(generation.faults()), webhooks, refused, micros }
    }

    fn minus(self, before: Self) -> Self {
        Self {
            faults: self.faults.saturating_sub(before.faults),
            webhooks: self.webhooks.saturating_sub(before.webhooks),
            refused: self.refused.saturating_sub(before.refused),
            micros: self.micros.saturating_sub(before.micros),
        }
    }

    /// Of a hundred.
    fn refused_share(self) -> u64 {
        (self.refused * 100).checked_div(self.webhooks + self.refused).unwrap_or(0)
    }

    fn mean_micros(self) -> u64 {
        self.micros.checked_div(self.webhooks).unwrap_or(0)
    }

    fn shown(self) -> Value {
        json!({
            "faults": self.faults, "webhooks": self.webhooks, "refused": self.refused, "mean_micros": self.mean_micros(),
        })
    }
}

/// Why the new build must go back, if it must.
fn verdict(new: Since, old: Since, settings: &RolloutSettings) -> Option<String> {
    if new.faults >= settings.bake_faults {
        return Some(format!("its guests failed {} times", new.faults));
    }
    let most = settings.bake_refused_percent;
    if new.webhooks + new.refused >= ENOUGH && new.refused_share() >= most && old.refused_share() < most {
        return Some(format!(
            "{} of 100 webhooks were refused, and {} before",
            new.refused_share(),
            old.refused_share()
        ));
    }
    let slower = settings.bake_slower_percent;
    let slow = old.webhooks >= ENOUGH && new.webhooks >= ENOUGH && slower > 0;
    if slow && new.mean_micros() * 100 > old.mean_micros() * (100 + slower) {
        return Some(format!("a webhook takes {} µs, and took {} before", new.mean_micros(), old.mean_micros()));
    }
    None
}

/// Watches a build that was promoted. Returns its figures, and why it went back if it did.
pub(super) async fn watch(
    rollout: &Rollout,
    name: &str,
    new: &Arc<Generation>,
    old: Option<&Arc<Generation>>,
) -> (Value, Option<String>) {
    let settings = rollout.settings();
    let (began, before) = (Instant::now(), Since::of(new));
    let life = old.map(|old| Since::of(old)).unwrap_or_default();
    loop {
        let now = Since::of(new).minus(before);
        let figures = json!({ "new": now.shown(), "before": life.shown() });
        if !rollout.serves(name, new.digest()) {
            // Something else serves by now: another rollout, or somebody's rollback.
            return (figures, None);
        }
        if let Some(why) = old.and_then(|_| verdict(now, life, settings)) {
            return (figures, Some(why));
        }
        if began.elapsed() >= Duration::from_secs(settings.bake_seconds) {
            return (figures, None);
        }
        sleep(GLANCE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: RolloutSettings = RolloutSettings {
        bake_seconds: 300,
        bake_faults: 5,
        bake_refused_percent: 50,
        bake_slower_percent: 200,
        drain_after_seconds: 0,
    };

    #[test]
    fn a_build_that_does_worse_than_the_one_before_goes_back() {
        let old = Since { faults: 9, webhooks: 1_000, refused: 10, micros: 100_000 };
        let good = Since { faults: 4, webhooks: 100, refused: 2, micros: 20_000 };
        assert_eq!(verdict(good, old, &SETTINGS), None);
        for (bad, word) in [
            (Since { faults: 5, ..good }, "failed 5 times"),
            (Since { webhooks: 10, refused: 10, ..good }, "50 of 100"),
            (Since { micros: 31_000, ..good }, "310 µs"),
        ] {
            assert!(verdict(bad, old, &SETTINGS).is_some_and(|why| why.contains(word)), "{word}");
        }
        let few = Since { webhooks: 5, refused: 10, micros: 900_000, faults: 0 };
        assert_eq!(verdict(few, old, &SETTINGS), None, "too few to tell");
        let used_to = Since { refused: 900, webhooks: 100, ..old };
        assert_eq!(
            verdict(Since { webhooks: 10, refused: 10, ..good }, used_to, &SETTINGS),
            None,
            "no worse than before"
        );
    }
}
