//! One loaded build of a plugin, named by the SHA-256 of its bytes, and by its grants where an operator gave it some.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::bindings::carries_media::CarriesMediaPre;
use crate::bindings::chats::ChatsPre;
use crate::bindings::controls_calls::{ControlsCalls, ControlsCallsPre};
use crate::bindings::controls_desks::ControlsDesksPre;
use crate::bindings::describes::DescribesPre;
use crate::bindings::keeps_socket::KeepsSocketPre;
use crate::bindings::reads_webhooks::ReadsWebhooksPre;
use crate::contract::Surface;
use crate::fault::GuestError;
use crate::grants::PluginGrants;
use crate::guest::{self, CallsGuest, ChatGuest, DeskGuest, MediaGuest, NO_WAY_OUT, SocketGuest, WebhookGuest};
use crate::limits::{Alive, GuestLimits, GuestState};
use crate::outbound::Outbound;
use crate::trace::{Exchange, Recorder, Tape};
use crate::turns::{Arrival, Turns};
use crate::types::{Account, FieldProblem, HttpError, HttpRequest, HttpResponse, Provider};
use crate::wasi;

/// Between the build and the mark of its grants, in a generation's name.
const MARKED: char = '-';

/// The build and the mark of the grants that a generation's name tells of.
pub fn parts_of(digest: &str) -> (&str, Option<&str>) {
    digest.split_once(MARKED).map_or((digest, None), |(build, mark)| (build, Some(mark)))
}

const HTTP: &str = "jackfield:provider/http@0.1.0";

/// A component that passed admission, ready to be instantiated.
pub struct Generation {
    digest: String,
    origin: Origin,
    provider: Provider,
    capabilities: Capabilities,
    pub(crate) engine: Engine,
    pub(crate) limits: GuestLimits,
    counters: Counters,
    calls: AtomicUsize,
    /// That are alive now.
    guests: Arc<AtomicUsize>,
    /// Since when new calls begin on another one, if they once began on this.
    left: Mutex<Option<Instant>>,
    turns: Turns,
    recorder: ArcSwapOption<Recorder>,
}

/// What a generation was made of.
pub(crate) struct Origin {
    /// SHA-256 of the component's bytes, in hex.
    pub(crate) build: String,
    pub(crate) source: String,
    /// Unix milliseconds.
    pub(crate) loaded_at: u64,
    pub(crate) grants: PluginGrants,
    /// Were the grants given while the host runs, not by its settings?
    pub(crate) by_order: bool,
}

/// The interfaces a component exports, linked. Absent ones are `None`.
#[derive(Clone)]
pub(crate) struct Capabilities {
    /// Of the second tier: it imports WASI.
    wasi: bool,
    pub(crate) describes: DescribesPre<GuestState>,
    webhooks: Option<ReadsWebhooksPre<GuestState>>,
    calls: Option<ControlsCallsPre<GuestState>>,
    media: Option<CarriesMediaPre<GuestState>>,
    socket: Option<KeepsSocketPre<GuestState>>,
    desk: Option<ControlsDesksPre<GuestState>>,
    chat: Option<ChatsPre<GuestState>>,
}

/// What happened in a generation's guests since it was loaded.
#[derive(Debug, Default)]
struct Counters {
    traps: AtomicU64,
    deadlines: AtomicU64,
    bad_results: AtomicU64,
    instructions: AtomicU64,
    webhooks: AtomicU64,
    refused: AtomicU64,
    micros: AtomicU64,
    memory: AtomicUsize,
}

/// How a generation's webhooks fared since it was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuestCounts {
    /// That it proved genuine.
    pub webhooks: u64,
    /// That it did not.
    pub refused: u64,
    /// Microseconds in its guests, for those it proved.
    pub micros: u64,
    /// Those that wait for their turn now.
    pub waiting: usize,
    /// Those that were turned away because too many waited.
    pub turned_away: u64,
    /// Bytes of memory that a guest had at most.
    pub memory: usize,
    /// Guests that are alive now: one for each webhook that is looked at, each order, and each media stream.
    pub guests: usize,
}

