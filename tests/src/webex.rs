//! A fake of Webex, from its fact sheet: sign-in, people, messages, webhooks and call control. It refuses what the real one
//! would: a wrong redirect, a reused code, a spent token, a missing scope.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const CLIENT: &str = "C123";
pub const CLIENT_SECRET: &str = "client-secret-canary";
pub const BOT: &str = "bot-token-canary";
pub const SCOPES: &str = "spark:calls_read spark:calls_write spark:people_read";

/// What a refresh is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    Granted,
    /// 503.
    Down,
    /// 400 `invalid_grant`.
    Revoked,
}

/// What a dial is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial {
    Taken,
    /// Taken, and never said so.
    Silent,
}

/// The fake. Stops when dropped.
#[derive(Debug)]
pub struct Webex {
    pub address: SocketAddr,
    state: Shared,
    task: JoinHandle<()>,
}

type Shared = Arc<Mutex<Inner>>;

#[derive(Debug)]
pub struct Inner {
    /// By code: person, redirect, challenge.
    codes: BTreeMap<String, (String, String, Option<String>)>,
    /// Access tokens that are good, and whose.
    access: BTreeMap<String, String>,
    refresh: BTreeMap<String, String>,
    next: u32,
    pub refresh_with: Refresh,
    pub dial_with: Dial,
    /// Seconds that access tokens last.
    pub lasts: i64,
    /// How long it takes to give a token.
    pub token_pause: Duration,
    pub token_requests: usize,
    pub refreshes: usize,
    pub dials: Vec<String>,
    /// What was done to which call.
    pub orders: Vec<(String, String)>,
    pub calls: Vec<Value>,
    pub messages: BTreeMap<String, Value>,
    /// To whom, and what.
    pub sent: Vec<(String, String)>,
    pub webhooks: Vec<Value>,
    /// How many were registered, whatever became of them.
    pub registered: usize,
    /// How long it takes to say which webhooks there are.
    pub look_pause: Duration,
}

impl Webex {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(Inner {
            codes: BTreeMap::new(),
            access: BTreeMap::new(),
            refresh: BTreeMap::new(),
            next: 0,
            refresh_with: Refresh::Granted,
            dial_with: Dial::Taken,
            lasts: 1_209_599,
            token_pause: Duration::ZERO,
            token_requests: 0,
            refreshes: 0,
            dials: Vec::new(),
            orders: Vec::new(),
            calls: Vec::new(),
            messages: BTreeMap::new(),
            sent: Vec::new(),
            webhooks: Vec::new(),
            registered: 0,
            look_pause: Duration::ZERO,
        }));
        let app = Router::new().fallback(answer).with_state(state.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap_or_default() });
        Ok(Self { address, state, task })
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a browser does with a link: the person consents, and is sent back. Gives where to.
    pub fn consent(&self, link: &str, person: &str) -> Result<String> {
        let query = link.strip_prefix("https://webexapis.com/v1/authorize?").context("not Webex's sign-in")?;
        let asked: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let word = |name: &str| asked.get(name).map(String::as_str).unwrap_or_default();
        ensure!(word("client_id") == CLIENT && word("response_type") == "code", "another client: {link}");
        ensure!(word("redirect_uri") == "https://gw.example.net/api/v1/oauth/redirect", "another redirect: {link}");
        ensure!(word("scope") == SCOPES, "other scopes: {link}");
        ensure!(word("state").len() >= 32, "a state that can be guessed: {link}");
        let challenge = asked.get("code_challenge").cloned();
        ensure!(challenge.is_none() || word("code_challenge_method") == "S256", "a proof key in the clear: {link}");
        let code = self.with(|inner| {
            inner.next += 1;
            let code = format!("code-canary-{}", inner.next);
            inner.codes.insert(code.clone(), (person.to_owned(), word("redirect_uri").to_owned(), challenge));
            code
        });
        Ok(format!("/api/v1/oauth/redirect?code={code}&state={}", word("state")))
    }

    /// Takes every access token back: they end before their time.
    pub fn spend_tokens(&self) {
        self.with(|inner| inner.access.clear());
    }

    /// A person writes to the bot; the id of the message.
    pub fn write(&self, person: &str, address: &str, text: &str) -> String {
        self.with(|inner| {
            inner.next += 1;
            let id = format!("MSG{}", inner.next);
            let message = json!({
                "id": id, "roomType": "direct", "personId": person, "personEmail": address, "text": text,
            });
            inner.messages.insert(id.clone(), message);
            id
        })
    }
}

impl Drop for Webex {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inner {
    fn grant(&mut self, person: &str) -> Value {
        self.next += 1;
        let (access, refresh) = (format!("access-canary-{}", self.next), format!("refresh-canary-{}", self.next));
        self.access.insert(access.clone(), person.to_owned());
        self.refresh.insert(refresh.clone(), person.to_owned());
        json!({
            "access_token": access, "expires_in": self.lasts, "refresh_token": refresh,
            "refresh_token_expires_in": 7_775_999, "token_type": "Bearer", "scope": SCOPES,
        })
    }

