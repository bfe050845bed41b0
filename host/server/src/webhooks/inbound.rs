//! A call from outside: which number, which agent, may it come in, and where its audio goes.

use std::sync::Arc;

use axum::response::Response;
use jackfield_plugins::types::{Action, Event, Incoming, RejectReason, Request};
use jackfield_store::{Agent, Inserted, NewCall};

use super::genuine::{self, Genuine};
use super::{Refused, answer};
use crate::App;
use crate::account::guest_call;
use crate::clock::now_ms;
use crate::metrics::WebhookOutcome;

/// The hook's name where it is the number's own webhook.
const HOOK: &str = "inbound";

/// A webhook on the URL that all providers share.
pub(crate) async fn any(app: &App, request: Request) -> Result<Response, Refused> {
    let genuine = genuine::recognise(app, request).await?;
    events(app, genuine).await
}

/// A webhook on a configuration's own URL.
pub(crate) async fn of(app: &App, configuration: &str, request: Request) -> Result<Response, Refused> {
    let directory = app.store.directory();
    let known = directory.configuration(configuration).cloned();
    let configuration = known.ok_or(Refused::NotGenuine("unrecognised"))?;
    let serving = app.plugins.current(&configuration.provider);
    let generation = serving.ok_or_else(|| Refused::Unavailable("its plugin is not loaded".to_owned()))?;
    let genuine = genuine::prove(app, &generation, configuration, request).await?;
    events(app, genuine).await
}

async fn events(app: &App, mut genuine: Genuine) -> Result<Response, Refused> {
    let outcome = match genuine.read(HOOK) {
        Ok(events) => act(app, &mut genuine, events).await,
        // The caller is on the line: a plugin that cannot read may still be able to speak.
        Err(Refused::Plugin(reason)) => speak(&mut genuine, "An application error has occurred. Goodbye.")
            .inspect(|_| tracing::error!(reason, "a plugin failed at an inbound call"))
            .map_err(|_| Refused::Plugin(reason.clone())),
        Err(refused) => Err(refused),
    };
    if outcome.is_err() {
        genuine.forget(app).await;
    }
    outcome
}

async fn act(app: &App, genuine: &mut Genuine, events: Vec<Event>) -> Result<Response, Refused> {
    let mut answer = None;
    for event in events {
        match event {
            Event::Incoming(incoming) if answer.is_none() => answer = Some(admit(app, genuine, incoming).await?),
            Event::Status(update) => {
                // A number's own status callback names no call of ours in its path: the provider's id must do.
                let configuration = &genuine.configuration.id;
                let call = app.store.call_by_provider_id(configuration, &update.provider_id).await;
                if let Some(call) = call.map_err(|error| Refused::Unavailable(error.to_string()))? {
                    app.calls.reported(&call.id, update).await.map_err(Refused::Unavailable)?;
                }
            }
            _ => {}
        }
    }
    app.metrics.webhook(WebhookOutcome::Accepted);
    match answer {
        Some(answer) => Ok(answer),
        None => answer::checked(genuine.reply(None, &Action::Acknowledge)?),
    }
}

async fn admit(app: &App, genuine: &mut Genuine, incoming: Incoming) -> Result<Response, Refused> {
    if app.drain.draining() {
        return Err(Refused::Unavailable("the host is draining".to_owned()));
    }
    let agent = match route(genuine, &incoming) {
        Ok(agent) => agent,
        Err(sentence) => return speak(genuine, sentence),
    };
    let inserted = insert(app, genuine, &incoming, &agent).await?;
    let call = match inserted {
        Inserted::Existing(call) if call.ended_at.is_some() => {
            return answer::checked(genuine.reply(Some(&guest_call(&call)), &Action::HangUp)?);
        }
        Inserted::Existing(call) => call,
        Inserted::New(call) => {
            if !app.calls.has_room() {
                app.calls.refused_for_room(&call).await;
                return answer::checked(genuine.reply(Some(&guest_call(&call)), &Action::Reject(RejectReason::Busy))?);
            }
            app.calls.begin(call.clone(), genuine.generation().pin(), Arc::clone(&genuine.configuration));
            call
        }
    };
    let stream = app.calls.stream_action(&call).await.map_err(Refused::Unavailable)?;
    answer::checked(genuine.reply(Some(&guest_call(&call)), &Action::Stream(stream))?)
}

/// The agent that answers the called number, or what to tell the caller.
fn route(genuine: &Genuine, incoming: &Incoming) -> Result<Arc<Agent>, &'static str> {
    let directory = &genuine.directory;
    let number = directory
        .number(&genuine.configuration.id, &incoming.to)
        .ok_or("This number is not configured. Please check the number and try again. Goodbye.")?;
    let agent = number.agent_id.as_deref().and_then(|id| directory.agent(id));
    agent.cloned().ok_or("No agent answers this number yet. Goodbye.")
}

async fn insert(app: &App, genuine: &Genuine, incoming: &Incoming, agent: &Agent) -> Result<Inserted, Refused> {
    let call = NewCall {
        direction: "inbound".to_owned(),
        status: "ringing".to_owned(),
        provider: genuine.configuration.provider.clone(),
        generation: genuine.generation().digest().to_owned(),
        configuration_id: genuine.configuration.id.clone(),
        agent_id: Some(agent.id.clone()),
        from: incoming.from.clone(),
        to: incoming.to.clone(),
        provider_call_id: Some(incoming.provider_id.clone()),
        memo: incoming.memo.clone(),
        created_at: now_ms(),
    };
    app.store.create_call(call).await.map_err(|error| Refused::Unavailable(error.to_string()))
}

fn speak(genuine: &mut Genuine, sentence: &str) -> Result<Response, Refused> {
    answer::checked(genuine.reply(None, &answer::say(sentence))?)
}
