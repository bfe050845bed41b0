//! A bot on the `listen` protocol, driven by a test: what it hears is recorded, what it says is told to it.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for the host's connections.
#[derive(Debug)]
pub struct Bot {
    /// Where agents are told to connect.
    pub url: String,
    conversations: mpsc::UnboundedReceiver<Conversation>,
}

/// One call, from the bot's end.
#[derive(Debug)]
pub struct Conversation {
    outgoing: mpsc::UnboundedSender<Message>,
    heard: watch::Receiver<BotHeard>,
}

/// What the host told the bot.
#[derive(Debug, Clone, Default)]
pub struct BotHeard {
    /// The header that the host proved itself with.
    pub authorization: Option<String>,
    /// The first message: who calls whom.
    pub metadata: Value,
    /// Little-endian 16-bit samples.
    pub audio: Vec<u8>,
    /// All text messages after the first.
    pub messages: Vec<Value>,
    pub closed: bool,
}

impl Bot {
    /// Listens on loopback.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("ws://{}/listen", listener.local_addr()?);
        let (arrived, conversations) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, arrived.clone()));
            }
        });
        Ok(Self { url, conversations })
    }

    /// The next call.
    pub async fn conversation(&mut self) -> Result<Conversation> {
        let next = tokio::time::timeout(PATIENCE, self.conversations.recv()).await;
        next.context("the host did not connect to the bot")?.context("the bot is gone")
    }
}

impl Conversation {
    /// Speaks: 16-bit samples at the rate the host announced.
    pub fn speak(&self, samples: &[i16]) {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.outgoing.send(Message::binary(bytes)).ok();
    }

    pub fn say(&self, message: &Value) {
        self.outgoing.send(Message::text(message.to_string())).ok();
    }

    pub fn mark(&self, name: &str) {
        self.say(&json!({ "type": "mark", "data": { "name": name } }));
    }

    /// Barge-in: drop what is not played yet.
    pub fn kill_audio(&self) {
        self.say(&json!({ "type": "killAudio" }));
    }

    /// Ends the stream from the bot's side.
    pub fn disconnect(&self) {
        self.say(&json!({ "type": "disconnect" }));
    }

    /// Breaks down: the socket ends with an error of the bot's.
    pub fn fail(&self) {
        let frame = CloseFrame { code: CloseCode::Error, reason: "broken".into() };
        self.outgoing.send(Message::Close(Some(frame))).ok();
    }

    pub fn heard(&self) -> BotHeard {
        self.heard.borrow().clone()
    }

    /// Waits until what was heard is enough.
    pub async fn until(&mut self, what: &str, enough: impl FnMut(&BotHeard) -> bool) -> Result<BotHeard> {
        let waited = tokio::time::timeout(PATIENCE, self.heard.wait_for(enough)).await;
        match waited.map(|heard| heard.map(|heard| heard.clone())) {
            Ok(Ok(heard)) => Ok(heard),
            Ok(Err(_)) => anyhow::bail!("the host left before {what}"),
            Err(_) => {
                let heard = self.heard.borrow();
                anyhow::bail!("waited for {what}: {} bytes and {:?}", heard.audio.len(), heard.messages)
            }
        }
    }
}

#[allow(clippy::result_large_err, reason = "the handshake's callback is typed so")]
fn choose_protocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok());
    let first = offered.and_then(|offered| offered.split(',').next()).map(str::trim);
    if let Some(first) = first.and_then(|first| HeaderValue::from_str(first).ok()) {
        response.headers_mut().insert("sec-websocket-protocol", first);
    }
    Ok(response)
}

async fn converse(socket: TcpStream, arrived: mpsc::UnboundedSender<Conversation>) {
    let mut authorization = None;
    #[allow(clippy::result_large_err, reason = "the handshake's callback is typed so")]
    let look = |request: &Request, response: Response| {
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        authorization = header.map(str::to_owned);
        choose_protocol(request, response)
    };
    let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(socket, look).await else { return };
    let (outgoing, mut orders) = mpsc::unbounded_channel::<Message>();
    let (report, heard) = watch::channel(BotHeard { authorization, ..BotHeard::default() });
    arrived.send(Conversation { outgoing, heard }).ok();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => if socket.send(order).await.is_err() { break },
                None => break,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => report.send_modify(|heard| heard.audio.extend_from_slice(&bytes)),
                Some(Ok(Message::Text(text))) => note(&report, text.as_str()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
        }
    }
    socket.close(None).await.ok();
    report.send_modify(|heard| heard.closed = true);
}

fn note(report: &watch::Sender<BotHeard>, text: &str) {
    let message = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    report.send_modify(|heard| match heard.metadata {
        Value::Null => heard.metadata = message,
        _ => heard.messages.push(message),
    });
}
