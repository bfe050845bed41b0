//! Opens a WebSocket to an agent.
//!
//! Our own handshake, for one reason: a subprotocol is offered for jambonz apps, and a bot that selects none is as
//! welcome, which the library would refuse.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use jackfield_egress::{EgressError, Networks, Shallow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::{Position, Url};
use zeroize::Zeroizing;

use crate::connector::{AgentError, Endpoint, Upgrade};
use crate::sieve::{Sieve, Sieved};

pub(crate) type Socket = WebSocketStream<Sieved<MaybeTlsStream<Shallow>>>;

/// Bytes of the largest message that is read.
pub(crate) const LARGEST_MESSAGE: usize = 1 << 20;
const LARGEST_ANSWER: usize = 16 << 10;

fn unreachable(what: impl std::fmt::Display) -> AgentError {
    AgentError::Unreachable(format!("the agent could not be reached: {what}"))
}

/// The socket, and the count of messages that were too long since it was last looked at.
pub(crate) async fn open(
    endpoint: &Endpoint,
    upgrade: &Upgrade,
    networks: &Networks,
) -> Result<(Socket, Arc<AtomicU64>), AgentError> {
    let mut stream = connect(&endpoint.url, networks).await?;
    let key = generate_key();
    stream.write_all(request(endpoint, upgrade, &key).as_bytes()).await.map_err(unreachable)?;
    let (answer, rest) = answer(&mut stream).await?;
    check(&answer, &key)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE))
        .read_buffer_size(4 << 10)
        .write_buffer_size(0);
    let sieve = Sieve::new(LARGEST_MESSAGE);
    let cut = sieve.counter();
    let socket = Sieved::new(stream, sieve, &rest);
    Ok((WebSocketStream::from_raw_socket(socket, Role::Client, Some(config)).await, cut))
}

async fn connect(url: &Url, networks: &Networks) -> Result<MaybeTlsStream<Shallow>, AgentError> {
    let host = url.host_str().ok_or_else(|| unreachable("its URL names no host"))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let plain = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let tcp = networks.connect(&plain, port).await.map_err(|error| match error {
        EgressError::Denied(_) => AgentError::Invalid(
            "the agent's host is not public; if it is meant, name its network in `egress.agent_networks`".to_owned(),
        ),
        error => unreachable(error),
    })?;
    // A bot that does not read shall lose audio in our queue, not find minutes of it in the kernel's.
    let tcp = Shallow::new(tcp).map_err(unreachable)?;
    if url.scheme() == "ws" {
        return Ok(MaybeTlsStream::Plain(tcp));
    }
    let name = rustls::pki_types::ServerName::try_from(plain).map_err(unreachable)?;
    let secured = TlsConnector::from(tls()?).connect(name, tcp).await.map_err(unreachable)?;
    Ok(MaybeTlsStream::Rustls(secured))
}

fn tls() -> Result<Arc<rustls::ClientConfig>, AgentError> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(Arc::new(builder.map_err(unreachable)?.with_root_certificates(roots).with_no_client_auth()))
}

fn request(endpoint: &Endpoint, upgrade: &Upgrade, key: &str) -> Zeroizing<String> {
    let url = &endpoint.url;
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let target = &url[Position::BeforePath..Position::AfterQuery];
    let mut request = Zeroizing::new(format!(
        "GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    ));
    let mut header = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        write!(request, "{name}: {value}\r\n").ok();
    };
    if let Some(subprotocols) = upgrade.subprotocols {
        header("Sec-WebSocket-Protocol", subprotocols);
    }
    if let Some((name, value)) = endpoint.proof.header() {
        header(&name, &value);
    }
    upgrade.headers.iter().for_each(|(name, value)| header(name, value));
    request.push_str("\r\n");
    request
}

/// The head of the answer, and what came behind it.
async fn answer(stream: &mut MaybeTlsStream<Shallow>) -> Result<(String, Vec<u8>), AgentError> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if bytes.len() > LARGEST_ANSWER {
            return Err(unreachable("its answer has no end"));
        }
        let mut piece = [0; 1_024];
        match stream.read(&mut piece).await.map_err(unreachable)? {
            0 => return Err(unreachable("it closed the connection")),
            length => bytes.extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
    }
}

fn check(answer: &str, key: &str) -> Result<(), AgentError> {
    let mut lines = answer.lines();
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("101") {
        return Err(unreachable(format!("it answered `{}`", status.escape_debug())));
    }
    let accepted = lines.filter_map(|line| line.split_once(':')).any(|(name, value)| {
        name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == derive_accept_key(key.as_bytes())
    });
    if accepted { Ok(()) } else { Err(unreachable("it does not speak WebSocket")) }
}
