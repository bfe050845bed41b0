//! The end of calls whose build has been out of service for too long, where an operator sets a time for that.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::sleep;

use crate::App;
use crate::metrics::DrainedBy;

const GLANCE: Duration = Duration::from_secs(2);

/// Looks for such calls for as long as the host runs.
pub async fn keep_young(app: App) {
    let after = Duration::from_secs(app.settings.rollout.drain_after_seconds);
    let mut told = HashSet::new();
    while !after.is_zero() {
        sleep(GLANCE).await;
        let outdated = app.plugins.outdated(after);
        if outdated.is_empty() {
            // All of them are over.
            told.clear();
        }
        for (plugin, digest) in outdated {
            let calls = match app.calls.on_build(&plugin, &digest).await {
                Ok(calls) => calls,
                Err(error) => {
                    tracing::warn!(plugin, %error, "calls on an earlier build cannot be listed");
                    continue;
                }
            };
            // A call takes a moment to end, and is told once.
            let new: Vec<String> = calls.into_iter().filter(|call| told.insert(call.clone())).collect();
            let ended = app.calls.hang_up_these(new).await;
            if ended > 0 {
                app.metrics.drained(DrainedBy::Age, ended);
                tracing::warn!(plugin, digest, ended, "calls on a build that is out of service for long were ended");
            }
        }
    }
}
