//! The connection to an agent, as the audio loop sees it. Drives the sockets of all protocols.

use std::collections::VecDeque;
use std::mem::discriminant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use jackfield_egress::Networks;
use jackfield_media::Format;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::builtin::Player;
use crate::connector::{AgentError, Beginning, Connector, Dialect, Endpoint, Start};
use crate::contract::{AgentAudio, FromAgent, Message, ToAgent};
use crate::engine::{Engine, Standing};
use crate::handshake::{self, LARGEST_MESSAGE, Socket};

/// An agent that takes nothing for so long is lost, as a provider would be. Its kernel hides the beginning of a stall.
const WRITE: Duration = Duration::from_secs(10);
const CLOSE: Duration = Duration::from_secs(2);

/// A connected agent.
#[derive(Debug)]
pub struct Link {
    kind: Kind,
    audio: AgentAudio,
    steady: bool,
}

#[derive(Debug)]
enum Kind {
    Echo(VecDeque<Vec<u8>>),
    Player { player: Player, began: Instant, held: bool },
    Socket { shared: Arc<Shared>, closed: bool },
}

/// Connects to an agent within `timeout`. `wire` is what the call's audio comes in; `networks` is where an agent may be.
///
/// # Errors
/// When it cannot be reached, or does not take the call.
pub async fn connect(
    connector: &Connector,
    start: &Start,
    wire: Format,
    timeout: Duration,
    networks: &Networks,
) -> Result<Link, AgentError> {
    let player = |player: Player| {
        let audio = AgentAudio::both(player.format());
        Link { kind: Kind::Player { player, began: Instant::now(), held: false }, audio, steady: true }
    };
    match connector {
        Connector::Echo => Ok(Link { kind: Kind::Echo(VecDeque::new()), audio: AgentAudio::both(wire), steady: true }),
        Connector::Tone(tone) => Ok(player(Player::tone(*tone, wire.rate))),
        Connector::Play(play) => Ok(player(Player::clip(play.load().await?, play.repeat))),
        Connector::Remote { endpoint, dialect } => {
            let late =
                |_| AgentError::Unreachable(format!("the agent did not answer within {} ms", timeout.as_millis()));
            tokio::time::timeout(timeout, open(endpoint, dialect, start, wire, networks)).await.map_err(late)?
        }
    }
}

impl Link {
    /// How the agent's audio is written.
    pub fn audio(&self) -> AgentAudio {
        self.audio
    }

    /// Does its audio come no later than it is needed, so that a start need not be held back to gather more of it?
    pub fn is_steady(&self) -> bool {
        self.steady
    }

    /// Is it behind a socket, with a clock of its own?
    pub fn is_remote(&self) -> bool {
        matches!(self.kind, Kind::Socket { .. })
    }

    /// The next thing the agent says; nothing follows `Closed`. Cancel safe.
    pub async fn next(&mut self) -> FromAgent {
        match &mut self.kind {
            Kind::Echo(queue) => match queue.pop_front() {
                Some(audio) => FromAgent::Audio(audio),
                None => std::future::pending().await,
            },
            Kind::Player { held: true, .. } | Kind::Socket { closed: true, .. } => std::future::pending().await,
            Kind::Player { player, began, .. } => loop {
                if let Some(said) = player.poll(began.elapsed()) {
                    return said;
                }
                match player.wake_at() {
                    Some(at) => tokio::time::sleep_until(*began + at).await,
                    None => std::future::pending().await,
                }
            },
            Kind::Socket { shared, closed } => {
                let said = shared.next().await;
                *closed = matches!(said, FromAgent::Closed { .. });
                said
            }
        }
    }

