//! Callbacks about a call the host knows: its path names the call, and so must its content.

use axum::response::Response;
use jackfield_calls::TransferState;
use jackfield_plugins::types::{Action, Event, Request};
use jackfield_store::Call;

use super::genuine::{self, Genuine};
use super::{Refused, answer};
use crate::App;
use crate::account::guest_call;
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
    if transfers::is_transfer(call) {
        return transfers::callback(app, provider, hook, call, request).await;
    }
    let stored = app.store.call(call).await.map_err(|error| Refused::Unavailable(error.to_string()))?;
    // An unknown call and another provider's call sound like a wrong signature.
    let call = stored.filter(|call| call.provider == provider).ok_or(Refused::NotGenuine("unrecognised"))?;
    let directory = app.store.directory();
    let configuration = directory.configuration(&call.configuration_id).cloned();
    let configuration = configuration.ok_or(Refused::NotGenuine("unrecognised"))?;
    // A call is read by the generation it began with, also when another one serves by now.
    let generation = app.calls.generation_of(&call).await.map_err(Refused::Unavailable)?;
    let mut genuine = genuine::prove(app, &generation, configuration, request).await?;
    let outcome = act(app, &mut genuine, hook, call).await;
    if outcome.is_err() {
        genuine.forget(app).await;
    }
    outcome
}

async fn act(app: &App, genuine: &mut Genuine, hook: &str, mut call: Call) -> Result<Response, Refused> {
    let mut action = Action::Acknowledge;
    for event in genuine.read(app, hook).await? {
        let named = match &event {
            Event::Status(update) => &update.provider_id,
            Event::Instructions(instructions) => &instructions.provider_id,
            Event::Stream(update) => &update.provider_id,
            Event::Proceed(next) => &next.provider_id,
            Event::Incoming(_) => return Err(Refused::WrongCall),
            Event::Desk(_) | Event::Message(_) | Event::Ignored(_) | Event::Other(_) => continue,
        };
        about(app, &mut call, named).await?;
        match event {
            Event::Status(update) if !genuine.repeated => {
                app.calls.reported(&call.id, update).await.map_err(Refused::Unavailable)?;
            }
            Event::Proceed(_) if !genuine.repeated => app.sockets().happened(app, &genuine.configuration, event),
            Event::Instructions(_) => action = instructions(app, &call).await?,
            _ => {}
        }
    }
    app.metrics.webhook(WebhookOutcome::Accepted);
    answer::checked(genuine.reply(app, Some(&guest_call(&call)), &action).await?)
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
