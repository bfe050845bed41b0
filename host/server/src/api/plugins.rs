//! Plugins: what serves, new builds in, and back to the build before.

use std::time::Duration;

use axum::extract::{Path, RawQuery, Request, State};
use jackfield_plugins::{Granted, PluginGrants, PluginSummary};
use jackfield_store::RolloutRecord;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::json::{Json, content_type, refused};
use super::page::whole;
use super::{Caller, Kind, Problem};
use crate::App;
use crate::http::read_within;
use crate::metrics::DrainedBy;
use crate::rollout::{Begun, Origin, Plan, RolloutError};

type Answer = Result<axum::Json<Value>, Problem>;

pub(crate) async fn list(State(app): State<App>) -> Answer {
    Ok(whole(app.plugins.list().iter().map(|plugin| json!(plugin)).collect()))
}

pub(crate) async fn read(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let plugin = find(&app, &name)?;
    let mut shown = json!(plugin);
    shown["breaker"] = app.rollout.held_back(&plugin.digest);
    Ok(axum::Json(shown))
}

/// New bytes for a plugin.
pub(crate) async fn upload(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Answer {
    let kind = content_type(request.headers());
    // Read first, whatever is to be said: with an answer in mid-upload goes the connection, and the answer may be lost with it.
    let most = app.plugins.limits().upload;
    let body = read_within(request.into_body(), most, app.settings.limits.whole_upload()).await;
    let bytes = body.map_err(|refusal| refused(refusal, most))?.to_vec();
    if !matches!(kind.as_str(), "application/wasm" | "application/octet-stream") {
        let detail = "send the component's bytes as application/wasm";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    let plan = Wanted::parse(query.as_deref().unwrap_or_default())?.plan()?;
    // A task of its own: what is recorded is also promoted, even if the sender breaks off in between.
    let rollout = app.rollout.clone();
    let origin = Origin { source: "api", who: caller.organization };
    begun(tokio::spawn(async move { rollout.begin(&name, bytes, origin, plan).await })).await
}

async fn begun(work: JoinHandle<Result<Begun, RolloutError>>) -> Answer {
    let begun =
        work.await.map_err(|_| Problem::new(Kind::Internal, "the checks failed; the old build serves on"))??;
    Ok(axum::Json(json!(begun)))
}

/// Other grants for the build that serves.
pub(crate) async fn grant(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Json(grants): Json<PluginGrants>,
) -> Answer {
    regrant(&app, caller, name, query, Granted::ByOrder(grants)).await
}

/// Back to what the settings grant.
pub(crate) async fn grant_by_settings(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    regrant(&app, caller, name, query, Granted::BySettings).await
}

async fn regrant(app: &App, caller: Caller, name: String, query: Option<String>, granted: Granted) -> Answer {
    let plan = Wanted::parse(query.as_deref().unwrap_or_default())?.plan()?;
    let rollout = app.rollout.clone();
    let origin = Origin { source: "grants", who: caller.organization };
    // A task of its own, as for new bytes.
    begun(tokio::spawn(async move { rollout.regrant(&name, granted, origin, plan).await })).await
}

/// What a build is to go through before it serves: `shadow=5m`, `canary=10%`, `canary_for=10m`.
#[derive(Debug, Default)]
struct Wanted {
    shadow: Option<String>,
    canary: Option<String>,
    canary_for: Option<String>,
}

/// A share is tried for so long, if nobody says for how long.
const CANARY: Duration = Duration::from_secs(600);
const LONGEST: u64 = 7 * 24 * 60 * 60;

impl Wanted {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "shadow" => &mut wanted.shadow,
                "canary" => &mut wanted.canary,
                "canary_for" => &mut wanted.canary_for,
                _ => {
                    let detail = format!("`{name}` is no parameter; there are `shadow`, `canary` and `canary_for`");
                    return Err(Problem::new(Kind::Malformed, detail));
                }
            };
            *slot = Some(value.into_owned());
        }
        Ok(wanted)
    }

    fn plan(&self) -> Result<Plan, Problem> {
        let shadow = self.shadow.as_deref().map(|text| lasting("shadow", text)).transpose()?;
        let share = |text: &str| {
            let share = text.trim_end_matches('%').parse().ok().filter(|share| (1..=100).contains(share));
            share.ok_or_else(|| Problem::new(Kind::Malformed, "`canary` is 1% to 100%"))
        };
        let lasting = self.canary_for.as_deref().map(|text| lasting("canary_for", text)).transpose()?;
        let canary = self.canary.as_deref().map(share).transpose()?.map(|share| (share, lasting.unwrap_or(CANARY)));
        Ok(Plan { shadow, canary })
    }
}

