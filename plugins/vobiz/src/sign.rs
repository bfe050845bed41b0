//! What makes a webhook genuine: V3, V2, or the older signature of timestamp and body, as the account accepts them.
//!
//! V3 and V2 cover the path alone: what guards bodies is the unguessable path of a call's hooks, and the nonce.

use jackfield_sdk::account;
use jackfield_sdk::encoding::from_hex;
use jackfield_sdk::proof::{base64_digest, hmac_sha256, malformed};
use jackfield_sdk::request::{optional_security_header, security_header};
use jackfield_sdk::types::{Account, Disproof, Proof, Request};

use crate::config::{AUTH_TOKEN, PARENT_AUTH_TOKEN, REQUIRE_V3, TIMESTAMPED};

/// The strongest scheme that is there decides, whether it holds or not. Where it is not accepted, nothing is.
pub(crate) fn authenticate(account: &Account, request: &Request) -> Result<Proof, Disproof> {
    if let Some(proof) = vendor(account, request, "v3", ".")? {
        return Ok(proof);
    }
    if let Some(proof) = vendor(account, request, "v2", "")? {
        return if account::is_on(account, REQUIRE_V3) { Err(malformed("V3 is required")) } else { Ok(proof) };
    }
    if account::is_on(account, TIMESTAMPED) { timestamped(request) } else { Err(Disproof::Unsigned) }
}

/// The URL without its query, and the nonce; signed by the account, or by its parent.
fn vendor(account: &Account, request: &Request, version: &str, between: &str) -> Result<Option<Proof>, Disproof> {
    let header = |kind: &str| format!("x-vobiz-signature-{kind}{version}");
    let own = optional_security_header(request, &header(""))?;
    let parents = optional_security_header(request, &header("ma-"))?;
    if own.is_none() && parents.is_none() {
        return Ok(None);
    }
    let nonce = optional_security_header(request, &format!("{}-nonce", header("")))?;
    let nonce = nonce.ok_or_else(|| malformed("the nonce is missing"))?;
    let base = request.url.split(['?', '#']).next().unwrap_or_default();
    let message = format!("{base}{between}{nonce}").into_bytes();
    let mut any_of = Vec::new();
    for (signature, secret) in [(own, AUTH_TOKEN), (parents, PARENT_AUTH_TOKEN)] {
        let Some(signature) = signature else { continue };
        let digest = base64_digest(signature)?;
        if account::has_secret(account, secret) {
            any_of.push(hmac_sha256(secret, message.clone(), digest));
        }
    }
    // A nonce without a time: what comes again under it is a repetition, whatever its body says.
    Ok(Some(Proof { any_of, signed_at: None, replay_key: Some(nonce.to_owned()) }))
}

fn timestamped(request: &Request) -> Result<Proof, Disproof> {
    let signature = security_header(request, "x-vobiz-signature")?;
    let timestamp = optional_security_header(request, "x-vobiz-timestamp")?;
    let timestamp = timestamp.ok_or_else(|| malformed("the timestamp is missing"))?;
    let seconds: u64 = timestamp.parse().map_err(|_| malformed("the timestamp is no number of seconds"))?;
    let digest = from_hex(signature).filter(|digest| digest.len() == 32);
    let digest = digest.ok_or_else(|| malformed("the signature is not 32 bytes in hexadecimal"))?;
    let message = [timestamp.as_bytes(), b".", &request.body].concat();
    Ok(Proof {
        any_of: vec![hmac_sha256(AUTH_TOKEN, message, digest)],
        signed_at: Some(seconds.saturating_mul(1_000)),
        replay_key: Some(signature.to_owned()),
    })
}
