//! Organizations: whom everything belongs to, and how much of the host they may have.

use axum::extract::{Path, State};
use http::StatusCode;
use jackfield_store::{Organization, new_id};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Problem;
use super::json::Json;
use super::page::whole;
use crate::App;
use crate::clock::now_ms;

/// An organization as it is sent. A limit that is absent is none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    name: String,
    max_calls: Option<i64>,
    calls_per_second: Option<i64>,
    minutes_per_month: Option<i64>,
}

pub(crate) async fn create(
    State(app): State<App>,
    Json(form): Json<Form>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let organization = checked(form, new_id("org"), now_ms())?;
    app.store.create_organization(&organization).await?;
    Ok((StatusCode::CREATED, axum::Json(show(&app, &organization).await?)))
}

pub(crate) async fn list(State(app): State<App>) -> Result<axum::Json<Value>, Problem> {
    let mut items = Vec::new();
    for organization in app.store.directory().organizations() {
        items.push(show(&app, organization).await?);
    }
    Ok(whole(items))
}

pub(crate) async fn read(State(app): State<App>, Path(id): Path<String>) -> Result<axum::Json<Value>, Problem> {
    Ok(axum::Json(show(&app, &known(&app, &id)?).await?))
}

pub(crate) async fn replace(
    State(app): State<App>,
    Path(id): Path<String>,
    Json(form): Json<Form>,
) -> Result<axum::Json<Value>, Problem> {
    let stored = known(&app, &id)?;
    let organization = checked(form, id, stored.created_at)?;
    app.store.update_organization(&organization).await?;
    Ok(axum::Json(show(&app, &organization).await?))
}

fn known(app: &App, id: &str) -> Result<Organization, Problem> {
    let organization = app.store.directory().organization(id).cloned();
    organization.ok_or_else(|| Problem::not_found(format!("there is no organization `{id}`")))
}

fn checked(form: Form, id: String, created_at: i64) -> Result<Organization, Problem> {
    Ok(Organization {
        id,
        name: super::name("name", &form.name)?,
        max_calls: limit("max_calls", form.max_calls)?,
        calls_per_second: limit("calls_per_second", form.calls_per_second)?,
        minutes_per_month: limit("minutes_per_month", form.minutes_per_month)?,
        created_at,
        updated_at: now_ms(),
    })
}

/// None, or no less than nothing.
pub(super) fn limit(name: &str, value: Option<i64>) -> Result<Option<i64>, Problem> {
    match value {
        Some(value) if value < 0 => Err(Problem::invalid(format!("`{name}` is 0 or more; leave it out for no limit"))),
        value => Ok(value),
    }
}

async fn show(app: &App, organization: &Organization) -> Result<Value, Problem> {
    let used = app.store.seconds_used(&organization.id, now_ms()).await?;
    Ok(json!({
        "id": organization.id,
        "name": organization.name,
        "max_calls": organization.max_calls,
        "calls_per_second": organization.calls_per_second,
        "minutes_per_month": organization.minutes_per_month,
        // What counts against them now.
        "calls": app.shared.calls_counted(&organization.id).await?,
        "minutes_this_month": used / 60,
        "created_at": organization.created_at,
        "updated_at": organization.updated_at,
    }))
}
