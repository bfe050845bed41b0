//! Calls: place, look at, hang up.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use jackfield_store::{Call, CallEvent, CallFilter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::address::canonical;
use super::idempotency::{Answer, Slot};
use super::json::Json;
use super::page::{Paging, page};
use super::{Caller, Kind, Problem};
use crate::App;
use crate::call_service::CallProblem;
use crate::placing::PlaceOrder;

/// An outbound call as it is ordered. Agent and configuration by id or by name.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    agent: String,
    to: String,
    from: Option<String>,
    configuration: Option<String>,
}

pub(crate) async fn place(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Json(order): Json<Order>,
) -> Result<Response, Problem> {
    let fingerprint = serde_json::to_vec(&order).map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
    let mut order = checked(&caller.organization, order)?;
    let slot = app.answered().slot(&headers, &caller.organization, &fingerprint, Instant::now())?;
    order.key = slot.as_ref().map(|slot| slot.key.clone());
    // A task of its own: an operator who breaks off must not leave an order half carried out.
    let work = tokio::spawn(carry_out(app, order, slot));
    let call =
        work.await.map_err(|_| Problem::new(Kind::Internal, "the host failed; GET calls shows what came of it"))??;
    let location = format!("/api/v1/calls/{}", call["id"].as_str().unwrap_or_default());
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(call)).into_response())
}

/// Filters beside `limit` and `cursor`; times in Unix milliseconds.
const FILTERS: [&str; 8] =
    ["status", "direction", "configuration", "agent", "from", "to", "created_from", "created_before"];

pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<Value>, Problem> {
    let (paging, filters) = Paging::with_filters(query.as_deref().unwrap_or_default(), &FILTERS)?;
    let filter = filter(&filters)?;
    let (limit, cursor) = (paging.limit, paging.cursor.as_deref());
    let found = app.store.list_calls(&caller.organization, &filter, limit, cursor).await?;
    Ok(page(&found, show))
}

fn filter(filters: &BTreeMap<String, String>) -> Result<CallFilter, Problem> {
    let text = |name: &str| filters.get(name).cloned();
    let time = |name: &str| match filters.get(name).map(|text| text.parse::<i64>()) {
        None => Ok(None),
        Some(Ok(time)) if time >= 0 => Ok(Some(time)),
        Some(_) => Err(Problem::new(Kind::Malformed, format!("`{name}` is a time in Unix milliseconds"))),
    };
    Ok(CallFilter {
        status: text("status"),
        direction: text("direction"),
        configuration_id: text("configuration"),
        agent_id: text("agent"),
        from: text("from"),
        to: text("to"),
        created_from: time("created_from")?,
        created_before: time("created_before")?,
    })
}

pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    let call = app.calls.call_of(&caller.organization, &id).await?;
    let events = app.store.call_events(&id).await?;
    let mut shown = show(&call);
    shown["events"] = events.iter().map(show_event).collect();
    // While it is up; at its end they are in its events.
    shown["audio"] = app.calls.audio_of(&call).await.into();
    Ok(axum::Json(shown))
}

pub(crate) async fn hang_up(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    app.calls.hang_up(&caller.organization, &id).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(json!({ "id": id }))))
}

fn checked(organization: &str, order: Order) -> Result<PlaceOrder, Problem> {
    Ok(PlaceOrder {
        organization: organization.to_owned(),
        key: None,
        agent: order.agent,
        to: canonical("to", &order.to)?,
        from: order.from.map(|from| canonical("from", &from)).transpose()?,
        configuration: order.configuration,
    })
}

async fn carry_out(app: App, order: PlaceOrder, slot: Option<Slot>) -> Result<Value, Problem> {
    let Some(slot) = slot else { return Ok(show(&app.calls.place(order).await?)) };
    let mut answer = slot.answer.lock().await;
    match &*answer {
        Some(Answer::Done(call)) => return Ok(call.clone()),
        Some(Answer::Unknown(why)) => {
            let detail = format!(
                "an earlier order with this Idempotency-Key may have been carried out ({why}); look at GET calls, then take a new key"
            );
            return Err(Problem::new(Kind::Conflict, detail));
        }
        None => {}
    }
    match app.calls.place(order).await {
        Ok(call) => {
            let call = show(&call);
            *answer = Some(Answer::Done(call.clone()));
            Ok(call)
        }
        Err(problem) => {
            // Everything else is known not to have rung, and may be ordered again.
            if matches!(problem, CallProblem::Plugin(_) | CallProblem::Store(_)) {
                *answer = Some(Answer::Unknown(problem.to_string()));
            }
            Err(problem.into())
        }
    }
}

fn show(call: &Call) -> Value {
    let cost = call.cost_amount.as_ref().map(|amount| json!({ "amount": amount, "currency": call.cost_currency }));
    json!({
        "id": call.id,
        "direction": call.direction,
        "status": call.status,
        "provider": call.provider,
        "provider_call_id": call.provider_call_id,
        "generation": call.generation,
        "configuration": call.configuration_id,
        "agent": call.agent_id,
        "from": call.from,
        "to": call.to,
        "created_at": call.created_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "duration_s": call.duration_s,
        "cost": cost,
        "end_reason": call.end_reason,
        "recording": call.recording,
    })
}

fn show_event(event: &CallEvent) -> Value {
    json!({ "seq": event.seq, "at": event.at, "kind": event.kind, "data": event.data })
}
