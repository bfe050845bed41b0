//! Plivo's own Python SDK judges our signatures: it shares no code with us.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use jackfield_sdk::types::{Account, Check, Request};
use jackfield_sdk::{Webhooks as _, encoding, form, vectors};
use plugin_plivo::Plivo;
use serde::Deserialize;
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/plivo_signature.py");
const TOKEN: &str = "NzRhYjM0ZGU1NmZhNzhiYzkwMTIzNDU2Nzg5MGFi";
const REQUESTS: usize = 3_000;
const CHANGES: usize = 10_000;

#[derive(Debug, Clone, Deserialize)]
struct Signed {
    method: String,
    url: String,
    params: Vec<(String, String)>,
    nonce: String,
    signature: String,
}

fn ask(question: &Value) -> Value {
    let python = std::env::var_os("JACKFIELD_PYTHON").expect(
        "JACKFIELD_PYTHON is not set: run it through `cargo xtask test`, which makes a Python with Plivo's library",
    );
    let mut oracle =
        Command::new(python).arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("no Python");
    oracle.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let answer = oracle.wait_with_output().unwrap();
    assert!(answer.status.success(), "the oracle failed: {}", answer.status);
    serde_json::from_slice(&answer.stdout).unwrap()
}

fn signed() -> Vec<Signed> {
    let question = json!({ "sign": { "count": REQUESTS, "seed": 1, "token": TOKEN } });
    serde_json::from_value(ask(&question)["signed"].take()).unwrap()
}

fn account() -> Account {
    let fields = vec![("auth_id".to_owned(), "MAOGQ4Y2M0MGE4ZTI1N2".to_owned())];
    Account { id: "cfg".to_owned(), fields, secrets: vec!["auth_token".to_owned()] }
}

impl Signed {
    fn request(&self) -> Request {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Request {
            method: self.method.clone(),
            url: self.url.clone(),
            headers: vec![
                header("content-type", "application/x-www-form-urlencoded"),
                header("x-plivo-signature-v3", &self.signature),
                header("x-plivo-signature-v3-nonce", &self.nonce),
            ],
            body: form::encode(self.params.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        }
    }

    fn is_genuine(&self) -> bool {
        let secrets = BTreeMap::from([("auth_token".to_owned(), TOKEN.to_owned())]);
        Plivo::authenticate(&account(), &self.request(), 0).is_ok_and(|proof| vectors::holds(&proof, &secrets))
    }
}

#[test]
fn what_plivo_signs_is_genuine_and_what_we_would_sign_plivo_takes() {
    let signed = signed();
    assert_eq!(signed.len(), REQUESTS);
    let mut ours = Vec::new();
    for case in &signed {
        assert!(case.is_genuine(), "{case:?}");
        let Ok(proof) = Plivo::authenticate(&account(), &case.request(), 0) else { panic!("{case:?}") };
        let [Check::Hmac(check)] = &proof.any_of[..] else { panic!("one signature is one check: {proof:?}") };
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, TOKEN.as_bytes());
        let signature = encoding::base64(ring::hmac::sign(&key, &check.message).as_ref());
        ours.push(json!({
            "method": case.method, "url": case.url, "params": case.params, "nonce": case.nonce,
            "signature": signature, "token": TOKEN,
        }));
    }
    let judged = ask(&json!({ "validate": ours }));
    let genuine = judged["genuine"].as_array().unwrap();
    assert!(genuine.len() == REQUESTS && genuine.iter().all(|genuine| *genuine == true));
}

#[test]
fn every_change_of_one_field_or_bit_is_refused() {
    let signed = signed();
    for index in 0..CHANGES {
        let mut case = signed[index % signed.len()].clone();
        let place = index / 7;
        match index % 5 {
            0 => {
                let mut bytes = encoding::from_base64(&case.signature).unwrap();
                let at = place % bytes.len();
                bytes[at] ^= 1 << (index % 8);
                case.signature = encoding::base64(&bytes);
            }
            1 => case.nonce.push('0'),
            2 if case.method == "POST" && !case.params.is_empty() => {
                let at = place % case.params.len();
                case.params[at].1.push('x');
            }
            3 if case.method == "POST" => case.params.push((format!("New{index}"), "1".to_owned())),
            _ => case.url = case.url.replacen("gw.example.net", "gw.example.net/x", 1),
        }
        assert!(!case.is_genuine(), "change {index}: {case:?}");
    }
}
