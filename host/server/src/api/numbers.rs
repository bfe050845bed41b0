//! Phone numbers: which configuration has them, and which agent answers.

use axum::extract::{Path, State};
use http::StatusCode;
use jackfield_store::{PhoneNumber, new_id};
use serde::Deserialize;
use serde_json::{Value, json};

use super::address::called;
use super::json::Json;
use super::page::{Paging, page};
use super::{Caller, Problem};
use crate::App;
use crate::clock::now_ms;

type Answer = Result<axum::Json<Value>, Problem>;

/// A number as it is sent. Configuration and agent by id or by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    number: String,
    configuration: String,
    agent: Option<String>,
    label: Option<String>,
}

pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Form>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let number = checked(&app, &caller, &form, new_id("num"), now_ms())?;
    app.store.create_number(&number).await?;
    Ok((StatusCode::CREATED, axum::Json(show(&number))))
}

pub(crate) async fn list(State(app): State<App>, caller: Caller, paging: Paging) -> Answer {
    let found = app.store.list_numbers(&caller.organization, paging.limit, paging.cursor.as_deref()).await?;
    Ok(page(&found, show))
}

pub(crate) async fn read(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(show(&app.store.get_number(&caller.organization, &id).await?)))
}

pub(crate) async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(form): Json<Form>,
) -> Answer {
    let stored = app.store.get_number(&caller.organization, &id).await?;
    let number = checked(&app, &caller, &form, id, stored.created_at)?;
    app.store.update_number(&number).await?;
    Ok(axum::Json(show(&number)))
}

pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.store.delete_number(&caller.organization, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Points the number at this host.
pub(crate) async fn bind(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(json!({ "warnings": app.calls.bind_number(&caller.organization, &id, true).await? })))
}

/// Points the number away from this host.
pub(crate) async fn unbind(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(json!({ "warnings": app.calls.bind_number(&caller.organization, &id, false).await? })))
}

fn checked(app: &App, caller: &Caller, form: &Form, id: String, created_at: i64) -> Result<PhoneNumber, Problem> {
    let directory = app.store.directory();
    let mut configurations = directory.configurations_in(&caller.organization);
    let wanted = &form.configuration;
    let configuration = configurations.find(|known| known.id == *wanted || known.name == *wanted);
    let configuration = configuration.ok_or_else(|| {
        Problem::invalid(format!("there is no configuration `{wanted}`; GET telephony/configurations lists them"))
    })?;
    let agent = form.agent.as_deref().filter(|agent| !agent.is_empty()).map(|wanted| {
        let agent = directory.agent_of(&caller.organization, wanted);
        agent.ok_or_else(|| Problem::invalid(format!("there is no agent `{wanted}`; GET agents lists them")))
    });
    let agent_id = agent.transpose()?.map(|agent| agent.id.clone());
    let label = match form.label.as_deref() {
        None | Some("") => String::new(),
        Some(label) => super::name("label", label)?,
    };
    Ok(PhoneNumber {
        id,
        organization_id: caller.organization.clone(),
        number: called("number", &form.number)?,
        configuration_id: configuration.id.clone(),
        agent_id,
        label,
        created_at,
        updated_at: now_ms(),
    })
}

fn show(number: &PhoneNumber) -> Value {
    json!({
        "id": number.id,
        "number": number.number,
        "configuration": number.configuration_id,
        "agent": number.agent_id,
        "label": number.label,
        "created_at": number.created_at,
        "updated_at": number.updated_at,
    })
}
