//! The connection to an agent, as the audio loop sees it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{Notify, mpsc};
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use crate::connector::{AgentError, Connector, Start};
use crate::handshake::{self, Socket};
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
    HangUp {
        after_playout: bool,
    },
    Closed {
        normal: bool,
    },
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

/// Audio messages that may wait for an agent that does not read: 400 ms. Of more, the oldest are dropped.
const BACKLOG: usize = 20;
/// Other messages that may wait. An agent so far behind is gone.
const WORDS: usize = 256;
const WRITE: Duration = Duration::from_secs(5);
const CLOSE: Duration = Duration::from_secs(2);

/// A connected agent.
#[derive(Debug)]
pub struct Link(Kind);

#[derive(Debug)]
enum Kind {
    Echo(VecDeque<Vec<u8>>),
    Socket { incoming: mpsc::Receiver<FromAgent>, outgoing: Outgoing, closed: bool },
}

/// Connects to an agent within `timeout`.
///
/// # Errors
/// When it cannot be reached.
pub async fn connect(connector: &Connector, start: &Start, timeout: Duration) -> Result<Link, AgentError> {
    match connector {
        Connector::Echo => Ok(Link(Kind::Echo(VecDeque::new()))),
        Connector::WebSocket { url } => {
            let late =
                |_| AgentError::Unreachable(format!("the agent did not answer within {} ms", timeout.as_millis()));
            tokio::time::timeout(timeout, open(url, start)).await.map_err(late)?
        }
    }
}

impl Link {
    /// The next thing the agent says; nothing follows `Closed`. Cancel safe.
    pub async fn next(&mut self) -> FromAgent {
        match &mut self.0 {
            Kind::Echo(queue) => match queue.pop_front() {
                Some(audio) => FromAgent::Audio(audio),
                None => std::future::pending().await,
            },
            Kind::Socket { closed: true, .. } => std::future::pending().await,
            Kind::Socket { incoming, closed, .. } => {
                let said = incoming.recv().await.unwrap_or(FromAgent::Closed { normal: false });
                *closed = matches!(said, FromAgent::Closed { .. });
                said
            }
        }
    }

    /// What the agent has said already, if anything.
    pub fn try_next(&mut self) -> Option<FromAgent> {
        match &mut self.0 {
            Kind::Echo(queue) => queue.pop_front().map(FromAgent::Audio),
            Kind::Socket { closed: true, .. } => None,
            Kind::Socket { incoming, closed, .. } => {
                let said = incoming.try_recv().ok()?;
                *closed = matches!(said, FromAgent::Closed { .. });
                Some(said)
            }
        }
    }

    /// Tells the agent something, without ever waiting for it.
    pub fn send(&mut self, message: ToAgent) {
        match &mut self.0 {
            Kind::Echo(queue) => {
                if let ToAgent::Audio(bytes) = message {
                    queue.push_back(bytes);
                }
            }
            Kind::Socket { outgoing, .. } => outgoing.push(message),
        }
    }

    /// Messages that the agent did not take.
    pub fn lost(&self) -> u64 {
        match &self.0 {
            Kind::Echo(_) => 0,
            Kind::Socket { outgoing, .. } => outgoing.queue().lost,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Kind::Socket { outgoing, .. } = &self.0 {
            outgoing.queue().over = true;
            outgoing.notify.notify_one();
        }
    }
}

/// What waits to be written: bounded, and never waited for.
#[derive(Debug, Clone, Default)]
struct Outgoing {
    queue: Arc<Mutex<Queue>>,
    notify: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<ToAgent>,
    audio: usize,
    lost: u64,
    over: bool,
}

impl Outgoing {
    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, message: ToAgent) {
        self.queue().push(message);
        self.notify.notify_one();
    }

    /// The next message; none when the call is over and everything was written.
    async fn next(&self) -> Option<ToAgent> {
        loop {
            {
                let mut queue = self.queue();
                if let Some(message) = queue.messages.pop_front() {
                    queue.audio -= usize::from(matches!(message, ToAgent::Audio(_)));
                    return Some(message);
                }
                if queue.over {
                    return None;
                }
            }
            self.notify.notified().await;
        }
    }
}

impl Queue {
    fn push(&mut self, message: ToAgent) {
        let is_audio = matches!(message, ToAgent::Audio(_));
        if is_audio && self.audio >= BACKLOG {
            let oldest = self.messages.iter().position(|waiting| matches!(waiting, ToAgent::Audio(_)));
            if let Some(oldest) = oldest {
                self.messages.remove(oldest);
                self.audio -= 1;
                self.lost += 1;
            }
        }
        if !is_audio && self.messages.len() >= WORDS {
            self.lost += 1;
            return;
        }
        self.audio += usize::from(is_audio);
        self.messages.push_back(message);
    }
}

async fn open(url: &Url, start: &Start) -> Result<Link, AgentError> {
    let mut socket = handshake::open(url).await?;
    let hello = socket.send(Message::text(listen::hello(start))).await;
    hello.map_err(|error| AgentError::Unreachable(format!("the agent closed at once: {error}")))?;
    let (sink, stream) = socket.split();
    let (said, incoming) = mpsc::channel(8);
    let (answers, complaints) = mpsc::channel(8);
    let outgoing = Outgoing::default();
    let reading = tokio::spawn(read(stream, Reader::new(start.sample_rate), said.clone(), answers));
    let queue = outgoing.clone();
    tokio::spawn(async move {
        if !write(sink, queue, complaints).await {
            // The loop may be gone already.
            said.send(FromAgent::Closed { normal: false }).await.ok();
        }
        // A peer that does not answer the close is cut off.
        if tokio::time::timeout(CLOSE, said.closed()).await.is_err() {
            tracing::debug!("an agent did not close in time");
        }
        reading.abort();
    });
    Ok(Link(Kind::Socket { incoming, outgoing, closed: false }))
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
            Some(Ok(Message::Binary(bytes))) => match reader.binary(&bytes) {
                audio if audio.is_empty() => None,
                audio => Some(FromAgent::Audio(audio)),
            },
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

/// True when everything was written and the close was sent.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    outgoing: Outgoing,
    mut complaints: mpsc::Receiver<String>,
) -> bool {
    loop {
        let message = tokio::select! {
            message = outgoing.next() => match message {
                Some(message) => message_for(message),
                None => break,
            },
            Some(complaint) = complaints.recv() => Message::text(complaint),
        };
        match tokio::time::timeout(WRITE, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return false,
        }
    }
    tokio::time::timeout(CLOSE, sink.close()).await.is_ok()
}

fn message_for(message: ToAgent) -> Message {
    match (listen::text_for(&message), message) {
        (None, ToAgent::Audio(bytes)) => Message::binary(bytes),
        (text, _) => Message::text(text.unwrap_or_default()),
    }
}
