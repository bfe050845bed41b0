//! Sends requests.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::authorization::Authorization;
use crate::policy;

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
            danger_allow_private: false,
        }
    }
}

/// A request with its credentials filled in.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub authorization: Vec<Authorization>,
    /// Exact, or `*.example.com`.
    pub allowed_hosts: Vec<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EgressError {
    /// Not allowed. Nothing was sent.
    #[error("not allowed: {0}")]
    Denied(String),
    /// No connection. Nothing was sent.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Sent, and no whole answer came back.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer is larger than allowed.
    #[error("the answer is too large")]
    TooLarge,
}

/// Sends requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Egress {
    client: reqwest::Client,
    settings: Arc<EgressSettings>,
}

/// A guest has no say in these.
const RESERVED: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "authorization",
    "proxy-authorization",
];

impl Egress {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: EgressSettings) -> Result<Self, EgressError> {
        let failed = |error: &dyn std::fmt::Display| EgressError::Denied(error.to_string());
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.total_timeout)
            .dns_resolver(PublicOnly { allow_private: settings.danger_allow_private })
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Self { client, settings: Arc::new(settings) })
    }

    /// Sends a request, once.
    ///
    /// # Errors
    /// Tells what was certainly not sent from what may have been.
    pub async fn send(&self, request: Request) -> Result<Response, EgressError> {
        let url = policy::check_url(&request.url, &request.allowed_hosts).map_err(EgressError::Denied)?;
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| EgressError::Denied("not an HTTP method".to_owned()))?;
        let headers = headers(&request)?;
        let sent = self.client.request(method, self.routed(url)).headers(headers).body(request.body).send().await;
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

    /// The mock that stands for this host, if one does.
    fn routed(&self, url: Url) -> Url {
        let base = url.host_str().and_then(|host| self.settings.danger_routes.get(host));
        match base {
            None => url,
            Some(base) => {
                let mut routed = base.clone();
                routed.set_path(url.path());
                routed.set_query(url.query());
                routed
            }
        }
    }
}

fn headers(request: &Request) -> Result<HeaderMap, EgressError> {
    let denied = |what: &str| EgressError::Denied(format!("`{}` is no legal header", what.escape_debug()));
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return Err(EgressError::Denied(format!("`{name}` is the host's to set")));
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| denied(name))?;
        headers.append(name, HeaderValue::from_str(value).map_err(|_| denied(value))?);
    }
    for authorization in &request.authorization {
        let (name, value) = authorization.header().map_err(EgressError::Denied)?;
        let illegal = || EgressError::Denied("a credential holds characters that no header may".to_owned());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| illegal())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| illegal())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Only a connection that never came about is certain to have sent nothing.
fn class(error: &reqwest::Error) -> EgressError {
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

/// Resolves once, drops addresses that are not public, and hands the rest to be dialled as they are.
struct PublicOnly {
    allow_private: bool,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> =
                found.filter(|address| allow_private || policy::is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name leads to no public address".into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}
