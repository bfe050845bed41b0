//! Brings plugins in: from the binary, from the plugin folder, over the network, and back from the database at start.
//!
//! A generation is in the database before it serves, so that a `kill -9` at any point comes back on the last good one. What
//! comes before promotion touches nothing that serves; what comes after it can be taken back by a pointer.

mod bake;
mod breaker;
mod folder;
mod samples;
mod stages;
mod trial;

use arc_swap::ArcSwap;
use jackfield_plugins::{Generation, PluginHost, Refusal, RollbackError, StockPlugin, digest_of};
use jackfield_store::{Store, StoreError};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use breaker::Breaker;
pub(crate) use breaker::Leave;
use samples::Samples;
pub use stages::{Begun, Origin, Plan};
use trial::{Mode, Trial};
pub(crate) use trial::{Sample, kinds};

use crate::clock::{now_for_guests, now_ms};
use crate::settings::RolloutSettings;

pub use folder::watch;

/// Takes plugins in and out of service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rollout {
    host: PluginHost,
    store: Store,
    /// Builds of other nodes that do not load here.
    refused: Arc<Mutex<HashSet<String>>>,
    desk: Arc<Desk>,
}

/// What rollouts under way are judged by.
#[derive(Debug)]
struct Desk {
    settings: RolloutSettings,
    trials: ArcSwap<HashMap<String, Arc<Trial>>>,
    samples: Samples,
    breaker: Breaker,
    /// States that records ended in; there are but a few.
    outcomes: Mutex<BTreeMap<String, u64>>,
}

