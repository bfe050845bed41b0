//! Who may use the REST API, and for which organization: whoever brings the host's admin token, or an organization's own.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, header};
use jackfield_store::{DEFAULT_ORGANIZATION, Directory};
use subtle::ConstantTimeEq;

use super::limiter::Limiter;
use super::routes::Access;
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

    fn check(
        &self,
        headers: &HeaderMap,
        directory: &Directory,
        client: Client,
        now: Instant,
    ) -> Result<Caller, Problem> {
        let who = bucket(client.0);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        // Also the right token: whoever guesses must not learn that the last guess was right.
        if let Some(left) = failures.blocked(who, now) {
            return Err(too_many(left));
        }
        let Some(token) = bearer(headers) else {
            // Nothing was guessed, so nothing is counted.
            let detail = "send the header `Authorization: Bearer <token>`";
            return Err(Problem::new(Kind::Unauthorized, detail));
        };
        // Digests are compared, so that neither length nor content shows in the time it takes.
        let digest = digest_of_token(token);
        if bool::from(digest.ct_eq(&self.digest)) {
            return acting_for(headers, directory);
        }
        if let Some(known) = directory.token(&hex::encode(digest)) {
            let scopes = known.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect();
            return Ok(Caller { organization: known.organization_id.clone(), scopes: Some(scopes) });
        }
        match failures.failed(who, now) {
            Some(left) => Err(too_many(left)),
            None => Err(Problem::new(Kind::Unauthorized, "this is no token of this host, or it was revoked")),
        }
    }
}

/// What a token may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Looking at everything of the organization.
    Read,
    /// Placing, ending and transferring calls.
    Calls,
    /// Accounts, numbers and agents.
    Configure,
    /// Builds of plugins, which serve every organization: for tokens of the default one.
    Plugins,
    /// Tokens of the organization; and all of the above but plugins.
    Admin,
}

impl Scope {
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("read", Self::Read),
        ("calls", Self::Calls),
        ("configure", Self::Configure),
        ("plugins", Self::Plugins),
        ("admin", Self::Admin),
    ];

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, scope)| *scope)
    }

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, scope)| *scope == self).map_or("", |(name, _)| name)
    }
}

/// Whoever sent a request to the REST API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Whose things they see.
    pub(crate) organization: String,
    /// None for whoever runs the host, who may do everything.
    scopes: Option<Vec<Scope>>,
}

impl Caller {
    /// May they do what takes this scope?
    pub(crate) fn may(&self, wanted: Scope) -> bool {
        let Some(scopes) = &self.scopes else { return true };
        let has = |scope| scopes.contains(&scope);
        match wanted {
            Scope::Plugins => has(Scope::Plugins) && self.organization == DEFAULT_ORGANIZATION,
            wanted => has(wanted) || has(Scope::Admin),
        }
    }

    fn check(&self, access: Access) -> Result<(), Problem> {
        let forbidden = |detail: String| Err(Problem::new(Kind::Forbidden, detail));
        match access {
            Access::Scope(scope) if !self.may(scope) => {
                forbidden(format!("this token lacks the scope `{}`; POST tokens makes one that has it", scope.as_str()))
            }
            Access::Host if self.scopes.is_some() => {
                forbidden("only the host's own admin token may do this".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::new(Kind::Internal, "the request was not asked for its token"))
    }
}

/// Whoever runs the host acts for the default organization, or the one that the header names.
fn acting_for(headers: &HeaderMap, directory: &Directory) -> Result<Caller, Problem> {
    let named = headers.get("jackfield-organization").map(|value| value.to_str().unwrap_or_default());
    let organization = named.unwrap_or(DEFAULT_ORGANIZATION);
    let known = directory.organization(organization).ok_or_else(|| {
        Problem::new(
            Kind::Malformed,
            "the header `Jackfield-Organization` names no organization; GET organizations lists them",
        )
    })?;
    Ok(Caller { organization: known.id.clone(), scopes: None })
}

/// Lets a request through only with a token that may do this.
pub(crate) async fn require(app: App, access: Access, mut request: Request, next: Next) -> Result<Response, Problem> {
    let client = request.extensions().get::<Client>().copied();
    let client = client.ok_or_else(|| Problem::new(Kind::Internal, "the request has no sender"))?;
    let caller = app.admin.check(request.headers(), &app.store.directory(), client, Instant::now());
    let caller = caller.inspect_err(|_| app.metrics.token_refused())?;
    caller.check(access)?;
    request.extensions_mut().insert(caller);
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
