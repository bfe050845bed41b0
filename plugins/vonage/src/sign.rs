//! What makes a webhook genuine: a JSON Web Token, HS256, that names the body's hash.

use jackfield_sdk::account;
use jackfield_sdk::encoding::{from_base64url, sha256_hex};
use jackfield_sdk::json::{number, text};
use jackfield_sdk::proof::{hmac_sha256, malformed};
use jackfield_sdk::request::security_header;
use jackfield_sdk::types::{Account, Disproof, Proof, Request};
use serde_json::Value;

use crate::config::{API_KEY, APPLICATION_ID, SIGNATURE_SECRET};

/// A token, taken apart. Nothing in it is believed before its signature held.
pub(crate) struct Token<'a> {
    /// What is signed: header and claims as they came.
    signed: &'a str,
    signature: Vec<u8>,
    header: Value,
    pub(crate) claims: Value,
}

pub(crate) fn token(request: &Request) -> Result<Token<'_>, Disproof> {
    let value = security_header(request, "authorization")?;
    let (scheme, token) = value.split_once(' ').unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed("the authorization is no bearer's"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| malformed("the token has no signature"))?;
    let (header, claims) = signed.split_once('.').ok_or_else(|| malformed("the token has no claims"))?;
    let part = |part: &str| from_base64url(part).ok_or_else(|| malformed("the token is not base64"));
    let object = |bytes: Vec<u8>| serde_json::from_slice(&bytes).map_err(|_| malformed("the token is not JSON"));
    Ok(Token { signed, signature: part(signature)?, header: object(part(header)?)?, claims: object(part(claims)?)? })
}

pub(crate) fn authenticate(account: &Account, request: &Request) -> Result<Proof, Disproof> {
    let Token { signed, signature, header, claims } = token(request)?;
    // Exactly this algorithm: a token must not choose how it is looked at.
    if header["alg"] != "HS256" {
        return Err(malformed("the token is not HS256"));
    }
    let is = |name: &str, field: &str| text(&claims[name]) == account::field(account, field);
    if claims["iss"] != "Vonage" || !is("api_key", API_KEY) {
        return Err(malformed("the token is not this account's"));
    }
    if claims.get("application_id").is_some() && !is("application_id", APPLICATION_ID) {
        return Err(malformed("the token is another application's"));
    }
    if !request.body.is_empty() && text(&claims["payload_hash"]) != Some(sha256_hex(&request.body).as_str()) {
        return Err(malformed("payload_hash does not fit the body"));
    }
    let issued = number(&claims["iat"]).ok_or_else(|| malformed("the token does not say when it was issued"))?;
    Ok(Proof {
        any_of: vec![hmac_sha256(SIGNATURE_SECRET, signed, signature)],
        signed_at: Some(issued.saturating_mul(1_000)),
        replay_key: text(&claims["jti"]).map(str::to_owned),
    })
}
