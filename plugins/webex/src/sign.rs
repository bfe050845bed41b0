//! What makes a webhook genuine: HMAC over the raw body. The strongest signature that is there decides; where it is wrong,
//! a weaker one changes nothing.

use jackfield_sdk::encoding::from_hex;
use jackfield_sdk::json::text;
use jackfield_sdk::proof::malformed;
use jackfield_sdk::request::{optional_security_header, security_header};
use jackfield_sdk::time::rfc3339;
use jackfield_sdk::types::{Account, Check, Disproof, Hash, HmacCheck, Proof, Request};
use serde_json::Value;

use crate::config::{PREVIOUS_SECRET, WEBHOOK_SECRET, takes_sha1};

/// The newer one: `SHA-256=<hex>, SHA-512=<hex>`. Its form is told by others than Webex alone.
pub(crate) const NEWER: &str = "x-webex-signature";
/// The older one: SHA-1 in hex.
pub(crate) const OLDER: &str = "x-spark-signature";

pub(crate) fn authenticate(account: &Account, request: &Request) -> Result<Proof, Disproof> {
    let (hash, digest) = match optional_security_header(request, NEWER)? {
        Some(signature) => strongest(signature)?,
        None if takes_sha1(account) => (Hash::Sha1, digest(security_header(request, OLDER)?, 20)?),
        None => return Err(Disproof::Unsigned),
    };
    let by = |secret: &str| {
        Check::Hmac(HmacCheck {
            secret: secret.to_owned(),
            hash,
            message: request.body.clone(),
            digest: digest.clone(),
        })
    };
    let mut any_of = vec![by(WEBHOOK_SECRET)];
    if account.secrets.iter().any(|secret| secret == PREVIOUS_SECRET) {
        any_of.push(by(PREVIOUS_SECRET));
    }
    let said: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let data = &said["data"];
    let at = text(&data["eventTimestamp"]).or_else(|| text(&data["created"]));
    Ok(Proof { any_of, signed_at: at.and_then(rfc3339), replay_key: key(&said) })
}

fn strongest(signature: &str) -> Result<(Hash, Vec<u8>), Disproof> {
    let mut found = None;
    for part in signature.split(',') {
        let (label, value) = part.trim().split_once('=').ok_or_else(|| malformed("a signature without its kind"))?;
        let label: String = label.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
        match label.as_str() {
            "sha512" => found = Some((Hash::Sha512, digest(value, 64)?)),
            "sha256" if found.is_none() => found = Some((Hash::Sha256, digest(value, 32)?)),
            // Of a kind to come: those that are known decide.
            _ => {}
        }
    }
    found.ok_or_else(|| malformed("no signature of a known kind"))
}

fn digest(hex: &str, length: usize) -> Result<Vec<u8>, Disproof> {
    from_hex(hex.trim())
        .filter(|digest| digest.len() == length)
        .ok_or_else(|| malformed("a signature that is no digest"))
}

/// There is no id of a delivery. Two events of one call may share their moment, so all that tells them apart counts.
fn key(said: &Value) -> Option<String> {
    let data = &said["data"];
    if let Some(message) = text(&data["id"]).filter(|_| said["resource"] == "messages") {
        return Some(format!("message {message}"));
    }
    let word = |value: &Value| text(value).unwrap_or_default().to_owned();
    let parts = [&said["id"], &data["callId"], &data["eventType"], &data["eventTimestamp"], &data["state"]];
    let parts: Vec<String> = parts.into_iter().map(word).collect();
    Some(parts.join(" ")).filter(|_| data["callId"].is_string())
}
