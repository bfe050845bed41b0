//! What makes a webhook genuine: `X-Twilio-Signature`.
//!
//! The signed text is the URL as Twilio dialled it and, for forms, every distinct name and value in order. Twilio is
//! inconsistent about default ports, so the URL counts with and without one, as in Twilio's own validator.

use jackfield_sdk::account;
use jackfield_sdk::encoding::{from_base64, sha256_hex};
use jackfield_sdk::form::{self, Form};
use jackfield_sdk::proof::fits;
use jackfield_sdk::request::{header, media_type, optional_security_header, security_header};
use jackfield_sdk::types::{Account, Check, Disproof, Hash, HmacCheck, Proof, Request};

use crate::config::{AUTH_TOKEN, AUTH_TOKEN_SECONDARY, SHARED_KEY};

const SIGNATURE: &str = "x-twilio-signature";
/// Names the key and the algorithm where it is not SHA-1 with the Auth Token.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const IDEMPOTENCY: &str = "i-twilio-idempotency-token";

pub(crate) fn authenticate(account: &Account, request: &Request) -> Result<Proof, Disproof> {
    let signature = security_header(request, SIGNATURE)?;
    let digest = from_base64(signature).ok_or_else(|| malformed("the signature is not base64"))?;
    let (hash, secrets) = scheme(account, request)?;
    let parameters = parameters(request)?;
    let mut any_of = Vec::new();
    let urls = urls(&request.url);
    fits(urls.len() * secrets.len(), request.url.len() + parameters.len() + digest.len())?;
    for url in urls {
        any_of.extend(secrets.iter().map(|secret| {
            let (secret, digest) = ((*secret).to_owned(), digest.clone());
            let message = [url.as_bytes(), parameters.as_bytes()].concat();
            Check::Hmac(HmacCheck { secret, hash, message, digest })
        }));
    }
    let replay_key = header(request, IDEMPOTENCY).map(str::to_owned);
    // The signature covers no time.
    Ok(Proof { any_of, signed_at: None, replay_key })
}

fn malformed(what: &str) -> Disproof {
    Disproof::Malformed(what.to_owned())
}

/// Which hash and which secrets. An unknown algorithm is refused, never guessed.
fn scheme(account: &Account, request: &Request) -> Result<(Hash, Vec<&'static str>), Disproof> {
    let settings = optional_security_header(request, SETTINGS)?.unwrap_or_default();
    let mut named = settings.split(',').filter_map(|part| part.split_once('='));
    let algorithm = named.find(|(name, value)| name.trim() == "algorithm" && !value.trim().is_empty());
    let (hash, keys) = match algorithm.map(|(_, value)| value.trim().to_ascii_uppercase()).as_deref() {
        None | Some("HMAC_SHA1") => (Hash::Sha1, &[AUTH_TOKEN, AUTH_TOKEN_SECONDARY][..]),
        Some("HMAC_SHA256") => (Hash::Sha256, &[SHARED_KEY][..]),
        Some(_) => return Err(malformed("an unknown signature algorithm")),
    };
    Ok((hash, keys.iter().copied().filter(|key| account::has_secret(account, key)).collect()))
}

/// What stands behind the URL in the signed text.
fn parameters(request: &Request) -> Result<String, Disproof> {
    let media_type = media_type(request);
    if media_type == "application/x-www-form-urlencoded" {
        return Ok(if request.method == "GET" { String::new() } else { sorted(request) });
    }
    // Any other body, and what calls itself JSON without one, counts only through its hash.
    let has_body = !request.body.is_empty() || media_type.ends_with("json");
    if has_body && !body_is_named(request) {
        return Err(malformed("bodySHA256 does not fit the body"));
    }
    Ok(String::new())
}

/// Every distinct name and value, in the order of their bytes.
fn sorted(request: &Request) -> String {
    let form = Form::of(request);
    let mut pairs: Vec<(&str, &str)> = form.pairs().collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut text = String::with_capacity(request.body.len());
    for (name, value) in pairs {
        text.push_str(name);
        text.push_str(value);
    }
    text
}

