//! Twilio's own Python library judges our signatures and our documents: it shares no code with us.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use jackfield_sdk::Webhooks as _;
use jackfield_sdk::types::{Account, Action, ConferenceAction, RejectReason, Request, SayAction, StreamAction};
use jackfield_sdk::{encoding, form, vectors};
use plugin_twilio::Twilio;
use serde_json::{Value, json};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/oracles/twilio_signature.py");
const TOKEN: &str = "9f3c1b7ad24e48d0a5c6e1f2b3a49587";
/// Everything that a form, a URL or a document may trip over.
const TEXTS: [&str; 14] = [
    "",
    "1",
    "+14155550123",
    "a b",
    "café & té",
    "<Hangup/>",
    "\"quoted\" 'twice'",
    "a=b&c=%2B",
    "]]>",
    "&amp;&#10;",
    "tab\tline\nreturn\r.",
    "😀",
    "Zz",
    "10",
];
const NAMES: [&str; 8] = ["CallSid", "callSid", "Digits", "A", "a", "SipHeader_X-Case", "É", "b"];

fn ask(question: &Value) -> Value {
    let python = std::env::var_os("JACKFIELD_PYTHON").expect(
        "JACKFIELD_PYTHON is not set: run it through `cargo xtask test`, which makes a Python with Twilio's library",
    );
    let mut oracle = Command::new(python)
        .arg(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("JACKFIELD_PYTHON cannot be started: run it through `cargo xtask test`");
    oracle.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let answer = oracle.wait_with_output().unwrap();
    assert!(answer.status.success(), "the oracle failed: {}", answer.status);
    serde_json::from_slice(&answer.stdout).unwrap()
}

/// The same cases each time: a linear congruential generator with a fixed seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn url(&mut self, scheme: &str) -> String {
        let port = self.of(&["", "", ":443", ":80", ":8443"]);
        let rest = self.of(&["/", "/hook", "/hook/", "/a%20b/c?x=1&y=%2B", "/hook?x=2&x=1", "?x", "/h?to=a:1@b:2"]);
        format!("{scheme}://gw.example.net{port}{rest}")
    }

    fn parameters(&mut self) -> Vec<(String, String)> {
        let pair = |dice: &mut Self| (dice.of(&NAMES).to_owned(), dice.of(&TEXTS).to_owned());
        (0..self.below(7)).map(|_| pair(self)).collect()
    }
}

/// What the oracle signs, and the request that we and it are to judge.
struct Case {
    question: Value,
    request: Request,
}

fn form_case(dice: &mut Dice, name: &str, scheme: &str) -> Case {
    let url = dice.url(scheme);
    let ported = |port: &str| url.replacen("gw.example.net", &format!("gw.example.net{port}"), 1);
    let signed_url = match dice.below(6) {
        0 => ported(":443"),
        1 => ported(":80"),
        2 => url.replacen(":8443", "", 1).replacen(":443", "", 1),
        3 => dice.url(scheme),
        _ => url.clone(),
    };
    let parameters = dice.parameters();
    let headers = vec![("content-type".to_owned(), "application/x-www-form-urlencoded; charset=UTF-8".to_owned())];
    let body = form::encode(parameters.iter().map(|(name, value)| (name, value)));
    Case {
        question: json!({ "name": name, "token": TOKEN, "url": url, "signed_url": signed_url, "params": parameters }),
        request: Request { method: "POST".to_owned(), url, headers, body },
    }
}

fn json_case(dice: &mut Dice, name: &str) -> Case {
    let body = json!({ "text": dice.of(&TEXTS), "n": dice.below(100) }).to_string();
    let hashed = if dice.below(3) == 0 { format!("{body} ") } else { body.clone() };
    let hash = encoding::sha256_hex(hashed.as_bytes());
    let url = format!("https://gw.example.net/events?id=9&bodySHA256={hash}");
    let signed_url = if dice.below(4) == 0 { url.replace("id=9", "id=8") } else { url.clone() };
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Case {
        question: json!({ "name": name, "token": TOKEN, "url": url, "signed_url": signed_url, "params": [], "body": body }),
        request: Request { method: "POST".to_owned(), url, headers, body: body.into_bytes() },
    }
}

fn account() -> Account {
    let sid = ("account_sid".to_owned(), "AC0f1e2d3c4b5a69788796a5b4c3d2e1f0".to_owned());
    Account { id: "cfg_1".to_owned(), fields: vec![sid], secrets: vec!["auth_token".to_owned()] }
}

fn is_genuine(request: &Request, signature: &str) -> bool {
    let mut request = request.clone();
    request.headers.push(("x-twilio-signature".to_owned(), signature.to_owned()));
    let secrets = BTreeMap::from([("auth_token".to_owned(), TOKEN.to_owned())]);
    Twilio::authenticate(&account(), &request, 0).is_ok_and(|proof| vectors::holds(&proof, &secrets))
}

