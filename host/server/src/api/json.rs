//! JSON in, within limits.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use super::{Kind, Problem};
use crate::App;
use crate::http::{BodyRefusal, read_within};

/// A JSON body that is exactly what its type says: nothing missing, nothing beside.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = content_type(request.headers());
        if kind != "application/json" {
            let detail = format!("send application/json; this is {}", if kind.is_empty() { "unnamed" } else { &kind });
            return Err(Problem::new(Kind::UnsupportedMediaType, detail));
        }
        let limits = &app.settings.limits;
        let most = limits.api_body_bytes;
        let body = read_within(request.into_body(), most, limits.whole_body()).await;
        parse(&body.map_err(|refusal| refused(refusal, most))?)
    }
}

fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<Json<T>, Problem> {
    // serde_json stops at a depth of 128 by itself.
    serde_json::from_slice(body).map(Json).map_err(|error| Problem::new(Kind::Malformed, error.to_string()))
}

/// A body that was not read, as a problem.
pub(crate) fn refused(refusal: BodyRefusal, most: usize) -> Problem {
    match refusal {
        BodyRefusal::TooLarge => Problem::new(Kind::TooLarge, format!("{most} bytes are allowed here")),
        BodyRefusal::TooSlow => Problem::new(Kind::TooSlow, "send the whole body at once"),
        BodyRefusal::Broken => Problem::new(Kind::Malformed, "the body broke off"),
    }
}

/// The one content type in lower case, without parameters; empty when there is none or several.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return String::new() };
    let text = value.to_str().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
