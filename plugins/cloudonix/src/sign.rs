//! What makes a webhook genuine: a key in a header, and the account's own domain. Nothing is signed.

use jackfield_sdk::account;
use jackfield_sdk::json::text;
use jackfield_sdk::proof::malformed;
use jackfield_sdk::request::optional_security_header;
use jackfield_sdk::types::{Account, Check, Disproof, EqualCheck, Proof, Request};

use crate::config::{CX_APIKEY, DOMAIN_ID, WEBHOOK_API_KEY, domain};
use crate::event::said;

/// A wrong key is never saved by another header: the bearer decides where there is one.
pub(crate) fn authenticate(account: &Account, request: &Request) -> Result<Proof, Disproof> {
    let bearer = optional_security_header(request, "authorization")?;
    let key = optional_security_header(request, "x-cx-apikey")?;
    let (secret, value) = match (bearer, key) {
        (Some(bearer), _) => (WEBHOOK_API_KEY, token(bearer)?),
        (None, Some(key)) => (CX_APIKEY, key),
        (None, None) => return Err(Disproof::Unsigned),
    };
    its_own(account, request)?;
    let check = EqualCheck { secret: secret.to_owned(), value: value.to_owned() };
    let any_of = if account::has_secret(account, secret) { vec![Check::Equal(check)] } else { Vec::new() };
    Ok(Proof { any_of, signed_at: None, replay_key: None })
}

fn token(value: &str) -> Result<&str, Disproof> {
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    let bearer = scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty();
    if bearer { Ok(token.trim()) } else { Err(malformed("the authorization is no bearer's")) }
}

/// The keys are static: a request must at least be about this domain, wherever it names one.
fn its_own(account: &Account, request: &Request) -> Result<(), Disproof> {
    let own = account::field(account, DOMAIN_ID).unwrap_or_default();
    let header = optional_security_header(request, "x-cx-domain")?;
    let body = said(request).unwrap_or_default();
    let named = ["Domain", "AccountSid", "domain"].into_iter().filter_map(|name| text(&body[name]));
    if header.into_iter().chain(named).all(|name| domain(name) == own) {
        return Ok(());
    }
    Err(malformed("the request is about another domain"))
}
