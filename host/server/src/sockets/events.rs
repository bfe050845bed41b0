//! What an event on a socket means for a call.

use std::sync::Arc;
use std::time::Duration;

use jackfield_calls::{Ended, Input};
use jackfield_plugins::types::{Action, Event, Incoming, RejectReason};
use jackfield_store::{Call, Configuration};

use super::lanes::Work;
use crate::App;
use crate::account::guest_call;
use crate::answering::{self, Answer, patiently, stranger};
use crate::live::provider::Provider;
use crate::live::status_of;
use crate::transfers;

/// An event may overtake the answer to the order that placed its call, which brings the provider's id.
const OVERTAKEN: (u32, Duration) = (20, Duration::from_millis(50));

/// Whose event it is, if it is a call's.
pub(super) fn call_of(event: &Event) -> Option<&str> {
    match event {
        Event::Incoming(incoming) => Some(&incoming.provider_id),
        Event::Instructions(instructions) => Some(&instructions.provider_id),
        Event::Status(update) => Some(&update.provider_id),
        Event::Proceed(proceed) => Some(&proceed.provider_id),
        Event::Stream(_) | Event::Desk(_) | Event::Message(_) | Event::Ignored(_) | Event::Other(_) => None,
    }
}

/// Acts on one event. What goes wrong is logged: nobody waits for an answer.
pub(super) async fn act(work: Work) {
    let Work { app, configuration, event } = work;
    let id = configuration.id.clone();
    let outcome = match event {
        Event::Incoming(incoming) => come_in(&app, configuration, &incoming).await,
        Event::Instructions(instructions) => answered(&app, &configuration, &instructions.provider_id).await,
        Event::Status(update) if transfers::is_transfer(&update.provider_id) => match status_of(&update.status) {
            Some(status) => transfers::heard(&app, &update.provider_id, status).await,
            None => Ok(()),
        },
        Event::Status(update) => match find(&app, &configuration, &update.provider_id).await {
            Ok(Some(call)) => app.calls.reported(&call.id, update).await,
            Ok(None) => Ok(()),
            Err(why) => Err(why),
        },
        Event::Proceed(next) => proceed(&app, &configuration, &next.provider_id, &next.step).await,
        Event::Stream(_) | Event::Desk(_) | Event::Message(_) | Event::Ignored(_) | Event::Other(_) => Ok(()),
    };
    if let Err(why) = outcome {
        tracing::warn!(configuration = id, why, "an event could not be acted on");
    }
}

async fn come_in(app: &App, configuration: Arc<Configuration>, incoming: &Incoming) -> Result<(), String> {
    let serving = app.plugins.current(&configuration.provider).ok_or("its plugin is not loaded")?;
    let generation = app.rollout.pick(&serving, &incoming.provider_id);
    let directory = app.store.directory();
    let caller = answering::caller(incoming);
    let told = match answering::offer(app, &generation, &configuration, &directory, incoming) {
        Ok(offer) => answering::admit(app, &generation, &configuration, offer).await,
        Err(why) => Err(why),
    };
    let told = told.unwrap_or_else(|why| {
        tracing::warn!(configuration = configuration.id, %why, "a call could not be let in");
        Answer { call: None, action: Action::Reject(RejectReason::Other("congestion".to_owned())), again: false }
    });
    answering::command(app, app.calls.provider_of(generation, configuration), told, caller);
    Ok(())
}

/// Somebody picked up a call of ours.
async fn answered(app: &App, configuration: &Arc<Configuration>, provider_id: &str) -> Result<(), String> {
    let found = find(app, configuration, provider_id).await?;
    let (provider, action) = match &found {
        Some(call) if call.ended_at.is_none() && !app.calls.ending(call) => {
            app.calls.answered_by_provider(&call.id).await?;
            let stream = app.calls.stream_action(call).await?;
            (provider(app, configuration, Some(call)).await?, Action::Stream(stream))
        }
        // Nobody waits for it any more.
        other => (provider(app, configuration, other.as_ref()).await?, Action::HangUp),
    };
    let answer = Answer { call: found.as_ref().map(guest_call), action, again: false };
    answering::command(app, provider, answer, stranger(provider_id));
    Ok(())
}

async fn proceed(app: &App, configuration: &Arc<Configuration>, id: &str, step: &str) -> Result<(), String> {
    let found = look_up(app, configuration, id).await?;
    let provider = provider(app, configuration, found.as_ref()).await?;
    let call = found.as_ref().map_or_else(|| stranger(id), guest_call);
    let outcome = patiently(&provider, || provider.proceed(Some(&call), step)).await;
    if let (Err(why), Some(call)) = (&outcome, found) {
        let ended = Ended::Fault(format!("the provider did not carry out `{step}`: {why}"));
        app.calls.tell(&call.id, Input::HangUpRequested(ended)).await.ok();
    }
    outcome
}

/// A call is served by the generation it began with.
async fn provider(app: &App, configuration: &Arc<Configuration>, call: Option<&Call>) -> Result<Provider, String> {
    let generation = match call {
        Some(call) => app.calls.generation_of(call).await?,
        None => app.plugins.current(&configuration.provider).ok_or("its plugin is not loaded")?,
    };
    Ok(app.calls.provider_of(generation, Arc::clone(configuration)))
}

async fn look_up(app: &App, configuration: &Configuration, provider_id: &str) -> Result<Option<Call>, String> {
    app.store.call_by_provider_id(&configuration.id, provider_id).await.map_err(|error| error.to_string())
}

async fn find(app: &App, configuration: &Configuration, provider_id: &str) -> Result<Option<Call>, String> {
    let (attempts, pause) = OVERTAKEN;
    for _ in 0..attempts {
        let found = look_up(app, configuration, provider_id).await?;
        if found.is_some() {
            return Ok(found);
        }
        tokio::time::sleep(pause).await;
    }
    Ok(None)
}
