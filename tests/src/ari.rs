//! A fake of Asterisk's event sockets: takes any number of them, says what a test wants, and counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Message, handshake::derive_accept_key};

/// What it does with whoever comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Welcoming,
    /// 401.
    Refusing,
    /// 404, as while it loads its modules.
    Loading,
    /// Takes the connection and never says a word, not even to a ping.
    Silent,
}

/// The fake. Stops when dropped.
#[derive(Debug)]
pub struct Ari {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    user: String,
    /// Open sockets by application.
    open: BTreeMap<String, (usize, mpsc::UnboundedSender<Message>)>,
    attempts: usize,
    /// REST requests, as method and target.
    asked: Vec<String>,
}

impl Ari {
    /// Listens for `user` and `password`.
    pub async fn start(user: &str, password: &str) -> Result<Self> {
        Self::at("127.0.0.1:0".parse()?, user, password).await
    }

    /// The same on a given address: one that comes back.
    pub async fn at(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let user = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let state = State { manner: Manner::Welcoming, user, open: BTreeMap::new(), attempts: 0, asked: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let task = tokio::spawn(accept(listener, state.clone()));
        Ok(Self { address, state, task })
    }

    pub fn set(&self, manner: Manner) {
        self.state().manner = manner;
    }

    /// Sockets that are open.
    pub fn open(&self) -> usize {
        self.state().open.len()
    }

    /// Handshakes so far.
    pub fn attempts(&self) -> usize {
        self.state().attempts
    }

    /// REST requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// Says something to an application. False when nobody listens.
    pub fn say(&self, application: &str, message: Message) -> bool {
        self.state().open.get(application).is_some_and(|(_, socket)| socket.send(message).is_ok())
    }

    /// Closes every socket.
    pub fn hang_up(&self) {
        self.state().open.clear();
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ari {
    fn drop(&mut self) {
        self.task.abort();
        self.hang_up();
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(serve(socket, state.clone()));
    }
}

async fn serve(mut socket: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let head = head(&mut socket).await?;
    let line = head.lines().next()?.to_owned();
    let header = |name: &str| {
        let found = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")))?;
        Some(found.split_once(": ")?.1.trim().to_owned())
    };
    let Some(key) = header("sec-websocket-key") else {
        state.lock().ok()?.asked.push(line.trim_end_matches(" HTTP/1.1").to_owned());
        // Nothing is up here, and whatever is to be removed is gone.
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
        socket.write_all(answer.as_bytes()).await.ok()?;
        return None;
    };
    let (manner, user, number) = {
        let mut state = state.lock().ok()?;
        state.attempts += 1;
        (state.manner, state.user.clone(), state.attempts)
    };
    if manner == Manner::Refusing || header("authorization")? != format!("Basic {user}") {
        socket.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.ok()?;
        return None;
    }
    if manner == Manner::Loading {
        socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.ok()?;
        return None;
    }
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n"
    );
    socket.write_all(answer.as_bytes()).await.ok()?;
    let application = line.split_once("app=")?.1.split(['&', ' ']).next()?.to_owned();
    let (say, said) = mpsc::unbounded_channel();
    state.lock().ok()?.open.insert(application.clone(), (number, say));
    if manner == Manner::Silent {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    talk(socket, said).await;
    let mut state = state.lock().ok()?;
    // Another may have taken its place.
    if state.open.get(&application).is_some_and(|(open, _)| *open == number) {
        state.open.remove(&application);
    }
    Some(())
}

async fn talk(socket: TcpStream, mut said: mpsc::UnboundedReceiver<Message>) {
    let socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
    let (mut out, mut back) = socket.split();
    loop {
        tokio::select! {
            message = said.recv() => match message {
                Some(message) => if out.send(message).await.is_err() { return },
                None => {
                    out.close().await.ok();
                    return;
                }
            },
            heard = back.next() => if !matches!(heard, Some(Ok(_))) { return },
        }
    }
}

async fn head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
