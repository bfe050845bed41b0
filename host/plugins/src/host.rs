//! The plugins that serve: which generation is current, which came before, and the one pointer that moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use wasmtime::Engine;

use crate::admission::{Checker, Offer, Refusal, StageReport, Stages, digest_of};
use crate::cache::CompiledCache;
use crate::compiler::CompilerProcess;
use crate::contract::CONTRACT;
use crate::engine::{self, Pooling};
use crate::generation::{Generation, GuestCounts, GuestFaults};
use crate::grants::{Granted, Grants, PluginGrants};
use crate::limits::GuestLimits;
use crate::signature::Signers;
use crate::stock::StockPlugin;
use crate::trace::{Recorder, TraceEntry};
use crate::vectors::Vectors;

/// Loads, checks, swaps and throws out plugins. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost(Arc<Inner>);

struct Inner {
    engine: Engine,
    pooled: bool,
    limits: GuestLimits,
    cache: Option<CompiledCache>,
    compiler: OnceLock<CompilerProcess>,
    grants: OnceLock<Grants>,
    signers: OnceLock<Signers>,
    stock: OnceLock<&'static [StockPlugin]>,
    slots: ArcSwap<BTreeMap<String, Arc<Slot>>>,
    /// One promotion at a time; readers never wait for it.
    promoting: Mutex<()>,
}

/// One plugin: its serving generation, and all that are still in memory, oldest first.
#[derive(Default)]
struct Slot {
    current: ArcSwapOption<Generation>,
    history: Mutex<Vec<Arc<Generation>>>,
    /// Of the trace that was asked for last.
    recorder: Mutex<Option<Arc<Recorder>>>,
}

/// New bytes that passed every check and have not been promoted.
#[derive(Debug)]
pub struct Candidate {
    generation: Arc<Generation>,
    stages: Stages,
}

/// What a promotion came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Admission {
    /// The name of the generation that is current now: [`Generation::digest`].
    pub digest: String,
    /// What it went through.
    pub stages: Vec<StageReport>,
}

/// Why there was nothing to roll back to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    #[error("no plugin is called `{0}`; GET plugins lists them")]
    UnknownPlugin(String),
    #[error("`{0}` has no earlier generation in memory to go back to")]
    NoPrevious(String),
}

/// One plugin, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PluginSummary {
    pub name: String,
    pub display_name: String,
    pub version: String,
    /// The generation that new calls begin on.
    pub digest: String,
    pub source: String,
    /// Unix milliseconds.
    pub loaded_at_ms: u64,
    /// The contract it speaks.
    pub contract: &'static str,
    pub generations: Vec<GenerationSummary>,
}

/// One generation, for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GenerationSummary {
    pub digest: String,
    pub version: String,
    pub source: String,
    /// Unix milliseconds.
    pub loaded_at_ms: u64,
    /// What it may have; what is not in there, as it describes it.
    pub grants: PluginGrants,
    /// Were they given while the host runs, not by its settings?
    pub granted_by_order: bool,
    /// 1, or 2 for a component that imports WASI, all of it denied.
    pub tier: u8,
    pub current: bool,
    /// Calls that hold it now.
    pub calls: usize,
    pub traps: u64,
    pub deadlines: u64,
    pub bad_results: u64,
    /// Webhooks that it proved genuine.
    pub webhooks: u64,
    /// Webhooks that it did not.
    pub refused: u64,
    /// Microseconds in its guests, for webhooks that it proved genuine.
    pub webhook_micros: u64,
    /// Webhooks that wait for their turn now.
    pub waiting: usize,
    /// Webhooks that were turned away because too many waited.
    pub turned_away: u64,
    /// Bytes of memory that a guest had at most.
    pub memory_bytes: usize,
    /// Guests that are alive now: one for each webhook that is looked at, each order, and each media stream.
    pub instances: usize,
}

impl PluginHost {
    /// Makes the engine. Without a cache every start compiles.
    pub fn new(limits: GuestLimits, pooling: Pooling, cache: Option<CompiledCache>) -> wasmtime::Result<Self> {
        let (engine, pooled) = engine::serving(&limits, pooling)?;
        let (slots, promoting) = (ArcSwap::default(), Mutex::new(()));
        let (compiler, grants, signers, stock) = <_>::default();
        Ok(Self(Arc::new(Inner { engine, pooled, limits, cache, compiler, grants, signers, stock, slots, promoting })))
    }

