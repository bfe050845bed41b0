//! Telnyx's own Python package judges signatures and the bodies of our requests: it shares no code with us.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use jackfield_sdk::types::{Account, Request};
use jackfield_sdk::{Webhooks as _, vectors};
use plugin_telnyx::Telnyx;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/telnyx_requests.py");
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors");
const CONNECTION: &str = "1494404757140276705";
const WEBHOOKS: usize = 2_000;
const CHANGES: usize = 5_000;

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Signed {
    body: String,
    timestamp: String,
    signature: String,
    key: String,
}

fn ask(question: &Value) -> Value {
    let python = std::env::var_os("JACKFIELD_PYTHON").expect(
        "JACKFIELD_PYTHON is not set: run it through `cargo xtask test`, which makes a Python with Telnyx's library",
    );
    let mut oracle =
        Command::new(python).arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("no Python");
    oracle.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let answer = oracle.wait_with_output().unwrap();
    assert!(answer.status.success(), "the oracle failed: {}", answer.status);
    serde_json::from_slice(&answer.stdout).unwrap()
}

fn signed() -> Vec<Signed> {
    let sign = json!({ "count": WEBHOOKS, "seed": 1, "connection_id": CONNECTION });
    serde_json::from_value(ask(&json!({ "sign": sign }))["signed"].take()).unwrap()
}

impl Signed {
    fn account(&self) -> Account {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = vec![pair("connection_id", CONNECTION), pair("webhook_public_key", &self.key)];
        Account { id: "cfg".to_owned(), fields, secrets: vec!["api_key".to_owned()] }
    }

    fn is_genuine(&self) -> bool {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = Request {
            method: "POST".to_owned(),
            url: "https://gw.example.net/api/v1/telephony/inbound/run".to_owned(),
            headers: vec![
                header("telnyx-signature-ed25519", &self.signature),
                header("telnyx-timestamp", &self.timestamp),
            ],
            body: self.body.clone().into_bytes(),
        };
        let proof = Telnyx::authenticate(&self.account(), &request, 0);
        proof.is_ok_and(|proof| vectors::holds(&proof, &std::collections::BTreeMap::new()))
    }
}

/// Spoils one letter of what is signed, or of the signature.
fn changed(case: &Signed, index: usize) -> Signed {
    let mut case = case.clone();
    let place = (index / 3).wrapping_mul(7_919);
    match index % 3 {
        0 => {
            let at = case.body.char_indices().nth(place % case.body.chars().count()).unwrap().0;
            case.body.insert(at, ' ');
        }
        1 => case.timestamp.push('0'),
        // The last letters of a signature hold bits that say nothing.
        _ => {
            let at = place % (case.signature.len() - 3);
            let other = if case.signature.as_bytes()[at] == b'A' { "B" } else { "A" };
            case.signature.replace_range(at..=at, other);
        }
    }
    case
}

#[test]
fn what_is_signed_for_telnyx_is_genuine_and_every_change_is_refused_here_and_there() {
    let signed = signed();
    assert_eq!(signed.len(), WEBHOOKS);
    assert!(signed.iter().all(Signed::is_genuine));
    let changed: Vec<Signed> = (0..CHANGES).map(|index| changed(&signed[index % signed.len()], index)).collect();
    if let Some(taken) = changed.iter().find(|case| case.is_genuine()) {
        panic!("{taken:?}");
    }
    let all = [&signed[..], &changed[..]].concat();
    let judged = ask(&json!({ "validate": all }));
    let genuine: Vec<bool> = judged["genuine"].as_array().unwrap().iter().map(|genuine| *genuine == true).collect();
    assert_eq!(genuine.len(), WEBHOOKS + CHANGES);
    assert!(genuine[..WEBHOOKS].iter().all(|genuine| *genuine) && genuine[WEBHOOKS..].iter().all(|genuine| !genuine));
}

/// The requests with a body that the vectors expect.
fn requests() -> Vec<Value> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(VECTORS).unwrap() {
        let Ok(text) = std::fs::read_to_string(Path::new(&folder.unwrap().path()).join("http.json")) else { continue };
        let exchanges: Vec<Value> = serde_json::from_str(&text).unwrap();
        for exchange in exchanges {
            let request = &exchange["request"];
            if request["json"].is_object() {
                let path = request["url"].as_str().unwrap().strip_prefix("https://api.telnyx.com").unwrap();
                found.push(json!({ "method": request["method"], "path": path, "body": request["json"] }));
            }
        }
    }
    found
}

#[test]
fn the_bodies_of_our_requests_are_telnyxs() {
    let requests = requests();
    assert!(requests.len() > 10, "{} requests with a body", requests.len());
    let wrong = json!({ "method": "POST", "path": "/v2/calls", "body": { "command": "dial-1" } });
    let all = [&requests[..], &[wrong]].concat();
    let judged = ask(&json!({ "requests": all }));
    let faults = judged["faults"].as_array().unwrap();
    assert!(faults.last().is_some_and(Value::is_string), "the oracle knows what is wrong");
    for (request, fault) in requests.iter().zip(faults) {
        assert!(fault.is_null(), "{fault}: {request}");
    }
}
