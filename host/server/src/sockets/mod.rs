//! Event sockets, kept open for every configuration of every provider that tells its events that way.
//!
//! Promises: added configurations start, removed ones stop, changed ones start anew, at once; one that is slow or broken
//! delays no other; what happens to a call is acted on in order.

mod backoff;
mod events;
mod lanes;
mod link;
mod standing;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_plugins::types::Event;
use jackfield_store::Configuration;
use serde_json::Value;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use crate::App;
use crate::metrics::SocketMessage;
use lanes::{Lanes, Work};
use link::Link;
use standing::Standing;
pub(crate) use standing::State;

/// The sockets that are kept. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Sockets {
    kept: Arc<Mutex<BTreeMap<String, Kept>>>,
    lanes: Lanes,
}

struct Kept {
    configuration: Arc<Configuration>,
    standing: Arc<Standing>,
    task: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Keeps the sockets for as long as the server runs.
pub async fn keep_sockets(app: App) {
    let mut changes = app.store.changes();
    loop {
        app.sockets().settle(&app);
        tokio::select! {
            _ = changes.changed() => {}
            // Another process may have changed the database.
            () = sleep(app.settings.sockets.refresh()) => {
                if let Err(error) = app.store.reread().await {
                    tracing::warn!(%error, "configurations could not be read anew");
                }
            }
        }
    }
}

impl Sockets {
    /// Acts on an event, in order with the others about its call.
    pub(crate) fn happened(&self, app: &App, configuration: &Arc<Configuration>, event: Event) {
        let Some(call) = events::call_of(&event).map(str::to_owned) else { return };
        let work = Work { app: app.clone(), configuration: Arc::clone(configuration), event };
        if !self.lanes.take(&call, work) {
            app.metrics.socket_message(SocketMessage::Dropped);
        }
    }

    /// How a configuration's socket stands, if it has one.
    pub(crate) fn standing(&self, configuration: &str) -> Option<Value> {
        self.kept().get(configuration).map(|kept| kept.standing.shown())
    }

    /// How many there are in each state.
    pub(crate) fn count(&self) -> [(State, usize); 4] {
        let kept = self.kept();
        State::ALL.map(|state| (state, kept.values().filter(|one| one.standing.state() == state).count()))
    }

    /// Makes those that are kept those that are wanted.
    fn settle(&self, app: &App) {
        let directory = app.store.directory();
        let keeps = |known: &&Arc<Configuration>| {
            app.plugins.current(&known.provider).is_some_and(|generation| generation.keeps_socket())
        };
        let wanted: BTreeMap<&str, &Arc<Configuration>> =
            directory.configurations().filter(keeps).map(|known| (known.id.as_str(), known)).collect();
        let mut kept = self.kept();
        kept.retain(|id, one| wanted.get(id.as_str()).is_some_and(|known| same(known, &one.configuration)));
        for (id, configuration) in wanted {
            if !kept.contains_key(id) {
                kept.insert(id.to_owned(), self.start(app, configuration));
            }
        }
    }

    fn start(&self, app: &App, configuration: &Arc<Configuration>) -> Kept {
        let (standing, configuration) = (Arc::<Standing>::default(), Arc::clone(configuration));
        let link =
            Link { app: app.clone(), configuration: Arc::clone(&configuration), standing: Arc::clone(&standing) };
        let task = tokio::spawn(keep_leased(link)).abort_handle();
        Kept { configuration, standing, task }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket is kept by one node: whoever has its lease.
const LEASE: Duration = Duration::from_secs(9);
const RENEWED: Duration = Duration::from_secs(3);

async fn keep_leased(link: Link) {
    let (app, name) = (link.app.clone(), format!("socket:{}", link.configuration.id));
    let leased = async || app.shared.lease(&name, app.node.id(), LEASE).await;
    loop {
        // A Redis that does not answer gives no lease, and takes none away: whoever has the socket keeps it.
        if matches!(leased().await, Ok(true)) {
            let lost = async {
                while !matches!(leased().await, Ok(false)) {
                    sleep(RENEWED).await;
                }
            };
            tokio::select! {
                () = link.keep() => {}
                () = lost => tracing::warn!(lease = name, "another node keeps the event socket now"),
            }
        }
        sleep(RENEWED).await;
    }
}

/// A change of the name, or of a number's agent, is no reason to dial anew.
fn same(one: &Configuration, other: &Configuration) -> bool {
    let secrets = |known: &Configuration| -> Vec<(String, String)> {
        known.secrets.iter().map(|(name, secret)| (name.clone(), secret.expose().to_owned())).collect()
    };
    one.fields == other.fields && secrets(one) == secrets(other)
}
