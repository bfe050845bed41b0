//! What comes over the wire, byte by byte.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::server::serve_routes;
use crate::testing::app_with;
use crate::{App, Limits};

struct Server {
    app: App,
    address: std::net::SocketAddr,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

async fn panics() {
    panic!("a secret nobody should see");
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_millis(300)).await;
    "done"
}

impl Server {
    async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let (app, folder) = app_with(|settings| change(&mut settings.limits)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = app.settings.limits.clone();
        let echo = post(move |body| async move { super::read_body(body, &limits).await });
        let router = Router::new().route("/echo", echo).route("/panics", get(panics)).route("/slow", get(slow));
        let serving = tokio::spawn(serve_routes(listener, app.clone(), router));
        Self { app, address, serving, _folder: folder }
    }

    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn open(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Everything that comes back for these bytes until the connection closes.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut socket = self.open().await;
        // A server that refuses may stop reading in the middle.
        socket.write_all(bytes).await.ok();
        rest(&mut socket).await
    }
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    let mut part = [0; 4_096];
    // A reset after the answer is an end like any other.
    while let Ok(count @ 1..) = socket.read(&mut part).await {
        heard.extend_from_slice(&part[..count]);
    }
    String::from_utf8_lossy(&heard).into_owned()
}

fn post_with(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

/// A request whose answer nobody mistakes.
const ASIDE: &str = "GET /panics HTTP/1.1\r\nhost: x\r\n\r\n";

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn heads_that_are_too_large_or_too_many_are_refused_with_their_status() {
    let server = Server::new().await;
    let many: String = (0..70).map(|number| format!("x-{number}: 1\r\n")).collect();
    assert_eq!(status(&server.say(&post_with(&many, "")).await), "431");
    let large = format!("x-large: {}\r\n", "a".repeat(33 << 10));
    assert_eq!(status(&server.say(&post_with(&large, "")).await), "431");
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "a".repeat(9 << 10));
    assert_eq!(status(&server.say(long.as_bytes()).await), "414");
    let fits: String = (0..50).map(|number| format!("x-{number}: {}\r\n", "a".repeat(500))).collect();
    assert_eq!(status(&server.say(&post_with(&fits, "")).await), "200");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_and_without_a_length() {
    let server = Server::new().await;
    let (full, over) = ("a".repeat(64 << 10), "a".repeat((64 << 10) + 1));
    let sized = |body: &str| post_with(&format!("content-length: {}\r\n", body.len()), body);
    let chunked =
        |body: &str| post_with("transfer-encoding: chunked\r\n", &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    assert_eq!(status(&server.say(&sized(&full)).await), "200");
    assert_eq!(status(&server.say(&chunked(&full)).await), "200");
    assert_eq!(status(&server.say(&sized(&over)).await), "413");
    assert_eq!(status(&server.say(&chunked(&over)).await), "413");
}

#[tokio::test]
async fn ambiguous_or_forged_framing_is_refused() {
    let server = Server::new().await;
    for headers in [
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: 2\r\nContent-Length: 2\r\n",
        "content-length: 2, 2\r\n",
        "content-length: +1\r\n",
        "content-length: 0x1\r\n",
        "content-length: 1, 2\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "x-folded: a\r\n b\r\n",
        "x-null: a\0b\r\n",
        "x-bare: a\rb\r\n",
        "x space: a\r\n",
    ] {
        // The one behind it would be answered, were the connection not closed.
        let requests = format!("POST /echo HTTP/1.1\r\nhost: x\r\n{headers}\r\nab{ASIDE}");
        let answer = server.say(requests.as_bytes()).await;
        assert_eq!(status(&answer), "400", "{headers:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers:?}: {answer}");
    }
    assert_eq!(status(&server.say(b"GET /a\0b HTTP/1.1\r\nhost: x\r\n\r\n").await), "400");
    assert_eq!(status(&server.say(b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n").await), "400");
}

/// Each would be one request or two, depending on who reads it.
const SMUGGLED: [&str; 5] = [
    "content-length: 4\r\ntransfer-encoding: chunked\r\n",
    "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    "Transfer-Encoding: gzip, chunked\r\nCONTENT-LENGTH: 4\r\n",
    "content-length: 0\r\nhost: y\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n",
    "content-length: 5\r\ncontent-length: 5\r\n",
];

#[tokio::test]
async fn nothing_can_be_smuggled_behind_two_lengths() {
    let server = Server::new().await;
    for headers in SMUGGLED {
        // By the length, a second request begins in the body; by the encoding, behind it.
        let smuggler = format!("POST /echo HTTP/1.1\r\nhost: x\r\n{headers}\r\n0\r\n\r\n{ASIDE}");
        let answer = server.say(smuggler.as_bytes()).await;
        assert_eq!(status(&answer), "400", "{headers:?}: {answer}");
        assert!(answer.contains("connection: close\r\n"), "{headers:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{headers:?}: {answer}");
    }
}

#[tokio::test]
async fn a_smuggler_hides_neither_behind_honest_requests_nor_in_pieces() {
    let server = Server::new().await;
    let honest = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\ncontent-length: 10\r\n".to_owned()
        + "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    for headers in SMUGGLED {
        let requests = format!("{honest}POST /echo HTTP/1.1\r\nhost: x\r\n{headers}\r\n0\r\n\r\n{ASIDE}");
        let answer = server.say(requests.as_bytes()).await;
        let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
        assert_eq!(statuses, ["200", "200", "400"], "{headers:?}: {answer}");
        let mut socket = server.open().await;
        for piece in requests.as_bytes().chunks(11) {
            // Nothing waits for more here: each piece is a packet.
            if socket.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let answer = rest(&mut socket).await;
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{headers:?}: {answer}");
        assert!(!answer.contains("HTTP/1.1 500"), "{headers:?}: {answer}");
    }
}

#[tokio::test]
async fn a_chunked_request_is_the_last_of_its_connection_and_a_sized_one_is_not() {
    let server = Server::new().await;
    let sized = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab";
    let chunked = "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let answer = server.say([sized, sized, chunked, ASIDE].concat().as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 3, "{answer}");
    assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
}

#[tokio::test]
async fn a_head_that_dribbles_is_cut_off_and_a_body_that_dribbles_gets_408() {
    let server = Server::with(|limits| (limits.header_seconds, limits.body_seconds) = (1, 1)).await;
    let mut socket = server.open().await;
    socket.write_all(b"GET /slow HTTP/1.1\r\nhost:").await.unwrap();
    assert_eq!(rest(&mut socket).await, "", "closed without an answer");
    let answer = server.say(&post_with("content-length: 10\r\n", "a")).await;
    assert_eq!(status(&answer), "408", "{answer}");
}

#[tokio::test]
async fn a_panic_ends_one_request_says_nothing_and_is_counted() {
    let server = Server::new().await;
    let answer = server.say(b"GET /panics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), "500", "{answer}");
    assert!(!answer.contains("secret"), "{answer}");
    let trace = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    assert!(answer.lines().last().unwrap().contains(trace), "{answer}");
    assert_eq!(status(&server.say(&post_with("content-length: 1\r\n", "a")).await), "200");
    assert!(server.app.metrics.render(&server.app).contains("jackfield_http_panics_total 1\n"));
}

#[tokio::test]
async fn answers_name_neither_software_nor_version() {
    let server = Server::new().await;
    let answer = server.say(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.to_lowercase();
    assert!(!answer.contains("server:") && !answer.contains("hyper") && !answer.contains("axum"), "{answer}");
}

#[tokio::test]
async fn one_address_gets_its_share_of_connections_and_no_more() {
    let server = Server::with(|limits| limits.connections_per_address = 2).await;
    let mut held = [server.open().await, server.open().await];
    for socket in &mut held {
        socket.write_all(&post_with("content-length: 1\r\n", "")).await.unwrap();
    }
    while !server.app.metrics.render(&server.app).contains("jackfield_http_connections 2\n") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(server.say(&post_with("content-length: 1\r\n", "a")).await, "");
    drop(held);
    while !server.app.metrics.render(&server.app).contains("jackfield_http_connections 0\n") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(status(&server.say(&post_with("content-length: 1\r\n", "a")).await), "200");
}

#[tokio::test]
async fn a_drain_closes_idle_connections_finishes_requests_and_then_ends() {
    let server = Server::new().await;
    let mut idle = server.open().await;
    idle.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\na").await.unwrap();
    let mut first = [0; 17];
    idle.read_exact(&mut first).await.unwrap();
    let mut busy = server.open().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.app.drain.begin();
    rest(&mut idle).await;
    // While calls are up, new requests are answered.
    assert_eq!(status(&server.say(&post_with("content-length: 1\r\n", "a")).await), "200");
    let unused = server.open().await;
    server.app.drain.close();
    assert_eq!(status(&rest(&mut busy).await), "200");
    server.serving.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(unused);
}
