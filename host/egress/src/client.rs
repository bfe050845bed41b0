//! Sends requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::authorization::Authorization;
use crate::policy::{self, Grant};
use crate::reach::{self, Names, NotAllowed, Reach, System};

/// Bounds, and where mocks stand.
#[derive(Debug, Clone)]
pub struct EgressSettings {
    /// To a connection.
    pub connect_timeout: Duration,
    /// To the last byte of the answer.
    pub total_timeout: Duration,
    /// Bytes of an answer's body.
    pub max_body: usize,
    /// Requests to these hosts go to that base URL instead, unchecked and maybe unencrypted: for tests.
    pub danger_routes: BTreeMap<String, Url>,
    /// Networks of the operator's own, not public, in which services may be reached whose URL an operator typed.
    pub networks: Vec<IpNet>,
    /// Addresses that are not public may be dialled.
    pub danger_allow_private: bool,
}

impl Default for EgressSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(10),
            max_body: 1 << 20,
            danger_routes: BTreeMap::new(),
            networks: Vec::new(),
            danger_allow_private: false,
        }
    }
}

/// A request with its credentials filled in.
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub authorization: Vec<Authorization>,
    /// Where it may go.
    pub grants: Vec<Grant>,
}

/// The path may name a call or a number, and the body may hold a secret.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("grants", &self.grants).finish_non_exhaustive()
    }
}

/// An answer.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What a provider says may be as secret as what it is told.
impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not allowed. Nothing was sent.
    #[error("not allowed: {0}")]
    Denied(String),
    /// Whoever asks was not granted this place. Nothing was sent.
    #[error("not allowed: {0}")]
    NotGranted(String),
    /// No connection. Nothing was sent.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Sent, and no whole answer came back.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The service is there, and does not open a socket: its status.
    #[error("it answered {0}")]
    Refused(u16),
    /// The answer is larger than allowed.
    #[error("the answer is too large")]
    TooLarge,
}

/// Sends requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Egress {
    /// To what is public.
    client: reqwest::Client,
    /// To the operator's own services.
    own: reqwest::Client,
    pub(crate) tls: rustls::ClientConfig,
    pub(crate) settings: Arc<EgressSettings>,
    names: Arc<dyn Names>,
}

/// A guest has no say in these.
const RESERVED: [&str; 14] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "authorization",
    "proxy-authorization",
    "proxy-authenticate",
    "proxy-connection",
    "keep-alive",
    "expect",
    "content-encoding",
];

/// What a guest may do. No CONNECT, which is a tunnel, and no TRACE, which echoes credentials.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

