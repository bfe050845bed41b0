//! A provider's REST API that follows a script.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::fit;

/// A request that is due, and what it gets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// `method`, `url`, and where they matter `form`, `json`, `headers`, `authorization`, `idempotent`.
    request: Value,
    answer: Answer,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default)]
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// Text as it is, anything else as JSON.
    #[serde(default)]
    body: Value,
    /// Instead of an answer.
    error: Option<Value>,
}

/// What a plugin's `http.send` meets in a case. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Script(Arc<Mutex<Played>>);

#[derive(Debug)]
struct Played {
    exchanges: Vec<Due>,
    next: usize,
    wrong: Option<String>,
}

#[derive(Debug)]
enum Due {
    /// What is listed counts.
    Listed(Exchange),
    /// All of it counts: request and answer as JSON of the contract's types.
    Exact(Value, Value),
}

impl Script {
    pub(crate) fn new(exchanges: Vec<Exchange>) -> Self {
        Self::due(exchanges.into_iter().map(Due::Listed).collect())
    }

    /// Requests that were sent once, each with the answer it got: `http-request` and `result<http-response, http-error>`.
    pub fn recorded(exchanges: Vec<(Value, Value)>) -> Self {
        Self::due(exchanges.into_iter().map(|(request, answer)| Due::Exact(request, answer)).collect())
    }

    fn due(exchanges: Vec<Due>) -> Self {
        Self(Arc::new(Mutex::new(Played { exchanges, next: 0, wrong: None })))
    }

    /// The answer to a request, both as JSON of the contract's types: `http-request` in, `result<http-response,
    /// http-error>` out.
    pub fn send(&self, request: &Value) -> Value {
        let mut played = self.played();
        let index = played.next;
        played.next += 1;
        let wrong = match played.exchanges.get(index) {
            None => format!("one request too many: {} {}", request["method"], request["url"]),
            Some(Due::Exact(due, answer)) if due == request => return answer.clone(),
            Some(Due::Exact(due, _)) => format!("request {index}: {request} instead of {due}"),
            Some(Due::Listed(exchange)) => match fit::listed(&exchange.request, &shown(request)) {
                Ok(()) => return exchange.answer.give(),
                Err(why) => format!("request {index}: {why}"),
            },
        };
        played.wrong.get_or_insert(wrong);
        json!({ "Err": { "Denied": "not in the script" } })
    }

    /// Did all requests come, and as they were due?
    ///
    /// # Errors
    /// Says which did not.
    pub fn finish(&self) -> Result<(), String> {
        let played = self.played();
        let (sent, due) = (played.next, played.exchanges.len());
        match &played.wrong {
            Some(wrong) => Err(wrong.clone()),
            None if sent < due => Err(format!("{sent} of {due} requests were sent")),
            None => Ok(()),
        }
    }

    fn played(&self) -> MutexGuard<'_, Played> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Answer {
    fn give(&self) -> Value {
        if let Some(error) = &self.error {
            return json!({ "Err": error });
        }
        let body = match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        };
        json!({ "Ok": { "status": self.status, "headers": self.headers, "body": body } })
    }
}

fn shown(request: &Value) -> Value {
    let body: Vec<u8> = serde_json::from_value(request["body"].clone()).unwrap_or_default();
    let mut shown = request.clone();
    shown["form"] = fit::form(&body);
    shown["json"] = serde_json::from_slice(&body).unwrap_or_default();
    shown
}
