//! Calls as the rest of the server sees them: placing, hanging up, answering webhooks, carrying audio.

use std::future::ready;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use jackfield_agents::{AgentError, Ambience, Connector, Start, TransferWish};
use jackfield_calls::{CallMachine, Direction, Ended, Input, Limits, Status, Stored};
use jackfield_egress::Egress;
use jackfield_plugins::types::{PlaceRequest, StatusUpdate, StreamAction};
use jackfield_plugins::{Generation, Pin, PluginHost};
use jackfield_store::{
    ANY_NUMBER, Agent, Call, CallChange, Configuration, MediaGrant, NewMediaGrant, Shared, Store, StoreError,
};
use tokio::sync::mpsc;

use crate::account::{account_of, guest_call};
use crate::clock::now_ms;
use crate::cluster::Node;
use crate::drain::Drain;
use crate::live::provider::Provider;
use crate::live::{self, Handle, Parts, Registry, TakenStream, report_of};
use crate::media::{Cast, Means, MediaPool, Player, StreamEnd, StreamKnobs, StreamNews, StreamOrder};
use crate::metrics::Metrics;
use crate::outbound::WayOut;
use crate::retries::Retries;
use crate::rollout::Rollout;
use crate::seats::Seats;
use crate::settings::ServerSettings;
use crate::sign_ins::SignIns;
use crate::token;
use crate::transfers::Transfers;

/// Calls that are told to end at the same time.
const AT_ONCE: usize = 32;

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
    /// Something else is under way.
    #[error("{0}")]
    Conflict(String),
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
    /// This host among others.
    pub node: Node,
    /// Threads of the network, on which calls have their tasks, whoever begins them.
    pub network: tokio::runtime::Handle,
    /// Threads on which plugins carry out what calls order.
    pub guests: tokio::runtime::Handle,
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
    pub(crate) board: Arc<Switchboard>,
    pub(crate) registry: Registry,
    pub(crate) seats: Arc<Seats>,
    pub(crate) transfers: Transfers,
    wishes: Wishes,
    way: Arc<WayOut>,
}

/// What agents wish for their callers: who wishes, and who carries it out.
type Wish = (String, TransferWish);

#[derive(Clone)]
struct Wishes {
    sender: mpsc::UnboundedSender<Wish>,
    receiver: Arc<Mutex<Option<mpsc::UnboundedReceiver<Wish>>>>,
}

impl Wishes {
    fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Arc::new(Mutex::new(Some(receiver))) }
    }
}

/// A token for a call's audio, for as long as nobody else has it.
pub(crate) struct Ticket {
    token: String,
    call: String,
    lasting: Duration,
}

impl Ticket {
    /// What makes it good.
    pub(crate) fn grant(&self) -> NewMediaGrant {
        let grant = MediaGrant { call_id: self.call.clone() };
        NewMediaGrant { token: token::digest(&self.token), grant, lasting: self.lasting }
    }
}

impl CallService {
    /// Over these parts.
    pub fn new(board: Switchboard) -> Self {
        let Switchboard { store, shared, egress, settings, metrics, .. } = &board;
        let retries = Retries::new(metrics.clone());
        let sign_ins =
            SignIns::new(store.clone(), shared.clone(), egress.clone(), retries.clone(), &settings.public_url);
        let way = Arc::new(WayOut { egress: egress.clone(), sign_ins, retries, metrics: metrics.clone() });
        let seats = Arc::new(Seats { store: store.clone(), shared: shared.clone() });
        let (registry, transfers, wishes) = (Registry::default(), Transfers::default(), Wishes::new());
        Self { board: Arc::new(board), registry, seats, transfers, wishes, way }
    }

