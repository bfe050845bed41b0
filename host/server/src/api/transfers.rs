//! Transfers of a call: begin, look at, cancel.

use axum::extract::{Path, State};
use http::StatusCode;
use jackfield_calls::{TransferInput, TransferMode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::canonical;
use super::json::Json;
use super::{Caller, Problem};
use crate::App;
use crate::transfers::{Context, TransferOrder};

/// A transfer as it is ordered.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    to: String,
    mode: Option<TransferMode>,
    /// Seconds that the destination may ring.
    timeout: Option<u32>,
    announcement: Option<String>,
}

/// What whoever picks up may be told at most, in characters.
const LONGEST_ANNOUNCEMENT: usize = 500;

pub(crate) async fn begin(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(form): Json<Form>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let order = checked(&app, form)?;
    let call = app.calls.call_of(&caller.organization, &id).await?;
    let calls = app.calls.clone();
    // A task of its own: an operator who breaks off must not leave a transfer half begun.
    let begun = tokio::spawn(async move { calls.transfer(&call, order).await });
    let failed =
        |_| Problem::new(super::Kind::Internal, "the host failed; GET calls/{id}/transfer tells what came of it");
    let context = begun.await.map_err(failed)??;
    Ok((StatusCode::CREATED, axum::Json(show(&context))))
}

pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    Ok(axum::Json(show(&known(&app, &caller, &id).await?)))
}

/// Gives up on a destination that has not answered yet.
pub(crate) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let context = known(&app, &caller, &id).await?;
    let told = app.calls.transferring(&context, TransferInput::CancelRequested).await;
    told.map_err(|why| Problem::new(super::Kind::ProviderUnavailable, why))?;
    Ok(StatusCode::ACCEPTED)
}

async fn known(app: &App, caller: &Caller, id: &str) -> Result<Context, Problem> {
    let call = app.calls.call_of(&caller.organization, id).await?;
    let context = app.calls.transfer_of(&call).await?;
    context.ok_or_else(|| Problem::not_found("the call is in no transfer; its events tell what became of earlier ones"))
}

fn checked(app: &App, form: Form) -> Result<TransferOrder, Problem> {
    let ring_seconds = form.timeout.unwrap_or(app.settings.limits.transfer_ring_seconds);
    if !(5..=600).contains(&ring_seconds) {
        return Err(Problem::invalid("`timeout` is 5 to 600 seconds"));
    }
    let announcement = form.announcement.unwrap_or_default();
    if announcement.chars().count() > LONGEST_ANNOUNCEMENT || announcement.chars().any(char::is_control) {
        return Err(Problem::invalid(format!(
            "`announcement` has at most {LONGEST_ANNOUNCEMENT} characters in one line"
        )));
    }
    let mode = form.mode.unwrap_or(TransferMode::Attended);
    Ok(TransferOrder { to: canonical("to", &form.to)?, mode, ring_seconds, announcement })
}

fn show(context: &Context) -> Value {
    json!({
        "id": context.transfer_id,
        "call": context.call_id,
        "to": context.target_number,
        "mode": context.mode,
        "state": context.state,
        "reason": context.reason,
        "provider_leg": context.call_sid,
    })
}