/// A copy of the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuestFaults {
    /// Panics, bad accesses, stack overflows.
    pub traps: u64,
    /// Exports that ran out of time.
    pub deadlines: u64,
    /// Results the host could not take.
    pub bad_results: u64,
}

/// Keeps a generation in memory while a call uses it.
#[derive(Debug)]
pub struct Pin(Arc<Generation>);

impl Capabilities {
    /// Links the component twice: `calls` gets the way out, everything else gets a refusal in its place.
    pub(crate) fn link(engine: &Engine, component: &Component, surface: &Surface) -> wasmtime::Result<Self> {
        let pure = pure_linker(engine, surface)?.instantiate_pre(component)?;
        let with_io =
            || -> wasmtime::Result<InstancePre<GuestState>> { io_linker(engine, surface)?.instantiate_pre(component) };
        let has = |interface: &str| surface.exports(interface);
        Ok(Self {
            wasi: surface.imports_wasi(),
            describes: DescribesPre::new(pure.clone())?,
            webhooks: has("webhooks").then(|| ReadsWebhooksPre::new(pure.clone())).transpose()?,
            calls: has("calls").then(|| ControlsCallsPre::new(with_io()?)).transpose()?,
            media: has("media").then(|| CarriesMediaPre::new(pure.clone())).transpose()?,
            socket: has("socket").then(|| KeepsSocketPre::new(pure)).transpose()?,
            desk: has("desk").then(|| ControlsDesksPre::new(with_io()?)).transpose()?,
            chat: has("chat").then(|| ChatsPre::new(with_io()?)).transpose()?,
        })
    }

    /// Instantiates each interface once, which is when wasmtime compares the functions' types.
    pub(crate) async fn type_check(&self, fresh: impl Fn() -> Store<GuestState>) -> wasmtime::Result<()> {
        self.describes.instantiate(&mut fresh())?;
        if let Some(webhooks) = &self.webhooks {
            webhooks.instantiate(&mut fresh())?;
        }
        if let Some(media) = &self.media {
            media.instantiate(&mut fresh())?;
        }
        if let Some(socket) = &self.socket {
            socket.instantiate(&mut fresh())?;
        }
        if let Some(calls) = &self.calls {
            calls.instantiate_async(&mut fresh()).await?;
        }
        if let Some(desk) = &self.desk {
            desk.instantiate_async(&mut fresh()).await?;
        }
        if let Some(chat) = &self.chat {
            chat.instantiate_async(&mut fresh()).await?;
        }
        Ok(())
    }
}

fn linker(engine: &Engine, surface: &Surface) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    if surface.imports_wasi() {
        wasi::link(&mut linker)?;
    }
    Ok(linker)
}

fn pure_linker(engine: &Engine, surface: &Surface) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = linker(engine, surface)?;
    if surface.imports("http") {
        linker.instance(HTTP)?.func_wrap("send", |_, (_request,): (HttpRequest,)| {
            Ok((Err::<HttpResponse, HttpError>(HttpError::Denied(NO_WAY_OUT.to_owned())),))
        })?;
    }
    Ok(linker)
}

fn io_linker(engine: &Engine, surface: &Surface) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = linker(engine, surface)?;
    linker.instance(HTTP)?.func_wrap_async("send", |mut store, (request,): (HttpRequest,)| {
        Box::new(async move {
            let recorded = store.data().exchanges.is_some().then(|| request.clone());
            let answer: Result<HttpResponse, HttpError> = match guest::outbound(store.data_mut()) {
                Ok(outbound) => outbound.send(request).await,
                Err(reason) => Err(HttpError::Denied(reason)),
            };
            if let Some((exchanges, request)) = store.data_mut().exchanges.as_mut().zip(recorded) {
                exchanges.push(Exchange { request, answer: answer.clone() });
            }
            // Waiting was not the guest's doing: its time starts afresh.
            let ticks = store.data_mut().budget.start();
            store.set_epoch_deadline(ticks);
            Ok((answer,))
        })
    })?;
    Ok(linker)
}

