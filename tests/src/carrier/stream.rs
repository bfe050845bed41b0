//! One Twilio media stream, from the provider's end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::playback::Playback;
use super::random_hex;
use crate::echo::Passed;

const FRAME: Duration = Duration::from_millis(20);
/// Audio in one mark round trip or test step never takes longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Everything the host sent, with when it came.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    pub audio: Vec<Passed>,
    /// Marks as the host set them.
    pub marks: Vec<String>,
    pub clears: Vec<Instant>,
    /// The most audio that was buffered ahead of the ear.
    pub most_ahead: Duration,
    /// Messages that Twilio would have ended the stream for.
    pub illegal: Vec<String>,
    /// The close code, once the host has closed; 1006 for a cut.
    pub closed: Option<u16>,
}

/// A live stream.
#[derive(Debug)]
pub struct MediaStream {
    pub stream_sid: String,
    pub call_sid: String,
    account_sid: String,
    outgoing: mpsc::UnboundedSender<Message>,
    heard: watch::Receiver<Heard>,
    listens: watch::Sender<bool>,
    sequence: Arc<AtomicU64>,
    chunk: u64,
    next_frame: Instant,
    sent: Vec<Passed>,
}

/// The host refused the upgrade, with this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpgradeRefused(pub u16);

impl std::fmt::Display for UpgradeRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the host refused the media socket with {}", self.0)
    }
}

impl std::error::Error for UpgradeRefused {}

/// To the host, with a buffer of its own size for what is not read.
pub(super) async fn connect(address: SocketAddr, buffer: Option<u32>) -> Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    let socket = socket.connect(address).await.context("the host does not listen")?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

impl Heard {
    /// All audio in one piece.
    pub fn bytes(&self) -> usize {
        self.audio.iter().map(|passed| passed.bytes.len()).sum()
    }
}

impl MediaStream {
    pub(super) async fn dial(
        socket: TcpStream,
        host: &str,
        target: &str,
        signature: &str,
        call_sid: &str,
    ) -> Result<Self> {
        let mut request = format!("ws://{host}{target}").into_client_request()?;
        request.headers_mut().insert("x-twilio-signature", HeaderValue::from_str(signature)?);
        request.headers_mut().insert("user-agent", HeaderValue::from_static("Twilio.TmeWs/1.0"));
        let (socket, _) = match tokio_tungstenite::client_async(request, socket).await {
            Ok(open) => open,
            Err(WsError::Http(answer)) => return Err(UpgradeRefused(answer.status().as_u16()).into()),
            Err(error) => return Err(error).context("the media socket did not open"),
        };
        Ok(Self::over(socket, call_sid))
    }

    fn over(socket: WebSocketStream<TcpStream>, call_sid: &str) -> Self {
        let stream_sid = format!("MZ{}", random_hex(16));
        let (outgoing, orders) = mpsc::unbounded_channel();
        let (report, heard) = watch::channel(Heard::default());
        let (listens, listening) = watch::channel(true);
        let sequence = Arc::new(AtomicU64::new(1));
        let (began, playback) = (Instant::now(), Playback::default());
        let (sid, numbers) = (stream_sid.clone(), Arc::clone(&sequence));
        let far = Far { socket, report, listening, playback, began, stream_sid: sid, sequence: numbers };
        tokio::spawn(far.run(orders));
        Self {
            stream_sid,
            call_sid: call_sid.to_owned(),
            account_sid: String::new(),
            outgoing,
            heard,
            listens,
            sequence,
            chunk: 1,
            next_frame: Instant::now(),
            sent: Vec::new(),
        }
    }

