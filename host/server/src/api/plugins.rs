//! Plugins: what serves, new builds in, and back to the build before.

use axum::extract::{Path, Request, State};
use jackfield_plugins::PluginSummary;
use serde_json::{Value, json};

use super::json::{content_type, refused};
use super::page::whole;
use super::{Kind, Problem};
use crate::App;
use crate::http::read_within;

type Answer = Result<axum::Json<Value>, Problem>;

pub(crate) async fn list(State(app): State<App>) -> Answer {
    Ok(whole(app.plugins.list().iter().map(|plugin| json!(plugin)).collect()))
}

pub(crate) async fn read(State(app): State<App>, Path(name): Path<String>) -> Answer {
    Ok(axum::Json(json!(find(&app, &name)?)))
}

/// New bytes for a plugin.
pub(crate) async fn upload(State(app): State<App>, Path(name): Path<String>, request: Request) -> Answer {
    let kind = content_type(request.headers());
    if !matches!(kind.as_str(), "application/wasm" | "application/octet-stream") {
        let detail = "send the component's bytes as application/wasm";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    let most = app.plugins.limits().upload;
    let body = read_within(request.into_body(), most, app.settings.limits.whole_upload()).await;
    let bytes = body.map_err(|refusal| refused(refusal, most))?.to_vec();
    // A task of its own: what is recorded is also promoted, even if the sender breaks off in between.
    let rollout = app.rollout.clone();
    let work = tokio::spawn(async move { rollout.admit(&name, bytes, "api").await });
    let admission =
        work.await.map_err(|_| Problem::new(Kind::Internal, "the checks failed; the old build serves on"))??;
    Ok(axum::Json(json!(admission)))
}

/// Back to the build before, for new calls.
pub(crate) async fn rollback(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let digest = app.rollout.rollback(&name).await?;
    Ok(axum::Json(json!({ "digest": digest })))
}

fn find(app: &App, name: &str) -> Result<PluginSummary, Problem> {
    let found = app.plugins.list().into_iter().find(|plugin| plugin.name == name);
    found.ok_or_else(|| Problem::not_found(format!("no plugin is called `{name}`; GET plugins lists them")))
}
