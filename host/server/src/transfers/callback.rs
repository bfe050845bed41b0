//! Callbacks about the destination of a transfer: their path names the transfer, and they are proved as all others.

use std::sync::Arc;

use axum::response::Response;
use jackfield_calls::{Status, TransferInput};
use jackfield_plugins::types::{Action, Event};
use jackfield_store::Configuration;

use super::Context;
use crate::App;
use crate::answering::stranger;
use crate::live::status_of;
use crate::metrics::WebhookOutcome;
use crate::webhooks::genuine::Genuine;
use crate::webhooks::{Refused, answer};

/// The transfer that a path names, and whose account it is.
pub(crate) async fn known(app: &App, provider: &str, transfer: &str) -> Result<(Context, Arc<Configuration>), Refused> {
    let found = app.calls.transfer_context(transfer).await.map_err(|error| Refused::Unavailable(error.to_string()))?;
    // One that is over and one that never was sound like a wrong signature.
    let context = found.filter(|context| context.provider == provider).ok_or(Refused::NotGenuine("unrecognised"))?;
    let directory = app.store.directory();
    let configuration = directory.configuration(&context.configuration_id).cloned();
    let configuration = configuration.ok_or(Refused::NotGenuine("unrecognised"))?;
    Ok((context, configuration))
}

/// Takes a callback that was proved, and answers it.
pub(crate) async fn act(
    app: &App,
    genuine: &mut Genuine,
    events: Vec<Event>,
    context: &Context,
) -> Result<Response, Refused> {
    let (action, leg) = told(app, events, context).await?;
    app.metrics.webhook(WebhookOutcome::Accepted);
    answer::checked(genuine.reply(app, Some(stranger(&leg)), action).await?)
}

/// Passes on what happened. Says what the leg is told, and which it is.
pub(crate) async fn told(app: &App, events: Vec<Event>, context: &Context) -> Result<(Action, String), Refused> {
    let (mut action, mut leg) = (Action::Acknowledge, String::new());
    for event in events {
        let Some((named, status)) = said(&event) else { continue };
        leg.clone_from(named);
        if matches!(event, Event::Instructions(_)) {
            action = context.conference(true);
        }
        if let Some(status) = status {
            reported(app, context, named, status).await?;
        }
    }
    Ok((action, leg))
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