impl Generation {
    pub(crate) fn new(
        origin: Origin,
        provider: Provider,
        capabilities: Capabilities,
        engine: Engine,
        limits: GuestLimits,
    ) -> Self {
        let digest = match origin.by_order {
            true => format!("{}{MARKED}{}", origin.build, origin.grants.mark()),
            false => origin.build.clone(),
        };
        let (counters, calls) = (Counters::default(), AtomicUsize::new(0));
        let turns = Turns::new(limits.at_once, limits.queue);
        Self {
            digest,
            origin,
            provider,
            capabilities,
            engine,
            limits,
            counters,
            calls,
            guests: Arc::default(),
            left: Mutex::default(),
            turns,
            recorder: ArcSwapOption::empty(),
        }
    }

    /// Its name: SHA-256 of the component's bytes, in hex; where its grants were given while the host runs, with a dash and
    /// [`PluginGrants::mark`] after it.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// SHA-256 of the component's bytes, in hex.
    pub fn build(&self) -> &str {
        &self.origin.build
    }

    /// What it may have.
    pub fn grants(&self) -> &PluginGrants {
        &self.origin.grants
    }

    /// The same, if it was given while the host runs and not by its settings.
    pub fn order(&self) -> Option<&PluginGrants> {
        self.origin.by_order.then_some(&self.origin.grants)
    }

    /// Where the bytes came from: `stock`, `folder`, `api`.
    pub fn source(&self) -> &str {
        &self.origin.source
    }

    /// Unix milliseconds.
    pub fn loaded_at(&self) -> u64 {
        self.origin.loaded_at
    }

    /// What `manifest.describe` said at admission.
    pub fn describe(&self) -> &Provider {
        &self.provider
    }

    /// 1, or 2 for a component that imports WASI.
    pub fn tier(&self) -> u8 {
        if self.capabilities.wasi { 2 } else { 1 }
    }

    /// Does it read webhooks?
    pub fn reads_webhooks(&self) -> bool {
        self.capabilities.webhooks.is_some()
    }

    /// Does it carry media?
    pub fn carries_media(&self) -> bool {
        self.capabilities.media.is_some()
    }

    /// Does it tell its events on a socket?
    pub fn keeps_socket(&self) -> bool {
        self.capabilities.socket.is_some()
    }

    /// Does it read and write messages?
    pub fn chats(&self) -> bool {
        self.capabilities.chat.is_some()
    }

    /// Does it control people's telephones?
    pub fn controls_desks(&self) -> bool {
        self.capabilities.desk.is_some()
    }

    /// Does it control calls?
    pub fn controls_calls(&self) -> bool {
        self.capabilities.calls.is_some()
    }

