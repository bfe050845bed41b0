//! The host's public REST API, as an operator's script uses it.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http::{self, Answer};

/// A plugin is answered once it is compiled, which takes what time all else leaves.
const COMPILED_WITHIN: Duration = Duration::from_mins(5);

/// A bearer of the admin token.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    token: String,
    client: reqwest::Client,
}

impl Api {
    /// `base` as in `http://127.0.0.1:8080`.
    pub fn new(base: &str, token: &str) -> Result<Self> {
        Ok(Self { base: base.to_owned(), token: token.to_owned(), client: http::client()? })
    }

    /// The same API with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Sends a request below `/api/v1/`, or anywhere when `path` begins with a slash.
    pub async fn send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> Result<Answer> {
        self.request(method, path, kind, body, None).await
    }

    async fn request(&self, method: &str, path: &str, kind: &str, body: Vec<u8>, key: Option<&str>) -> Result<Answer> {
        let url = match path.starts_with('/') {
            true => format!("{}{path}", self.base),
            false => format!("{}/api/v1/{path}", self.base),
        };
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = self.client.request(method, url).header("content-type", kind).body(body);
        if kind == "application/wasm" {
            request = request.timeout(COMPILED_WITHIN);
        }
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Answer::read(request.send().await.context("the host did not answer")?).await
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send("GET", path, "application/json", Vec::new()).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.send("DELETE", path, "application/json", Vec::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("POST", path, "application/json", body.to_string().into_bytes()).await
    }

    /// With an `Idempotency-Key`.
    pub async fn post_keyed(&self, path: &str, body: &Value, key: &str) -> Result<Answer> {
        self.request("POST", path, "application/json", body.to_string().into_bytes(), Some(key)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send("PUT", path, "application/json", body.to_string().into_bytes()).await
    }

    /// Puts a build of a plugin into service.
    pub async fn put_plugin(&self, name: &str, bytes: Vec<u8>) -> Result<Answer> {
        self.send("PUT", &format!("plugins/{name}"), "application/wasm", bytes).await
    }

    /// Creates something and returns its id.
    pub async fn create(&self, path: &str, body: &Value) -> Result<String> {
        let made = self.post(path, body).await?.expect(201).with_context(|| format!("POST {path}"))?;
        id_of(&made)
    }

    /// A Twilio account; returns the configuration's id.
    pub async fn add_twilio(&self, name: &str, sid: &str, token: &str) -> Result<String> {
        let fields = json!({ "account_sid": sid, "auth_token": token });
        self.create("telephony/configurations", &json!({ "name": name, "provider": "twilio", "fields": fields })).await
    }

    /// A number of a configuration, answered by an agent or by nobody.
    pub async fn add_number(&self, number: &str, configuration: &str, agent: Option<&str>) -> Result<String> {
        let mut body = json!({ "number": number, "configuration": configuration });
        if let Some(agent) = agent {
            body["agent"] = json!(agent);
        }
        self.create("telephony/numbers", &body).await
    }

    /// The `echo` agent, or the bot at a WebSocket URL.
    pub async fn add_agent(&self, name: &str, url: Option<&str>) -> Result<String> {
        let body = match url {
            None => json!({ "name": name, "connector": "echo" }),
            Some(url) => json!({ "name": name, "connector": "websocket", "url": url }),
        };
        self.create("agents", &body).await
    }

    /// One call with its events.
    pub async fn call(&self, id: &str) -> Result<Value> {
        self.get(&format!("calls/{id}")).await?.expect(200)
    }

    /// The calls the host knows, newest first or oldest first as it says.
    pub async fn calls(&self) -> Result<Vec<Value>> {
        let page = self.get("calls?limit=100").await?.expect(200)?;
        Ok(page["items"].as_array().cloned().unwrap_or_default())
    }

    /// The call with this id at the provider, once the host knows it.
    pub async fn call_of(&self, provider_id: &str) -> Result<Value> {
        let calls = self.calls().await?;
        let found = calls.into_iter().find(|call| call["provider_call_id"] == provider_id);
        let found = found.with_context(|| format!("the host knows no call {provider_id}"))?;
        self.call(&id_of(&found)?).await
    }
}

/// The `id` of something the API returned.
pub fn id_of(value: &Value) -> Result<String> {
    value["id"].as_str().map(str::to_owned).with_context(|| format!("no id in {value}"))
}
