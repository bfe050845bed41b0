//! REST calls through the host.

use crate::form;
use crate::types::{
    Authorization, BasicAuthorization, Credential, Fault, HttpError, HttpRequest, HttpResponse, Refusal,
};

/// The way out: the host in a component, a fake in a test.
pub trait Http {
    /// Sends a request.
    ///
    /// # Errors
    /// As the host says: not granted, unreachable, no answer, too large.
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError>;
}

/// The host that this component runs in.
#[derive(Debug, Clone, Copy)]
pub struct Host;

impl Http for Host {
    #[cfg(target_arch = "wasm32")]
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        crate::bindings::controls_calls::jackfield::provider::http::send(request)
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn send(&self, _request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        Err(HttpError::Denied("only a component has a host".to_owned()))
    }
}

/// A request that may be sent twice.
pub fn get(url: String, authorization: Authorization) -> HttpRequest {
    let headers = vec![("accept".to_owned(), "application/json".to_owned())];
    HttpRequest {
        method: "GET".to_owned(),
        url,
        headers,
        body: Vec::new(),
        authorization: vec![authorization],
        idempotent: true,
    }
}

/// A form that must not be sent twice.
pub fn post_form(url: String, authorization: Authorization, pairs: &[(&str, &str)]) -> HttpRequest {
    let body = form::encode(pairs.iter().copied());
    post(url, authorization, "application/x-www-form-urlencoded", body)
}

/// The same request, which may be sent twice because the second time changes nothing.
#[must_use]
pub fn idempotent(request: HttpRequest) -> HttpRequest {
    HttpRequest { idempotent: true, ..request }
}

/// JSON that must not be sent twice.
pub fn post_json(url: String, authorization: Authorization, value: &serde_json::Value) -> HttpRequest {
    post(url, authorization, "application/json", value.to_string().into_bytes())
}

fn post(url: String, authorization: Authorization, media_type: &str, body: Vec<u8>) -> HttpRequest {
    let headers =
        vec![("accept".to_owned(), "application/json".to_owned()), ("content-type".to_owned(), media_type.to_owned())];
    HttpRequest { method: "POST".to_owned(), url, headers, body, authorization: vec![authorization], idempotent: false }
}

/// Basic authorization with a password that the host fills in.
pub fn basic(user: &str, password_field: &str) -> Authorization {
    Authorization::Basic(BasicAuthorization {
        user: Credential::Value(user.to_owned()),
        password: Credential::Secret(password_field.to_owned()),
    })
}

/// The first header of that name, whatever its case.
pub fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

/// How long the provider asks to wait; 5 s where it gives no number.
pub fn retry_after(response: &HttpResponse) -> u32 {
    header(response, "retry-after").and_then(|value| value.trim().parse().ok()).unwrap_or(5)
}

/// What a failure to send means for an order: sent without an answer may have been carried out.
pub fn fault_of(error: HttpError) -> Fault {
    match error {
        HttpError::Denied(what) => Fault::Refused(Refusal { code: "denied".to_owned(), message: what }),
        HttpError::Unreachable(_) => Fault::RetryLater(1),
        HttpError::NoAnswer(what) => Fault::UnknownOutcome(what),
        HttpError::TooLarge => Fault::UnknownOutcome("the provider's answer was too large".to_owned()),
        HttpError::Other(what) => Fault::Other(what),
    }
}
