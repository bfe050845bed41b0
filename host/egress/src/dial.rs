//! Opens WebSockets to providers, under the same rules as requests.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, http};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};
use url::Url;

use crate::authorization::Authorization;
use crate::client::{Egress, EgressError, headers};
use crate::policy::{self, Grant};
use crate::reach::NotAllowed;

/// An open socket.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Where to, and with which credentials.
pub struct DialRequest {
    /// `wss://…`; `ws://` only to a service that was typed without TLS.
    pub url: String,
    /// Of the handshake.
    pub headers: Vec<(String, String)>,
    /// Of the handshake.
    pub authorization: Vec<Authorization>,
    /// The one to agree on.
    pub subprotocol: Option<String>,
    /// Where it may go.
    pub grants: Vec<Grant>,
    /// Bytes of a message. A longer one ends the socket.
    pub max_message: usize,
}

impl std::fmt::Debug for DialRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DialRequest").field("grants", &self.grants).finish_non_exhaustive()
    }
}

/// In times of a connection, which is one way there and back: TLS takes up to two, the upgrade one, and one is for a slow
/// service.
const HANDSHAKES: u32 = 4;

impl Egress {
    /// Opens a socket.
    ///
    /// # Errors
    /// [`EgressError::Refused`] with the status when the service is there and says no.
    pub async fn dial(&self, request: DialRequest) -> Result<Socket, EgressError> {
        let (url, own) = policy::check_url(&request.url, &request.grants).map_err(EgressError::NotGranted)?;
        let headers = headers(&request.headers, &request.authorization)?;
        let (url, mock) = self.reachable(url, own)?;
        let mut handshake =
            url.as_str().into_client_request().map_err(|error| EgressError::Denied(error.to_string()))?;
        handshake.headers_mut().extend(headers);
        if let Some(subprotocol) = request.subprotocol {
            let wrong = |_| EgressError::Denied("the subprotocol is no legal header".to_owned());
            let value = HeaderValue::from_str(&subprotocol).map_err(wrong)?;
            handshake.headers_mut().insert(http::header::SEC_WEBSOCKET_PROTOCOL, value);
        }
        let patience = self.settings.connect_timeout;
        let tcp = within(patience, self.connect(&url, own, mock)).await??;
        tcp.set_nodelay(true).ok();
        let limits = WebSocketConfig::default()
            .read_buffer_size(8 << 10)
            .max_message_size(Some(request.max_message))
            .max_frame_size(Some(request.max_message));
        // Trusts what requests trust.
        let tls = Connector::Rustls(Arc::new(self.tls.clone()));
        let opened = tokio_tungstenite::client_async_tls_with_config(handshake, tcp, Some(limits), Some(tls));
        let (socket, _) = within(patience * HANDSHAKES, opened).await?.map_err(|error| refusal(&error))?;
        Ok(socket)
    }

    async fn connect(&self, url: &Url, own: bool, mock: bool) -> Result<TcpStream, EgressError> {
        let unreachable = |error: std::io::Error| EgressError::Unreachable(error.to_string());
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        if mock {
            return TcpStream::connect((host, port)).await.map_err(unreachable);
        }
        let addresses =
            self.reach(own).lookup(host, port).await.map_err(|error| match error.downcast::<NotAllowed>() {
                Ok(refusal) => EgressError::Denied(refusal.0),
                Err(error) => EgressError::Unreachable(error.to_string()),
            })?;
        TcpStream::connect(&addresses[..]).await.map_err(unreachable)
    }
}

async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Result<T, EgressError> {
    let late = |_| EgressError::Unreachable("it took too long".to_owned());
    tokio::time::timeout(patience, future).await.map_err(late)
}

fn refusal(error: &Error) -> EgressError {
    match error {
        Error::Http(response) => EgressError::Refused(response.status().as_u16()),
        error => EgressError::Unreachable(error.to_string()),
    }
}
