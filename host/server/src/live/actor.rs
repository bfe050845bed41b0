//! The task of one call: feeds its state machine and carries out what the machine decides.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jackfield_agents::TransferWish;
use jackfield_calls::{CallMachine, Change, Effect, Ended, Input, Record, Report, Status};
use jackfield_media::EndReason;
use jackfield_plugins::Pin;
use jackfield_plugins::types::{CallStatus, Inspection, PlaceRequest, StatusUpdate};
use jackfield_store::{Call, CallChange, Configuration, NewEvent, Store};
use serde_json::json;
use tokio::sync::mpsc;

use super::provider::Provider;
use super::registry::{Handle, Order, Orders, Registry};
use crate::account::guest_call;
use crate::call_service::{CallProblem, Switchboard};
use crate::clock::{Stopwatch, now_ms};
use crate::media::{StreamEnd, StreamNews, figures_shown};
use crate::metrics::Metrics;
use crate::outbound::WayOut;
use crate::seats::Seats;
use crate::survival::survived;

/// What a call's task is made of.
pub(crate) struct Parts {
    pub(crate) board: Arc<Switchboard>,
    pub(crate) call: Call,
    pub(crate) machine: CallMachine,
    pub(crate) pin: Pin,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) way: Arc<WayOut>,
    pub(crate) registry: Registry,
    pub(crate) seats: Arc<Seats>,
    /// Where an agent's wish for a transfer goes.
    pub(crate) wishes: mpsc::UnboundedSender<(String, TransferWish)>,
    /// The order an outbound call was placed with, for reading it back.
    pub(crate) placed_by: Option<Box<PlaceRequest>>,
}

struct Actor {
    board: Arc<Switchboard>,
    machine: CallMachine,
    provider: Provider,
    registry: Registry,
    seats: Arc<Seats>,
    wishes: mpsc::UnboundedSender<(String, TransferWish)>,
    /// Another node has the call: nothing more is done about it here.
    lost: bool,
    placed_by: Option<Box<PlaceRequest>>,
    handle: Handle,
    began: i64,
    /// What its machine goes by.
    watch: Stopwatch,
    inbox: Orders,
    _pin: Pin,
}

/// Starts the task, unless the call is up already.
pub(crate) fn start(parts: Parts) -> Handle {
    let (id, network) = (parts.call.id.clone(), parts.board.network.clone());
    let (direction, began) = (parts.call.direction.clone(), parts.call.created_at);
    let (handle, orders) = Handle::new(&parts.pin, Arc::clone(&parts.configuration), parts.call);
    let up = !parts.machine.is_finished();
    if !parts.registry.enter(&id, handle.clone(), up) {
        return parts.registry.get(&id).unwrap_or(handle);
    }
    if up {
        parts.board.metrics.call_began(&direction);
    }
    let provider =
        Provider { generation: Arc::clone(parts.pin.generation()), configuration: parts.configuration, way: parts.way };
    // Boxed: a task has room for what it is given and for what it makes of it.
    let actor = Box::new(Actor {
        board: parts.board,
        machine: parts.machine,
        provider,
        registry: parts.registry,
        seats: parts.seats,
        wishes: parts.wishes,
        lost: false,
        placed_by: parts.placed_by,
        handle: handle.clone(),
        began,
        watch: Stopwatch::start(),
        inbox: orders,
        _pin: parts.pin,
    });
    let (metrics, registry, left) = (actor.board.metrics.clone(), actor.registry.clone(), handle.clone());
    network.spawn(async move {
        if survived(actor.run()).await.is_none() {
            abandoned(&metrics, &registry, &left);
        }
    });
    handle
}

