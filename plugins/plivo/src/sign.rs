//! What makes a webhook genuine: V3, and V2 where there is no V3.

use jackfield_sdk::account;
use jackfield_sdk::form;
use jackfield_sdk::form::Form;
use jackfield_sdk::proof::{base64_digest, fits, hmac_sha256, malformed};
use jackfield_sdk::request::{media_type, optional_security_header};
use jackfield_sdk::types::{Account, Check, Disproof, Proof, Request};

use crate::config::{AUTH_TOKEN, MAIN_AUTH_TOKEN};

/// Header, and the secret that it is signed with.
const V3: [(&str, &str); 2] = [("x-plivo-signature-v3", AUTH_TOKEN), ("x-plivo-signature-ma-v3", MAIN_AUTH_TOKEN)];
const V2: [(&str, &str); 2] = [("x-plivo-signature-v2", AUTH_TOKEN), ("x-plivo-signature-ma-v2", MAIN_AUTH_TOKEN)];

/// The stronger scheme that is there decides: a wrong V3 is not saved by a right V2.
pub(crate) fn authenticate(account: &Account, request: &Request) -> Result<Proof, Disproof> {
    for (scheme, nonce_header, signed) in [
        (V3, "x-plivo-signature-v3-nonce", signed_v3 as fn(&Request, &str) -> Result<String, Disproof>),
        (V2, "x-plivo-signature-v2-nonce", signed_v2),
    ] {
        let signatures = scheme.map(|(header, secret)| (optional_security_header(request, header), secret));
        if signatures.iter().all(|(found, _)| matches!(found, Ok(None))) {
            continue;
        }
        let nonce = optional_security_header(request, nonce_header)?
            .ok_or_else(|| malformed(&format!("{nonce_header} is missing")))?;
        let message = signed(request, nonce)?;
        let all = signatures.iter().filter_map(|(found, _)| found.as_ref().ok().copied().flatten());
        fits(all.flat_map(|header| header.split(',')).count(), message.len())?;
        let mut any_of = Vec::new();
        for (found, secret) in signatures {
            if let Some(found) = found?.filter(|_| account::has_secret(account, secret)) {
                any_of.extend(checks(found, secret, &message)?);
            }
        }
        // No time is signed; the nonce is, and a message that comes twice has the same.
        return Ok(Proof { any_of, signed_at: None, replay_key: Some(nonce.to_owned()) });
    }
    Err(Disproof::Unsigned)
}

/// One header may carry a signature for each token that is valid.
fn checks(header: &str, secret: &str, message: &str) -> Result<Vec<Check>, Disproof> {
    header.split(',').map(|signature| Ok(hmac_sha256(secret, message, base64_digest(signature)?))).collect()
}

fn base(request: &Request) -> &str {
    let url = request.url.split('#').next().unwrap_or_default();
    url.split('?').next().unwrap_or_default()
}

fn signed_v2(request: &Request, nonce: &str) -> Result<String, Disproof> {
    Ok(format!("{}{nonce}", base(request)))
}

/// The URL with its query decoded and sorted, the form behind it, and the nonce.
fn signed_v3(request: &Request, nonce: &str) -> Result<String, Disproof> {
    let query = form::query(&request.url).unwrap_or_default().split('#').next().unwrap_or_default();
    let query = Form::parse(query.as_bytes());
    let query: Vec<String> = sorted(&query).iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = query.join("&");
    let posted = parameters(request)?;
    let mut text = base(request).to_owned();
    if !query.is_empty() || !posted.is_empty() {
        text.push('?');
    }
    text.push_str(&query);
    if !query.is_empty() && !posted.is_empty() {
        text.push('.');
    }
    Ok(format!("{text}{posted}.{nonce}"))
}

/// A body that is no form is not covered by the signature, and so proves nothing.
fn parameters(request: &Request) -> Result<String, Disproof> {
    if request.method == "GET" || request.body.is_empty() {
        return Ok(String::new());
    }
    if media_type(request) != "application/x-www-form-urlencoded" {
        return Err(malformed("the body is no form"));
    }
    Ok(sorted(&Form::of(request)).iter().map(|(name, value)| format!("{name}{value}")).collect())
}

fn sorted(form: &Form) -> Vec<(&str, &str)> {
    let mut pairs: Vec<(&str, &str)> = form.pairs().collect();
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each signature takes the message anew: a head full of them would be more than a guest's memory holds.
    #[test]
    fn more_signatures_than_can_be_looked_at_are_malformed() {
        let account = Account { id: String::new(), fields: Vec::new(), secrets: vec![AUTH_TOKEN.to_owned()] };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let signed = |times: usize| {
            let signature = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            let form = header("content-type", "application/x-www-form-urlencoded");
            let signatures = header("x-plivo-signature-v3", &[signature].repeat(times).join(","));
            let headers = vec![signatures, header("x-plivo-signature-v3-nonce", "1"), form];
            let (method, url) = ("POST".to_owned(), "https://gw.example.net/in".to_owned());
            authenticate(&account, &Request { method, url, headers, body: b"a=b&".repeat(16 << 10) })
        };
        assert!(matches!(signed(500), Err(Disproof::Malformed(_))));
        assert!(signed(2).is_ok());
    }
}
