//! `GET /api/v1/telephony/ws/{token}`, and `ws?token=…` for providers whose sockets have one address for all calls: the
//! token is spent before anything is allotted.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::App;
use crate::http::Followed;
use crate::live::TakenStream;

/// Length of a token in hex: 32 random bytes.
const TOKEN: usize = 64;

/// The token, where it is in the query.
#[derive(Deserialize)]
pub(crate) struct InQuery {
    token: String,
}

/// The upgrade of a provider's media socket.
pub(crate) async fn open(
    State(app): State<App>,
    Path(token): Path<String>,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Response {
    upgrade(&app, &token, &headers, request).await
}

/// The same with the token in the query.
pub(crate) async fn open_by_query(
    State(app): State<App>,
    Query(InQuery { token }): Query<InQuery>,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Response {
    upgrade(&app, &token, &headers, request).await
}

async fn upgrade(app: &App, token: &str, headers: &HeaderMap, request: axum::extract::Request) -> Response {
    let app = app.clone();
    let Some(key) = websocket_key(headers) else { return StatusCode::BAD_REQUEST.into_response() };
    let Some(taken) = take(&app, token).await else {
        app.metrics.media_refused();
        return StatusCode::FORBIDDEN.into_response();
    };
    let subprotocol = taken.subprotocol(headers);
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        match upgrade.await.map_err(|error| error.to_string()).and_then(own_socket) {
            Ok((socket, leftover)) => app.calls.begin_stream(taken, socket, leftover),
            Err(error) => app.calls.stream_failed(taken, error),
        }
    });
    switching(&key, subprotocol)
}

async fn take(app: &App, token: &str) -> Option<TakenStream> {
    if token.len() != TOKEN || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    app.calls.take_stream(token).await
}

fn websocket_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let says = |name, word: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let asks = says(header::UPGRADE, "websocket") && says(header::CONNECTION, "upgrade");
    let version = headers.get(header::SEC_WEBSOCKET_VERSION)?.as_bytes() == b"13";
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks && version).cloned()
}

fn switching(key: &HeaderValue, subprotocol: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    if let Some(subprotocol) = subprotocol {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response
}

/// Takes the socket out of hyper, and off the runtime that serves webhooks.
fn own_socket(upgraded: hyper::upgrade::Upgraded) -> Result<(std::net::TcpStream, Vec<u8>), String> {
    let parts =
        upgraded.downcast::<TokioIo<Followed<TcpStream>>>().map_err(|_| "not a plain TCP connection".to_owned())?;
    let socket = parts.io.into_inner().into_inner().into_std().map_err(|error| error.to_string())?;
    Ok((socket, parts.read_buf.to_vec()))
}