/// Ours and the oracle's verdict on each case.
fn verdicts(cases: &[Case]) -> Vec<(bool, bool)> {
    let questions: Vec<&Value> = cases.iter().map(|case| &case.question).collect();
    let answers = ask(&json!({ "signatures": questions }));
    let verdict = |case: &Case| {
        let answer = &answers["signatures"][case.question["name"].as_str().unwrap()];
        (is_genuine(&case.request, answer["signature"].as_str().unwrap()), answer["genuine"].as_bool().unwrap())
    };
    cases.iter().map(verdict).collect()
}

#[test]
fn twilios_validator_and_ours_agree_on_every_form_and_json_request() {
    let mut dice = Dice(1);
    let cases: Vec<Case> = (0..600)
        .map(|index| match index % 4 {
            0 => json_case(&mut dice, &index.to_string()),
            1 => form_case(&mut dice, &index.to_string(), "http"),
            _ => form_case(&mut dice, &index.to_string(), "https"),
        })
        .collect();
    let verdicts = verdicts(&cases);
    for (case, (ours, theirs)) in cases.iter().zip(&verdicts) {
        assert_eq!(ours, theirs, "{}", case.question);
    }
    let genuine = verdicts.iter().filter(|(_, theirs)| *theirs).count();
    assert!((100..500).contains(&genuine), "{genuine} of 600 were genuine: the cases say too little");
}

#[test]
fn every_handshake_that_twilios_validator_takes_is_genuine() {
    let mut dice = Dice(2);
    let cases: Vec<Case> = (0..200).map(|index| form_case(&mut dice, &index.to_string(), "wss")).collect();
    let verdicts = verdicts(&cases);
    let missed = verdicts.iter().position(|(ours, theirs)| *theirs && !*ours);
    assert_eq!(missed.map(|index| &cases[index].question), None);
    assert!(verdicts.iter().any(|(_, theirs)| *theirs) && verdicts.iter().any(|(ours, _)| !*ours));
}

const STREAM: &str = "wss://gw.example.net/api/v1/telephony/ws/00112233445566778899aabbccddeeff";

/// An action, and how the oracle is told of it.
fn documents() -> Vec<(Action, Value)> {
    let mut all = vec![
        (Action::HangUp, json!({ "kind": "hang-up" })),
        (Action::Reject(RejectReason::Busy), json!({ "kind": "reject", "reason": "busy" })),
        (Action::Reject(RejectReason::Declined), json!({ "kind": "reject", "reason": "rejected" })),
    ];
    for text in TEXTS {
        all.extend([stream(text), say(text, ""), say(text, "en-US"), conference(text, true), conference(text, false)]);
    }
    all
}

fn stream(text: &str) -> (Action, Value) {
    let hooks = format!("https://gw.example.net/cb/{{hook}}/call_1?x={text}");
    let parameters = vec![("run".to_owned(), text.to_owned()), (text.to_owned(), "4711".to_owned())];
    let told = json!({
        "kind": "stream",
        "url": STREAM,
        "status_callback": hooks.replace("{hook}", "stream"),
        "parameters": parameters,
    });
    (Action::Stream(StreamAction { url: STREAM.to_owned(), hooks, parameters }), told)
}

fn say(text: &str, language: &str) -> (Action, Value) {
    let told = json!({ "kind": "say", "text": text, "language": language });
    (Action::Say(SayAction { text: text.to_owned(), language: language.to_owned() }), told)
}

fn conference(text: &str, end_on_exit: bool) -> (Action, Value) {
    let told = json!({ "kind": "conference", "name": text, "announcement": text, "end_on_exit": end_on_exit });
    let (name, announcement) = (text.to_owned(), text.to_owned());
    (Action::Conference(ConferenceAction { name, announcement, end_on_exit }), told)
}

#[test]
fn our_documents_are_those_that_twilios_library_builds() {
    let documents = documents();
    let asked: Vec<Value> = documents
        .iter()
        .enumerate()
        .map(|(index, (action, told))| {
            let body = Twilio::reply(&account(), None, action).unwrap().body;
            json!({ "name": index.to_string(), "xml": String::from_utf8(body).unwrap(), "action": told })
        })
        .collect();
    let answers = ask(&json!({ "documents": asked }));
    for (index, question) in asked.iter().enumerate() {
        assert_eq!(answers["documents"][index.to_string()], Value::Null, "{question}");
    }
    let wrong = json!({ "name": "wrong", "xml": "<Response><Hangup/></Response>", "action": documents[1].1 });
    let answer = ask(&json!({ "documents": [wrong] }));
    assert_ne!(answer["documents"]["wrong"], Value::Null, "the oracle sees no difference");
}
