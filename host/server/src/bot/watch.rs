//! Keeps the webhooks registered that the bot and its people live on: some providers switch one off after failures, and
//! tell nobody.

use std::sync::Arc;
use std::time::Duration;

use jackfield_store::{Configuration, SignIn};
use tokio::time::sleep;

use super::tell;
use crate::App;

/// How often all is looked at.
const EVERY: Duration = Duration::from_secs(60);
/// After a change of configurations, more changes are waited for.
const SETTLE: Duration = Duration::from_millis(200);
/// One node looks after a configuration, and another once it has not done so for this long.
const LEASE: Duration = Duration::from_secs(75);

/// Where a configuration's webhooks go.
pub(super) fn webhook(app: &App, configuration: &str) -> String {
    format!("{}/api/v1/telephony/inbound/{configuration}", app.settings.public_url.trim_end_matches('/'))
}

/// Keeps watch for as long as the server runs.
pub async fn keep_watch(app: App) {
    let mut seen = app.store.changes();
    loop {
        let chats = |known: &&Arc<Configuration>| {
            app.plugins.current(&known.provider).is_some_and(|generation| generation.chats())
        };
        let configurations: Vec<_> = app.store.directory().configurations().filter(chats).cloned().collect();
        for configuration in configurations {
            let lease = app.shared.lease(&format!("watch:{}", configuration.id), app.node.id(), LEASE).await;
            // Two that look at once would each register what is missing. Without Redis the next look does.
            if matches!(lease, Ok(true)) {
                look_after(&app, &configuration).await;
            }
        }
        tokio::select! {
            _ = seen.changed() => sleep(SETTLE).await,
            () = sleep(EVERY) => {}
        }
    }
}

async fn look_after(app: &App, configuration: &Arc<Configuration>) {
    let Some(provider) = super::provider_of(app, configuration) else { return };
    let url = webhook(app, &configuration.id);
    if let Err(error) = provider.chat_listen(&url).await {
        tracing::warn!(configuration = configuration.id, %error, "the bot's own webhook is not in order");
    }
    let known = match app.store.sign_ins(Some(&configuration.id)).await {
        Ok(known) => known,
        Err(error) => return tracing::warn!(%error, "sign-ins could not be read"),
    };
    for SignIn { person, revoked, .. } in known.into_iter().filter(|known| known.monitored) {
        if revoked {
            // Said once: it is not watched any more from here on.
            app.store.monitor_sign_in(&configuration.id, &person, false).await.ok();
            tell(app, configuration, &person, "Monitoring is off: `/auth` to sign in anew, then `/monitor on`.").await;
        } else if let Err(error) = provider.desk_watch(&person, Some(&url)).await {
            tracing::warn!(configuration = configuration.id, %error, "a person's webhook is not in order");
        }
    }
}
