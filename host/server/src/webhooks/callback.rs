//! Callbacks about a call the host knows: its path names the call, and so must its content.

use axum::response::Response;
use jackfield_calls::TransferState;
use jackfield_plugins::Generation;
use jackfield_plugins::types::{Action, Event, Request};
use jackfield_store::{Call, Configuration};
use std::sync::Arc;

use super::backlog::{About, Waiting};
use super::genuine::{self, Genuine, Unproved};
use super::{Refused, answer};
use crate::App;
use crate::account::guest_call;
use crate::clock::now_for_guests;
use crate::metrics::WebhookOutcome;
use crate::transfers;

/// A request on `/api/v1/telephony/{provider}/{hook}/{call}`.
pub(crate) async fn take(
    app: &App,
    provider: &str,
    hook: &str,
    call: &str,
    request: Request,
) -> Result<Response, Refused> {
    let (subject, configuration) = subject(app, provider, call).await?;
    let generation = subject.generation(app).await.map_err(Refused::Unavailable)?;
    let came_at = now_for_guests();
    let about = About::Call { id: call.to_owned(), hook: hook.to_owned() };
    let (mut genuine, events) = match genuine::prove(app, &generation, configuration, request, reading(hook)).await {
        Ok(read) => read,
        Err(Unproved { why, request }) => {
            if let Some(request) = request.filter(|_| why.is_failure()) {
                app.backlog().put(Waiting::of(&generation, about, Request::clone(&request), came_at));
            }
            return Err(why);
        }
    };
    let outcome = match (events, subject) {
        (Ok(events), Subject::Call(call)) => act(app, &mut genuine, events, *call).await,
        (Ok(events), Subject::Transfer(context)) => transfers::act(app, &mut genuine, events, &context).await,
        (Err(why), _) => Err(why),
    };
    if outcome.as_ref().is_err_and(Refused::is_failure) {
        app.backlog().put(Waiting::of(&generation, about, Request::clone(genuine.request()), came_at));
    }
    if outcome.is_err() {
        genuine.forget(app).await;
    }
    outcome
}

/// What an earlier build failed at, read by another one. Nobody waits for an answer any more.
pub(super) async fn again(
    app: &App,
    build: &Arc<Generation>,
    (hook, call): (&str, &str),
    request: Request,
    came_at: u64,
) -> Result<(), Refused> {
    let (subject, configuration) = subject(app, &build.describe().name, call).await?;
    let proved = genuine::prove_as_of(app, build, configuration, request, came_at, reading(hook)).await;
    let (mut genuine, events) = proved?;
    let outcome = match (events, subject) {
        (Ok(events), Subject::Call(mut call)) => told(app, &mut genuine, events, &mut call).await.map(drop),
        (Ok(events), Subject::Transfer(context)) => transfers::told(app, events, &context).await.map(drop),
        (Err(why), _) => Err(why),
    };
    if outcome.is_err() {
        genuine.forget(app).await;
    }
    outcome
}

/// What a guest does with a callback that it proved.
fn reading(hook: &str) -> impl Fn(&App, &mut Genuine) -> Result<Vec<Event>, Refused> + Send + use<> {
    let hook = hook.to_owned();
    move |app, genuine| genuine.read(app, &hook)
}

/// What a callback's path names.
enum Subject {
    Call(Box<Call>),
    Transfer(Box<transfers::Context>),
}

impl Subject {
    /// The build that reads about it: the one it began on, also when another one serves by now.
    async fn generation(&self, app: &App) -> Result<Arc<Generation>, String> {
        match self {
            Self::Call(call) => app.calls.generation_of(call).await,
            Self::Transfer(context) => app.rollout.generation(&context.provider, &context.generation).await,
        }
    }
}

/// It, and whose account it is.
async fn subject(app: &App, provider: &str, id: &str) -> Result<(Subject, Arc<Configuration>), Refused> {
    if transfers::is_transfer(id) {
        let (context, configuration) = transfers::known(app, provider, id).await?;
        return Ok((Subject::Transfer(Box::new(context)), configuration));
    }
    let stored = app.store.call(id).await.map_err(|error| Refused::Unavailable(error.to_string()))?;
    // An unknown call and another provider's call sound like a wrong signature.
    let call = stored.filter(|call| call.provider == provider).ok_or(Refused::NotGenuine("unrecognised"))?;
    let configuration = app.store.directory().configuration(&call.configuration_id).cloned();
    let configuration = configuration.ok_or(Refused::NotGenuine("unrecognised"))?;
    Ok((Subject::Call(Box::new(call)), configuration))
}

async fn act(app: &App, genuine: &mut Genuine, events: Vec<Event>, mut call: Call) -> Result<Response, Refused> {
    let action = match told(app, genuine, events, &mut call).await? {
        true => instructions(app, &call).await?,
        false => Action::Acknowledge,
    };
    app.metrics.webhook(WebhookOutcome::Accepted);
    answer::checked(genuine.reply(app, Some(guest_call(&call)), action).await?)
}

/// Passes on what happened. Says whether the provider asks how to go on with the call.
async fn told(app: &App, genuine: &mut Genuine, events: Vec<Event>, call: &mut Call) -> Result<bool, Refused> {
    let mut asks = false;
    for event in events {
        let named = match &event {
            Event::Status(update) => &update.provider_id,
            Event::Instructions(instructions) => &instructions.provider_id,
            Event::Stream(update) => &update.provider_id,
            Event::Proceed(next) => &next.provider_id,
            Event::Incoming(_) => return Err(Refused::WrongCall),
            Event::Desk(_) | Event::Message(_) | Event::Ignored(_) | Event::Other(_) => continue,
        };
        about(app, call, named).await?;
        match event {
            Event::Instructions(_) => asks = true,
            Event::Status(_) | Event::Proceed(_) if genuine.is_repeated(app).await? => {}
            Event::Status(update) => app.calls.reported(&call.id, update).await.map_err(Refused::Unavailable)?,
            Event::Proceed(_) => app.sockets().happened(app, &genuine.configuration, event),
            _ => {}
        }
    }
    Ok(asks)
}

/// Is the callback about the call its path names? One that comes before the answer to `place` brings the id along.
async fn about(app: &App, call: &mut Call, named: &str) -> Result<(), Refused> {
    match &call.provider_call_id {
        Some(known) if known == named => Ok(()),
        Some(_) => Err(Refused::WrongCall),
        None => {
            app.calls.learned(&call.id, named).await.map_err(Refused::Unavailable)?;
            call.provider_call_id = Some(named.to_owned());
            Ok(())
        }
    }
}

async fn instructions(app: &App, call: &Call) -> Result<Action, Refused> {
    if call.ended_at.is_some() || app.calls.ending(call) {
        return Ok(Action::HangUp);
    }
    // A caller who is put through is asked about once more.
    let transfer = app.calls.transfer_of(call).await.map_err(|error| Refused::Unavailable(error.to_string()))?;
    if let Some(context) = transfer.filter(|context| context.state == TransferState::Answered) {
        return Ok(context.conference(false));
    }
    app.calls.answered_by_provider(&call.id).await.map_err(Refused::Unavailable)?;
    app.calls.stream_action(call).await.map(Action::Stream).map_err(Refused::Unavailable)
}