    /// Components are compiled by this program from now on.
    #[must_use]
    pub fn compiled_by(self, compiler: CompilerProcess) -> Self {
        // Set once, before anything is compiled.
        self.0.compiler.set(compiler).ok();
        self
    }

    /// The host has started: calls come before what is compiled from here on.
    pub fn started(&self) {
        if let Some(compiler) = self.0.compiler.get() {
            compiler.step_back();
        }
    }

    /// Plugins may have no more than this from now on. Without it each may have what it describes.
    #[must_use]
    pub fn granting(self, grants: Grants) -> Self {
        // Set once, before anything is admitted.
        self.0.grants.set(grants).ok();
        self
    }

    /// Builds have to be signed by one of these from now on, all but those that come with the binary. Without it, or with
    /// an empty list, nobody has to sign.
    #[must_use]
    pub fn trusting(self, signers: Signers) -> Self {
        // Set once, before anything is admitted.
        self.0.signers.set(signers).ok();
        self
    }

    /// These plugins come with the binary. Without it none does.
    #[must_use]
    pub fn stocked(self, stock: &'static [StockPlugin]) -> Self {
        // Set once, before anything is admitted.
        self.0.stock.set(stock).ok();
        self
    }

    fn checker(&self) -> Checker<'_> {
        let Inner { engine, limits, cache, compiler, grants, signers, stock, .. } = &*self.0;
        let (grants, signers) = (grants.get_or_init(Grants::default), signers.get_or_init(Signers::default));
        let stock = stock.get().copied().unwrap_or_default();
        Checker { engine, limits, grants, signers, stock, cache: cache.as_ref(), compiler: compiler.get() }
    }

    /// The bytes of a build that came with the binary.
    pub fn stock_bytes(&self, name: &str, build: &str) -> Option<Vec<u8>> {
        let mut stock = self.0.stock.get()?.iter();
        let found = stock.find(|plugin| plugin.name == name && digest_of(plugin.bytes) == build);
        found.map(|plugin| plugin.bytes.to_vec())
    }

    /// Are instances pooled?
    pub fn pooled(&self) -> bool {
        self.0.pooled
    }

    /// The bounds guests run under.
    pub fn limits(&self) -> &GuestLimits {
        &self.0.limits
    }

    /// Takes bytes through every stage but the last. `now` in Unix milliseconds.
    pub async fn check(&self, name: &str, bytes: Vec<u8>, source: &str, now: u64) -> Result<Candidate, Refusal> {
        self.check_under(name, bytes, Granted::InForce, source, now).await
    }

    /// The same under other grants than those in force.
    pub async fn check_under(
        &self,
        name: &str,
        bytes: Vec<u8>,
        granted: Granted,
        source: &str,
        now: u64,
    ) -> Result<Candidate, Refusal> {
        self.offered(name, bytes, granted, source, now, Vectors::Run).await
    }

    /// The same for a build that comes with the binary, or that was admitted before, here or by another host on the same
    /// database. Its vectors are not run again: they held, and a start has no time for them.
    pub async fn check_again(
        &self,
        name: &str,
        bytes: Vec<u8>,
        granted: Granted,
        source: &str,
        now: u64,
    ) -> Result<Candidate, Refusal> {
        let vectors = Vectors::Skip("not run again for a build of the binary, or one that was admitted before");
        self.offered(name, bytes, granted, source, now, vectors).await
    }

    async fn offered(
        &self,
        name: &str,
        bytes: Vec<u8>,
        granted: Granted,
        source: &str,
        now: u64,
        vectors: Vectors,
    ) -> Result<Candidate, Refusal> {
        let order = match granted {
            Granted::InForce => self.current(name).and_then(|serving| serving.order().cloned()),
            Granted::BySettings => None,
            Granted::ByOrder(grants) => Some(grants),
        };
        self.candidate(Offer { name: Some(name), bytes, source, loaded_at: now, order, vectors }).await
    }

    /// Every stage but the last for bytes that nobody offers under a name: for looking at a plugin, not for serving it.
    pub async fn examine(&self, bytes: Vec<u8>) -> Result<Candidate, Refusal> {
        self.looked_at(bytes, Vectors::Run).await
    }

    /// The same without its vectors, for whoever runs them one by one.
    pub async fn examine_without_vectors(&self, bytes: Vec<u8>) -> Result<Candidate, Refusal> {
        self.looked_at(bytes, Vectors::Skip("not asked for")).await
    }

    async fn looked_at(&self, bytes: Vec<u8>, vectors: Vectors) -> Result<Candidate, Refusal> {
        self.candidate(Offer { name: None, bytes, source: "file", loaded_at: 0, order: None, vectors }).await
    }

    async fn candidate(&self, offer: Offer<'_>) -> Result<Candidate, Refusal> {
        let (generation, stages) = self.checker().check(offer).await?;
        Ok(Candidate { generation, stages })
    }

    /// Moves the pointer. Calls that run keep what they have.
    pub fn promote(&self, candidate: Candidate) -> Admission {
        let began = Instant::now();
        let Candidate { generation, stages } = candidate;
        self.promote_known(&generation);
        Admission { digest: generation.digest().to_owned(), stages: stages.promoted(began) }
    }

    /// Goes back to the generation before the current one. Compiles nothing.
    pub fn rollback(&self, name: &str) -> Result<String, RollbackError> {
        let slots = self.0.slots.load();
        let slot = slots.get(name).ok_or_else(|| RollbackError::UnknownPlugin(name.to_owned()))?;
        let _one_at_a_time = self.0.promoting.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = slot.previous().ok_or_else(|| RollbackError::NoPrevious(name.to_owned()))?;
        let digest = previous.digest().to_owned();
        slot.point_to(previous);
        Ok(digest)
    }

    /// Moves the pointer to a generation that was retained. Calls that run keep what they have.
    pub fn promote_known(&self, generation: &Arc<Generation>) {
        let slot = self.slot(&generation.describe().name);
        let _one_at_a_time = self.0.promoting.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = slot.remember(Arc::clone(generation));
        slot.point_to(generation);
        let spare = slot.forget(self.0.limits.generations);
        // Unmapping code takes its time; nobody should wait for it.
        std::thread::spawn(move || drop(spare));
    }

    /// Makes a generation in memory the one that new calls begin on. False where there is none.
    pub fn make_current(&self, name: &str, digest: &str) -> bool {
        let slots = self.0.slots.load();
        let (Some(slot), Some(known)) = (slots.get(name), self.generation(name, digest)) else { return false };
        let _one_at_a_time = self.0.promoting.lock().unwrap_or_else(PoisonError::into_inner);
        slot.point_to(known);
        true
    }

    /// Takes down so many of the next calls of a plugin's exports, by all its builds in memory; 0 ends it. False where there is no
    /// such plugin.
    pub fn record(&self, name: &str, exports: usize) -> bool {
        let slots = self.0.slots.load();
        let Some(slot) = slots.get(name) else { return false };
        let recorder = (exports > 0).then(|| Arc::new(Recorder::new(exports)));
        for generation in &*slot.history.lock().unwrap_or_else(PoisonError::into_inner) {
            generation.record(recorder.clone());
        }
        let before = std::mem::replace(&mut *slot.recorder.lock().unwrap_or_else(PoisonError::into_inner), recorder);
        before.inspect(|recorder| recorder.close());
        true
    }

    /// What was taken down of a plugin, and whether more will be.
    pub fn recorded(&self, name: &str) -> Option<(Vec<TraceEntry>, bool)> {
        let slots = self.0.slots.load();
        let recorder = slots.get(name)?.recorder.lock().unwrap_or_else(PoisonError::into_inner).clone();
        recorder.map(|recorder| recorder.entries())
    }

    /// Names of the plugins that serve.
    pub fn names(&self) -> Vec<String> {
        self.serving().into_iter().map(|generation| generation.describe().name.clone()).collect()
    }

    /// The current generation of each plugin, by name.
    pub fn serving(&self) -> Vec<Arc<Generation>> {
        self.0.slots.load().values().filter_map(|slot| slot.current.load_full()).collect()
    }

    /// The generation that new calls of this provider begin on.
    pub fn current(&self, name: &str) -> Option<Arc<Generation>> {
        self.0.slots.load().get(name)?.current.load_full()
    }

    /// A generation in memory, current or not.
    pub fn generation(&self, name: &str, digest: &str) -> Option<Arc<Generation>> {
        let slots = self.0.slots.load();
        let history = slots.get(name)?.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.iter().find(|generation| generation.digest() == digest).cloned()
    }

    /// Plugin and name of each generation that calls still use so long after new ones began on another.
    pub fn outdated(&self, after: Duration) -> Vec<(String, String)> {
        let slots = self.0.slots.load();
        let histories = slots.values().map(|slot| slot.history.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let outdated =
            |known: &Arc<Generation>| known.calls() > 0 && known.left_for().is_some_and(|left| left >= after);
        let found = histories.flatten().filter(outdated);
        found.map(|known| (known.describe().name.clone(), known.digest().to_owned())).collect()
    }

    /// Puts a checked generation at a call's disposal without making it current.
    pub fn retain(&self, candidate: Candidate) -> Arc<Generation> {
        let slot = self.slot(&candidate.generation.describe().name);
        slot.remember(candidate.generation)
    }

    /// All plugins with their generations.
    pub fn list(&self) -> Vec<PluginSummary> {
        self.0.slots.load().values().filter_map(|slot| slot.summary()).collect()
    }

    fn slot(&self, name: &str) -> Arc<Slot> {
        let _one_at_a_time = self.0.promoting.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.0.slots.load();
        if let Some(slot) = slots.get(name) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot::default());
        let mut more = BTreeMap::clone(&slots);
        more.insert(name.to_owned(), Arc::clone(&slot));
        self.0.slots.store(Arc::new(more));
        slot
    }
}