    /// Says `connected` and `start`.
    pub fn begin(&mut self, account_sid: &str, call_sid: &str, parameters: &[(String, String)]) {
        self.account_sid = account_sid.to_owned();
        self.say(json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" }));
        let parameters: serde_json::Map<String, Value> =
            parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        self.say_numbered(
            "start",
            json!({
                "streamSid": self.stream_sid,
                "accountSid": account_sid,
                "callSid": call_sid,
                "tracks": ["inbound"],
                "customParameters": parameters,
                "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
            }),
        );
        self.next_frame = Instant::now();
    }

    /// Reads what the host sends, or leaves it in the socket.
    pub fn listen(&self, listens: bool) {
        self.listens.send_replace(listens);
    }

    /// Sends any text, legal or not.
    pub fn raw_text(&self, text: &str) {
        self.outgoing.send(Message::text(text)).ok();
    }

    /// Sends binary, which a media stream never does.
    pub fn raw_binary(&self, bytes: Vec<u8>) {
        self.outgoing.send(Message::binary(bytes)).ok();
    }

    fn say(&self, message: Value) {
        self.raw_text(&message.to_string());
    }

    fn say_numbered(&self, event: &str, content: Value) {
        self.say(numbered(event, &self.stream_sid, &self.sequence, content));
    }

    /// Speaks in real time: each frame leaves 20 ms after the one before, whatever the scheduler does in between.
    pub async fn speak(&mut self, frames: &[Vec<u8>]) {
        // Silence between two stretches of speech is not caught up on.
        self.next_frame = self.next_frame.max(Instant::now());
        for frame in frames {
            tokio::time::sleep_until(self.next_frame.into()).await;
            self.frame(frame);
            self.next_frame += FRAME;
        }
    }

    /// Sends one frame now.
    pub fn frame(&mut self, bytes: &[u8]) {
        let media = self.media(&STANDARD.encode(bytes));
        self.sent.push(Passed { at: Instant::now(), bytes: bytes.to_vec() });
        self.say_numbered("media", media);
    }

    /// Sends a media message with this payload, whatever it is.
    pub fn payload(&mut self, payload: &str) {
        let media = self.media(payload);
        self.say_numbered("media", media);
    }

    fn media(&mut self, payload: &str) -> Value {
        let (chunk, timestamp) = (self.chunk.to_string(), ((self.chunk - 1) * 20).to_string());
        self.chunk += 1;
        json!({ "track": "inbound", "chunk": chunk, "timestamp": timestamp, "payload": payload })
    }

    /// The caller presses a key.
    pub fn dtmf(&self, digit: &str) {
        self.say_numbered("dtmf", json!({ "track": "inbound_track", "digit": digit }));
    }

    /// The caller hangs up: `stop`, then the socket closes.
    pub fn hang_up(&self) {
        self.say_numbered("stop", json!({ "accountSid": self.account_sid, "callSid": self.call_sid }));
        self.outgoing.send(Message::Close(None)).ok();
    }

    /// What was said so far.
    pub fn sent(&self) -> &[Passed] {
        &self.sent
    }

    /// What was heard so far.
    pub fn heard(&self) -> Heard {
        self.heard.borrow().clone()
    }

    /// Waits until what was heard is enough; `what` says what was waited for.
    pub async fn until(&mut self, what: &str, enough: impl FnMut(&Heard) -> bool) -> Result<Heard> {
        let waited = tokio::time::timeout(PATIENCE, self.heard.wait_for(enough)).await;
        match waited.map(|heard| heard.map(|heard| heard.clone())) {
            Ok(Ok(heard)) => Ok(heard),
            Ok(Err(_)) => anyhow::bail!("the stream ended before {what}: {}", summary(&self.heard.borrow())),
            Err(_) => anyhow::bail!("waited {PATIENCE:?} for {what}: {}", summary(&self.heard.borrow())),
        }
    }
}

fn summary(heard: &Heard) -> String {
    let Heard { marks, illegal, closed, .. } = heard;
    format!("heard {} bytes, marks {marks:?}, illegal {illegal:?}, closed {closed:?}", heard.bytes())
}

fn numbered(event: &str, stream_sid: &str, sequence: &AtomicU64, content: Value) -> Value {
    let number = sequence.fetch_add(1, Ordering::Relaxed).to_string();
    json!({ "event": event, "sequenceNumber": number, "streamSid": stream_sid, event: content })
}

/// The end that holds the socket and plays what the host sends.
struct Far {
    socket: WebSocketStream<TcpStream>,
    report: watch::Sender<Heard>,
    listening: watch::Receiver<bool>,
    playback: Playback,
    began: Instant,
    stream_sid: String,
    sequence: Arc<AtomicU64>,
}

impl Far {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Message>) {
        let code = loop {
            let due = self.playback.next_mark().map(|at| tokio::time::Instant::from_std(self.began + at));
            let listens = *self.listening.borrow_and_update();
            let sent = tokio::select! {
                Ok(()) = self.listening.changed() => Ok(()),
                order = orders.recv() => match order {
                    Some(order) => self.socket.send(order).await,
                    None => self.socket.close(None).await,
                },
                message = self.socket.next(), if listens => match message {
                    Some(Ok(Message::Close(frame))) => break frame.map_or(1005, |frame| frame.code.into()),
                    Some(Ok(message)) => self.take(&message).await,
                    Some(Err(_)) | None => break 1006,
                },
                () = until(due) => self.return_reached().await,
            };
            if sent.is_err() {
                break 1006;
            }
        };
        // Finishes the closing handshake.
        while let Some(Ok(_)) = self.socket.next().await {}
        self.report.send_modify(|heard| heard.closed = Some(code));
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    async fn take(&mut self, message: &Message) -> Result<(), WsError> {
        let now = self.now();
        let text = match message {
            Message::Text(text) => text.as_str(),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            _ => return self.refuse("a binary message").await,
        };
        let Ok(said) = serde_json::from_str::<Value>(text) else { return self.refuse(text).await };
        if said["streamSid"] != self.stream_sid.as_str() {
            return self.refuse(text).await;
        }
        match (said["event"].as_str(), said["media"]["payload"].as_str(), said["mark"]["name"].as_str()) {
            (Some("media"), Some(payload), _) => match STANDARD.decode(payload) {
                Ok(bytes) => self.play(now, bytes),
                Err(_) => return self.refuse(text).await,
            },
            (Some("mark"), _, Some(name)) => {
                self.playback.mark(now, name.to_owned());
                self.report.send_modify(|heard| heard.marks.push(name.to_owned()));
                return self.return_reached().await;
            }
            (Some("clear"), _, _) => {
                self.report.send_modify(|heard| heard.clears.push(Instant::now()));
                let names = self.playback.clear(now);
                return self.return_marks(names).await;
            }
            _ => return self.refuse(text).await,
        }
        Ok(())
    }

    fn play(&mut self, now: Duration, bytes: Vec<u8>) {
        let ahead = self.playback.audio(now, bytes.len());
        self.report.send_modify(|heard| {
            heard.most_ahead = heard.most_ahead.max(ahead);
            heard.audio.push(Passed { at: Instant::now(), bytes });
        });
    }

    async fn return_reached(&mut self) -> Result<(), WsError> {
        let names = self.playback.reached(self.now());
        self.return_marks(names).await
    }

    async fn return_marks(&mut self, names: Vec<String>) -> Result<(), WsError> {
        for name in names {
            let mark = numbered("mark", &self.stream_sid, &self.sequence, json!({ "name": name }));
            self.socket.send(Message::text(mark.to_string())).await?;
        }
        Ok(())
    }

    /// Twilio's error 31924: the stream ends.
    async fn refuse(&mut self, what: &str) -> Result<(), WsError> {
        self.report.send_modify(|heard| heard.illegal.push(what.chars().take(200).collect()));
        self.socket.close(Some(CloseFrame { code: 1003.into(), reason: "31924".into() })).await
    }
}

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
