//! The runner of vectors: a case that does not hold must be seen, and so must one that is not understood.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use jackfield_sdk::Calls;
use jackfield_sdk::http::{self, Http};
use jackfield_sdk::types::{Account, Fault};
use jackfield_sdk::vectors::Vectors;

struct Plugin;

impl Calls for Plugin {
    fn probe(http: &dyn Http, _account: &Account) -> Result<(), Fault> {
        let request = http::get("https://api.example.net/me".to_owned(), http::basic("ann", "token"));
        let answer = http.send(&request).map_err(http::fault_of)?;
        if answer.status == 200 { Ok(()) } else { Err(Fault::NotFound) }
    }
}

/// A good case: what is different comes on top of it.
const GOOD: [(&str, &str); 4] = [
    ("account.json", r#"{"fields": {}}"#),
    ("request.json", r#"{"probe": {}}"#),
    (
        "http.json",
        r#"[{"request": {"method": "GET", "url": "https://api.example.net/me"}, "answer": {"status": 200}}]"#,
    ),
    ("expect.json", r#"{"Ok": null}"#),
];

fn run(name: &str, different: &[(&str, &str)]) -> Result<usize, String> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let folder = root.join("case");
    fs::remove_dir_all(&root).ok();
    fs::create_dir_all(&folder).unwrap();
    for (file, text) in GOOD.iter().chain(different) {
        fs::write(folder.join(file), text).unwrap();
    }
    Vectors::below(root).calls::<Plugin>().run()
}

#[test]
fn a_case_that_holds_is_counted() {
    assert_eq!(run("good", &[]), Ok(1));
}

#[test]
fn what_differs_or_is_not_understood_is_a_failure_that_says_why() {
    let broken: [(&str, (&str, &str), &str); 10] = [
        ("result", ("expect.json", r#"{"Err": "NotFound"}"#), "expected"),
        ("status", ("http.json", r#"[{"request": {"method": "GET"}, "answer": {"status": 404}}]"#), "expected"),
        ("url", ("http.json", r#"[{"request": {"url": "https://b.example/"}, "answer": {"status": 200}}]"#), "url"),
        (
            "secret",
            ("http.json", r#"[{"request": {"authorization": []}, "answer": {"status": 200}}]"#),
            "authorization",
        ),
        ("nothing-due", ("http.json", "[]"), "one request too many"),
        ("file", ("expected.json", "{}"), "expected.json"),
        ("question", ("request.json", r#"{"dance": {}}"#), "dance"),
        ("questions", ("request.json", r#"{"probe": {}, "place": {}}"#), "one question"),
        ("argument", ("request.json", r#"{"probe": {"typo": 1}}"#), "typo"),
        ("both", ("request.http", "GET /\n\n"), "either"),
    ];
    for (name, different, why) in broken {
        let failure = run(name, &[different]).unwrap_err();
        assert!(failure.contains(why), "{name}: {failure}");
    }
}

#[test]
fn a_request_that_is_due_and_does_not_come_is_a_failure() {
    let twice = r#"[{"request": {"method": "GET"}, "answer": {"status": 200}}, {"request": {"method": "GET"}, "answer": {"status": 200}}]"#;
    assert!(run("due", &[("http.json", twice)]).unwrap_err().contains("1 of 2"));
}

#[test]
fn no_case_at_all_is_a_failure() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty");
    fs::create_dir_all(&root).unwrap();
    assert!(Vectors::below(root).calls::<Plugin>().run().unwrap_err().contains("no case"));
}