impl Slot {
    /// Adds a generation as the newest; the same bytes again are the same generation, with its calls and counters.
    fn remember(&self, generation: Arc<Generation>) -> Arc<Generation> {
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let known = history.iter().position(|known| known.digest() == generation.digest());
        let generation = known.map_or(generation, |index| history.remove(index));
        generation.record(self.recorder.lock().unwrap_or_else(PoisonError::into_inner).clone());
        history.push(Arc::clone(&generation));
        generation
    }

    /// New calls begin on it from now on.
    fn point_to(&self, generation: Arc<Generation>) {
        if let Some(before) = self.current.load_full() {
            before.serves(false);
        }
        generation.serves(true);
        self.current.store(Some(generation));
    }

    fn previous(&self) -> Option<Arc<Generation>> {
        let current = self.current.load_full()?;
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let index = history.iter().position(|known| Arc::ptr_eq(known, &current))?;
        index.checked_sub(1).and_then(|before| history.get(before).cloned())
    }

    /// Takes out the oldest generations that no call uses, down to `keep`.
    fn forget(&self, keep: usize) -> Vec<Arc<Generation>> {
        let current = self.current.load_full();
        let is_current = |known: &Arc<Generation>| current.as_ref().is_some_and(|current| Arc::ptr_eq(current, known));
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let mut excess = history.len().saturating_sub(keep.max(1));
        let (mut spare, mut kept) = (Vec::new(), Vec::new());
        for generation in history.drain(..) {
            if excess > 0 && generation.calls() == 0 && !is_current(&generation) {
                excess -= 1;
                spare.push(generation);
            } else {
                kept.push(generation);
            }
        }
        *history = kept;
        spare
    }

