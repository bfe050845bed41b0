//! What makes a webhook genuine: `X-Twilio-Signature`.
//!
//! The signed text is the URL as Twilio dialled it and, for forms, every distinct name and value in order. Twilio is
//! inconsistent about default ports, so the URL counts with and without one, as in Twilio's own validator.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jackfield_sdk::form::{self, Form};
use jackfield_sdk::request::{header, media_type, security_header};
use jackfield_sdk::types::{Account, Check, Disproof, Hash, HmacCheck, Proof, Request};
use jackfield_sdk::account;

use crate::config::{AUTH_TOKEN, AUTH_TOKEN_SECONDARY, SHARED_KEY};

const SIGNATURE: &str = "x-twilio-signature";
/// Names the key and the algorithm where it is not SHA-1 with the Auth Token.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";
const IDEMPOTENCY: &str = "i-twilio-idempotency-token";

pub(crate) fn authenticate(account: &Account, request: &Request) -> Result<Proof, Disproof> {
    let signature = security_header(request, SIGNATURE)?;
    let digest = STANDARD.decode(signature).map_err(|_| malformed("the signature is not base64"))?;
    let (hash, secrets) = scheme(account, request)?;
    let parameters = parameters(request)?;
    let mut any_of = Vec::new();
    for url in urls(&request.url) {
        let message = [url.as_bytes(), parameters.as_bytes()].concat();
        any_of.extend(secrets.iter().map(|secret| {
            let (secret, message, digest) = ((*secret).to_owned(), message.clone(), digest.clone());
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
    let algorithm = header(request, SETTINGS).and_then(|settings| {
        settings.split(',').find_map(|part| part.trim().strip_prefix("algorithm=").map(str::to_owned))
    });
    match algorithm.as_deref() {
        None => {
            let tokens = [AUTH_TOKEN, AUTH_TOKEN_SECONDARY];
            Ok((Hash::Sha1, tokens.into_iter().filter(|token| account::has_secret(account, token)).collect()))
        }
        Some("HMAC_SHA256") => Ok((Hash::Sha256, vec![SHARED_KEY])),
        Some(_) => Err(malformed("an unknown signature algorithm")),
    }
}

/// What stands behind the URL in the signed text.
fn parameters(request: &Request) -> Result<String, Disproof> {
    let json = media_type(request) != "application/x-www-form-urlencoded" && !request.body.is_empty();
    if json {
        return body_is_named(request).then(String::new).ok_or_else(|| malformed("bodySHA256 does not fit the body"));
    }
    if request.method == "GET" {
        return Ok(String::new());
    }
    let mut pairs = Form::parse(&request.body).pairs().to_vec();
    pairs.sort();
    pairs.dedup();
    Ok(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect())
}

/// A JSON body is signed through its hash, which is a query parameter of the signed URL.
fn body_is_named(request: &Request) -> bool {
    let query = form::query(&request.url).unwrap_or_default();
    let named = Form::parse(query.as_bytes());
    named.get("bodySHA256") == Some(sha256_hex(&request.body).as_str())
}

fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        hex
    })
}

/// The URLs that Twilio may have signed: as dialled, without its port, and with the scheme's default port. For
/// WebSockets also the forms that some deployments report: the other default port, and a slash at the end.
fn urls(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return vec![url.to_owned()] };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let (host, port) = split_port(authority);
    let mut all = vec![format!("{scheme}://{host}{target}")];
    match port {
        Some(_) => all.push(url.to_owned()),
        None => {
            let port = if scheme == "https" { 443 } else { 80 };
            all.push(format!("{scheme}://{host}:{port}{target}"));
        }
    }
    if scheme == "wss" {
        all.push(format!("{scheme}://{host}:443{target}"));
        all.push(format!("{scheme}://{host}{target}/"));
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
    }
}
