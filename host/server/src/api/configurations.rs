//! Telephony configurations: accounts with providers.

use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use jackfield_plugins::Generation;
use jackfield_store::{Configuration, new_id};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account_form::{Sent, Wrong, fill, shown};
use super::json::Json;
use super::page::{Paging, page};
use super::{Kind, Problem};
use crate::App;
use crate::account::account_of;
use crate::clock::now_ms;

type Answer = Result<axum::Json<Value>, Problem>;

/// A configuration as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    name: String,
    provider: String,
    fields: Sent,
}

pub(crate) async fn create(
    State(app): State<App>,
    Json(form): Json<Form>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let (id, now) = (new_id("cfg"), now_ms());
    let configuration = checked(&app, form, None, id, now)?;
    app.store.create_configuration(&configuration).await?;
    Ok((StatusCode::CREATED, axum::Json(show(&app, &configuration))))
}

pub(crate) async fn list(State(app): State<App>, paging: Paging) -> Answer {
    let found = app.store.list_configurations(paging.limit, paging.cursor.as_deref()).await?;
    Ok(page(&found, |configuration| show(&app, configuration)))
}

pub(crate) async fn read(State(app): State<App>, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(show(&app, &app.store.get_configuration(&id).await?)))
}

pub(crate) async fn replace(State(app): State<App>, Path(id): Path<String>, Json(form): Json<Form>) -> Answer {
    let stored = app.store.get_configuration(&id).await?;
    if form.provider != stored.provider {
        return Err(Problem::invalid("a configuration stays with its provider; delete it and make another"));
    }
    let configuration = checked(&app, form, Some(&stored), id, stored.created_at)?;
    app.store.update_configuration(&configuration).await?;
    Ok(axum::Json(show(&app, &configuration)))
}

pub(crate) async fn delete(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    app.store.delete_configuration(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks the provider whether the credentials work.
pub(crate) async fn probe(State(app): State<App>, Path(id): Path<String>) -> Answer {
    app.calls.probe(&id).await?;
    Ok(axum::Json(json!({ "ok": true })))
}

/// The numbers of the account, as the provider lists them.
pub(crate) async fn available_numbers(State(app): State<App>, Path(id): Path<String>, paging: Paging) -> Answer {
    let (numbers, next) = app.calls.list_numbers(&id, paging.cursor).await?;
    Ok(axum::Json(json!({ "items": numbers, "next": next })))
}

/// The configuration that is to be, if host and plugin find nothing wrong with it.
fn checked(
    app: &App,
    form: Form,
    stored: Option<&Configuration>,
    id: String,
    created_at: i64,
) -> Result<Configuration, Problem> {
    let generation = serving(app, &form.provider)?;
    let filled = fill(generation.describe(), &form.fields, stored).map_err(wrong)?;
    let configuration = Configuration {
        id,
        name: super::name("name", &form.name)?,
        provider: form.provider,
        fields: filled.fields,
        secrets: filled.secrets,
        created_at,
        updated_at: now_ms(),
    };
    let problems = generation.check(&account_of(&configuration));
    let problems = problems.map_err(|error| Problem::new(Kind::PluginFailed, error.to_string()))?;
    if problems.is_empty() {
        return Ok(configuration);
    }
    Err(wrong(problems.into_iter().map(|problem| Wrong { field: problem.field, message: problem.message }).collect()))
}

fn serving(app: &App, provider: &str) -> Result<Arc<Generation>, Problem> {
    app.plugins.current(provider).ok_or_else(|| {
        let loaded = app.plugins.names().join(", ");
        Problem::invalid(format!("no plugin for `{provider}` is loaded; there are: {loaded}"))
    })
}

fn wrong(errors: Vec<Wrong>) -> Problem {
    let first = errors.iter().map(|wrong| format!("`{}` {}", wrong.field, wrong.message));
    let detail = first.collect::<Vec<_>>().join("; ");
    Problem::invalid(detail).with("errors", json!(errors))
}

fn show(app: &App, configuration: &Configuration) -> Value {
    let generation = app.plugins.current(&configuration.provider);
    let provider = generation.as_ref().map(|generation| generation.describe());
    let public = app.settings.public_url.trim_end_matches('/');
    json!({
        "id": configuration.id,
        "name": configuration.name,
        "provider": configuration.provider,
        "fields": shown(provider, configuration),
        "webhook_url": format!("{public}/api/v1/telephony/inbound/{}", configuration.id),
        // How its event socket stands; null for a provider that posts webhooks.
        "socket": app.sockets().standing(&configuration.id),
        "created_at": configuration.created_at,
        "updated_at": configuration.updated_at,
    })
}