    fn summary(&self) -> Option<PluginSummary> {
        let current = self.current.load_full()?;
        let provider = current.describe();
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let generations = history.iter().rev().map(|known| summary_of(known, Arc::ptr_eq(known, &current))).collect();
        Some(PluginSummary {
            name: provider.name.clone(),
            display_name: provider.display_name.clone(),
            version: provider.version.clone(),
            digest: current.digest().to_owned(),
            source: current.source().to_owned(),
            loaded_at_ms: current.loaded_at(),
            contract: CONTRACT,
            generations,
        })
    }
}

fn summary_of(generation: &Generation, current: bool) -> GenerationSummary {
    let GuestFaults { traps, deadlines, bad_results } = generation.faults();
    let GuestCounts { webhooks, refused, micros, waiting, turned_away, memory, guests } = generation.counts();
    GenerationSummary {
        digest: generation.digest().to_owned(),
        version: generation.describe().version.clone(),
        source: generation.source().to_owned(),
        loaded_at_ms: generation.loaded_at(),
        grants: generation.grants().clone(),
        granted_by_order: generation.order().is_some(),
        tier: generation.tier(),
        current,
        calls: generation.calls(),
        traps,
        deadlines,
        bad_results,
        webhooks,
        refused,
        webhook_micros: micros,
        waiting,
        turned_away,
        memory_bytes: memory,
        instances: guests,
    }
}

impl Candidate {
    /// The checked generation.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// What was checked, and how long it took.
    pub fn stages(&self) -> &[StageReport] {
        self.stages.reports()
    }
}

impl std::fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PluginHost").field("plugins", &self.names()).field("pooled", &self.0.pooled).finish()
    }
}