    fn token(&mut self, body: &[u8]) -> (u16, Value) {
        self.token_requests += 1;
        let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let word = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let invalid = (400, json!({ "error": "invalid_grant" }));
        if word("client_id") != CLIENT || word("client_secret") != CLIENT_SECRET {
            return (401, json!({ "error": "invalid_client" }));
        }
        match word("grant_type") {
            "authorization_code" => {
                // A code is spent whatever comes of it.
                let Some((person, redirect, challenge)) = self.codes.remove(word("code")) else { return invalid };
                let proof = URL_SAFE_NO_PAD
                    .encode(ring::digest::digest(&ring::digest::SHA256, word("code_verifier").as_bytes()));
                if redirect != word("redirect_uri") || challenge.is_some_and(|challenge| challenge != proof) {
                    return invalid;
                }
                (200, self.grant(&person))
            }
            "refresh_token" => {
                self.refreshes += 1;
                match (self.refresh_with, self.refresh.remove(word("refresh_token"))) {
                    (Refresh::Granted, Some(person)) => (200, self.grant(&person)),
                    (Refresh::Down, Some(person)) => {
                        self.refresh.insert(word("refresh_token").to_owned(), person);
                        (503, json!({}))
                    }
                    _ => invalid,
                }
            }
            _ => invalid,
        }
    }

    /// Everything behind a bearer.
    fn api(&mut self, who: &str, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let bot = who == "BOT";
        let refuse = (403, json!({ "message": "missing scope", "trackingId": "T1" }));
        match (method.as_str(), path) {
            ("GET", "people/me") => (200, json!({ "id": who })),
            ("POST", "messages") if bot => {
                let word = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                self.sent.push((word("toPersonId"), word("markdown")));
                (200, json!({}))
            }
            ("GET", path) if bot && path.starts_with("messages/") => {
                self.messages.get(&path[9..]).map_or((404, json!({})), |message| (200, message.clone()))
            }
            ("GET", "webhooks") => {
                let own = self.webhooks.iter().filter(|hook| hook["createdBy"] == who).cloned();
                (200, json!({ "items": own.collect::<Vec<_>>() }))
            }
            ("POST", "webhooks") => {
                self.next += 1;
                self.registered += 1;
                let mut hook = body.clone();
                (hook["id"], hook["createdBy"], hook["status"]) =
                    (json!(format!("W{}", self.next)), json!(who), json!("active"));
                self.webhooks.push(hook);
                (200, json!({}))
            }
            (method, path) if path.starts_with("webhooks/") => {
                let Some(at) = self.webhooks.iter().position(|hook| hook["id"] == path[9..]) else {
                    return (404, json!({}));
                };
                if method == "DELETE" {
                    self.webhooks.remove(at);
                } else {
                    self.webhooks[at]["status"] = body["status"].clone();
                }
                (200, json!({}))
            }
            // A bot controls no calls.
            (_, path) if path.starts_with("telephony/") && bot => refuse,
            ("GET", "telephony/calls") => (200, json!({ "items": self.calls })),
            ("GET", "telephony/calls/history") => {
                let time = "2026-01-02T10:00:00.000Z";
                (200, json!({ "items": [{ "type": "missed", "name": "Ann", "number": "1001", "time": time }] }))
            }
            ("POST", "telephony/calls/dial") => {
                self.dials.push(body["destination"].as_str().unwrap_or_default().to_owned());
                (201, json!({ "callId": "DIALLED", "callSessionId": "S" }))
            }
            ("POST", path) if path.starts_with("telephony/calls/") => {
                let call = body["callId"].as_str().unwrap_or_default();
                if !self.calls.iter().any(|known| known["id"] == call) {
                    return (404, json!({ "message": "no such call" }));
                }
                self.orders.push((path[16..].to_owned(), call.to_owned()));
                (204, Value::Null)
            }
            _ => (404, json!({})),
        }
    }

    fn whose(&self, headers: &HeaderMap) -> Option<String> {
        let token = headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
        if token == BOT { Some("BOT".to_owned()) } else { self.access.get(token).cloned() }
    }
}

async fn answer(State(state): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let path = parts.uri.path().trim_start_matches("/v1/").to_owned();
    let (status, said, pause) = {
        let mut inner = state.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = match path.as_str() {
            "telephony/calls/dial" if inner.dial_with == Dial::Silent => Duration::from_secs(60),
            "access_token" => inner.token_pause,
            "webhooks" if parts.method == Method::GET => inner.look_pause,
            _ => Duration::ZERO,
        };
        let (status, said) = if path == "access_token" {
            inner.token(&body)
        } else {
            match inner.whose(&parts.headers) {
                Some(who) => inner.api(&who, &parts.method, &path, &serde_json::from_slice(&body).unwrap_or_default()),
                None => (401, json!({ "message": "the token has expired", "trackingId": "T0" })),
            }
        };
        (status, said, pause)
    };
    tokio::time::sleep(pause).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if said.is_null() { status.into_response() } else { (status, Json(said)).into_response() }
}
