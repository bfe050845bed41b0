//! A fake of Telnyx's REST API on loopback: it takes commands, keeps them, and refuses those about calls that are over.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The id of every conference that is made.
pub const CONFERENCE: &str = "conf-1";

/// One command as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    pub method: String,
    /// Below `/v2`.
    pub path: String,
    pub body: Value,
    pub authorized: bool,
}

/// The fake. Ends with the process.
#[derive(Debug, Clone)]
pub struct TelnyxRest {
    pub address: SocketAddr,
    books: Arc<Mutex<Books>>,
}

#[derive(Debug, Default)]
struct Books {
    key: String,
    seen: Vec<Command>,
    /// Answered with these before anything is done.
    faults: VecDeque<u16>,
    over: Vec<String>,
}

impl TelnyxRest {
    /// Listens on loopback; `key` is the account's.
    pub async fn start(key: &str) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let books = Arc::new(Mutex::new(Books { key: key.to_owned(), ..Books::default() }));
        let fake = Self { address: listener.local_addr()?, books: Arc::clone(&books) };
        let router = Router::new().fallback(take).with_state(books);
        tokio::spawn(async move { axum::serve(listener, router).await.ok() });
        Ok(fake)
    }

    /// The next command is answered with this status, and not carried out.
    pub fn fail_next(&self, status: u16) {
        self.books().faults.push_back(status);
    }

    /// A call that ended: commands about it are refused.
    pub fn over(&self, call: &str) {
        self.books().over.push(call.to_owned());
    }

    /// All commands so far.
    pub fn seen(&self) -> Vec<Command> {
        self.books().seen.clone()
    }

    /// Waits for a command whose path ends so.
    pub async fn command(&self, end: &str) -> Result<Command> {
        for _ in 0..400 {
            if let Some(found) = self.seen().into_iter().find(|command| command.path.ends_with(end)) {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        anyhow::bail!("no command `{end}` came: {:?}", self.seen())
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn take(
    State(books): State<Arc<Mutex<Books>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut books = books.lock().unwrap_or_else(PoisonError::into_inner);
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let command = Command {
        method: method.to_string(),
        path: uri.path().trim_start_matches("/v2").to_owned(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        authorized: bearer == format!("Bearer {}", books.key),
    };
    let (path, authorized) = (command.path.clone(), command.authorized);
    let command_name = command.body["name"].clone();
    books.seen.push(command);
    let answer = |status: StatusCode, body: Value| (status, body.to_string()).into_response();
    let refused = |code: &str| json!({ "errors": [{ "code": code, "title": "no", "detail": "not so" }] });
    if !authorized {
        return answer(StatusCode::UNAUTHORIZED, refused("10009"));
    }
    if let Some(status) = books.faults.pop_front() {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return answer(status, refused("10011"));
    }
    if books.over.iter().any(|call| path.contains(&call.replace(':', "%3A"))) {
        return answer(StatusCode::UNPROCESSABLE_ENTITY, refused("90018"));
    }
    match path.as_str() {
        "/calls" => {
            let ids = json!({ "call_control_id": "v3:out-1", "call_leg_id": "l", "call_session_id": "s" });
            answer(StatusCode::OK, json!({ "data": ids }))
        }
        "/conferences" => answer(StatusCode::OK, json!({ "data": { "id": CONFERENCE, "name": command_name } })),
        path if path.contains("/actions/") => answer(StatusCode::OK, json!({ "data": { "result": "ok" } })),
        path if path.starts_with("/calls/") => {
            answer(StatusCode::OK, json!({ "data": { "is_alive": false, "call_duration": 3 } }))
        }
        _ => answer(StatusCode::NOT_FOUND, refused("10005")),
    }
}
