//! Refusals as `application/problem+json` (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use jackfield_store::StoreError;
use serde_json::{Map, Value, json};

use crate::call_service::CallProblem;
use crate::rollout::RolloutError;

/// What kind of refusal it is. Each has a type that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Malformed,
    Unauthorized,
    Forbidden,
    TooManyFailures,
    NotFound,
    MethodNotAllowed,
    TooSlow,
    Conflict,
    TooLarge,
    UriTooLong,
    UnsupportedMediaType,
    Invalid,
    PluginRefused,
    Limit,
    Internal,
    ProviderRefused,
    PluginFailed,
    ProviderUnavailable,
    Draining,
    StoreUnavailable,
}

impl Kind {
    /// Status, type and title: the whole table of what this API can say no with.
    fn terms(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized", "The token is missing or wrong"),
            Self::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "This token may not do this"),
            Self::TooManyFailures => (StatusCode::TOO_MANY_REQUESTS, "too-many-failures", "Too many wrong tokens"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This path does not take this method")
            }
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too-slow", "The body came too slowly"),
            Self::Conflict => (StatusCode::CONFLICT, "conflict", "Something else stands in the way"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large"),
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, "uri-too-long", "The request target is too long"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is of another kind")
            }
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "This cannot work as it is"),
            Self::PluginRefused => (StatusCode::UNPROCESSABLE_ENTITY, "plugin-refused", "The plugin failed a check"),
            Self::Limit => (StatusCode::TOO_MANY_REQUESTS, "limit", "A limit of this host is reached"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "The host failed"),
            Self::ProviderRefused => (StatusCode::BAD_GATEWAY, "provider-refused", "The provider refused"),
            Self::PluginFailed => (StatusCode::BAD_GATEWAY, "plugin-failed", "The provider's plugin failed"),
            Self::ProviderUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "provider-unavailable", "The provider could not be asked")
            }
            Self::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining", "The host takes no new calls"),
            Self::StoreUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "The database cannot be used")
            }
        }
    }
}

/// A refusal, and what to do about it.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    more: Map<String, Value>,
    retry_after: Option<u64>,
}

impl Problem {
    /// `detail` says what is wrong with this request, and what to do.
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), more: Map::new(), retry_after: None }
    }

    /// Adds a member of its own kind.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }

    /// Tells when to come again.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, kind, title) = self.kind.terms();
        let mut document = self.more;
        document.insert("type".to_owned(), json!(format!("urn:jackfield:problem:{kind}")));
        document.insert("title".to_owned(), json!(title));
        document.insert("status".to_owned(), json!(status.as_u16()));
        document.insert("detail".to_owned(), json!(self.detail));
        let mut response = (status, Value::Object(document).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.kind == Kind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { .. } => Self::not_found(error.to_string()),
            StoreError::Conflict(detail) => Self::new(Kind::Conflict, detail),
            // What a database says of itself is for the log, not for the network.
            StoreError::Unavailable(_) | StoreError::Shared(_) => {
                tracing::error!(%error, "the database failed a request");
                Self::new(Kind::StoreUnavailable, "try again; if it lasts, the host's log says what the database said")
                    .retry_after(1)
            }
            StoreError::Sealed(_) | StoreError::Damaged(_) => {
                tracing::error!(%error, "stored state cannot be used");
                Self::new(Kind::Internal, error.to_string())
            }
        }
    }
}

impl From<CallProblem> for Problem {
    fn from(problem: CallProblem) -> Self {
        let kind = match problem {
            CallProblem::Store(error) => return error.into(),
            CallProblem::Provider { ref code, .. } => {
                let code = json!(code);
                return Self::new(Kind::ProviderRefused, problem.to_string()).with("provider_code", code);
            }
            CallProblem::Draining => return Self::new(Kind::Draining, problem.to_string()).retry_after(5),
            CallProblem::NotFound(_) => Kind::NotFound,
            CallProblem::Invalid(_) => Kind::Invalid,
            CallProblem::ProviderUnavailable(_) => Kind::ProviderUnavailable,
            CallProblem::Limit(_) => Kind::Limit,
            CallProblem::Conflict(_) => Kind::Conflict,
            CallProblem::Plugin(_) => Kind::PluginFailed,
        };
        Self::new(kind, problem.to_string())
    }
}

impl From<RolloutError> for Problem {
    fn from(error: RolloutError) -> Self {
        use jackfield_plugins::RollbackError;
        match error {
            RolloutError::Refused(refusal) => Self::new(Kind::PluginRefused, refusal.message)
                .with("stage", json!(refusal.stage))
                .with("stages", json!(refusal.stages)),
            RolloutError::Busy(_) | RolloutError::NoBytes => Self::new(Kind::Conflict, error.to_string()),
            RolloutError::Rollback(error @ RollbackError::UnknownPlugin(_)) => Self::not_found(error.to_string()),
            RolloutError::Rollback(error) => Self::new(Kind::Conflict, error.to_string()),
            RolloutError::Store(error) => error.into(),
        }
    }
}