    /// Calls that hold this generation now.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// New calls begin on it from now on, or on another one.
    pub(crate) fn serves(&self, serves: bool) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = (!serves).then(Instant::now);
    }

    /// For how long new calls have begun on another one; none while they begin on it, or if they never did.
    pub(crate) fn left_for(&self) -> Option<Duration> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).map(|left| left.elapsed())
    }

    /// What went wrong in its guests so far.
    pub fn faults(&self) -> GuestFaults {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        GuestFaults {
            traps: read(&self.counters.traps),
            deadlines: read(&self.counters.deadlines),
            bad_results: read(&self.counters.bad_results),
        }
    }

    /// How its webhooks fared so far.
    pub fn counts(&self) -> GuestCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { webhooks, refused, micros, memory, .. } = &self.counters;
        GuestCounts {
            webhooks: read(webhooks),
            refused: read(refused),
            micros: read(micros),
            waiting: self.turns.waiting(),
            turned_away: self.turns.turned_away(),
            memory: memory.load(Ordering::Relaxed),
            guests: self.guests.load(Ordering::Relaxed),
        }
    }

    /// A guest's turn to look at a new webhook, where nobody has to be waited for. Else `work` comes back. As [`Self::turn`].
    ///
    /// # Panics
    /// When `work` does.
    pub async fn turn_if_free<T, W>(&self, threads: &Handle, work: W) -> Result<Result<T, GuestError>, W>
    where
        T: Send + 'static,
        W: Fn() -> T + Send + 'static,
    {
        self.turns.do_if_free(threads, work).await
    }

    /// A guest's turn to look at a new webhook. What comes on account of one waits for what else does, and not for others.
    ///
    /// Guests of a build that is quick run here and now; where one is not, `work` is begun again on one of these threads. Until
    /// then it may do nothing that must not be done twice.
    ///
    /// # Errors
    /// When too many wait already.
    ///
    /// # Panics
    /// When `work` does.
    pub async fn turn<T: Send + 'static>(
        &self,
        threads: &Handle,
        whose: &str,
        work: impl Fn() -> T + Send + 'static,
    ) -> Result<T, GuestError> {
        self.turns.take(threads, whose, work, Arrival::New).await
    }

    /// A guest's turn to go on with a webhook that it has begun: it is never turned away. As [`Self::turn`].
    ///
    /// # Errors
    /// When the host ends.
    ///
    /// # Panics
    /// When `work` does.
    pub async fn next_turn<T: Send + 'static>(
        &self,
        threads: &Handle,
        whose: &str,
        work: impl Fn() -> T + Send + 'static,
    ) -> Result<T, GuestError> {
        self.turns.take(threads, whose, work, Arrival::Again).await
    }

    /// A guest of it used up its time: one fewer may run at once, for a while.
    pub fn ran_out_of_time(&self, now: Instant) {
        self.turns.lose_one(now);
    }

    /// A webhook was proved genuine, read and answered in so many microseconds of its guests.
    pub fn answered(&self, micros: u64) {
        self.counters.webhooks.fetch_add(1, Ordering::Relaxed);
        self.counters.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// A webhook was not proved genuine.
    pub fn refused(&self) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Instructions that exports of its guests ran so far, where limits say to count them.
    pub fn instructions(&self) -> u64 {
        self.counters.instructions.load(Ordering::Relaxed)
    }

    pub(crate) fn had_memory(&self, bytes: usize) {
        self.counters.memory.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(crate) fn ran(&self, instructions: u64) {
        self.counters.instructions.fetch_add(instructions, Ordering::Relaxed);
    }

    /// Holds the generation for a call, to be dropped when the call is over.
    pub fn pin(self: &Arc<Self>) -> Pin {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Pin(Arc::clone(self))
    }

    /// `manifest.check` in a fresh store.
    pub fn check(&self, account: &Account) -> Result<Vec<FieldProblem>, GuestError> {
        let mut store = self.store(self.limits.webhook_cpu);
        let result = self
            .capabilities
            .describes
            .instantiate(&mut store)
            .and_then(|exports| exports.jackfield_provider_manifest().call_check(&mut store, account));
        guest::count(self, &mut store);
        let result = result.map_err(|error| self.fault("check", &error));
        if let Some(tape) = self.tape("manifest") {
            tape.write("check", guest::given!(account), Vec::new(), &result);
        }
        result
    }

    /// A fresh guest for one webhook.
    pub fn webhooks(self: &Arc<Self>) -> Result<WebhookGuest, GuestError> {
        let pre = self.capabilities.webhooks.as_ref().ok_or(GuestError::Absent("webhooks"))?;
        let mut store = self.store(self.limits.webhook_cpu);
        let exports = pre.instantiate(&mut store).map_err(|error| self.no_instance("webhooks", &error))?;
        let tape = self.tape("webhooks");
        Ok(WebhookGuest::new(Arc::clone(self), store, exports, tape))
    }

    /// A guest for one media stream.
    pub fn media(self: &Arc<Self>) -> Result<MediaGuest, GuestError> {
        let pre = self.capabilities.media.as_ref().ok_or(GuestError::Absent("media"))?;
        let mut store = self.store(self.limits.media_cpu);
        let exports = pre.instantiate(&mut store).map_err(|error| self.no_instance("media", &error))?;
        let tape = self.tape("media");
        Ok(MediaGuest::new(Arc::clone(self), store, exports, tape))
    }

    /// A guest for the messages of an event stream.
    pub fn socket(self: &Arc<Self>) -> Result<SocketGuest, GuestError> {
        let pre = self.capabilities.socket.as_ref().ok_or(GuestError::Absent("socket"))?;
        let mut store = self.store(self.limits.webhook_cpu);
        let exports = pre.instantiate(&mut store).map_err(|error| self.no_instance("socket", &error))?;
        let tape = self.tape("socket");
        Ok(SocketGuest::new(Arc::clone(self), store, exports, tape))
    }

    /// A fresh guest for one order to the provider, which may send through `outbound`.
    pub async fn control(self: &Arc<Self>, outbound: Box<dyn Outbound>) -> Result<CallsGuest, GuestError> {
        let pre = self.capabilities.calls.as_ref().ok_or(GuestError::Absent("calls"))?;
        let mut store = self.store_with(outbound);
        let exports: ControlsCalls =
            pre.instantiate_async(&mut store).await.map_err(|error| self.no_instance("calls", &error))?;
        let tape = self.tape("calls");
        store.data_mut().exchanges = tape.as_ref().map(|_| Vec::new());
        Ok(CallsGuest::new(Arc::clone(self), store, exports, tape))
    }

    /// A fresh guest for one order to a person's telephone.
    pub async fn desk(self: &Arc<Self>, outbound: Box<dyn Outbound>) -> Result<DeskGuest, GuestError> {
        let pre = self.capabilities.desk.as_ref().ok_or(GuestError::Absent("desk"))?;
        let mut store = self.store_with(outbound);
        let exports = pre.instantiate_async(&mut store).await.map_err(|error| self.no_instance("desk", &error))?;
        let tape = self.tape("desk");
        store.data_mut().exchanges = tape.as_ref().map(|_| Vec::new());
        Ok(DeskGuest::new(Arc::clone(self), store, exports, tape))
    }

    /// A fresh guest for one message.
    pub async fn chat(self: &Arc<Self>, outbound: Box<dyn Outbound>) -> Result<ChatGuest, GuestError> {
        let pre = self.capabilities.chat.as_ref().ok_or(GuestError::Absent("chat"))?;
        let mut store = self.store_with(outbound);
        let exports = pre.instantiate_async(&mut store).await.map_err(|error| self.no_instance("chat", &error))?;
        let tape = self.tape("chat");
        store.data_mut().exchanges = tape.as_ref().map(|_| Vec::new());
        Ok(ChatGuest::new(Arc::clone(self), store, exports, tape))
    }

    /// A store that has a way out.
    fn store_with(&self, outbound: Box<dyn Outbound>) -> Store<GuestState> {
        let mut store = self.unarmed(self.limits.webhook_cpu, Some(outbound));
        guest::arm(&mut store);
        store
    }

    /// A store that has none, and so much CPU time for each call.
    fn store(&self, cpu: Duration) -> Store<GuestState> {
        let mut store = self.unarmed(cpu, None);
        guest::arm(&mut store);
        store
    }

    fn unarmed(&self, cpu: Duration, outbound: Option<Box<dyn Outbound>>) -> Store<GuestState> {
        let mut state = GuestState::new(&self.limits, cpu, outbound);
        state.alive = Some(Alive::among(&self.guests));
        guest::store(&self.engine, &self.limits, state)
    }

    /// Has its guests recorded from now on, or no longer.
    pub(crate) fn record(&self, recorder: Option<Arc<Recorder>>) {
        self.recorder.store(recorder);
    }

    fn tape(&self, interface: &'static str) -> Option<Tape> {
        Tape::of(self.recorder.load_full(), &self.digest, interface)
    }

    fn fault(&self, export: &'static str, error: &wasmtime::Error) -> GuestError {
        let error = GuestError::classify(export, error);
        self.count(&error);
        error
    }

    /// A start function may misbehave as any export may; a full pool is nobody's misdeed.
    fn no_instance(&self, interface: &'static str, error: &wasmtime::Error) -> GuestError {
        match self.fault(interface, error) {
            GuestError::Result { reason, .. } => GuestError::NoInstance(reason),
            error => error,
        }
    }

    pub(crate) fn count(&self, error: &GuestError) {
        let counter = match error {
            GuestError::Trap { .. } => &self.counters.traps,
            GuestError::Deadline { .. } => &self.counters.deadlines,
            GuestError::Result { .. } => &self.counters.bad_results,
            GuestError::NoInstance(_) | GuestError::Absent(_) | GuestError::Postponed { .. } => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(plugin = self.provider.name, digest = self.digest, %error, "plugin fault");
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation")
            .field("name", &self.provider.name)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Pin {
    /// The generation held.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.0
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}