/// Why a plugin did not come into service.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// A check failed; what served before still does.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Another build of it is on trial.
    #[error("another build of `{0}` is on trial; wait for it, or abort it")]
    Busy(String),
    /// Nothing earlier to go back to.
    #[error("{0}")]
    Rollback(#[from] RollbackError),
    /// The database would not take it.
    #[error("the plugin could not be recorded: {0}")]
    Store(#[from] StoreError),
}

impl Rollout {
    /// Over this host and this database.
    pub fn new(host: PluginHost, store: Store, settings: RolloutSettings) -> Self {
        let (trials, samples, breaker) = (ArcSwap::default(), Samples::default(), Breaker::default());
        let outcomes = Mutex::default();
        let desk = Arc::new(Desk { settings, trials, samples, breaker, outcomes });
        Self { host, store, refused: Arc::default(), desk }
    }

    fn settings(&self) -> &RolloutSettings {
        &self.desk.settings
    }

    /// Who keeps builds that fail from being asked.
    pub(crate) fn breaker(&self) -> &Breaker {
        &self.desk.breaker
    }

    /// The build that a new call begins on: the one that serves, or one on trial.
    pub(crate) fn pick(&self, serving: &Arc<Generation>, call: &str) -> Arc<Generation> {
        match self.trial(&serving.describe().name) {
            Some(trial) if trial.takes(call) => Arc::clone(&trial.generation),
            _ => Arc::clone(serving),
        }
    }

    /// A webhook was read: it is kept for builds to come, and shown to one that shadows.
    pub(crate) fn saw(&self, generation: &Arc<Generation>, hook: &str, sample: impl FnOnce() -> Sample) {
        let name = &generation.describe().name;
        let shadow = self.trial(name).filter(|trial| trial.mode == Mode::Shadow);
        let wanted = self.desk.samples.wants(name, hook);
        if shadow.is_none() && !wanted {
            return;
        }
        let sample = sample();
        if let Some(trial) = shadow {
            let (serving, sample) = (Arc::clone(generation), sample.clone());
            tokio::spawn(async move { trial.compare(&serving, &sample) });
        }
        if wanted {
            self.desk.samples.keep(name, sample);
        }
    }

    fn trial(&self, name: &str) -> Option<Arc<Trial>> {
        self.desk.trials.load().get(name).cloned()
    }

    fn enter_trial(&self, name: &str, trial: Option<Arc<Trial>>) {
        self.desk.trials.rcu(|trials| {
            let mut trials = HashMap::clone(trials);
            match &trial {
                Some(trial) => trials.insert(name.to_owned(), Arc::clone(trial)),
                None => trials.remove(name),
            };
            trials
        });
    }

    /// Takes a build off trial. False where there is none.
    pub(crate) fn abort(&self, name: &str) -> bool {
        self.trial(name).is_some_and(|trial| {
            trial.abort();
            true
        })
    }

    /// Goes back to the generation before, for new calls. Compiles nothing.
    pub async fn rollback(&self, name: &str) -> Result<String, RolloutError> {
        let digest = self.host.rollback(name)?;
        self.store.set_current(name, &digest).await?;
        self.store.announce();
        tracing::info!(plugin = name, digest, "a plugin was rolled back");
        Ok(digest)
    }

    /// Loads what should serve after a start: the last one promoted, else the one in the binary.
    pub async fn restore(&self, stock: &[StockPlugin]) -> Result<(), StoreError> {
        let promoted = self.store.current_generations().await?;
        for plugin in stock.iter().filter(|plugin| !promoted.iter().any(|(name, _)| name == plugin.name)) {
            self.bring(plugin.name, plugin.bytes.to_vec(), "stock").await;
        }
        for (name, digest) in promoted {
            let stock = stock.iter().find(|plugin| plugin.name == name);
            let bytes = self.store.generation_bytes(&name, &digest).await?;
            let bytes = bytes.filter(|bytes| digest_of(bytes) == digest);
            let brought = match bytes {
                Some(bytes) => self.bring(&name, bytes, "restored").await,
                None => false,
            };
            if !brought && let Some(stock) = stock {
                tracing::warn!(plugin = name, "falling back to the plugin in the binary");
                self.bring(&name, stock.bytes.to_vec(), "stock").await;
            }
        }
        Ok(())
    }

    /// Ends the records of rollouts that this host was at when it was killed. Only where it is the only host: others
    /// may be at theirs.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_interrupted(&self) -> Result<(), StoreError> {
        self.store.end_interrupted_rollouts(now_ms()).await
    }

    /// How many rollouts came to what.
    pub(crate) fn outcomes(&self) -> Vec<(String, u64)> {
        let outcomes = self.desk.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.iter().map(|(outcome, count)| (outcome.clone(), *count)).collect()
    }

    /// Brings into service what another node has promoted, or rolled back to.
    pub(crate) async fn follow(&self) {
        let promoted = match self.store.current_generations().await {
            Ok(promoted) => promoted,
            Err(error) => return tracing::warn!(%error, "plugins that other nodes promoted cannot be seen"),
        };
        for (name, digest) in promoted {
            if !self.serves(&name, &digest) && !self.is_refused(&digest) && !self.follow_to(&name, &digest).await {
                self.refuse(&digest);
            }
        }
    }

    async fn follow_to(&self, name: &str, digest: &str) -> bool {
        if self.host.make_current(name, digest) {
            tracing::info!(plugin = name, digest, "another node chose this build");
            self.store.announce();
            return true;
        }
        match self.store.generation_bytes(name, digest).await {
            Ok(Some(bytes)) if digest_of(&bytes) == digest => {
                let brought = self.bring(name, bytes, "another node").await;
                self.store.announce();
                brought
            }
            Ok(_) => {
                tracing::error!(plugin = name, digest, "another node serves a build that is not in the database");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "a build of another node cannot be read yet");
                true
            }
        }
    }

    fn refuse(&self, digest: &str) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.to_owned());
    }

    /// Was it tried here, and refused?
    fn is_refused(&self, digest: &str) -> bool {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    /// The generation a call began with: from memory, else from the database.
    pub(crate) async fn generation(&self, name: &str, digest: &str) -> Result<Arc<Generation>, String> {
        if let Some(generation) = self.host.generation(name, digest) {
            return Ok(generation);
        }
        let bytes = self.store.generation_bytes(name, digest).await.map_err(|error| error.to_string())?;
        if let Some(bytes) = bytes.filter(|_| !self.is_refused(digest)) {
            match self.host.check_again(name, bytes, "restored", now_for_guests()).await {
                Ok(candidate) => return Ok(self.host.retain(candidate)),
                Err(refusal) => {
                    tracing::error!(plugin = name, digest, %refusal, "a build that calls are on does not load here");
                    self.refuse(digest);
                }
            }
        }
        // Builds that another host alone can load, and stock plugins of an earlier binary, which are in no database: the
        // one that serves here is the nearest thing, and better than a call whose end nobody reads.
        self.host.current(name).ok_or_else(|| format!("no plugin `{name}` is loaded"))
    }

    /// Was this generation in service before?
    pub(crate) async fn knows(&self, name: &str, digest: &str) -> bool {
        let known = self.store.generation_bytes(name, digest).await;
        self.host.generation(name, digest).is_some() || known.is_ok_and(|bytes| bytes.is_some())
    }

    /// Is this the generation that new calls begin on?
    pub(crate) fn serves(&self, name: &str, digest: &str) -> bool {
        self.host.current(name).is_some_and(|current| current.digest() == digest)
    }

    /// A build of the binary, or of the database.
    async fn bring(&self, name: &str, bytes: Vec<u8>, source: &str) -> bool {
        match self.host.check_again(name, bytes, source, now_for_guests()).await {
            Ok(candidate) => {
                let admission = self.host.promote(candidate);
                tracing::info!(plugin = name, digest = admission.digest, source, "a plugin is in service");
                true
            }
            Err(refusal) => {
                tracing::error!(plugin = name, source, %refusal, "a plugin was refused");
                false
            }
        }
    }
}
