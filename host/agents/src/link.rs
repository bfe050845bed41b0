//! The connection to an agent, as the audio loop sees it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector as Tls, MaybeTlsStream, WebSocketStream};
use url::Url;

use crate::connector::{AgentError, Connector, Start};
use crate::listen::{self, Reader};

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromAgent {
    /// In the format of the session.
    Audio(Vec<u8>),
    Mark(String),
    /// Barge-in.
    Clear,
    Dtmf(String),
    HangUp { after_playout: bool },
    Closed { normal: bool },
    /// A message that was refused.
    Problem(String),
}

/// What an agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToAgent {
    Audio(Vec<u8>),
    Dtmf(String),
    Mark { name: String, cleared: bool },
    Stop { reason: String },
}

/// Messages that may wait for an agent that does not read: 400 ms of audio.
const BACKLOG: usize = 20;
const LARGEST: usize = 1 << 20;
const WRITE: Duration = Duration::from_secs(5);
const CLOSE: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A connected agent.
#[derive(Debug)]
pub struct Link(Kind);

#[derive(Debug)]
enum Kind {
    Echo(VecDeque<Vec<u8>>),
    Socket { incoming: mpsc::Receiver<FromAgent>, outgoing: mpsc::Sender<ToAgent>, lost: u64 },
}

/// Connects to an agent within `timeout`.
///
/// # Errors
/// When it cannot be reached.
pub async fn connect(connector: &Connector, start: &Start, timeout: Duration) -> Result<Link, AgentError> {
    match connector {
        Connector::Echo => Ok(Link(Kind::Echo(VecDeque::new()))),
        Connector::WebSocket { url } => {
            let late = |_| AgentError::Unreachable(format!("the agent did not answer within {} ms", timeout.as_millis()));
            tokio::time::timeout(timeout, open(url, start)).await.map_err(late)?
        }
    }
}

impl Link {
    /// The next thing the agent says. Cancel safe.
    pub async fn next(&mut self) -> FromAgent {
        match &mut self.0 {
            Kind::Echo(queue) => match queue.pop_front() {
                Some(audio) => FromAgent::Audio(audio),
                None => std::future::pending().await,
            },
            Kind::Socket { incoming, .. } => incoming.recv().await.unwrap_or(FromAgent::Closed { normal: false }),
        }
    }

    /// Tells the agent something, without ever waiting for it. Audio that finds no room is dropped and counted.
    pub fn send(&mut self, message: ToAgent) {
        match &mut self.0 {
            Kind::Echo(queue) => {
                if let ToAgent::Audio(bytes) = message {
                    queue.push_back(bytes);
                }
            }
            Kind::Socket { outgoing, lost, .. } => *lost += u64::from(outgoing.try_send(message).is_err()),
        }
    }

    /// Messages that the agent did not take.
    pub fn lost(&self) -> u64 {
        match &self.0 {
            Kind::Echo(_) => 0,
            Kind::Socket { lost, .. } => *lost,
        }
    }
}

async fn open(url: &Url, start: &Start) -> Result<Link, AgentError> {
    let unreachable = |error: Error| AgentError::Unreachable(format!("the agent could not be reached: {error}"));
    let mut request = url.as_str().into_client_request().map_err(unreachable)?;
    let offered = HeaderValue::from_static(listen::SUBPROTOCOLS);
    request.headers_mut().insert("sec-websocket-protocol", offered);
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let tls = Some(Tls::Rustls(tls()?));
    let connected = tokio_tungstenite::connect_async_tls_with_config(request, Some(config), true, tls).await;
    // A server that chooses no subprotocol is as welcome: what counts is that it speaks WebSocket.
    let (mut socket, _) = connected.map_err(unreachable)?;
    socket.send(Message::text(listen::hello(start))).await.map_err(unreachable)?;
    let (sink, stream) = socket.split();
    let (said, incoming) = mpsc::channel(64);
    let (outgoing, told) = mpsc::channel(BACKLOG);
    let (answers, complaints) = mpsc::channel(8);
    tokio::spawn(write(sink, told, complaints));
    tokio::spawn(read(stream, Reader::new(start.sample_rate), said, answers));
    Ok(Link(Kind::Socket { incoming, outgoing, lost: 0 }))
}

fn tls() -> Result<Arc<rustls::ClientConfig>, AgentError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| AgentError::Unreachable(error.to_string()))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// Back-pressure is the channel's: an agent that says more than is played is not read on.
async fn read(
    mut stream: SplitStream<Socket>,
    mut reader: Reader,
    said: mpsc::Sender<FromAgent>,
    answers: mpsc::Sender<String>,
) {
    loop {
        let heard = match stream.next().await {
            Some(Ok(Message::Binary(bytes))) => Some(FromAgent::Audio(reader.binary(&bytes))),
            Some(Ok(Message::Text(text))) => match reader.text(&text) {
                Ok(heard) => heard,
                Err(what) => {
                    // The app hears about it if it reads at all.
                    answers.try_send(listen::complaint(&what)).ok();
                    Some(FromAgent::Problem(what))
                }
            },
            Some(Ok(Message::Close(_))) => Some(FromAgent::Closed { normal: true }),
            Some(Ok(_)) => None,
            Some(Err(_)) | None => Some(FromAgent::Closed { normal: false }),
        };
        let Some(heard) = heard else { continue };
        let over = matches!(heard, FromAgent::Closed { .. });
        if said.send(heard).await.is_err() || over {
            return;
        }
    }
}

async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut told: mpsc::Receiver<ToAgent>,
    mut complaints: mpsc::Receiver<String>,
) {
    loop {
        let message = tokio::select! {
            message = told.recv() => match message {
                Some(message) => message_for(message),
                None => break,
            },
            Some(complaint) = complaints.recv() => Message::text(complaint),
        };
        match tokio::time::timeout(WRITE, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    // A peer that does not answer the close is cut off.
    tokio::time::timeout(CLOSE, sink.close()).await.ok();
}

fn message_for(message: ToAgent) -> Message {
    match (listen::text_for(&message), message) {
        (None, ToAgent::Audio(bytes)) => Message::binary(bytes),
        (text, _) => Message::text(text.unwrap_or_default()),
    }
}
