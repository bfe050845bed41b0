//! Callbacks about the destination of a transfer: their path names the transfer, and they are proved as all others.

use axum::response::Response;
use jackfield_calls::{Status, TransferInput};
use jackfield_plugins::types::{Action, Event, Request};

use super::Context;
use crate::App;
use crate::answering::stranger;
use crate::live::status_of;
use crate::metrics::WebhookOutcome;
use crate::webhooks::{Refused, answer, genuine};

/// A request on `/api/v1/telephony/{provider}/{hook}/{transfer}`.
pub(crate) async fn take(
    app: &App,
    provider: &str,
    hook: &str,
    transfer: &str,
    request: Request,
) -> Result<Response, Refused> {
    let found = app.calls.transfer_context(transfer).await.map_err(|error| Refused::Unavailable(error.to_string()))?;
    // One that is over and one that never was sound like a wrong signature.
    let context = found.filter(|context| context.provider == provider).ok_or(Refused::NotGenuine("unrecognised"))?;
    let directory = app.store.directory();
    let configuration = directory.configuration(&context.configuration_id).cloned();
    let configuration = configuration.ok_or(Refused::NotGenuine("unrecognised"))?;
    let generation = app.rollout.generation(provider, &context.generation).await.map_err(Refused::Unavailable)?;
    let mut genuine = genuine::prove(app, &generation, configuration, request).await?;
    let events = genuine.read(app, hook).await?;
    let (mut action, mut leg) = (Action::Acknowledge, String::new());
    for event in events {
        let Some((named, status)) = said(&event) else { continue };
        leg.clone_from(named);
        if matches!(event, Event::Instructions(_)) {
            action = context.conference(true);
        }
        if let Some(status) = status {
            reported(app, &context, named, status).await?;
        }
    }
    app.metrics.webhook(WebhookOutcome::Accepted);
    answer::checked(genuine.reply(app, Some(&stranger(&leg)), &action).await?)
}

/// The leg, and how it stands. Whoever asks what to do was answered.
fn said(event: &Event) -> Option<(&String, Option<Status>)> {
    match event {
        Event::Status(update) => Some((&update.provider_id, status_of(&update.status))),
        Event::Instructions(instructions) => Some((&instructions.provider_id, Some(Status::InProgress))),
        _ => None,
    }
}

async fn reported(app: &App, context: &Context, leg: &str, status: Status) -> Result<(), Refused> {
    let input = TransferInput::Reported { leg: leg.to_owned(), status };
    app.calls.transferring(context, input).await.map_err(Refused::Unavailable)
}

/// The same of a leg whose provider tells by an event socket, and whose name is the transfer's.
pub(crate) async fn heard(app: &App, transfer: &str, status: Status) -> Result<(), String> {
    let found = app.calls.transfer_context(transfer).await.map_err(|error| error.to_string())?;
    let Some(context) = found else { return Ok(()) };
    let input = TransferInput::Reported { leg: transfer.to_owned(), status };
    app.calls.transferring(&context, input).await
}