/// A JSON body is signed through its hash, which is a query parameter of the signed URL.
fn body_is_named(request: &Request) -> bool {
    let query = form::query(&request.url).unwrap_or_default();
    let named = Form::parse(query.as_bytes());
    let mut hashes = named.pairs().filter(|(name, _)| *name == "bodySHA256");
    match (hashes.next(), hashes.next()) {
        (Some((_, hash)), None) => hash == sha256_hex(&request.body),
        _ => false,
    }
}

/// The URLs that Twilio may have signed: as dialled, without its port, and with the scheme's default port. For
/// WebSockets, Twilio's validator takes 80 for the default.
fn urls(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let (host, port) = split_port(authority);
    let bare = format!("{scheme}://{host}{target}");
    let mut all = match port {
        Some(_) => vec![bare, url.to_owned()],
        None => vec![bare, format!("{scheme}://{host}:{}{target}", if scheme == "https" { 443 } else { 80 })],
    };
    if scheme == "wss" {
        all.extend(handshakes(host, port, target));
    }
    all
}

/// What else deployments report of WebSocket handshakes. UNVERIFIED; each is the same place on the same host.
fn handshakes(host: &str, port: Option<&str>, target: &str) -> Vec<String> {
    let slashed = target.strip_suffix('/').map_or_else(|| format!("{target}/"), str::to_owned);
    let mut all = vec![format!("wss://{host}{slashed}"), format!("https://{host}{target}")];
    if port.is_none() {
        all.push(format!("wss://{host}:443{target}"));
    }
    all
}

/// Host with userinfo, and port. A colon in the userinfo or in an IPv6 address is not a port's.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    match authority.rfind(':') {
        Some(colon) if colon >= host && authority[colon + 1..].bytes().all(|byte| byte.is_ascii_digit()) => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_counts_with_and_without_its_port() {
        assert_eq!(urls("https://a/x?y"), ["https://a/x?y", "https://a:443/x?y"]);
        assert_eq!(urls("https://a:8443/x"), ["https://a/x", "https://a:8443/x"]);
        assert_eq!(urls("http://a?y"), ["http://a?y", "http://a:80?y"]);
        assert_eq!(urls("https://u:p@a:8443/x"), ["https://u:p@a/x", "https://u:p@a:8443/x"]);
        assert_eq!(urls("https://u:p@a/x"), ["https://u:p@a/x", "https://u:p@a:443/x"]);
        assert_eq!(urls("https://[::1]:8443/x"), ["https://[::1]/x", "https://[::1]:8443/x"]);
        assert_eq!(urls("https://[::1]/x"), ["https://[::1]/x", "https://[::1]:443/x"]);
        assert_eq!(urls("https://a/x?to=b:1@c:2"), ["https://a/x?to=b:1@c:2", "https://a:443/x?to=b:1@c:2"]);
        assert_eq!(urls("no url"), ["no url"]);
    }

    /// Bytes that are no UTF-8 are three times as long when they were read, and each URL and secret takes them anew.
    #[test]
    fn a_request_that_is_too_long_to_be_proved_is_malformed() {
        let account = Account { id: String::new(), fields: Vec::new(), secrets: vec![AUTH_TOKEN.to_owned()] };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let form = header("content-type", "application/x-www-form-urlencoded");
        let (method, url) = ("POST".to_owned(), "https://gw.example.net/in".to_owned());
        let request =
            Request { method, url, headers: vec![header(SIGNATURE, "AAAA"), form], body: vec![0xFF; 64 << 10] };
        assert!(matches!(authenticate(&account, &request), Err(Disproof::Malformed(_))));
        assert!(authenticate(&account, &Request { body: vec![0xFF; 16 << 10], ..request }).is_ok());
    }
}