/// The task of a call panicked. Its audio ends, with which most providers end the call; whatever is reported of it later finds its
/// row, and has another task begun.
fn abandoned(metrics: &Metrics, registry: &Registry, left: &Handle) {
    let call = left.call();
    metrics.task_panicked();
    tracing::error!(call = call.id, "the task of a call panicked; its audio is closed and no other call is concerned");
    left.close_stream();
    if call.ended_at.is_none() {
        registry.over();
    }
    registry.leave(&call.id, left);
}

impl Actor {
    async fn run(mut self: Box<Self>) {
        while !self.lost {
            let order = match self.machine.next_deadline() {
                None if self.machine.is_finished() => break,
                None => self.inbox.recv().await,
                Some(at) => {
                    let wait = at.saturating_sub(self.watch.now()).max(1);
                    tokio::select! {
                        order = self.inbox.recv() => order,
                        () = tokio::time::sleep(Duration::from_millis(wait)) => {
                            Box::pin(self.handle(Input::Tick)).await.ok();
                            continue;
                        }
                    }
                }
            };
            // Boxed: most of its life a call waits, and then its task shall be small.
            match order.map(|order| *order) {
                Some(Order::Happened(input, done)) => {
                    let stored = Box::pin(self.handle(input)).await;
                    // Whoever told us may have given up waiting.
                    done.send(stored).ok();
                }
                Some(Order::Stream(news)) => Box::pin(self.stream_news(news)).await,
                Some(Order::Note(event)) => drop(Box::pin(self.write(CallChange::default(), vec![event])).await),
                Some(Order::LetGo) => self.lost = true,
                None => break,
            }
        }
        if self.lost && !self.machine.is_finished() {
            self.handle.stream_ends.store(true, Ordering::Release);
            self.registry.over();
        }
        self.registry.leave(&self.handle.call().id, &self.handle);
    }

    async fn handle(&mut self, input: Input) -> Result<(), String> {
        let effects = self.machine.handle(self.watch.now(), input);
        self.handle.ending.store(self.machine.is_ending(), Ordering::Release);
        let stored = self.remember(&effects).await;
        if self.lost {
            return Err("another node has the call".to_owned());
        }
        for effect in effects {
            self.act(effect);
        }
        stored
    }

    /// Writes everything of one step in one transaction, before anything is done about it.
    async fn remember(&mut self, effects: &[Effect]) -> Result<(), String> {
        let mut change = CallChange::default();
        let mut events = Vec::new();
        for effect in effects {
            match effect {
                Effect::Store(stored) => merge(&mut change, stored, self.began),
                Effect::Record(record) => events.push(event(record)),
                Effect::Finished { status, reason } => {
                    let data = json!({ "status": status.as_str(), "reason": reason });
                    events.push(NewEvent { kind: "ended".to_owned(), data });
                }
                _ => {}
            }
        }
        self.write(change, events).await
    }

    async fn write(&mut self, change: CallChange, events: Vec<NewEvent>) -> Result<(), String> {
        if events.is_empty() && change == CallChange::default() {
            return Ok(());
        }
        let Call { id, epoch, .. } = self.handle.call();
        let change = CallChange { epoch: Some(epoch), ..change };
        apply(&mut self.handle.row.lock().unwrap_or_else(PoisonError::into_inner), &change);
        let written = self.board.store.change_call(&id, change, events, now_ms()).await;
        // The call has changed hands.
        self.lost |= matches!(written, Ok(false));
        written.map(drop).map_err(|error| {
            tracing::error!(call = id, %error, "a call's state could not be stored");
            error.to_string()
        })
    }

    fn act(&self, effect: Effect) {
        match effect {
            Effect::Store(_) | Effect::Record(_) => {}
            Effect::CloseStream => self.handle.stream_ends.store(true, Ordering::Release),
            Effect::HangUpAtProvider => self.order(hang_up),
            Effect::ReadBack => self.order(read_back),
            Effect::Inspect => self.order(inspect),
            Effect::Finished { status, .. } => {
                self.registry.over();
                self.handle.caller_ended();
                let (seats, call) = (Arc::clone(&self.seats), self.handle.call());
                tokio::spawn(async move { seats.give_back(&call).await });
                self.board.metrics.call_ended(status.as_str());
                tracing::info!(call = self.handle.call().id, status = status.as_str(), "call ended");
            }
        }
    }

