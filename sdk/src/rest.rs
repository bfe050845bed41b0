//! A provider's JSON API, with whose fault a bad answer is.

use serde_json::Value;

use crate::form::component;
use crate::http::{self, Http};
use crate::json::{number, text};
use crate::types::{
    Authorization, Binding, Call, CallStatus, Fault, HttpRequest, HttpResponse, Inspection, Placed, Refusal,
    TransferProgress,
};

/// One account's way to its provider's API.
pub struct Rest<'a> {
    http: &'a dyn Http,
    /// The provider's name, for sentences.
    provider: &'static str,
    authorization: Vec<Authorization>,
}

impl std::fmt::Debug for Rest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl<'a> Rest<'a> {
    /// Every request carries all of `authorization`.
    pub fn new(http: &'a dyn Http, provider: &'static str, authorization: Vec<Authorization>) -> Self {
        Self { http, provider, authorization }
    }

    /// Reads something.
    ///
    /// # Errors
    /// The provider's refusal, or an answer that is not JSON.
    pub fn get(&self, url: &str) -> Result<Value, Fault> {
        let response = self.send("GET", url, None, true)?;
        let malformed = |_| Fault::Malformed(format!("{} answered something that is not JSON", self.provider));
        serde_json::from_slice(&response.body).map_err(malformed)
    }

    /// Orders something that must not be done twice. An answer that cannot be read leaves the outcome unknown.
    ///
    /// # Errors
    /// The provider's refusal, or an unknown outcome.
    pub fn order(&self, url: &str, body: &Value) -> Result<Value, Fault> {
        let response = self.send("POST", url, Some(body), false)?;
        let unknown = |_| Fault::UnknownOutcome(format!("{} took the order and its answer is not JSON", self.provider));
        serde_json::from_slice(&response.body).map_err(unknown)
    }

    /// Changes something to a state; the second time changes nothing. What is in the answer does not matter.
    ///
    /// # Errors
    /// The provider's refusal.
    pub fn change(&self, method: &str, url: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let response = self.send(method, url, body, true)?;
        Ok(serde_json::from_slice(&response.body).unwrap_or_default())
    }

    /// Does something that must not be done twice, and whose answer says nothing.
    ///
    /// # Errors
    /// The provider's refusal, or an unknown outcome.
    pub fn once(&self, method: &str, url: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let response = self.send(method, url, body, false)?;
        Ok(serde_json::from_slice(&response.body).unwrap_or_default())
    }

    /// The same way with one credential more.
    #[must_use]
    pub fn with(&self, more: Authorization) -> Self {
        let authorization = [&self.authorization[..], &[more]].concat();
        Self { http: self.http, provider: self.provider, authorization }
    }

    /// Removes or ends something; that it is gone already is as good.
    ///
    /// # Errors
    /// As [`Rest::change`], but for `not-found`.
    pub fn end(&self, method: &str, url: &str, body: Option<&Value>) -> Result<(), Fault> {
        match self.change(method, url, body) {
            Ok(_) | Err(Fault::NotFound) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// The call's name, as a part of a path.
    ///
    /// # Errors
    /// When the provider has not told it yet.
    pub fn name_of(&self, call: &Call) -> Result<String, Fault> {
        match call.provider_id.as_str() {
            "" => Err(Fault::Other(format!("{} has not named this call yet", self.provider))),
            id => Ok(component(id)),
        }
    }

    /// What became of an order: the new call's name.
    ///
    /// # Errors
    /// An order that was taken and has no name may ring all the same.
    pub fn placed(&self, name: &Value) -> Result<Placed, Fault> {
        let name =
            text(name).ok_or_else(|| Fault::UnknownOutcome(format!("{}'s answer names no call", self.provider)))?;
        let provider_id = name.to_owned();
        Ok(Placed { provider_id, status: CallStatus::Initiated, memo: Vec::new(), extra: Vec::new() })
    }

    fn send(&self, method: &str, url: &str, body: Option<&Value>, idempotent: bool) -> Result<HttpResponse, Fault> {
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        if body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let request = HttpRequest {
            method: method.to_owned(),
            url: url.to_owned(),
            headers,
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
            authorization: self.authorization.clone(),
            idempotent,
        };
        let response = self.http.send(&request).map_err(http::fault_of)?;
        if (200..300).contains(&response.status) { Ok(response) } else { Err(self.refusal(&response)) }
    }

    /// A gateway's error page is no JSON, and some refusals have no body at all.
    fn refusal(&self, response: &HttpResponse) -> Fault {
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        // Some wrap their errors in a list.
        let error = body["errors"].get(0).unwrap_or(&body);
        let said =
            ["message", "detail", "error", "error_title", "title"].into_iter().find_map(|name| text(&error[name]));
        let mut message = said.unwrap_or("no reason given").to_owned();
        // What a provider's support asks for.
        if let Some(tracking) = text(&body["trackingId"]) {
            message = format!("{message} (trackingId {tracking})");
        }
        let provider = self.provider;
        match response.status {
            401 => Fault::Account(format!("{provider} refuses the credentials; check them")),
            404 => Fault::NotFound,
            423 | 429 => Fault::RetryLater(http::retry_after(response)),
            500.. => Fault::UnknownOutcome(format!("{provider} answered {}", response.status)),
            status => {
                let code = number(&error["code"]).unwrap_or_else(|| u64::from(status));
                Fault::Refused(Refusal { code: code.to_string(), message })
            }
        }
    }
}

/// Where a call stands, and the provider's word for it.
pub fn inspected(status: CallStatus, raw: &str) -> Inspection {
    Inspection { status, raw: raw.to_owned(), duration: None, cost: None, extra: Vec::new() }
}

/// How far a step of a transfer got; with the destination's leg, once it has a name.
pub fn progress(provider_id: Option<String>) -> TransferProgress {
    TransferProgress { provider_id, memo: Vec::new(), extra: Vec::new() }
}

/// Nothing was to be bound, or it was and there is nothing to say about it.
pub fn bound() -> Binding {
    Binding { warnings: Vec::new() }
}

/// The number that a list's cursor is; `first` where there is none.
///
/// # Errors
/// When the cursor is not a number.
pub fn position(cursor: Option<&str>, first: u64) -> Result<u64, Fault> {
    let foreign = |_| Fault::Other("the cursor is not one of this list's".to_owned());
    cursor.map_or(Ok(first), |cursor| cursor.parse().map_err(foreign))
}

/// The things in a list; none where there is no list.
pub fn items<'a>(found: &'a Value, name: &str) -> &'a [Value] {
    found[name].as_array().map(Vec::as_slice).unwrap_or_default()
}
