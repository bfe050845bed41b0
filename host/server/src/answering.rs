//! What becomes of a call from outside, whoever announced it: which agent, may it come in, and how it is told.
//!
//! Some providers read the answer to their webhook, others want a command. Both are told the same action.

use std::sync::Arc;
use std::time::Duration;

use jackfield_calls::retry::Failure;
use jackfield_calls::{Ended, Input};
use jackfield_plugins::Generation;
use jackfield_plugins::types::{
    Ability, Action, Call as GuestCall, Direction, Fault, Incoming, RejectReason, SayAction,
};
use jackfield_store::{Agent, Call, Configuration, Directory, Inserted, NewCall, StoreError, new_call_id};

use crate::App;
use crate::account::{guest_call, guest_call_to_be};
use crate::call_service::{CallProblem, Ticket};
use crate::clock::now_ms;
use crate::live::provider::{Provider, refusal_of};
use crate::seats::{self, NoSeat};

/// How long a provider is asked to carry out an answer: nobody rings longer for a host that cannot be heard.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a provider is told, and about which call.
#[derive(Debug)]
pub(crate) struct Answer {
    /// None for a call that the host has no row of.
    pub(crate) call: Option<GuestCall>,
    pub(crate) action: Action,
    /// It was told before: saying it twice does no harm to those who read answers, and is not due to those who obey
    /// commands.
    pub(crate) again: bool,
}

/// What a caller would hear who is let in, as nearly every one is.
pub(crate) struct Offer {
    action: Action,
    /// None for a caller whom no agent answers.
    call: Option<(Box<NewCall>, Ticket)>,
}

impl Offer {
    pub(crate) fn action(&self) -> &Action {
        &self.action
    }

    /// The call that it is about, as a plugin sees it.
    pub(crate) fn call(&self) -> Option<GuestCall> {
        self.call.as_ref().map(|(new, _)| guest_call_to_be(new))
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NotNow {
    Draining,
    Store(StoreError),
    Media(String),
}

impl std::fmt::Display for NotNow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Draining => f.write_str("the host is draining"),
            Self::Store(error) => error.fmt(f),
            Self::Media(why) => f.write_str(why),
        }
    }
}

/// Is this provider answered by commands?
pub(crate) fn by_command(generation: &Generation) -> bool {
    generation.describe().abilities.contains(&Ability::AnswerByCommand)
}

/// What a call is to hear, before it is counted and written down.
pub(crate) fn offer(
    app: &App,
    generation: &Generation,
    configuration: &Configuration,
    directory: &Directory,
    incoming: &Incoming,
) -> Result<Offer, NotNow> {
    if app.drain.draining() {
        return Err(NotNow::Draining);
    }
    let agent = match route(directory, &configuration.id, &incoming.to) {
        Ok(agent) => agent,
        Err(sentence) => return Ok(Offer { action: say(sentence), call: None }),
    };
    let new = Box::new(new_call(app, generation, configuration, incoming, &agent));
    let ticket = app.calls.ticket(&new.id).map_err(NotNow::Media)?;
    let stream = app.calls.stream_by(&new.provider, &ticket);
    Ok(Offer { action: Action::Stream(stream), call: Some((new, ticket)) })
}

/// Lets a call in as it was offered, or does not.
pub(crate) async fn admit(
    app: &App,
    generation: &Arc<Generation>,
    configuration: &Arc<Configuration>,
    offer: Offer,
) -> Result<Answer, NotNow> {
    let Offer { action, call: Some((new, ticket)) } = offer else {
        return Ok(Answer { call: None, action: offer.action, again: false });
    };
    let seat = seats::member(&configuration.id, new.provider_call_id.as_deref(), &new.id);
    // Granted its audio in one breath with its seat.
    match app.calls.seats.take(&seat, &configuration.organization_id, &configuration.id, Some(ticket.grant())).await {
        Ok(()) => {}
        Err(NoSeat::Store(error)) => return Err(NotNow::Store(error)),
        Err(NoSeat::Limit(why)) => return Box::pin(turned_away(app, new, &why)).await,
    }
    match app.store.create_call(new).await.map_err(NotNow::Store)? {
        Inserted::Existing(call) if call.ended_at.is_some() => {
            Ok(Answer { call: Some(guest_call(&call)), action: Action::HangUp, again: true })
        }
        Inserted::Existing(call) => {
            let stream = Box::pin(app.calls.stream_action(&call)).await.map_err(NotNow::Media)?;
            Ok(Answer { call: Some(guest_call(&call)), action: Action::Stream(stream), again: true })
        }
        Inserted::New(call) if !app.calls.has_room() => {
            let (why, action) = ("the host has as many calls as it may", Action::Reject(RejectReason::Busy));
            Ok(Box::pin(sent_away(app, call, "busy", why, action)).await)
        }
        Inserted::New(call) if !app.rollout.may_carry(generation) => {
            let why = "its plugin keeps failing at audio, and gets no calls for a while";
            let action = say("An application error has occurred. Goodbye.");
            Ok(Box::pin(sent_away(app, call, "failed", why, action)).await)
        }
        Inserted::New(call) => {
            let about = Some(guest_call(&call));
            app.calls.begin(*call, generation.pin(), Arc::clone(configuration));
            Ok(Answer { call: about, action, again: false })
        }
    }
}