    /// Asks the provider in a task of its own; the answer comes back as an input.
    fn order<F>(&self, ask: fn(Asked) -> F)
    where
        F: Future<Output = Input> + Send + 'static,
    {
        let asked = ask(Asked {
            provider: self.provider.clone(),
            call: self.handle.call(),
            placed_by: self.placed_by.clone(),
            store: self.board.store.clone(),
        });
        let handle = self.handle.clone();
        self.board.guests.spawn(async move { handle.hears(asked.await) });
    }

    async fn stream_news(&mut self, news: StreamNews) {
        match news {
            StreamNews::Opened { provider_id } => {
                // A stream may name its call before the provider has answered the order that placed it.
                if let Some(provider_id) = provider_id {
                    self.handle(Input::Placed { provider_id, status: None }).await.ok();
                }
                self.handle(Input::StreamOpened).await.ok();
            }
            StreamNews::Agent { entrance } => {
                let event = NewEvent { kind: "agent".to_owned(), data: json!({ "entrance": entrance }) };
                self.write(CallChange::default(), vec![event]).await.ok();
            }
            StreamNews::Transfer(wish) => {
                // The server ends.
                self.wishes.send((self.handle.call().id, wish)).ok();
            }
            StreamNews::Dtmf => {
                let event = NewEvent { kind: "dtmf".to_owned(), data: json!({}) };
                self.write(CallChange::default(), vec![event]).await.ok();
            }
            StreamNews::Closed { end, stats, heard_ms } => {
                self.handle.streaming.store(false, Ordering::Release);
                let failure = match &end {
                    StreamEnd::Plugin(why) => Some(why.as_str()),
                    _ => None,
                };
                self.board.rollout.carried(&self.handle.generation, &self.handle.call().id, failure);
                let data = figures_shown(&stats, heard_ms);
                let event = NewEvent { kind: "audio".to_owned(), data };
                self.write(CallChange::default(), vec![event]).await.ok();
                self.handle(Input::StreamClosed(ended_by(end))).await.ok();
            }
        }
    }
}

/// What a question to the provider is asked with.
struct Asked {
    provider: Provider,
    call: Call,
    placed_by: Option<Box<PlaceRequest>>,
    store: Store,
}

async fn hang_up(Asked { provider, call, .. }: Asked) -> Input {
    match provider.hang_up(&guest_call(&call)).await {
        Ok(()) | Err(CallProblem::NotFound(_)) => Input::HangUpDone,
        // A provider without such a call, or an account that cannot ask: the stream is closed, and that must do.
        Err(error) => {
            tracing::warn!(call = call.id, %error, "the provider did not hang up");
            Input::HangUpFailed
        }
    }
}

async fn read_back(asked: Asked) -> Input {
    match look_for(&asked).await {
        Ok(found) => Input::PlaceFound(found),
        Err(why) => {
            tracing::warn!(call = asked.call.id, why, "the provider could not be asked for the call");
            Input::ReadBackFailed
        }
    }
}

/// The provider's id of the call that this order placed. One that another call has is that call's.
async fn look_for(asked: &Asked) -> Result<Option<String>, String> {
    let Asked { provider, call, placed_by, store } = asked;
    let request = placed_by.as_ref().ok_or("the order that placed it is gone")?;
    let since = u64::try_from(call.created_at).unwrap_or(0);
    let found = provider.find_placed(request, since).await.map_err(|error| error.to_string())?;
    let Some(placed) = found else { return Ok(None) };
    let owner = store.call_by_provider_id(&call.configuration_id, &placed.provider_id).await;
    let owner = owner.map_err(|error| error.to_string())?;
    Ok(owner.is_none_or(|owner| owner.id == call.id).then_some(placed.provider_id))
}

