//! What makes a webhook genuine: Ed25519 over the timestamp and the raw body, and the account's own application.

use jackfield_sdk::account;
use jackfield_sdk::encoding::from_base64;
use jackfield_sdk::json::text;
use jackfield_sdk::proof::malformed;
use jackfield_sdk::request::security_header;
use jackfield_sdk::types::{Account, Check, Disproof, Ed25519Check, Proof, Request};

use crate::config::{CONNECTION_ID, public_key};
use crate::event::said;

pub(crate) const SIGNATURE: &str = "telnyx-signature-ed25519";

pub(crate) fn authenticate(account: &Account, request: &Request) -> Result<Proof, Disproof> {
    let signature = security_header(request, SIGNATURE)?;
    let timestamp = security_header(request, "telnyx-timestamp")?;
    let seconds: u64 = timestamp.parse().map_err(|_| malformed("the timestamp is no number of seconds"))?;
    let signature = from_base64(signature).filter(|signature| signature.len() == 64);
    let signature = signature.ok_or_else(|| malformed("the signature is not base64 of 64 bytes"))?;
    let public_key = public_key(account).ok_or_else(|| malformed("the account's public key is none"))?;
    let body = said(request).unwrap_or_default();
    // The key proves Telnyx and not the customer: a webhook must be about the account's own application.
    let named = text(&body["data"]["payload"]["connection_id"]);
    if named.is_some_and(|named| account::field(account, CONNECTION_ID) != Some(named)) {
        return Err(malformed("the webhook is another application's"));
    }
    let check = Ed25519Check { public_key, message: [timestamp.as_bytes(), b"|", &request.body].concat(), signature };
    Ok(Proof {
        any_of: vec![Check::Ed25519(check)],
        signed_at: Some(seconds.saturating_mul(1_000)),
        // A webhook that is sent again keeps its name.
        replay_key: text(&body["data"]["id"]).map(str::to_owned),
    })
}
