//! Calls as the rest of the server sees them: placing, hanging up, answering webhooks, carrying audio.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jackfield_agents::{AgentError, Ambience, Connector, Start};
use jackfield_calls::retry::{self, Failure, Retry};
use jackfield_calls::{CallMachine, Direction, Ended, Input, Limits, Status, Stored};
use jackfield_egress::Egress;
use jackfield_plugins::types::{Ability, Fault, PlaceRequest, Placed, StatusUpdate, StreamAction};
use jackfield_plugins::{Generation, Pin, PluginHost};
use jackfield_store::{
    ANY_NUMBER, Agent, Call, CallChange, Configuration, Directory, MediaGrant, NewCall, Shared, Store, StoreError,
};

use crate::account::{account_of, guest_call};
use crate::clock::now_ms;
use crate::drain::Drain;
use crate::live::provider::{Provider, refusal_of};
use crate::live::{self, Handle, Parts, Registry, TakenStream, report_of, status_of};
use crate::media::{Cast, Means, MediaPool, Player, StreamEnd, StreamKnobs, StreamNews, StreamOrder};
use crate::metrics::Metrics;
use crate::outbound::WayOut;
use crate::rollout::Rollout;
use crate::settings::ServerSettings;
use crate::sign_ins::SignIns;
use crate::token;

/// How long an order is tried before whoever gave it hears that the provider is busy.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);

/// An outbound call, as an operator orders it.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    /// Id or name.
    pub agent: String,
    /// Whom to call: E.164 or an address.
    pub to: String,
    /// One of the configuration's numbers; the first of them when absent.
    pub from: Option<String>,
    /// Id or name; found by `from`, or the only one that can place calls, when absent.
    pub configuration: Option<String>,
}

/// A number that the provider says the account has.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AvailableNumber {
    /// E.164.
    pub number: String,
    /// The provider's name for it.
    pub label: String,
    /// The webhook it has at the provider; empty for none.
    pub webhook: String,
}

/// Why something about a call could not be done, by whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum CallProblem {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The order cannot be carried out as it is.
    #[error("{0}")]
    Invalid(String),
    /// The provider said no.
    #[error("the provider refused ({code}): {message}")]
    Provider {
        /// The provider's code.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// The provider could not be asked, or did not answer.
    #[error("{0}")]
    ProviderUnavailable(String),
    /// The host takes no new calls.
    #[error("the host is draining and takes no new calls; use another node or wait for the restart")]
    Draining,
    /// A limit of this host.
    #[error("{0}")]
    Limit(String),
    /// The plugin failed.
    #[error("{0}")]
    Plugin(String),
    /// The database failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// What the service is built from.
pub struct Switchboard {
    /// Durable state.
    pub store: Store,
    /// Short-lived state.
    pub shared: Shared,
    /// The plugins.
    pub plugins: PluginHost,
    /// How plugins come in, and old generations back.
    pub rollout: Rollout,
    /// The way out.
    pub egress: Egress,
    /// Limits and addresses.
    pub settings: Arc<ServerSettings>,
    /// Counters.
    pub metrics: Metrics,
    /// The audio threads.
    pub media: MediaPool,
    /// Whether new calls are taken.
    pub drain: Drain,
}

impl std::fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Switchboard")
            .field("plugins", &self.plugins)
            .field("media", &self.media)
            .finish_non_exhaustive()
    }
}

/// Calls. Cheap to clone.
#[derive(Clone)]
pub struct CallService {
    board: Arc<Switchboard>,
    registry: Registry,
    sign_ins: SignIns,
}

impl CallService {
    /// Over these parts.
    pub fn new(board: Switchboard) -> Self {
        let Switchboard { store, shared, egress, settings, .. } = &board;
        let sign_ins = SignIns::new(store.clone(), shared.clone(), egress.clone(), &settings.public_url);
        Self { board: Arc::new(board), registry: Registry::default(), sign_ins }
    }

    /// Who has signed in.
    pub(crate) fn sign_ins(&self) -> &SignIns {
        &self.sign_ins
    }

    /// The way out for accounts.
    pub(crate) fn way_out(&self) -> WayOut {
        WayOut { egress: self.board.egress.clone(), sign_ins: self.sign_ins.clone() }
    }

    /// Calls that are not over.
    pub fn active(&self) -> usize {
        self.registry.up()
    }

