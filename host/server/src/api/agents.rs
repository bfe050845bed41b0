//! Agents: who talks to the caller.

use axum::extract::{Path, State};
use http::StatusCode;
use jackfield_agents::{Ambience, Connector};
use jackfield_store::mask::{mask, merge};
use jackfield_store::{Agent, Secret, new_id};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::json::Json;
use super::page::{Paging, page};
use super::{Caller, Problem};
use crate::App;
use crate::clock::now_ms;

type Answer = Result<axum::Json<Value>, Problem>;

/// An agent as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    name: String,
    connector: String,
    url: Option<String>,
    settings: Option<Map<String, Value>>,
    /// Absent or masked: what is stored stays. Empty: there is none.
    secret: Option<String>,
}

pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Form>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let agent = checked(form, caller.organization, new_id("agt"), now_ms(), None)?;
    app.store.create_agent(&agent).await?;
    Ok((StatusCode::CREATED, axum::Json(show(&agent))))
}

pub(crate) async fn list(State(app): State<App>, caller: Caller, paging: Paging) -> Answer {
    let found = app.store.list_agents(&caller.organization, paging.limit, paging.cursor.as_deref()).await?;
    Ok(page(&found, show))
}

pub(crate) async fn read(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(show(&app.store.get_agent(&caller.organization, &id).await?)))
}

pub(crate) async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(form): Json<Form>,
) -> Answer {
    let stored = app.store.get_agent(&caller.organization, &id).await?;
    let agent = checked(form, caller.organization, id, stored.created_at, stored.secret)?;
    app.store.update_agent(&agent).await?;
    Ok(axum::Json(show(&agent)))
}

pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.store.delete_agent(&caller.organization, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn checked(
    form: Form,
    organization_id: String,
    id: String,
    created_at: i64,
    stored: Option<Secret>,
) -> Result<Agent, Problem> {
    let url = form.url.filter(|url| !url.is_empty());
    let settings = Value::Object(form.settings.unwrap_or_default());
    let secret = secret(form.secret, stored)?;
    let proof = secret.as_ref().map(|secret| secret.expose().to_owned().into());
    Connector::parse(&form.connector, url.as_deref(), &settings, proof)
        .map_err(|error| Problem::invalid(error.to_string()))?;
    stands_in(&settings)?;
    Ambience::parse(&settings).map_err(|error| Problem::invalid(error.to_string()))?;
    jackfield_agents::host_barge_in(&settings).map_err(|error| Problem::invalid(error.to_string()))?;
    Ok(Agent {
        id,
        organization_id,
        name: super::name("name", &form.name)?,
        connector: form.connector,
        url,
        settings,
        secret,
        created_at,
        updated_at: now_ms(),
    })
}

/// What the host itself reads of an agent's settings.
fn stands_in(settings: &Value) -> Result<(), Problem> {
    let absent = |name: &str| settings[name].is_null();
    if !absent("fallback") && settings["fallback"].as_str().is_none_or(str::is_empty) {
        return Err(Problem::invalid("the setting `fallback` is the name or id of another agent"));
    }
    if !absent("reconnect") && !settings["reconnect"].is_boolean() {
        return Err(Problem::invalid("the setting `reconnect` is true or false"));
    }
    Ok(())
}

fn secret(sent: Option<String>, stored: Option<Secret>) -> Result<Option<Secret>, Problem> {
    let Some(sent) = sent else { return Ok(stored) };
    let kept =
        merge(&sent, stored.as_ref().map(Secret::expose)).map_err(|wrong| Problem::invalid(wrong.to_string()))?;
    Ok(Some(kept).filter(|kept| !kept.is_empty()).map(|kept| Secret::from(kept.to_owned())))
}

fn show(agent: &Agent) -> Value {
    json!({
        "id": agent.id,
        "name": agent.name,
        "connector": agent.connector,
        "url": agent.url,
        "settings": agent.settings,
        "secret": agent.secret.as_ref().map(|secret| mask(secret.expose())),
        "created_at": agent.created_at,
        "updated_at": agent.updated_at,
    })
}