    /// The agents' wishes, for whoever asks first.
    pub(crate) fn wishes(&self) -> Option<mpsc::UnboundedReceiver<Wish>> {
        self.wishes.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Who has signed in.
    pub(crate) fn sign_ins(&self) -> &SignIns {
        &self.way.sign_ins
    }

    /// The way out for accounts.
    pub(crate) fn way_out(&self) -> Arc<WayOut> {
        Arc::clone(&self.way)
    }

    /// Calls that are not over.
    pub fn active(&self) -> usize {
        self.registry.up()
    }

    /// Ends every call, as at the end of a drain; some at a time, as each waits for the database.
    pub async fn hang_up_all(&self) {
        let hang_up = |handle: Handle| async move {
            handle.tell(Input::HangUpRequested(Ended::Operator)).await.ok();
        };
        futures_util::stream::iter(self.registry.active()).for_each_concurrent(AT_ONCE, hang_up).await;
    }

    /// An organization's call.
    pub async fn call_of(&self, organization: &str, id: &str) -> Result<Call, CallProblem> {
        let call = self.board.store.call(id).await?.filter(|call| call.organization_id == organization);
        call.ok_or_else(|| CallProblem::NotFound(format!("there is no call `{id}`")))
    }

    /// Ends a call that is up.
    pub async fn hang_up(&self, organization: &str, id: &str) -> Result<(), CallProblem> {
        let call = self.call_of(organization, id).await?;
        if call.ended_at.is_some() {
            return Ok(());
        }
        // A call that ends by itself at this moment is as wanted.
        let told = self.tell(id, Input::HangUpRequested(Ended::Operator)).await;
        told.map_err(CallProblem::ProviderUnavailable)
    }

    /// Ids of calls that began on another build of this plugin, on any host.
    pub(crate) async fn on_other_builds(&self, plugin: &str, digest: &str) -> Result<Vec<String>, CallProblem> {
        self.live_where(|call| call.provider == plugin && call.generation != digest).await
    }

    /// Ids of calls that began on this build.
    pub(crate) async fn on_build(&self, plugin: &str, digest: &str) -> Result<Vec<String>, CallProblem> {
        self.live_where(|call| call.provider == plugin && call.generation == digest).await
    }

    async fn live_where(&self, wanted: impl Fn(&Call) -> bool) -> Result<Vec<String>, CallProblem> {
        let live = self.board.store.unfinished_calls().await?;
        Ok(live.into_iter().filter(wanted).map(|call| call.id).collect())
    }

    /// Ends calls, a few at a time, on whichever host they are. Returns how many were told.
    pub(crate) async fn hang_up_these(&self, calls: Vec<String>) -> usize {
        let telling = calls.into_iter().map(|id| async move {
            let told = self.tell(&id, Input::HangUpRequested(Ended::Operator)).await;
            told.inspect_err(|why| tracing::warn!(call = id, why, "a call could not be ended")).is_ok()
        });
        futures_util::stream::iter(telling).buffer_unordered(AT_ONCE).filter(|told| ready(*told)).count().await
    }

    /// Points a number at this host, or away from it. Returns the provider's warnings.
    pub async fn bind_number(
        &self,
        organization: &str,
        number_id: &str,
        bound: bool,
    ) -> Result<Vec<String>, CallProblem> {
        let number = self.board.store.get_number(organization, number_id).await?;
        if number.number == ANY_NUMBER {
            return Err(CallProblem::Invalid("`*` stands for every number: bind those that are meant".to_owned()));
        }
        let webhook = format!(
            "{}/api/v1/telephony/inbound/{}",
            self.board.settings.public_url.trim_end_matches('/'),
            number.configuration_id
        );
        let provider = self.provider(organization, &number.configuration_id)?;
        let binding = provider.bind_number(&number.number, bound.then_some(webhook.as_str())).await?;
        Ok(binding.warnings)
    }

    /// The numbers of an account, as the provider lists them.
    pub async fn list_numbers(
        &self,
        organization: &str,
        configuration: &str,
        cursor: Option<String>,
    ) -> Result<(Vec<AvailableNumber>, Option<String>), CallProblem> {
        let page = self.provider(organization, configuration)?.list_numbers(cursor.as_deref()).await?;
        let shown = page.numbers.into_iter().map(|number| AvailableNumber {
            number: number.number,
            label: number.label,
            webhook: number.webhook,
        });
        Ok((shown.collect(), page.next))
    }

    /// Do the account's credentials work?
    pub async fn probe(&self, organization: &str, configuration: &str) -> Result<(), CallProblem> {
        self.provider(organization, configuration)?.probe().await
    }

    /// May another call come in?
    pub(crate) fn has_room(&self) -> bool {
        self.active() < self.board.settings.limits.calls
    }

    /// A call that was written down and then not let in.
    pub(crate) async fn refuse(&self, call: &Call, status: &'static str, why: &str) {
        let change = CallChange {
            status: Some(status.to_owned()),
            ended_at: Some(now_ms()),
            end_reason: Some(why.to_owned()),
            ..CallChange::default()
        };
        self.board.metrics.call_ended(status);
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
        let ticket = self.ticket(&call.id)?;
        let NewMediaGrant { token, grant, lasting } = ticket.grant();
        self.board.shared.put_media_grant(token, grant, lasting).await.map_err(|error| error.to_string())?;
        Ok(self.stream_by(&call.provider, &ticket))
    }

    /// A new one-use token for a call's audio; nothing is granted yet.
    pub(crate) fn ticket(&self, call: &str) -> Result<Ticket, String> {
        let lasting = self.board.settings.limits.media_token();
        Ok(Ticket { token: token::fresh()?, call: call.to_owned(), lasting })
    }

    /// Where the provider shall send a call's audio, by a token that was granted.
    pub(crate) fn stream_by(&self, provider: &str, ticket: &Ticket) -> StreamAction {
        let public = self.board.settings.public_url.trim_end_matches('/');
        let socket = public.replacen("http", "ws", 1);
        StreamAction {
            url: format!("{socket}/api/v1/telephony/ws/{}", ticket.token),
            hooks: self.hooks(provider, &ticket.call),
            parameters: Vec::new(),
        }
    }

    /// Where callbacks about a call or a transfer go.
    pub(crate) fn hooks(&self, provider: &str, id: &str) -> String {
        let public = self.board.settings.public_url.trim_end_matches('/');
        format!("{public}/api/v1/telephony/{provider}/{{hook}}/{id}")
    }

    /// Spends a media token.
    pub(crate) async fn take_stream(&self, token: &str) -> Option<TakenStream> {
        let grant = self.board.shared.take_media_grant(token::digest(token)).await.ok()??;
        if let Some(handle) = self.registry.get(&grant.call_id) {
            return handle.claim_stream();
        }
        self.adopt(&grant.call_id).await?.claim_stream()
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
        taken.handle.news(news);
    }

    /// A callback reported something about a call.
    pub(crate) async fn reported(&self, id: &str, update: StatusUpdate) -> Result<(), String> {
        self.tell(id, Input::Reported(report_of(update))).await
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

    /// What becomes of the audio of a call that is up here.
    pub(crate) fn audio_here(&self, id: &str) -> Option<serde_json::Value> {
        self.registry.get(id)?.figures.get()
    }

    /// Is the call over, or on its way there?
    pub(crate) fn ending(&self, call: &Call) -> bool {
        match self.registry.get(&call.id) {
            Some(handle) => handle.ending.load(std::sync::atomic::Ordering::Acquire),
            // What another node has is told by its row.
            None => call.owner == self.board.node.id(),
        }
    }

    /// The generation a call began with.
    pub(crate) async fn generation_of(&self, call: &Call) -> Result<Arc<Generation>, String> {
        match self.registry.get(&call.id) {
            Some(handle) => Ok(Arc::clone(&handle.generation)),
            None => self.board.rollout.generation(&call.provider, &call.generation).await,
        }
    }

    pub(crate) fn start(
        &self,
        call: Call,
        machine: CallMachine,
        pin: Pin,
        configuration: Arc<Configuration>,
        placed_by: Option<PlaceRequest>,
    ) -> Handle {
        let (board, way, seats) = (Arc::clone(&self.board), self.way_out(), Arc::clone(&self.seats));
        let (registry, wishes) = (self.registry.clone(), self.wishes.sender.clone());
        let placed_by = placed_by.map(Box::new);
        live::start(Parts { board, call, machine, pin, configuration, way, registry, seats, wishes, placed_by })
    }

    pub(crate) fn limits(&self) -> Limits {
        let limits = &self.board.settings.limits;
        Limits {
            unanswered: (u64::from(limits.ring_seconds) + 15) * 1_000,
            max_duration: u64::from(limits.call_seconds) * 1_000,
            ..Limits::default()
        }
    }

    fn provider(&self, organization: &str, configuration: &str) -> Result<Provider, CallProblem> {
        let directory = self.board.store.directory();
        let own = |known: &&Arc<Configuration>| known.organization_id == organization;
        let known = directory.configuration(configuration).filter(own).cloned();
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
            handle: taken.handle.clone(),
        })
    }

    /// Who may talk to the caller: the call's agent, and who stands in for it.
    fn cast(&self, call: &Call) -> Result<Cast, String> {
        let directory = self.board.store.directory();
        let agent = call.agent_id.as_deref().and_then(|id| directory.agent(id));
        let agent = agent.ok_or_else(|| "the call's agent is gone".to_owned())?;
        let named = agent.settings["fallback"].as_str();
        let stand_in = named.and_then(|name| directory.agent_of(&call.organization_id, name));
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

pub(crate) fn stored(call: &Call) -> Stored {
    Stored {
        direction: if call.direction == "outbound" { Direction::Outbound } else { Direction::Inbound },
        status: Status::parse(&call.status).unwrap_or(Status::Initiated),
        provider_known: call.provider_call_id.is_some(),
        began: unsigned(call.created_at),
        answered_at: call.answered_at.map(unsigned),
    }
}

pub(crate) fn unsigned(stamp: i64) -> u64 {
    u64::try_from(stamp).unwrap_or(0)
}