/// `90s`, `5m`, `2h`.
fn lasting(name: &str, text: &str) -> Result<Duration, Problem> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let factor = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        _ => None,
    };
    let seconds = factor.zip(number.parse::<u64>().ok()).and_then(|(factor, number)| number.checked_mul(factor));
    let seconds = seconds.filter(|seconds| (1..=LONGEST).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Problem::new(Kind::Malformed, format!("`{name}` is a time such as 90s, 5m or 2h, a week at most"))
    })
}

/// What became of the attempts to bring builds of it into service, newest first.
pub(crate) async fn rollouts(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let known = app.store.rollouts(&name).await?;
    Ok(whole(known.iter().map(show_rollout).collect()))
}

/// Takes the build on trial off it.
pub(crate) async fn abort(State(app): State<App>, Path(name): Path<String>) -> Answer {
    match app.rollout.abort(&name) {
        true => Ok(axum::Json(json!({ "plugin": name }))),
        false => Err(Problem::not_found(format!("no build of `{name}` is on trial"))),
    }
}

/// Lets a plugin in again that the breaker took out, and its inputs.
pub(crate) async fn release(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let plugin = find(&app, &name)?;
    app.rollout.release(&plugin.digest);
    Ok(axum::Json(json!({ "plugin": name, "digest": plugin.digest })))
}

/// Calls of exports that one trace may hold.
const MOST_EXPORTS: usize = 100_000;

/// Has the next calls of a plugin's exports taken down; `exports=0` ends it and forgets them.
pub(crate) async fn record(State(app): State<App>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Answer {
    let query = query.unwrap_or_default();
    let wanted = query.strip_prefix("exports=").and_then(|number| number.parse().ok());
    let Some(exports) = wanted.filter(|exports| *exports <= MOST_EXPORTS) else {
        let detail = format!("say how many calls of exports are to be taken down: `exports`, 0 to {MOST_EXPORTS}");
        return Err(Problem::new(Kind::Malformed, detail));
    };
    if !app.plugins.record(&name, exports) {
        return Err(Problem::not_found(format!("no plugin is called `{name}`; GET plugins lists them")));
    }
    tracing::info!(plugin = name, exports, "a plugin is recorded");
    Ok(axum::Json(json!({ "plugin": name, "exports": exports })))
}

/// What was taken down so far.
pub(crate) async fn trace(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let recorded = app.plugins.recorded(&name);
    let (entries, more) = recorded.ok_or_else(|| Problem::not_found(format!("`{name}` is not recorded")))?;
    Ok(axum::Json(json!({ "plugin": name, "done": !more, "entries": entries })))
}

fn show_rollout(known: &RolloutRecord) -> Value {
    json!({
        "id": known.id, "plugin": known.plugin, "digest": known.digest, "previous": known.previous,
        "source": known.source, "who": known.who, "state": known.state, "reason": known.reason,
        "stages": known.stages, "figures": known.figures, "began_at": known.began_at, "updated_at": known.updated_at,
    })
}

/// Back to the build before, for new calls.
pub(crate) async fn rollback(State(app): State<App>, Path(name): Path<String>) -> Answer {
    let digest = app.rollout.rollback(&name).await?;
    Ok(axum::Json(json!({ "digest": digest })))
}

/// How many calls are still on earlier builds, and with `force=true` their end.
pub(crate) async fn drain(State(app): State<App>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Answer {
    let plugin = find(&app, &name)?;
    let force = match query.as_deref().unwrap_or_default() {
        "" | "force=false" => false,
        "force=true" => true,
        _ => return Err(Problem::new(Kind::Malformed, "there is `force`, which is true or false")),
    };
    let calls = app.calls.on_other_builds(&name, &plugin.digest).await?;
    let left = calls.len();
    let ended = if force { app.calls.hang_up_these(calls).await } else { 0 };
    if ended > 0 {
        app.metrics.drained(DrainedBy::Force, ended);
        tracing::info!(plugin = name, ended, "calls on earlier builds were ended");
    }
    Ok(axum::Json(json!({ "plugin": name, "digest": plugin.digest, "calls": left, "ended": ended })))
}

fn find(app: &App, name: &str) -> Result<PluginSummary, Problem> {
    let found = app.plugins.list().into_iter().find(|plugin| plugin.name == name);
    found.ok_or_else(|| Problem::not_found(format!("no plugin is called `{name}`; GET plugins lists them")))
}
