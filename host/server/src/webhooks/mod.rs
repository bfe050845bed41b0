//! Provider-facing webhooks: who sent it, is it genuine, what does it say, what is the answer.
//!
//! Order is the promise here: nothing is stored, and no plugin function beyond `identify` and `authenticate` is called,
//! before a proof held. Whoever cannot prove anything hears one constant refusal, whatever exists behind it.

pub(crate) mod answer;
mod backlog;
mod callback;
mod dialled;
pub(crate) mod genuine;
mod inbound;
mod redacted;

use axum::extract::{Extension, Path, Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use jackfield_plugins::types::Request;

use crate::App;
use crate::http::{Client, bucket};
use crate::metrics::WebhookOutcome;

pub(crate) use backlog::Backlog;
pub use backlog::keep_backlog;
pub(crate) use genuine::told;

/// `/api/v1/telephony/inbound/run`: one URL for every provider.
pub(crate) async fn inbound_any(
    State(app): State<App>,
    Extension(Client(sender)): Extension<Client>,
    request: HttpRequest,
) -> Response {
    let sender = bucket(sender);
    take(app, request, move |app, request| async move { inbound::any(&app, request, sender).await }).await
}

/// `/api/v1/telephony/inbound/{configuration}`: the account is known before anything is looked at.
pub(crate) async fn inbound_of(
    State(app): State<App>,
    Path(configuration): Path<String>,
    request: HttpRequest,
) -> Response {
    take(app, request, |app, request| async move { inbound::of(&app, &configuration, request).await }).await
}

/// `/api/v1/telephony/{provider}/{hook}/{call}`: callbacks about one call.
pub(crate) async fn callback(
    State(app): State<App>,
    Path((provider, hook, call)): Path<(String, String, String)>,
    request: HttpRequest,
) -> Response {
    take(app, request, |app, request| async move { callback::take(&app, &provider, &hook, &call, request).await }).await
}

/// Why a webhook got no ordinary answer.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nothing proved. Says the same to everyone.
    NotGenuine(&'static str),
    /// Genuine, and not about what its path names.
    WrongCall,
    /// Genuine, and not to be understood.
    Malformed(String),
    /// The plugin failed. Its fault, not the sender's.
    Plugin(String),
    /// This very input made the plugin fail twice: it is not asked again.
    Quarantined,
    /// The plugin keeps failing and is not asked for a while.
    Out(String),
    /// Not now: the sender should come again.
    Unavailable(String),
}

impl Refused {
    /// Which of two plugins' refusals of one request says more: a failure, else the reason of the one that recognised it.
    fn or(self, later: Self) -> Self {
        match (&self, &later) {
            (Self::NotGenuine("unrecognised"), _) => later,
            (Self::NotGenuine(_), Self::NotGenuine("unrecognised")) => self,
            (Self::NotGenuine(_), _) => later,
            _ => self,
        }
    }
}

/// Reads the body within its limits, does the work, and answers in time even if the work takes longer.
async fn take<F, W>(app: App, request: HttpRequest, work: F) -> Response
where
    F: FnOnce(App, Request) -> W,
    W: Future<Output = Result<Response, Refused>> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let body = match crate::http::read_body(body, &app.settings.limits).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    if !body.is_empty() && !is_readable(&parts) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let request = dialled::as_dialled(&app.settings.public_url, &parts, body);
    let budget = app.settings.limits.webhook_answer();
    // A task of its own: work that is late goes on to its end although the sender hears 503.
    // Boxed: it is large, and would be moved more than once on its way.
    let work = tokio::spawn(Box::pin(work(app.clone(), request)));
    match tokio::time::timeout(budget, work).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(refused))) => refuse(&app, &refused),
        Ok(Err(_panicked)) => {
            app.metrics.task_panicked();
            tracing::error!("a webhook's task panicked; its sender got a 500 and nothing else is concerned");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(_late) => refuse(&app, &Refused::Unavailable("the answer took too long".to_owned())),
    }
}

/// Providers post forms and JSON. Anything else costs no plugin's time.
fn is_readable(parts: &Parts) -> bool {
    let value = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media_type.as_str(), "application/x-www-form-urlencoded" | "application/json")
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

fn refuse(app: &App, refused: &Refused) -> Response {
    let (status, outcome, body) = match refused {
        Refused::NotGenuine(reason) => {
            app.metrics.signature_failure(reason);
            (StatusCode::FORBIDDEN, WebhookOutcome::Refused, "forbidden\n")
        }
        Refused::WrongCall => (StatusCode::FORBIDDEN, WebhookOutcome::Refused, "forbidden\n"),
        Refused::Malformed(reason) => {
            tracing::warn!(reason, "a genuine webhook could not be read");
            (StatusCode::BAD_REQUEST, WebhookOutcome::Malformed, "the webhook could not be read\n")
        }
        Refused::Plugin(reason) => {
            tracing::error!(reason, "a plugin failed at a webhook");
            (StatusCode::BAD_GATEWAY, WebhookOutcome::PluginFault, "the provider's plugin failed\n")
        }
        Refused::Quarantined => {
            (StatusCode::BAD_GATEWAY, WebhookOutcome::PluginFault, "the provider's plugin failed\n")
        }
        Refused::Unavailable(reason) | Refused::Out(reason) => {
            tracing::warn!(reason, "a webhook was turned away");
            (StatusCode::SERVICE_UNAVAILABLE, WebhookOutcome::Unavailable, "come again later\n")
        }
    };
    app.metrics.webhook(outcome);
    let mut response = (status, body).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