    /// Settles the calls that an earlier run of the host left unfinished.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let unfinished = self.board.store.unfinished_calls().await?;
        let count = unfinished.len();
        for call in unfinished {
            if let Err(why) = self.revive(&call).await {
                tracing::error!(call = call.id, why, "an unfinished call could not be settled");
            }
        }
        Ok(count)
    }

    /// Ends every call, as at the end of a drain.
    pub async fn hang_up_all(&self) {
        for handle in self.registry.active() {
            handle.tell(Input::HangUpRequested(Ended::Operator)).await.ok();
        }
    }

    /// Places a call and waits for the provider's word.
    pub async fn place(&self, order: PlaceOrder) -> Result<Call, CallProblem> {
        if self.board.drain.draining() {
            return Err(CallProblem::Draining);
        }
        if !self.has_room() {
            return Err(CallProblem::Limit(format!(
                "{} calls are up, as many as limits.calls allows; wait, or raise it",
                self.active()
            )));
        }
        let (configuration, agent, from) = self.resolve(&order)?;
        let serving = self.board.plugins.current(&configuration.provider);
        let generation = serving
            .ok_or_else(|| CallProblem::Plugin(format!("no plugin for `{}` is loaded", configuration.provider)))?;
        let call = self.write_intent(&configuration, &generation, &agent, from, order.to).await?;
        let request = self.place_request(&call).await.map_err(CallProblem::ProviderUnavailable)?;
        let machine = CallMachine::new(Direction::Outbound, unsigned(call.created_at), self.limits());
        let handle = self.start(call, machine, generation.pin(), configuration, Some(request.clone()));
        self.send_order(&handle, &request).await?;
        Ok(handle.call())
    }

    /// Ends a call that is up.
    pub async fn hang_up(&self, id: &str) -> Result<(), CallProblem> {
        let call = self.board.store.call(id).await?;
        let call = call.ok_or_else(|| CallProblem::NotFound(format!("there is no call `{id}`")))?;
        if call.ended_at.is_some() {
            return Ok(());
        }
        let handle = self.revive(&call).await.map_err(CallProblem::Plugin)?;
        // A call that ends by itself at this moment is as wanted.
        handle.tell(Input::HangUpRequested(Ended::Operator)).await.ok();
        Ok(())
    }

    /// Points a number at this host, or away from it. Returns the provider's warnings.
    pub async fn bind_number(&self, number_id: &str, bound: bool) -> Result<Vec<String>, CallProblem> {
        let number = self.board.store.get_number(number_id).await?;
        if number.number == ANY_NUMBER {
            return Err(CallProblem::Invalid("`*` stands for every number: bind those that are meant".to_owned()));
        }
        let webhook = format!(
            "{}/api/v1/telephony/inbound/{}",
            self.board.settings.public_url.trim_end_matches('/'),
            number.configuration_id
        );
        let provider = self.provider(&number.configuration_id)?;
        let binding = provider.bind_number(&number.number, bound.then_some(webhook.as_str())).await?;
        Ok(binding.warnings)
    }

    /// The numbers of an account, as the provider lists them.
    pub async fn list_numbers(
        &self,
        configuration: &str,
        cursor: Option<String>,
    ) -> Result<(Vec<AvailableNumber>, Option<String>), CallProblem> {
        let page = self.provider(configuration)?.list_numbers(cursor.as_deref()).await?;
        let shown = page.numbers.into_iter().map(|number| AvailableNumber {
            number: number.number,
            label: number.label,
            webhook: number.webhook,
        });
        Ok((shown.collect(), page.next))
    }

    /// Do the account's credentials work?
    pub async fn probe(&self, configuration: &str) -> Result<(), CallProblem> {
        self.provider(configuration)?.probe().await
    }

    /// May another call come in?
    pub(crate) fn has_room(&self) -> bool {
        self.active() < self.board.settings.limits.calls
    }

    /// A call that was written down and then not let in.
    pub(crate) async fn refused_for_room(&self, call: &Call) {
        let change = CallChange {
            status: Some("busy".to_owned()),
            ended_at: Some(now_ms()),
            end_reason: Some("the host has as many calls as it may".to_owned()),
            ..CallChange::default()
        };
        self.board.metrics.call_ended("busy");
        if let Err(error) = self.board.store.change_call(&call.id, change, Vec::new(), now_ms()).await {
            tracing::error!(call = call.id, %error, "a refused call could not be stored");
        }
    }

    /// Takes an inbound call up.
    pub(crate) fn begin(&self, call: Call, pin: Pin, configuration: Arc<Configuration>) {
        let machine = CallMachine::new(Direction::Inbound, unsigned(call.created_at), self.limits());
        self.start(call, machine, pin, configuration, None);
    }

    /// Where the provider shall send a call's audio: a new one-use token each time.
    pub(crate) async fn stream_action(&self, call: &Call) -> Result<StreamAction, String> {
        let token = token::fresh()?;
        let grant = MediaGrant { call_id: call.id.clone() };
        let lasting = self.board.settings.limits.media_token();
        self.board
            .shared
            .put_media_grant(token::digest(&token), grant, lasting)
            .await
            .map_err(|error| error.to_string())?;
        let public = self.board.settings.public_url.trim_end_matches('/');
        let socket = public.replacen("http", "ws", 1);
        Ok(StreamAction {
            url: format!("{socket}/api/v1/telephony/ws/{token}"),
            hooks: format!("{public}/api/v1/telephony/{}/{{hook}}/{}", call.provider, call.id),
            parameters: Vec::new(),
        })
    }

    /// Spends a media token.
    pub(crate) async fn take_stream(&self, token: &str) -> Option<TakenStream> {
        let grant = self.board.shared.take_media_grant(token::digest(token)).await.ok()??;
        self.registry.get(&grant.call_id)?.claim_stream()
    }

    /// Hands an open media socket to the audio threads.
    pub(crate) fn begin_stream(&self, taken: TakenStream, socket: std::net::TcpStream, leftover: Vec<u8>) {
        match self.stream_order(&taken, socket, leftover) {
            Ok(order) => {
                if let Some(path) = &order.recording {
                    self.note_recording(&taken.call.id, path);
                }
                self.board.media.take(order);
            }
            Err(why) => self.stream_failed(taken, why),
        }
    }

    /// The socket came to nothing.
    pub(crate) fn stream_failed(&self, taken: TakenStream, why: String) {
        taken.give_back();
        let (stats, heard_ms) = (jackfield_media::Stats::default(), 0);
        let news = StreamNews::Closed { end: StreamEnd::Provider(why), stats, heard_ms };
        taken.handle.inbox.send(live::Order::Stream(Box::new(news))).ok();
    }

    /// A callback reported something about a call.
    pub(crate) async fn reported(&self, id: &str, update: StatusUpdate) -> Result<(), String> {
        self.tell(id, Input::Reported(report_of(update))).await
    }

    /// Something happened to a call, if there is such a call.
    pub(crate) async fn tell(&self, id: &str, input: Input) -> Result<(), String> {
        match self.find(id).await? {
            Some(handle) => handle.tell(input).await,
            None => Ok(()),
        }
    }

    /// A callback brought the provider's id before the answer to `place` did.
    pub(crate) async fn learned(&self, id: &str, provider_id: &str) -> Result<(), String> {
        self.tell(id, Input::Placed { provider_id: provider_id.to_owned(), status: None }).await
    }

    /// The provider asks what to do with an outbound call: it was answered.
    pub(crate) async fn answered_by_provider(&self, id: &str) -> Result<(), String> {
        let report = jackfield_calls::Report {
            status: Some(Status::InProgress),
            raw: "answered".to_owned(),
            ..jackfield_calls::Report::default()
        };
        self.tell(id, Input::Reported(report)).await
    }

    /// Asks how the calls of an account stand, after a time in which the provider could not tell.
    pub(crate) async fn inspect_all(&self, configuration: &str) {
        for handle in self.registry.active() {
            let call = handle.call();
            if call.configuration_id != configuration || call.provider_call_id.is_none() {
                continue;
            }
            let provider = self.provider_of(Arc::clone(&handle.generation), Arc::clone(&handle.configuration));
            if let Some(report) = live::inspected(&provider, &call).await {
                handle.tell(Input::Reported(report)).await.ok();
            }
        }
    }

    /// What becomes of the audio of a call that is up.
    pub(crate) fn audio_of(&self, id: &str) -> Option<serde_json::Value> {
        self.registry.get(id)?.figures.get()
    }

    /// Is the call over, or on its way there?
    pub(crate) fn ending(&self, id: &str) -> bool {
        let handle = self.registry.get(id);
        handle.is_none_or(|handle| handle.ending.load(std::sync::atomic::Ordering::Acquire))
    }

    /// The generation a call began with.
    pub(crate) async fn generation_of(&self, call: &Call) -> Result<Arc<Generation>, String> {
        match self.registry.get(&call.id) {
            Some(handle) => Ok(handle.generation),
            None => self.board.rollout.generation(&call.provider, &call.generation).await,
        }
    }

    async fn find(&self, id: &str) -> Result<Option<Handle>, String> {
        if let Some(handle) = self.registry.get(id) {
            return Ok(Some(handle));
        }
        let stored = self.board.store.call(id).await.map_err(|error| error.to_string())?;
        match stored {
            Some(call) => self.revive(&call).await.map(Some),
            None => Ok(None),
        }
    }

    /// The task of a call that may have none: one that this host, or an earlier run of it, has let go of.
    async fn revive(&self, call: &Call) -> Result<Handle, String> {
        if let Some(handle) = self.registry.get(&call.id) {
            return Ok(handle);
        }
        let directory = self.board.store.directory();
        let configuration = directory.configuration(&call.configuration_id).cloned();
        let configuration = configuration.ok_or_else(|| "its telephony configuration is gone".to_owned())?;
        let generation = self.generation_of(call).await?;
        let stored = stored(call);
        // Looking for a call takes the order that placed it.
        let placed_by = match stored.provider_known {
            true => None,
            false => Some(self.place_request(call).await?),
        };
        let machine = CallMachine::restore(stored, unsigned(now_ms()), self.limits());
        Ok(self.start(call.clone(), machine, generation.pin(), configuration, placed_by))
    }

    fn start(
        &self,
        call: Call,
        machine: CallMachine,
        pin: Pin,
        configuration: Arc<Configuration>,
        placed_by: Option<PlaceRequest>,
    ) -> Handle {
        let Switchboard { store, metrics, .. } = &*self.board;
        let (way, store, metrics) = (self.way_out(), store.clone(), metrics.clone());
        let registry = self.registry.clone();
        live::start(Parts { call, machine, pin, configuration, way, store, metrics, registry, placed_by })
    }

    fn limits(&self) -> Limits {
        let limits = &self.board.settings.limits;
        Limits {
            unanswered: (u64::from(limits.ring_seconds) + 15) * 1_000,
            max_duration: u64::from(limits.call_seconds) * 1_000,
            ..Limits::default()
        }
    }

    fn provider(&self, configuration: &str) -> Result<Provider, CallProblem> {
        let directory = self.board.store.directory();
        let known = directory.configuration(configuration).cloned();
        let configuration =
            known.ok_or_else(|| CallProblem::NotFound(format!("there is no configuration `{configuration}`")))?;
        let serving = self.board.plugins.current(&configuration.provider);
        let generation = serving
            .ok_or_else(|| CallProblem::Plugin(format!("no plugin for `{}` is loaded", configuration.provider)))?;
        Ok(self.provider_of(generation, configuration))
    }

    /// An account's orders, by a generation.
    pub(crate) fn provider_of(&self, generation: Arc<Generation>, configuration: Arc<Configuration>) -> Provider {
        Provider { generation, configuration, way: self.way_out() }
    }

    fn resolve(&self, order: &PlaceOrder) -> Result<(Arc<Configuration>, Arc<Agent>, String), CallProblem> {
        let directory = self.board.store.directory();
        let agent = directory.agent(&order.agent).or_else(|| directory.agent_by_name(&order.agent)).cloned();
        let agent = agent.ok_or_else(|| CallProblem::Invalid(format!("there is no agent `{}`", order.agent)))?;
        let configuration = self.configuration_for(&directory, order)?;
        let first = directory.numbers_of(&configuration.id).next().map(|number| number.number.clone());
        let from = match &order.from {
            Some(from) if directory.number(&configuration.id, from).is_some() => from.clone(),
            Some(_) => {
                return Err(CallProblem::Invalid(
                    "`from` is not a number of this configuration; add it with POST telephony/numbers".to_owned(),
                ));
            }
            None => first.ok_or_else(|| {
                CallProblem::Invalid(
                    "the configuration has no number to call from; add one with POST telephony/numbers".to_owned(),
                )
            })?,
        };
        Ok((configuration, agent, from))
    }

    /// An explicit choice never falls through to another; an implicit one must be the only one.
    fn configuration_for(&self, directory: &Directory, order: &PlaceOrder) -> Result<Arc<Configuration>, CallProblem> {
        if let Some(wanted) = &order.configuration {
            let known = directory.configurations().find(|known| known.id == *wanted || known.name == *wanted);
            return known.cloned().ok_or_else(|| CallProblem::Invalid(format!("there is no configuration `{wanted}`")));
        }
        let places = |known: &&Arc<Configuration>| {
            let serving = self.board.plugins.current(&known.provider);
            let able = serving.is_some_and(|generation| generation.describe().abilities.contains(&Ability::Place));
            let calls_from = |from: &String| directory.number(&known.id, from).is_some();
            able && order.from.as_ref().is_none_or(calls_from)
        };
        let mut able = directory.configurations().filter(places);
        match (able.next(), able.next()) {
            (Some(only), None) => Ok(Arc::clone(only)),
            (None, _) => Err(CallProblem::Invalid("no configuration can place this call".to_owned())),
            (Some(_), Some(_)) => Err(CallProblem::Invalid(
                "several configurations can place this call; name one in `configuration`".to_owned(),
            )),
        }
    }

    /// The order is in the database before it is at the provider.
    async fn write_intent(
        &self,
        configuration: &Configuration,
        generation: &Generation,
        agent: &Agent,
        from: String,
        to: String,
    ) -> Result<Call, CallProblem> {
        let call = NewCall {
            direction: "outbound".to_owned(),
            status: "initiated".to_owned(),
            provider: configuration.provider.clone(),
            generation: generation.digest().to_owned(),
            configuration_id: configuration.id.clone(),
            agent_id: Some(agent.id.clone()),
            from,
            to,
            provider_call_id: None,
            memo: Vec::new(),
            created_at: now_ms(),
        };
        Ok(self.board.store.create_call(call).await?.into_call())
    }

    async fn place_request(&self, call: &Call) -> Result<PlaceRequest, String> {
        let stream = self.stream_action(call).await?;
        let limits = &self.board.settings.limits;
        Ok(PlaceRequest {
            call: guest_call(call),
            hooks: stream.hooks.clone(),
            stream,
            ring_timeout: limits.ring_seconds,
            max_duration: limits.call_seconds,
            extra: Vec::new(),
        })
    }

    async fn send_order(&self, handle: &Handle, request: &PlaceRequest) -> Result<(), CallProblem> {
        let provider = self.provider_of(Arc::clone(&handle.generation), Arc::clone(&handle.configuration));
        let (input, outcome) = match place_patiently(&provider, request).await {
            Ok(Ok(placed)) => {
                let status = status_of(&placed.status);
                (Input::Placed { provider_id: placed.provider_id, status }, Ok(()))
            }
            // It may ring: the call's own task finds out, and the operator watches it there.
            Ok(Err(Fault::UnknownOutcome(_))) => (Input::PlaceUnknown, Ok(())),
            Ok(Err(fault)) => {
                let problem = refusal_of(&fault);
                (Input::PlaceRefused { reason: problem.to_string() }, Err(problem))
            }
            // A guest that died after sending is as unknown as a lost answer.
            Err(problem @ CallProblem::Plugin(_)) => (Input::PlaceUnknown, Err(problem)),
            Err(problem) => (Input::PlaceRefused { reason: problem.to_string() }, Err(problem)),
        };
        // The call may have ended meanwhile; its row says so.
        handle.tell(input).await.ok();
        outcome
    }

    fn stream_order(
        &self,
        taken: &TakenStream,
        socket: std::net::TcpStream,
        leftover: Vec<u8>,
    ) -> Result<StreamOrder, String> {
        let cast = self.cast(&taken.call)?;
        Ok(StreamOrder {
            socket,
            leftover,
            account: Arc::new(account_of(&taken.handle.configuration)),
            call: guest_call(&taken.call),
            pin: taken.handle.generation.pin(),
            cast,
            knobs: self.knobs(&taken.call),
            recording: self.recording(&taken.call),
            news: taken.handle.inbox.clone(),
            ends: Arc::clone(&taken.handle.stream_ends),
            figures: taken.handle.figures.clone(),
        })
    }

    /// Who may talk to the caller: the call's agent, and who stands in for it.
    fn cast(&self, call: &Call) -> Result<Cast, String> {
        let directory = self.board.store.directory();
        let agent = call.agent_id.as_deref().and_then(|id| directory.agent(id));
        let agent = agent.ok_or_else(|| "the call's agent is gone".to_owned())?;
        let named = agent.settings["fallback"].as_str();
        let stand_in = named.and_then(|name| directory.agent(name).or_else(|| directory.agent_by_name(name)));
        let stand_in = stand_in.and_then(|agent| match player(agent, call) {
            Ok(player) => Some(player),
            Err(error) => {
                tracing::error!(agent = agent.id, error, "an agent cannot stand in");
                None
            }
        });
        let again = agent.settings["reconnect"] == true;
        let ServerSettings { media, agent_networks, .. } = &*self.board.settings;
        let patience = Duration::from_millis(u64::from(media.agent_connect_ms));
        let means = Means { patience, networks: agent_networks.clone() };
        Ok(Cast::new(player(agent, call)?, again, stand_in, means))
    }

    /// The call names its recording; the audio does not wait for the database.
    fn note_recording(&self, id: &str, path: &std::path::Path) {
        // Where the file goes in the end; without an object store folder and file, as seen from the data folder.
        let part = |path: &std::path::Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let folder = || path.parent().and_then(part).map(|folder| format!("{folder}/"));
        let place = self.board.settings.media.kept_at.clone().or_else(folder);
        let recording = place.zip(part(path)).map(|(place, file)| format!("{place}{file}"));
        let change = CallChange { recording, ..CallChange::default() };
        let (store, id) = (self.board.store.clone(), id.to_owned());
        tokio::spawn(async move {
            if let Err(error) = store.change_call(&id, change, Vec::new(), now_ms()).await {
                tracing::error!(call = id, %error, "a recording's name could not be stored");
            }
        });
    }

    fn knobs(&self, call: &Call) -> StreamKnobs {
        let ServerSettings { media, limits, .. } = &*self.board.settings;
        // The audio of a call that rings elsewhere may be open already, and begins when somebody picks up.
        let rings = if call.direction == "outbound" && call.answered_at.is_none() { limits.ring_seconds } else { 0 };
        StreamKnobs {
            lead_ms: media.lead_ms,
            hold_ms: media.hold_ms,
            queue_ms: media.agent_queue_ms,
            no_media_ms: media.no_media_ms,
            start: Duration::from_millis(u64::from(media.no_media_ms) + u64::from(rings) * 1_000),
        }
    }

    fn recording(&self, call: &Call) -> Option<PathBuf> {
        let media = &self.board.settings.media;
        media.record.then(|| media.recordings.join(format!("{}.wav", call.id)))
    }
}

