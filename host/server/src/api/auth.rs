//! Who may use the REST API: whoever brings the admin token.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use super::limiter::Limiter;
use super::{Kind, Problem};
use crate::App;
use crate::http::{Client, bucket};
use crate::settings::Limits;
use crate::token;

/// The digest of the admin token, and who was wrong about it how often.
#[derive(Debug)]
pub struct Admin {
    digest: [u8; 32],
    failures: Mutex<Limiter>,
}

/// What is kept of an admin token: its SHA-256.
pub fn digest_of_token(token: &str) -> [u8; 32] {
    token::digest(token)
}

impl Admin {
    /// Lets in whoever brings the token with this digest.
    pub fn new(digest: [u8; 32], limits: &Limits) -> Self {
        let block = Duration::from_secs(limits.failed_auth_block_seconds);
        Self { digest, failures: Mutex::new(Limiter::new(limits.failed_auth_per_minute, block)) }
    }

    fn check(&self, headers: &HeaderMap, client: Client, now: Instant) -> Result<(), Problem> {
        let who = bucket(client.0);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        // Also the right token: whoever guesses must not learn that the last guess was right.
        if let Some(left) = failures.blocked(who, now) {
            return Err(too_many(left));
        }
        let Some(token) = bearer(headers) else {
            // Nothing was guessed, so nothing is counted.
            let detail = "send the header `Authorization: Bearer <admin token>`";
            return Err(Problem::new(Kind::Unauthorized, detail));
        };
        // Digests are compared, so that neither length nor content shows in the time it takes.
        if bool::from(digest_of_token(token).ct_eq(&self.digest)) {
            return Ok(());
        }
        match failures.failed(who, now) {
            Some(left) => Err(too_many(left)),
            None => Err(Problem::new(Kind::Unauthorized, "this is not the admin token of this host")),
        }
    }
}

/// Lets a request through only with the admin token.
pub(crate) async fn require(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let client = request.extensions().get::<Client>().copied();
    let client = client.ok_or_else(|| Problem::new(Kind::Internal, "the request has no sender"))?;
    app.admin.check(request.headers(), client, Instant::now()).inspect_err(|_| app.metrics.token_refused())?;
    Ok(next.run(request).await)
}

fn too_many(left: Duration) -> Problem {
    let seconds = left.as_secs().max(1);
    Problem::new(Kind::TooManyFailures, format!("your address is locked out; come again in {seconds} s"))
        .retry_after(seconds)
}

/// The token of the only `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
