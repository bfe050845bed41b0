//! Vonage's own Python package judges our signatures: it shares no code with us.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use jackfield_sdk::types::{Account, Check, Request};
use jackfield_sdk::{Webhooks as _, vectors};
use plugin_vonage::Vonage;
use serde::Deserialize;
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/vonage_signature.py");
const SECRET: &str = "Zx9Lq2mV7tRb4KpW8sYd-of-32-bytes-at-least";
const APPLICATION: &str = "11111111-2222-4333-8444-555555555555";
const REQUESTS: usize = 3_000;
const CHANGES: usize = 10_000;

#[derive(Debug, Clone, Deserialize)]
struct Signed {
    token: String,
    body: String,
}

fn ask(question: &Value) -> Value {
    let python = std::env::var_os("JACKFIELD_PYTHON").expect(
        "JACKFIELD_PYTHON is not set: run it through `cargo xtask test`, which makes a Python with Vonage's library",
    );
    let mut oracle =
        Command::new(python).arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("no Python");
    oracle.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let answer = oracle.wait_with_output().unwrap();
    assert!(answer.status.success(), "the oracle failed: {}", answer.status);
    serde_json::from_slice(&answer.stdout).unwrap()
}

fn signed() -> Vec<Signed> {
    let sign = json!({
        "count": REQUESTS, "seed": 1, "secret": SECRET, "api_key": "a1b2c3d4", "application_id": APPLICATION,
    });
    serde_json::from_value(ask(&json!({ "sign": sign }))["signed"].take()).unwrap()
}

fn account() -> Account {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let fields = vec![pair("application_id", APPLICATION), pair("api_key", "a1b2c3d4")];
    Account { id: "cfg".to_owned(), fields, secrets: vec!["signature_secret".to_owned()] }
}

impl Signed {
    fn request(&self) -> Request {
        let header = |name: &str, value: String| (name.to_owned(), value);
        Request {
            method: "POST".to_owned(),
            url: "https://gw.example.net/api/v1/telephony/inbound/run".to_owned(),
            headers: vec![
                header("content-type", "application/json".to_owned()),
                header("authorization", format!("Bearer {}", self.token)),
            ],
            body: self.body.clone().into_bytes(),
        }
    }

    fn is_genuine(&self) -> bool {
        let secrets = BTreeMap::from([("signature_secret".to_owned(), SECRET.to_owned())]);
        Vonage::authenticate(&account(), &self.request(), 0).is_ok_and(|proof| vectors::holds(&proof, &secrets))
    }
}

#[test]
fn what_is_signed_for_vonage_is_genuine_and_what_we_would_sign_vonage_takes() {
    let signed = signed();
    assert_eq!(signed.len(), REQUESTS);
    let mut ours = Vec::new();
    for case in &signed {
        assert!(case.is_genuine(), "{case:?}");
        let Ok(proof) = Vonage::authenticate(&account(), &case.request(), 0) else { panic!("{case:?}") };
        let [Check::Hmac(check)] = &proof.any_of[..] else { panic!("one token is one check: {proof:?}") };
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
        let digest = ring::hmac::sign(&key, &check.message);
        assert_eq!(digest.as_ref(), &check.digest[..]);
        ours.push(json!({ "token": case.token, "secret": SECRET }));
        ours.push(json!({ "token": case.token, "secret": "another secret, of 32 bytes at least" }));
    }
    let judged = ask(&json!({ "validate": ours }));
    let genuine: Vec<bool> = judged["genuine"].as_array().unwrap().iter().map(|genuine| *genuine == true).collect();
    assert_eq!(genuine.len(), 2 * REQUESTS);
    assert!(genuine.chunks(2).all(|pair| pair == [true, false]), "the right secret and a wrong one");
}

#[test]
fn every_change_of_one_letter_is_refused() {
    let signed = signed();
    for index in 0..CHANGES {
        let mut case = signed[index % signed.len()].clone();
        let place = (index / 3).wrapping_mul(7_919);
        if index % 3 == 0 && !case.body.is_empty() {
            // JSON has no letter that may be another and mean the same to a hash.
            case.body.push(' ');
        } else {
            // The last letter of a part may hold bits that say nothing; every other counts.
            let mut token = case.token.into_bytes();
            let last = |at: usize| at + 1 >= token.len() || token[at + 1] == b'.';
            let at =
                (0..token.len()).map(|step| (place + step) % token.len()).find(|at| token[*at] != b'.' && !last(*at));
            let letter = &mut token[at.unwrap()];
            *letter = if *letter == b'A' { b'B' } else { b'A' };
            case.token = String::from_utf8(token).unwrap();
        }
        assert!(!case.is_genuine(), "change {index}: {case:?}");
    }
}