impl Egress {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: EgressSettings) -> Result<Self, EgressError> {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self::trusting(roots, Arc::new(System), settings)
    }

    /// Trusts those who sign certificates, and those who know names.
    pub(crate) fn trusting(
        roots: rustls::RootCertStore,
        names: Arc<dyn Names>,
        settings: EgressSettings,
    ) -> Result<Self, EgressError> {
        let failed = |error: &dyn std::fmt::Display| EgressError::Denied(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let settings = Arc::new(settings);
        let client = |own| {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .connect_timeout(settings.connect_timeout)
                .timeout(settings.total_timeout)
                .dns_resolver(Reach { settings: Arc::clone(&settings), names: Arc::clone(&names), own })
                .build()
                .map_err(|error| failed(&error))
        };
        Ok(Self { client: client(false)?, own: client(true)?, tls, settings, names })
    }

    /// For services that the operator's own settings name: wherever they are, and for as long as a request itself says.
    pub(crate) fn operators(&self) -> Result<reqwest::Client, EgressError> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(self.settings.connect_timeout)
            .build()
            .map_err(|error| EgressError::Denied(error.to_string()))
    }

    /// Sends a request, once.
    ///
    /// # Errors
    /// Tells what was certainly not sent from what may have been.
    pub async fn send(&self, request: Request) -> Result<Response, EgressError> {
        let (url, own) = policy::check_url(&request.url, &request.grants).map_err(EgressError::NotGranted)?;
        if !METHODS.contains(&request.method.as_str()) {
            return Err(EgressError::Denied(format!("the method is one of {}", METHODS.join(", "))));
        }
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| EgressError::Denied("not an HTTP method".to_owned()))?;
        let headers = headers(&request.headers, &request.authorization)?;
        let (url, _) = self.reachable(url, own)?;
        let client = if own { &self.own } else { &self.client };
        let sent = client.request(method, url).headers(headers).body(request.body).send().await;
        let mut answer = sent.map_err(|error| class(&error))?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| EgressError::NoAnswer(plain(&error)))? {
            if body.len() + chunk.len() > self.settings.max_body {
                return Err(EgressError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        Ok(Response { status: answer.status().as_u16(), headers, body })
    }

    /// The URL to dial, and whether it is a mock's. A host that is an address is looked at here, since nobody will
    /// resolve it.
    pub(crate) fn reachable(&self, url: Url, own: bool) -> Result<(Url, bool), EgressError> {
        let routed = self.routed(&url);
        if let Some(mock) = routed {
            return Ok((mock, true));
        }
        if let Some(address) = reach::literal(&url) {
            self.reach(own).check(address).map_err(|NotAllowed(reason)| EgressError::Denied(reason))?;
        }
        Ok((url, false))
    }

    pub(crate) fn reach(&self, own: bool) -> Reach {
        Reach { settings: Arc::clone(&self.settings), names: Arc::clone(&self.names), own }
    }

    /// The mock that stands for this host, if one does.
    fn routed(&self, url: &Url) -> Option<Url> {
        let mut routed = self.settings.danger_routes.get(url.host_str()?)?.clone();
        if url.scheme().starts_with("ws") {
            let scheme = routed.scheme().replacen("http", "ws", 1);
            // One special scheme for another.
            routed.set_scheme(&scheme).ok();
        }
        routed.set_path(url.path());
        routed.set_query(url.query());
        Some(routed)
    }
}

/// The headers of a request: a guest's own, and the credentials that are filled in.
pub(crate) fn headers(own: &[(String, String)], authorizations: &[Authorization]) -> Result<HeaderMap, EgressError> {
    let denied = |what: &str| EgressError::Denied(format!("`{}` is no legal header", what.escape_debug()));
    let mut headers = HeaderMap::new();
    for (name, value) in own {
        not_reserved(name)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| denied(name))?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| denied(value))?);
    }
    for authorization in authorizations {
        if let Authorization::Header { name, .. } = authorization
            && !name.eq_ignore_ascii_case("authorization")
        {
            not_reserved(name)?;
        }
        let (name, value) = authorization.header().map_err(EgressError::Denied)?;
        let illegal = || EgressError::Denied("a credential holds characters that no header may".to_owned());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| illegal())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| illegal())?;
        value.set_sensitive(true);
        if headers.insert(&name, value).is_some() {
            return Err(EgressError::Denied(format!("two credentials want the header `{name}`")));
        }
    }
    Ok(headers)
}

fn not_reserved(name: &str) -> Result<(), EgressError> {
    let reserved = RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
        || name.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("sec-websocket-"));
    if reserved { Err(EgressError::Denied(format!("`{name}` is the host's to set"))) } else { Ok(()) }
}

/// Only a connection that never came about is certain to have sent nothing.
pub(crate) fn class(error: &reqwest::Error) -> EgressError {
    if let Some(NotAllowed(reason)) = NotAllowed::behind(error) {
        return EgressError::Denied(reason.clone());
    }
    if error.is_connect() || error.is_builder() {
        return EgressError::Unreachable(plain(error));
    }
    EgressError::NoAnswer(plain(error))
}

/// Without the URL, which may name a call or a number.
fn plain(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() { "it took too long" } else { "the connection failed" };
    let mut source = std::error::Error::source(error);
    let mut deepest = None;
    while let Some(inner) = source {
        deepest = Some(inner.to_string());
        source = inner.source();
    }
    deepest.map_or_else(|| kind.to_owned(), |deepest| format!("{kind}: {deepest}"))
}
