//! What surrounds every request: its shape, its number, its time, and the net under a handler that panics.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use hyper::body::Incoming;
use tower_service::Service;
use tracing::Instrument;

use super::framing::Framing;
use super::server::Front;
use crate::api::{Kind, Problem};
use crate::metrics::Class;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Who sent a request, in its extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) IpAddr);

/// Answers one request, whatever happens.
pub(super) async fn answer(front: &Front, peer: IpAddr, framing: Framing, request: Request<Incoming>) -> Response {
    let began = Instant::now();
    let class = Class::of(request.uri().path());
    let trace = trace_of(request.headers());
    let mut response = match refusal(front, framing, &request) {
        Some(problem) => problem.into_response(),
        None => handle(front, peer, request, &trace, class).await,
    };
    front.app.metrics.request(class, response.status(), began.elapsed());
    let headers = response.headers_mut();
    if framing != Framing::Plain {
        // Where the next request would begin is not known, or a matter of opinion. A switch of protocols has its own word here.
        headers.entry(header::CONNECTION).or_insert(HeaderValue::from_static("close"));
    }
    if class == Class::Api && !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(trace) = HeaderValue::from_str(&trace) {
        headers.insert(REQUEST_ID, trace);
    }
    response
}

fn refusal(front: &Front, framing: Framing, request: &Request<Incoming>) -> Option<Problem> {
    if framing == Framing::Ambiguous {
        let detail = "a request has one `Content-Length`, or a `Transfer-Encoding`, and not both";
        return Some(Problem::new(Kind::Malformed, detail));
    }
    let most = front.app.settings.limits.uri_bytes;
    let length = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    (length > most).then(|| Problem::new(Kind::UriTooLong, format!("the request target has at most {most} bytes")))
}

async fn handle(front: &Front, peer: IpAddr, request: Request<Incoming>, trace: &str, class: Class) -> Response {
    let mut request = request.map(Body::new);
    let client = front.app.settings.trusted_proxies.client(peer, request.headers());
    request.extensions_mut().insert(Client(client));
    let mut router = front.router.clone();
    let work = AssertUnwindSafe(router.call(request)).catch_unwind();
    // Webhooks are too many for a span each; their own log lines name the call.
    let outcome = match class {
        Class::Api => work.instrument(tracing::info_span!("request", trace)).await,
        _ => work.await,
    };
    match outcome {
        Ok(Ok(response)) => response,
        Err(_panic) => {
            front.app.metrics.panicked();
            tracing::error!(trace, "a handler panicked; its request got a 500 and nothing else is concerned");
            Problem::new(Kind::Internal, format!("the host failed; its log has more under {trace}")).into_response()
        }
    }
}

/// The sender's own number for the request if it is a tame one, else ours.
fn trace_of(headers: &HeaderMap) -> String {
    let tame = |text: &&str| {
        (8..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let sent = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(tame);
    sent.map_or_else(next_trace, str::to_owned)
}

/// Distinct within a process and, but for chance, between processes. It is a name, not a secret.
fn next_trace() -> String {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let process = PROCESS.get_or_init(|| {
        let mut bytes = [0; 4];
        // Without randomness the name is merely less distinct.
        getrandom::fill(&mut bytes).ok();
        u32::from_le_bytes(bytes)
    });
    format!("{process:08x}{:08x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn trace(sent: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(sent.as_bytes()).unwrap());
        trace_of(&headers)
    }

    #[test]
    fn a_tame_trace_id_is_kept_and_any_other_replaced() {
        assert_eq!(trace("0af7651916cd43dd-8448"), "0af7651916cd43dd-8448");
        for wild in ["short", "a\tb\tc\td\te", "{\"json\":true}", &"x".repeat(65), "ümläut-ümläut"] {
            assert_ne!(trace(wild), wild);
            assert_eq!(trace(wild).len(), 16);
        }
        assert_ne!(trace_of(&HeaderMap::new()), trace_of(&HeaderMap::new()));
    }
}