    /// What the agent has said already, if anything.
    pub fn try_next(&mut self) -> Option<FromAgent> {
        match &mut self.kind {
            Kind::Echo(queue) => queue.pop_front().map(FromAgent::Audio),
            Kind::Player { held: true, .. } | Kind::Socket { closed: true, .. } => None,
            Kind::Player { player, began, .. } => player.poll(began.elapsed()),
            Kind::Socket { shared, closed } => {
                let said = shared.engine().incoming.pop()?;
                shared.room.notify_one();
                *closed = matches!(said, FromAgent::Closed { .. });
                Some(said)
            }
        }
    }

    /// Tells the agent something, without ever waiting for it.
    pub fn send(&mut self, message: ToAgent) {
        match &mut self.kind {
            Kind::Echo(queue) => {
                if let ToAgent::Audio(bytes) = message {
                    queue.push_back(bytes);
                }
            }
            Kind::Player { .. } => {}
            Kind::Socket { shared, .. } => shared.with(|engine, now| engine.tell(now, message)),
        }
    }

    /// While it is held the agent's audio waits here, and at last in its socket; barge-in and the like still come.
    pub fn hold_audio(&mut self, hold: bool) {
        match &mut self.kind {
            Kind::Echo(_) => {}
            Kind::Player { held, .. } => *held = hold,
            Kind::Socket { shared, .. } => shared.engine().incoming.held = hold,
        }
    }

    /// Messages that the agent did not take.
    pub fn lost(&self) -> u64 {
        match &self.kind {
            Kind::Echo(_) | Kind::Player { .. } => 0,
            Kind::Socket { shared, .. } => shared.engine().outgoing.lost,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Kind::Socket { shared, .. } = &self.kind {
            shared.leave();
        }
    }
}

/// What the loop and the two tasks of a socket share. No lock is held across an await.
#[derive(Debug)]
struct Shared {
    engine: Mutex<Engine>,
    began: Instant,
    /// Nothing more will be told.
    over: std::sync::atomic::AtomicBool,
    to_write: Notify,
    said: Notify,
    room: Notify,
}

impl Shared {
    fn engine(&self) -> std::sync::MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the state machine, and wakes whom it concerns: each frame passes here, and a wake-up for nothing costs as much as one
    /// for something.
    fn with(&self, step: impl FnOnce(&mut Engine, Duration)) {
        let mut engine = self.engine();
        let before = (engine.wake_at(), discriminant(&engine.standing));
        step(&mut engine, self.began.elapsed());
        let writes = !engine.outgoing.is_empty() || engine.wake_at() != before.0;
        let says = !engine.incoming.is_empty() || discriminant(&engine.standing) != before.1;
        drop(engine);
        if writes {
            self.to_write.notify_one();
        }
        if says {
            self.said.notify_one();
        }
    }

    fn leave(&self) {
        self.over.store(true, Ordering::Release);
        self.to_write.notify_one();
        self.room.notify_one();
    }

    async fn next(&self) -> FromAgent {
        loop {
            let said = self.engine().incoming.pop();
            if let Some(said) = said {
                self.room.notify_one();
                return said;
            }
            self.said.notified().await;
        }
    }

    /// Waits until the agent has taken the call, or has not.
    async fn ready(&self) -> Result<(), AgentError> {
        let refused = |why: &str| Err(AgentError::Unreachable(format!("the agent did not take the call: {why}")));
        loop {
            match &self.engine().standing {
                Standing::Ready => return Ok(()),
                Standing::Refused(why) => return refused(why),
                Standing::Closed => return refused("it closed the connection"),
                Standing::Connecting => {}
            }
            self.said.notified().await;
        }
    }

