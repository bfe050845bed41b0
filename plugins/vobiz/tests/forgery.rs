//! Vobiz publishes no library that could judge: thousands of requests signed as its documents say, and changed ones.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;

use jackfield_sdk::types::{Account, Request};
use jackfield_sdk::{Webhooks as _, encoding, vectors};
use plugin_vobiz::Vobiz;
use ring::hmac;

const TOKEN: &str = "bTJ0c2lMcE9xV3hZ";
const PARENTS_TOKEN: &str = "cGFyZW50LXRva2Vu";
const REQUESTS: usize = 3_000;
const CHANGES: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scheme {
    V3,
    V2,
    Parents,
    Timestamped,
}

const SCHEMES: [Scheme; 4] = [Scheme::V3, Scheme::V2, Scheme::Parents, Scheme::Timestamped];

/// What is signed, and by whom.
#[derive(Debug, Clone)]
struct Signed {
    scheme: Scheme,
    url: String,
    body: String,
    nonce: String,
    digest: Vec<u8>,
}

fn signed(index: usize) -> Signed {
    let scheme = SCHEMES[index % 4];
    let base = format!("https://gw.example.net/api/v1/telephony/vobiz/hangup/call_{index}");
    let body = format!("CallUUID=c{index}&From=919876543210&N={}", "x".repeat(index % 50));
    let nonce = format!("{}", 1_700_000_000 + index);
    let (token, message) = match scheme {
        Scheme::V3 => (TOKEN, format!("{base}.{nonce}")),
        Scheme::V2 => (TOKEN, format!("{base}{nonce}")),
        Scheme::Parents => (PARENTS_TOKEN, format!("{base}.{nonce}")),
        Scheme::Timestamped => (TOKEN, format!("{nonce}.{body}")),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let digest = hmac::sign(&key, message.as_bytes()).as_ref().to_vec();
    let url = if index.is_multiple_of(3) { format!("{base}?q={index}") } else { base };
    Signed { scheme, url, body, nonce, digest }
}

impl Signed {
    fn headers(&self) -> Vec<(String, String)> {
        let (signature, nonce, value) = match self.scheme {
            Scheme::V3 => ("x-vobiz-signature-v3", "x-vobiz-signature-v3-nonce", encoding::base64(&self.digest)),
            Scheme::V2 => ("x-vobiz-signature-v2", "x-vobiz-signature-v2-nonce", encoding::base64(&self.digest)),
            Scheme::Parents => {
                ("x-vobiz-signature-ma-v3", "x-vobiz-signature-v3-nonce", encoding::base64(&self.digest))
            }
            Scheme::Timestamped => ("x-vobiz-signature", "x-vobiz-timestamp", hex(&self.digest)),
        };
        vec![(signature.to_owned(), value), (nonce.to_owned(), self.nonce.clone())]
    }

    fn is_genuine(&self) -> bool {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = vec![pair("auth_id", "MA_AB12CD34"), pair("legacy_timestamp_signature", "true")];
        let secrets = vec!["auth_token".to_owned(), "parent_auth_token".to_owned()];
        let account = Account { id: "cfg".to_owned(), fields, secrets };
        let request = Request {
            method: "POST".to_owned(),
            url: self.url.clone(),
            headers: self.headers(),
            body: self.body.clone().into_bytes(),
        };
        let secrets = BTreeMap::from([pair("auth_token", TOKEN), pair("parent_auth_token", PARENTS_TOKEN)]);
        Vobiz::authenticate(&account, &request, 0).is_ok_and(|proof| vectors::holds(&proof, &secrets))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_signed_by_the_documents_is_genuine() {
    for index in 0..REQUESTS {
        let case = signed(index);
        assert!(case.is_genuine(), "{case:?}");
    }
}

#[test]
fn every_change_of_one_field_or_bit_is_refused() {
    for index in 0..CHANGES {
        let mut case = signed(index % REQUESTS);
        let place = index / 5;
        match index % 4 {
            0 => case.nonce.push('0'),
            1 => case.digest[place % 32] ^= 1 << (index % 8),
            // Only one scheme covers bodies, and it covers nothing else.
            2 if case.scheme == Scheme::Timestamped => case.body.push('x'),
            2 => case.url = case.url.replacen("/hangup/", "/answer/", 1),
            // A signature under another scheme's name, or made with the other token.
            _ => {
                let others: Vec<Scheme> = SCHEMES.into_iter().filter(|scheme| *scheme != case.scheme).collect();
                case.scheme = others[place % others.len()];
            }
        }
        assert!(!case.is_genuine(), "change {index}: {case:?}");
    }
}
