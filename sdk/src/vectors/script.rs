//! A provider's REST API that follows a script.

use std::cell::{Cell, RefCell};

use serde::Deserialize;
use serde_json::{Value, json};

use super::fit;
use crate::http::Http;
use crate::types::{HttpError, HttpRequest, HttpResponse};

/// A request that is due, and what it gets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    /// `method`, `url`, and where they matter `form`, `json`, `headers`, `authorization`, `idempotent`.
    request: Value,
    answer: Answer,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// Text as it is, anything else as JSON.
    #[serde(default)]
    body: Value,
    error: Option<HttpError>,
}

pub(super) struct Script<'a> {
    exchanges: &'a [Exchange],
    next: Cell<usize>,
    wrong: RefCell<Option<String>>,
}

impl<'a> Script<'a> {
    pub(super) fn new(exchanges: &'a [Exchange]) -> Self {
        Self { exchanges, next: Cell::new(0), wrong: RefCell::new(None) }
    }

    /// Did all requests come, and as they were due?
    pub(super) fn finish(self) -> Result<(), String> {
        let (sent, due) = (self.next.get(), self.exchanges.len());
        match self.wrong.into_inner() {
            Some(wrong) => Err(wrong),
            None if sent < due => Err(format!("{sent} of {due} requests were sent")),
            None => Ok(()),
        }
    }

    fn wrong<T>(&self, why: String) -> Result<T, HttpError> {
        self.wrong.borrow_mut().get_or_insert(why);
        Err(HttpError::Denied("not in the script".to_owned()))
    }
}

impl Http for Script<'_> {
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let index = self.next.replace(self.next.get() + 1);
        let Some(exchange) = self.exchanges.get(index) else {
            return self.wrong(format!("one request too many: {} {}", request.method, request.url));
        };
        if let Err(why) = fit::listed(&exchange.request, &shown(request)) {
            return self.wrong(format!("request {index}: {why}"));
        }
        exchange.answer.give()
    }
}

impl Answer {
    fn give(&self) -> Result<HttpResponse, HttpError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let body = match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        };
        Ok(HttpResponse { status: self.status, headers: self.headers.clone(), body })
    }
}

fn shown(request: &HttpRequest) -> Value {
    json!({
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "form": fit::form(&request.body),
        "json": serde_json::from_slice::<Value>(&request.body).unwrap_or_default(),
        "authorization": request.authorization,
        "idempotent": request.idempotent,
    })
}
