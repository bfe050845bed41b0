//! Brings plugins in: from the binary, from the plugin folder, over the network, and back from the database at start.
//!
//! A generation is in the database before it serves, so that a `kill -9` at any point comes back on the last good one. What
//! comes before promotion touches nothing that serves; what comes after it can be taken back by a pointer.

mod age;
mod audio;
mod bake;
mod breaker;
mod folder;
mod grants;
mod samples;
mod stages;
mod trial;

use arc_swap::ArcSwap;
use jackfield_plugins::{Generation, Granted, PluginHost, Refusal, RollbackError, StockPlugin, digest_of, parts_of};
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

pub use age::keep_young;
pub use folder::watch;

/// Where the plugins in the binary come from.
const STOCK: &str = "stock";

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
    /// What serves is not kept anywhere, so that it cannot be loaded once more.
    #[error("the bytes of the build in service are not in the database; load it anew")]
    NoBytes,
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
            self.bring(plugin.name, plugin.bytes.to_vec(), Granted::BySettings, STOCK).await;
        }
        for (name, digest) in promoted {
            let stock = stock.iter().find(|plugin| plugin.name == name);
            if !self.bring_back(&name, &digest, stock).await?
                && let Some(stock) = stock
            {
                tracing::warn!(plugin = name, "falling back to the plugin in the binary");
                self.bring(&name, stock.bytes.to_vec(), Granted::BySettings, STOCK).await;
            }
        }
        Ok(())
    }

    /// What served last. The binary's own plugin that was given grants stays the binary's own: a newer binary brings a newer one.
    async fn bring_back(&self, name: &str, digest: &str, stock: Option<&StockPlugin>) -> Result<bool, StoreError> {
        let (build, _) = parts_of(digest);
        let granted = match self.granted(name, digest).await {
            Err(StoreError::Damaged(what)) => {
                tracing::error!(plugin = name, digest, "a stored {what} is damaged");
                return Ok(false);
            }
            granted => granted?,
        };
        let source = self.store.generation_source(name, build).await?;
        if let Some(stock) = stock.filter(|_| source.as_deref() == Some(STOCK)) {
            let brought = self.bring(name, stock.bytes.to_vec(), granted, STOCK).await;
            if let Some(newer) = self.host.current(name).filter(|newer| newer.digest() != digest) {
                self.keep(&newer, stock.bytes.to_vec(), STOCK).await?;
                self.store.set_current(name, newer.digest()).await?;
            }
            return Ok(brought);
        }
        let bytes = self.store.generation_bytes(name, build).await?;
        Ok(match bytes.filter(|bytes| digest_of(bytes) == build) {
            Some(bytes) => self.bring(name, bytes, granted, "restored").await,
            None => false,
        })
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
        match self.kept(name, digest).await {
            Ok(Some((bytes, granted))) => {
                let brought = self.bring(name, bytes, granted, "another node").await;
                self.store.announce();
                brought
            }
            Ok(None) => {
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
        let kept = self.kept(name, digest).await.map_err(|error| error.to_string())?;
        if let Some((bytes, granted)) = kept.filter(|_| !self.is_refused(digest)) {
            match self.host.check_again(name, bytes, granted, "restored", now_for_guests()).await {
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

    /// The bytes of a generation that was admitted once, and what it was granted.
    async fn kept(&self, name: &str, digest: &str) -> Result<Option<(Vec<u8>, Granted)>, StoreError> {
        let (build, _) = parts_of(digest);
        let bytes = self.store.generation_bytes(name, build).await?.filter(|bytes| digest_of(bytes) == build);
        let granted = self.granted(name, digest).await?;
        Ok(bytes.map(|bytes| (bytes, granted)))
    }

    /// Was this build in service before?
    pub(crate) async fn knows(&self, name: &str, build: &str) -> bool {
        let known = self.store.generation_source(name, build).await;
        self.host.generation(name, build).is_some() || known.is_ok_and(|source| source.is_some())
    }

    /// Does this build serve, under whichever grants?
    pub(crate) fn serves_build(&self, name: &str, build: &str) -> bool {
        self.host.current(name).is_some_and(|current| current.build() == build)
    }

    /// Is this the generation that new calls begin on?
    pub(crate) fn serves(&self, name: &str, digest: &str) -> bool {
        self.host.current(name).is_some_and(|current| current.digest() == digest)
    }

    /// A build of the binary, or of the database.
    async fn bring(&self, name: &str, bytes: Vec<u8>, granted: Granted, source: &str) -> bool {
        match self.host.check_again(name, bytes, granted, source, now_for_guests()).await {
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
