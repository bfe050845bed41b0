//! `GET /api/v1/oauth/redirect`: where a provider sends people back to.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;

use crate::sign_ins::{Client, Failed};
use crate::{App, bot};

/// What a provider sends along.
#[derive(Deserialize)]
pub(crate) struct Back {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

/// Somebody comes back from the provider's sign-in.
pub(crate) async fn come_back(State(app): State<App>, Query(back): Query<Back>) -> Response {
    match finish(&app, back).await {
        Ok(()) => (StatusCode::OK, "Signed in. You may close this window.\n").into_response(),
        Err(Failed::Store(why)) => {
            tracing::error!(why, "a sign-in could not be kept");
            (StatusCode::SERVICE_UNAVAILABLE, "Not signed in: try again in a minute.\n").into_response()
        }
        Err(failed) => {
            app.metrics.sign_in_failed();
            (StatusCode::BAD_REQUEST, sentence(&failed)).into_response()
        }
    }
}

fn sentence(failed: &Failed) -> &'static str {
    match failed {
        Failed::UnknownState => "Not signed in: this link was used before, or is too old. Ask the bot for a new one.\n",
        Failed::Declined => "Not signed in: it was declined.\n",
        Failed::NotExchanged(_) => "Not signed in: the provider did not confirm it. Ask the bot for a new link.\n",
        Failed::AnotherPerson => "Not signed in: this link was given to somebody else.\n",
        Failed::Store(_) => "Not signed in.\n",
    }
}

async fn finish(app: &App, back: Back) -> Result<(), Failed> {
    let sign_ins = app.calls.sign_ins();
    // Spent before anything else is looked at, so that it cannot be tried twice.
    let flow = sign_ins.returning(back.state.as_deref().unwrap_or_default()).await?;
    let directory = app.store.directory();
    let configuration = directory.configuration(&flow.configuration_id).cloned().ok_or(Failed::UnknownState)?;
    let generation = app.plugins.current(&configuration.provider).ok_or(Failed::UnknownState)?;
    let client = Client::new(configuration.clone(), generation.describe()).ok_or(Failed::UnknownState)?;
    let outcome = match (back.code, back.error) {
        (Some(code), None) => sign_ins.finish(&client, &flow, &code).await,
        _ => Err(Failed::Declined),
    };
    let told = match &outcome {
        Ok(known) => format!("Signed in. The access token is good until {}.", bot::moment(known.expires_at)),
        Err(Failed::AnotherPerson) => {
            "Somebody else signed in with your link: nothing was kept. /auth again.".to_owned()
        }
        Err(Failed::Declined) => "The sign-in was declined. /auth for another link.".to_owned(),
        Err(_) => "The sign-in did not come about. /auth for another link.".to_owned(),
    };
    bot::tell(app, &configuration, &flow.person, &told).await;
    outcome.map(drop)
}
