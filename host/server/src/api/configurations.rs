//! Telephony configurations: accounts with providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use http::StatusCode;
use jackfield_plugins::Generation;
use jackfield_store::{Configuration, Secret, new_id};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account_form::{Sent, Wrong, fill, shown};
use super::json::Json;
use super::page::{Paging, page};
use super::{Caller, Kind, Problem};
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
    /// Places calls where an order names no configuration.
    #[serde(default)]
    default: bool,
    max_calls: Option<i64>,
    calls_per_second: Option<i64>,
    /// For so long after a change, webhooks are also taken that are proved by the secrets before it.
    #[serde(default)]
    overlap_seconds: u32,
}

pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Form>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let (id, now) = (new_id("cfg"), now_ms());
    let configuration = checked(&app, caller.organization, form, None, id, now)?;
    app.store.create_configuration(&configuration).await?;
    Ok((StatusCode::CREATED, axum::Json(show(&app, &configuration))))
}

pub(crate) async fn list(State(app): State<App>, caller: Caller, paging: Paging) -> Answer {
    let found = app.store.list_configurations(&caller.organization, paging.limit, paging.cursor.as_deref()).await?;
    Ok(page(&found, |configuration| show(&app, configuration)))
}

pub(crate) async fn read(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(show(&app, &app.store.get_configuration(&caller.organization, &id).await?)))
}

pub(crate) async fn replace(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(form): Json<Form>,
) -> Answer {
    let stored = app.store.get_configuration(&caller.organization, &id).await?;
    if form.provider != stored.provider {
        return Err(Problem::invalid("a configuration stays with its provider; delete it and make another"));
    }
    let configuration = checked(&app, caller.organization, form, Some(&stored), id, stored.created_at)?;
    app.store.update_configuration(&configuration).await?;
    Ok(axum::Json(show(&app, &configuration)))
}

pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.store.delete_configuration(&caller.organization, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks the provider whether the credentials work.
pub(crate) async fn probe(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Answer {
    app.calls.probe(&caller.organization, &id).await?;
    Ok(axum::Json(json!({ "ok": true })))
}

/// The numbers of the account, as the provider lists them.
pub(crate) async fn available_numbers(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    paging: Paging,
) -> Answer {
    let (numbers, next) = app.calls.list_numbers(&caller.organization, &id, paging.cursor).await?;
    Ok(axum::Json(json!({ "items": numbers, "next": next })))
}

/// The configuration that is to be, if host and plugin find nothing wrong with it.
fn checked(
    app: &App,
    organization_id: String,
    form: Form,
    stored: Option<&Configuration>,
    id: String,
    created_at: i64,
) -> Result<Configuration, Problem> {
    let generation = serving(app, &form.provider)?;
    let filled = fill(generation.describe(), &form.fields, stored).map_err(wrong)?;
    let previous = stored.map(|stored| replaced(stored, &filled.secrets, form.overlap_seconds)).unwrap_or_default();
    let configuration = Configuration {
        id,
        organization_id,
        previous,
        is_default: form.default,
        max_calls: super::organizations::limit("max_calls", form.max_calls)?,
        calls_per_second: super::organizations::limit("calls_per_second", form.calls_per_second)?,
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

/// Secrets that still prove webhooks for a while: those of this change, and of changes before whose time is not over.
fn replaced(
    stored: &Configuration,
    secrets: &BTreeMap<String, Secret>,
    overlap_seconds: u32,
) -> BTreeMap<String, (Secret, i64)> {
    let now = now_ms();
    let mut previous = stored.previous.clone();
    previous.retain(|_, (_, until)| *until > now);
    let until = now + i64::from(overlap_seconds) * 1_000;
    for (field, old) in &stored.secrets {
        if overlap_seconds > 0 && secrets.get(field) != Some(old) {
            previous.insert(field.clone(), (old.clone(), until));
        }
    }
    previous
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
        "default": configuration.is_default,
        "max_calls": configuration.max_calls,
        "calls_per_second": configuration.calls_per_second,
        // Until when the secrets before the last change still prove webhooks.
        "overlaps": configuration.previous.iter().map(|(field, (_, until))| (field, until)).collect::<BTreeMap<_, _>>(),
        "webhook_url": format!("{public}/api/v1/telephony/inbound/{}", configuration.id),
        // How its event socket stands; null for a provider that posts webhooks.
        "socket": app.sockets().standing(&configuration.id),
        "created_at": configuration.created_at,
        "updated_at": configuration.updated_at,
    })
}
