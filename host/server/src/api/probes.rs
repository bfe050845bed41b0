//! What machines ask: is it alive, does it take work, how does it fare.

use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use crate::App;

/// A database that does not answer within this cannot be worked with.
const PATIENCE: Duration = Duration::from_secs(1);

/// The process lives. Says nothing about anything it depends on.
pub(crate) async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(json!({ "status": "live" }))
}

/// May new work be sent here?
pub(crate) async fn ready(State(app): State<App>) -> Response {
    let mut reasons = Vec::new();
    if app.drain.draining() {
        reasons.push("the host is draining");
    }
    if !matches!(tokio::time::timeout(PATIENCE, app.store.ping()).await, Ok(Ok(()))) {
        reasons.push("the database cannot be used");
    }
    if !matches!(tokio::time::timeout(PATIENCE, app.shared.ping()).await, Ok(Ok(()))) {
        reasons.push("Redis cannot be used");
    }
    if app.plugins.serving().is_empty() {
        reasons.push("no plugin is loaded");
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}

pub(crate) async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render(&app)).into_response()
}

/// The API in OpenAPI's words.
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::routes::OPENAPI).into_response()
}
