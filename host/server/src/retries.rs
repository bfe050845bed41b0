//! Who may ask a provider again, and when: each account has its budget, on each host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_calls::RetryBudget;
use jackfield_calls::retry::{Failure, Retry, Tries};
use tokio::time::{Instant, sleep};

use crate::metrics::Metrics;

/// The budgets of all accounts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Retries(Arc<Inner>);

struct Inner {
    /// Budgets know no clock: this is where theirs begins.
    began: Instant,
    budgets: Mutex<HashMap<String, RetryBudget>>,
    metrics: Metrics,
}

/// One order to a provider, on its way.
pub(crate) struct Trying {
    retries: Retries,
    account: String,
    tries: Tries,
}

impl Retries {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self(Arc::new(Inner { began: Instant::now(), budgets: Mutex::default(), metrics }))
    }

    /// An order is about to be given on an account's behalf. `idempotent`: a second one does no harm.
    pub(crate) fn begin(&self, account: &str, idempotent: bool, patience: Duration) -> Trying {
        let tries = self.with(account, |budget, now| Tries::begin(idempotent, millis(patience), now, budget));
        Trying { retries: self.clone(), account: account.to_owned(), tries }
    }

    fn with<T>(&self, account: &str, act: impl FnOnce(&mut RetryBudget, u64) -> T) -> T {
        let now = millis(self.0.began.elapsed());
        let mut budgets = self.0.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = budgets.get_mut(account) {
            return act(budget, now);
        }
        // Accounts come and go; what is as good as new is not kept for them.
        budgets.retain(|_, budget| !budget.is_rested(now));
        act(budgets.entry(account.to_owned()).or_insert_with(|| RetryBudget::new(now)), now)
    }
}

impl Trying {
    /// After a try that failed: waits, and says whether to try again.
    pub(crate) async fn again(&mut self, failure: Failure) -> bool {
        let Retry::After(delay) = self.decided(failure) else { return false };
        sleep(Duration::from_millis(delay)).await;
        true
    }

    fn decided(&mut self, failure: Failure) -> Retry {
        let Self { retries, account, tries } = self;
        let decided = retries.with(account, |budget, now| tries.failed(failure, now, dice(), budget));
        if decided == Retry::NoBudget {
            retries.0.metrics.retry_refused();
        }
        decided
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Without randomness there is no spread, and that is all.
pub(crate) fn dice() -> u8 {
    let mut dice = [128];
    getrandom::fill(&mut dice).ok();
    dice[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(8);

    /// How often a provider that never answers is asked, over all these orders.
    fn sends(retries: &Retries, account: &str, orders: u64) -> u64 {
        let tries = |_| {
            let mut trying = retries.begin(account, true, PATIENCE);
            1 + std::iter::repeat_with(|| trying.decided(Failure::Unknown))
                .take_while(|decided| matches!(decided, Retry::After(_)))
                .map(|_| 1)
                .sum::<u64>()
        };
        (0..orders).map(tries).sum()
    }

    #[tokio::test]
    async fn an_account_has_its_own_budget_and_what_it_has_no_room_for_is_counted() {
        let (app, _folder) = crate::testing::app().await;
        let retries = Retries::new(app.metrics.clone());
        let asked = sends(&retries, "cfg_1", 1_000);
        // What comes back by time alone is one in ten seconds.
        let back = millis(retries.0.began.elapsed()) / 10_000;
        assert!((1_200..=1_203 + back).contains(&asked), "{asked}");
        assert_eq!(sends(&retries, "cfg_2", 1), 3, "another's is another's");
        let page = app.metrics.render(&app);
        let refused = page.lines().find_map(|line| line.strip_prefix("jackfield_retries_refused_total "));
        assert!(refused.is_some_and(|refused| refused != "0"), "{page}");
    }

    #[tokio::test]
    async fn an_account_that_rests_is_forgotten_when_another_comes() {
        let retries = Retries::new(Metrics::default());
        sends(&retries, "busy", 5);
        for at in 0..100 {
            retries.begin(&format!("cfg_{at}"), true, PATIENCE);
        }
        let kept: Vec<_> = retries.0.budgets.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        assert!(kept.len() <= 2 && kept.contains(&"busy".to_owned()), "{kept:?}");
    }
}