impl std::fmt::Debug for CallService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallService").field("active", &self.active()).finish_non_exhaustive()
    }
}

/// Sends an order again where the provider asks for it and surely did nothing yet: soon, and a few times.
async fn place_patiently(provider: &Provider, request: &PlaceRequest) -> Result<Result<Placed, Fault>, CallProblem> {
    let began = tokio::time::Instant::now();
    let mut attempt = 1;
    loop {
        let outcome = provider.place(request).await;
        let Ok(Err(Fault::RetryLater(seconds))) = outcome else { return outcome };
        let left = PLACE_PATIENCE.saturating_sub(began.elapsed());
        let left = u64::try_from(left.as_millis()).unwrap_or(0);
        match retry::decide(Failure::Later(u64::from(seconds) * 1_000), attempt, false, left) {
            Retry::After(delay) => tokio::time::sleep(Duration::from_millis(delay)).await,
            Retry::ReadBack | Retry::Never => return outcome,
        }
        attempt += 1;
    }
}

/// An agent as one call meets it.
fn player(agent: &Agent, call: &Call) -> Result<Player, String> {
    let secret = agent.secret.as_ref().map(|secret| secret.expose().to_owned().into());
    let connector = Connector::parse(&agent.connector, agent.url.as_deref(), &agent.settings, secret);
    let start = Start {
        call_id: call.id.clone(),
        from: call.from.clone(),
        to: call.to.clone(),
        direction: call.direction.clone(),
        provider: call.provider.clone(),
        agent_name: agent.name.clone(),
    };
    let said = |error: AgentError| error.to_string();
    let ambience = Ambience::parse(&agent.settings).map_err(said)?;
    let barge_in = jackfield_agents::host_barge_in(&agent.settings).map_err(said)?;
    Ok(Player { connector: connector.map_err(said)?, start, ambience, barge_in })
}

fn stored(call: &Call) -> Stored {
    Stored {
        direction: if call.direction == "outbound" { Direction::Outbound } else { Direction::Inbound },
        status: Status::parse(&call.status).unwrap_or(Status::Initiated),
        provider_known: call.provider_call_id.is_some(),
        began: unsigned(call.created_at),
        answered_at: call.answered_at.map(unsigned),
    }
}

fn unsigned(stamp: i64) -> u64 {
    u64::try_from(stamp).unwrap_or(0)
}