async fn inspect(Asked { provider, call, .. }: Asked) -> Input {
    inspected(&provider, &call).await.map_or(Input::InspectFailed, Input::Reported)
}

/// How the provider says a call stands, if it says.
pub(crate) async fn inspected(provider: &Provider, call: &Call) -> Option<Report> {
    let Inspection { status, raw, duration, cost, .. } = provider.inspect(&guest_call(call)).await.ok()?;
    let cost = cost.map(|money| (money.amount, money.currency));
    Some(Report { status: status_of(&status), raw, duration, cost, cause: None, sequence: None })
}

/// A callback as the state machine takes it.
pub(crate) fn report_of(update: StatusUpdate) -> Report {
    Report {
        status: status_of(&update.status),
        raw: update.raw,
        duration: update.duration,
        cost: update.cost.map(|money| (money.amount, money.currency)),
        cause: update.cause,
        sequence: update.sequence,
    }
}

/// The status, where the provider's word has one.
pub(crate) fn status_of(status: &CallStatus) -> Option<Status> {
    Some(match status {
        CallStatus::Initiated => Status::Initiated,
        CallStatus::Ringing => Status::Ringing,
        CallStatus::InProgress => Status::InProgress,
        CallStatus::Completed => Status::Completed,
        CallStatus::Busy => Status::Busy,
        CallStatus::NoAnswer => Status::NoAnswer,
        CallStatus::Failed => Status::Failed,
        CallStatus::Canceled => Status::Canceled,
        CallStatus::Other(_) => return None,
    })
}

fn ended_by(end: StreamEnd) -> Ended {
    match end {
        StreamEnd::Session(EndReason::CallerHungUp) => Ended::Caller,
        StreamEnd::Session(EndReason::AgentHungUp) => Ended::Agent,
        StreamEnd::Session(EndReason::HostHungUp) => Ended::Operator,
        StreamEnd::Session(reason) => Ended::Fault(reason.as_str().to_owned()),
        StreamEnd::AgentUnreachable(why) => Ended::Fault(format!("the agent could not be reached: {why}")),
        StreamEnd::Plugin(why) => Ended::Fault(format!("the plugin failed: {why}")),
        StreamEnd::Provider(why) => Ended::Fault(format!("the media stream broke: {why}")),
        StreamEnd::Host => Ended::Fault("the host failed at the call's audio".to_owned()),
    }
}

fn merge(into: &mut CallChange, change: &Change, began: i64) {
    let stamp = |at: u64| i64::try_from(at).unwrap_or(began);
    if let Some(status) = change.status {
        into.status = Some(status.as_str().to_owned());
    }
    into.provider_call_id = change.provider_id.clone().or(into.provider_call_id.take());
    into.answered_at = change.answered_at.map(stamp).or(into.answered_at);
    into.ended_at = change.ended_at.map(stamp).or(into.ended_at);
    into.duration_s = change.duration.map(i64::from).or(into.duration_s);
    into.end_reason = change.reason.clone().or(into.end_reason.take());
    into.bill_at = change.bill_at.map(stamp).or(into.bill_at);
    if let Some((amount, currency)) = change.cost.clone() {
        into.cost_amount = Some(amount);
        into.cost_currency = Some(currency);
    }
}

fn apply(row: &mut Call, change: &CallChange) {
    if let Some(status) = &change.status {
        row.status.clone_from(status);
    }
    row.provider_call_id = change.provider_call_id.clone().or(row.provider_call_id.take());
    row.answered_at = change.answered_at.or(row.answered_at);
    row.ended_at = change.ended_at.or(row.ended_at);
}

fn event(record: &Record) -> NewEvent {
    let data = record.data.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    NewEvent { kind: record.kind.to_owned(), data: serde_json::Value::Object(data) }
}