/// A call that had a seat, and cannot be carried here.
async fn sent_away(app: &App, call: Box<Call>, status: &'static str, why: &str, action: Action) -> Answer {
    app.calls.refuse(&call, status, why).await;
    app.calls.seats.give_back(&call).await;
    Answer { call: Some(guest_call(&call)), action, again: false }
}

/// A call that there is no seat for is written down, and hears busy.
async fn turned_away(app: &App, new: Box<NewCall>, why: &str) -> Result<Answer, NotNow> {
    let call = app.store.create_call(new).await.map_err(NotNow::Store)?.into_call();
    if call.ended_at.is_none() {
        app.calls.refuse(&call, "busy", why).await;
    }
    Ok(Answer { call: Some(guest_call(&call)), action: Action::Reject(RejectReason::Busy), again: false })
}

/// The agent that answers the called number, or what to tell the caller.
fn route(directory: &Directory, configuration: &str, to: &str) -> Result<Arc<Agent>, &'static str> {
    let number = directory
        .called(configuration, to)
        .ok_or("This number is not configured. Please check the number and try again. Goodbye.")?;
    let agent = number.agent_id.as_deref().and_then(|id| directory.agent(id));
    agent.cloned().ok_or("No agent answers this number yet. Goodbye.")
}

fn new_call(
    app: &App,
    generation: &Generation,
    configuration: &Configuration,
    incoming: &Incoming,
    agent: &Agent,
) -> NewCall {
    let created_at = now_ms();
    NewCall {
        id: new_call_id(created_at),
        organization_id: configuration.organization_id.clone(),
        owner: app.node.id().to_owned(),
        order_key: None,
        direction: "inbound".to_owned(),
        status: "ringing".to_owned(),
        provider: configuration.provider.clone(),
        generation: generation.digest().to_owned(),
        configuration_id: configuration.id.clone(),
        agent_id: Some(agent.id.clone()),
        from: incoming.from.clone(),
        to: incoming.to.clone(),
        provider_call_id: Some(incoming.provider_id.clone()),
        memo: incoming.memo.clone(),
        created_at,
    }
}

/// A sentence for the caller, and the end of the call.
pub(crate) fn say(text: &str) -> Action {
    Action::Say(SayAction { text: text.to_owned(), language: "en-US".to_owned() })
}

/// A call that the host has no row of, as a plugin may see it.
pub(crate) fn stranger(provider_id: &str) -> GuestCall {
    GuestCall {
        id: String::new(),
        provider_id: provider_id.to_owned(),
        direction: Direction::Inbound,
        from: String::new(),
        to: String::new(),
        memo: Vec::new(),
        extra: Vec::new(),
    }
}

/// The same of a call that was announced.
pub(crate) fn caller(incoming: &Incoming) -> GuestCall {
    GuestCall {
        from: incoming.from.clone(),
        to: incoming.to.clone(),
        memo: incoming.memo.clone(),
        ..stranger(&incoming.provider_id)
    }
}

/// Has the provider carry an answer out, in a task of its own: whoever announced the call waits for nothing.
pub(crate) fn command(app: &App, provider: Provider, answer: Answer, stranger: GuestCall) {
    if answer.again {
        return;
    }
    let app = app.clone();
    tokio::spawn(async move {
        let id = answer.call.as_ref().map(|call| call.id.clone());
        let call = answer.call.unwrap_or(stranger);
        let Err(why) = patiently(&provider, || provider.answer(&call, &answer.action)).await else { return };
        tracing::warn!(call = call.id, why, "the provider did not carry out an answer");
        if let Some(id) = id.filter(|_| matches!(answer.action, Action::Stream(_))) {
            let ended = Ended::Fault(format!("the provider did not answer the call: {why}"));
            app.calls.tell(&id, Input::HangUpRequested(ended)).await.ok();
        }
    });
}

/// Gives an order that does no harm when it is given again, until it is carried out or refused.
pub(crate) async fn patiently<F>(provider: &Provider, order: impl Fn() -> F) -> Result<(), String>
where
    F: Future<Output = Result<Result<(), Fault>, CallProblem>>,
{
    let mut trying = provider.trying(true, PATIENCE);
    loop {
        let (failure, problem) = match order().await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(fault)) => (failure_of(&fault), refusal_of(&fault)),
            // There was no room for its guest.
            Err(problem @ CallProblem::ProviderUnavailable(_)) => (Failure::NotSent, problem),
            Err(problem) => (Failure::Refused, problem),
        };
        if !trying.again(failure).await {
            return Err(problem.to_string());
        }
    }
}

fn failure_of(fault: &Fault) -> Failure {
    match fault {
        Fault::RetryLater(seconds) => Failure::Later(u64::from(*seconds) * 1_000),
        Fault::UnknownOutcome(_) => Failure::Unknown,
        _ => Failure::Refused,
    }
}