    /// Until there is room for more of what the agent says; false when nobody will hear it.
    async fn room(&self) -> bool {
        while !self.over.load(Ordering::Acquire) && self.engine().incoming.is_full() {
            self.room.notified().await;
        }
        !self.over.load(Ordering::Acquire)
    }
}

async fn open(
    endpoint: &Endpoint,
    dialect: &Dialect,
    start: &Start,
    wire: Format,
    networks: &Networks,
) -> Result<Link, AgentError> {
    let audio = dialect.audio(wire);
    let (socket, cut) = handshake::open(endpoint, &dialect.upgrade(endpoint), networks).await?;
    let unix_time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let protocol = dialect.protocol(&Beginning { start, audio, proof: &endpoint.proof, unix_time });
    let shared = Arc::new(Shared {
        engine: Mutex::new(Engine::new(protocol, audio.from_agent)),
        began: Instant::now(),
        over: std::sync::atomic::AtomicBool::new(false),
        to_write: Notify::new(),
        said: Notify::new(),
        room: Notify::new(),
    });
    // From here on a link that is dropped closes the socket.
    let kind = Kind::Socket { shared: Arc::clone(&shared), closed: false };
    let link = Link { kind, audio, steady: dialect.is_steady() };
    let (sink, stream) = socket.split();
    shared.with(|engine, now| engine.open(now));
    let reading = tokio::spawn(read(stream, Arc::clone(&shared), cut));
    let writing = Arc::clone(&shared);
    tokio::spawn(async move {
        if !write(sink, &writing).await {
            writing.with(|engine, _| engine.closed(false));
        }
        // A peer that does not answer the close is cut off.
        let abort = reading.abort_handle();
        if tokio::time::timeout(CLOSE, reading).await.is_err() {
            tracing::debug!("an agent did not close in time");
            abort.abort();
        }
    });
    shared.ready().await?;
    Ok(link)
}

/// Back-pressure: an agent that says more than may wait is not read on.
async fn read(mut stream: SplitStream<Socket>, shared: Arc<Shared>, cut: Arc<AtomicU64>) {
    loop {
        // After the call only the answer to our close is of interest.
        let wanted = shared.room().await;
        let message = stream.next().await;
        if cut.swap(0, Ordering::Relaxed) > 0 {
            let what = format!("a message of more than {LARGEST_MESSAGE} bytes was thrown away");
            shared.with(|engine, now| engine.problem(now, what));
        }
        let message = match message {
            Some(Ok(Frame::Binary(bytes))) => Message::Binary(bytes.to_vec()),
            Some(Ok(Frame::Text(text))) => Message::Text(text.as_str().to_owned()),
            Some(Ok(Frame::Close(frame))) => {
                // 1001 is a server that goes down, which is no goodbye to the caller.
                let normal = frame.is_none_or(|frame| frame.code == CloseCode::Normal);
                return shared.with(|engine, _| engine.closed(normal));
            }
            Some(Ok(_)) => continue,
            Some(Err(_)) | None => return shared.with(|engine, _| engine.closed(false)),
        };
        if wanted {
            shared.with(|engine, now| engine.read(now, message));
        }
    }
}

/// True when everything was written and the close was sent.
async fn write(mut sink: SplitSink<Socket, Frame>, shared: &Shared) -> bool {
    loop {
        let now = shared.began.elapsed();
        let wake_at = shared.engine().wake_at();
        if wake_at.is_some_and(|at| at <= now) {
            shared.with(Engine::wake);
        }
        let message = shared.engine().outgoing.pop();
        let frame = match message {
            Some(Message::Text(text)) => Frame::text(text),
            Some(Message::Binary(bytes)) => Frame::binary(bytes),
            None if shared.over.load(Ordering::Acquire) => break,
            None => {
                rest(shared).await;
                continue;
            }
        };
        if !matches!(tokio::time::timeout(WRITE, sink.send(frame)).await, Ok(Ok(()))) {
            return false;
        }
    }
    tokio::time::timeout(CLOSE, sink.close()).await.is_ok()
}

/// Until there is something to write, or the protocol wants to be woken.
async fn rest(shared: &Shared) {
    let wake_at = shared.engine().wake_at();
    match wake_at {
        Some(at) => tokio::time::timeout_at(shared.began + at, shared.to_write.notified()).await.unwrap_or(()),
        None => shared.to_write.notified().await,
    }
}
