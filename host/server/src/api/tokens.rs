//! Tokens for the REST API. One is shown once, when it is made; what is kept is its digest.

use axum::extract::{Path, State};
use http::StatusCode;
use jackfield_store::{ApiToken, DEFAULT_ORGANIZATION, new_id};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::Scope;
use super::json::Json;
use super::page::whole;
use super::{Caller, Kind, Problem};
use crate::App;
use crate::clock::now_ms;
use crate::token;

/// A token as it is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    name: String,
    scopes: Vec<String>,
}

pub(crate) async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(form): Json<Form>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let mut scopes = form.scopes;
    scopes.sort();
    scopes.dedup();
    check(&scopes, &caller)?;
    let secret = token::fresh().map_err(|error| Problem::new(Kind::Internal, error))?;
    let secret = format!("jf_{secret}");
    let token = ApiToken {
        id: new_id("tok"),
        organization_id: caller.organization,
        name: super::name("name", &form.name)?,
        digest: hex::encode(token::digest(&secret)),
        scopes,
        created_at: now_ms(),
        revoked_at: None,
    };
    app.store.create_token(&token).await?;
    let mut shown = show(&token);
    shown["token"] = secret.into();
    Ok((StatusCode::CREATED, axum::Json(shown)))
}

pub(crate) async fn list(State(app): State<App>, caller: Caller) -> Result<axum::Json<Value>, Problem> {
    Ok(whole(app.store.tokens(&caller.organization).await?.iter().map(show).collect()))
}

pub(crate) async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.store.revoke_token(&caller.organization, &id, now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A token gives nobody more than whoever makes it has.
fn check(scopes: &[String], caller: &Caller) -> Result<(), Problem> {
    if scopes.is_empty() || scopes.iter().any(|scope| Scope::parse(scope).is_none()) {
        let known = Scope::ALL.map(|(name, _)| name).join(", ");
        return Err(Problem::invalid(format!("`scopes` is a list of one or more of: {known}")));
    }
    let plugins = scopes.iter().any(|scope| scope == "plugins");
    if plugins && caller.organization != DEFAULT_ORGANIZATION {
        return Err(Problem::invalid("plugins serve every organization: only the default one has tokens for them"));
    }
    if plugins && !caller.may(Scope::Plugins) {
        return Err(Problem::new(Kind::Forbidden, "this token lacks the scope `plugins`, and can give it to nobody"));
    }
    Ok(())
}

fn show(token: &ApiToken) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "created_at": token.created_at,
        "revoked_at": token.revoked_at,
    })
}
