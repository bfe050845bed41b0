//! Forgets calls that are over for long.

use std::time::Duration;

use tokio::sync::watch;

use crate::App;
use crate::clock::now_ms;

const DAY: i64 = 24 * 60 * 60 * 1_000;
/// One node looks so often.
const EVERY: Duration = Duration::from_secs(600);
/// Calls that are forgotten in one transaction, and the breath between two.
const AT_ONCE: u32 = 500;
const BREATH: Duration = Duration::from_millis(200);

/// Forgets calls that ended more than so many days ago, for as long as the server runs. 0 forgets none.
pub async fn forget_old_calls(app: App, days: watch::Receiver<u32>) {
    loop {
        let days = *days.borrow();
        if days > 0 && matches!(app.shared.lease("retention", app.node.id(), EVERY).await, Ok(true)) {
            forget(&app, now_ms() - i64::from(days) * DAY).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn forget(app: &App, before: i64) {
    loop {
        match app.store.forget_calls(before, AT_ONCE).await {
            Ok(count) if count >= u64::from(AT_ONCE) => tokio::time::sleep(BREATH).await,
            Ok(_) => return,
            Err(error) => return tracing::warn!(%error, "old calls could not be forgotten yet"),
        }
    }
}
