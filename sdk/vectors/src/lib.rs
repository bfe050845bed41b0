//! Runs test vectors that lie in folders: a new case is a new folder and no new Rust.
//!
//! | file | what it holds |
//! |---|---|
//! | `request.http` | a webhook: request line with the absolute URL, headers, a blank line, the raw body (a last line end does not count) |
//! | `request.json` | or one question to the plugin: `{"check": {}}`, `{"reply": {…}}`, `{"media": {…}}`, a function of `calls` with its arguments, `{"locate": {}}` and `{"message": {"message": …}}` of `socket`, `desk_calls`, `desk_history`, `desk_order`, `desk_watch`, `chat_fetch`, `chat_send`, `chat_listen` |
//! | `http.json` | for `calls`: the requests that are due, in order, each with the answer it gets |
//! | `expect.json` | what must come out |
//! | `account.json` | `fields`, and `secrets` with their values; the folder's own, else the one beside the folders |
//! | `now`, `hook` | Unix milliseconds (else 0) and the name of the hook (else `inbound`) |
//!
//! What `expect.json` leaves out of a record must be empty there. A word where a variant is due stands for that case
//! with any text. Bytes are written as text, or as `base64:…` where they are none. Of a webhook only the listed answers
//! are looked at: `identify`, `proof`, `replay_key`, `read`.
//!
//! The same files travel in a component, in the custom section [`SECTION`]: a [`Bundle`] reads both.
//!
//! Who is asked is a [`Subject`]: a plugin compiled into the test, or a component. Values cross as JSON of the contract's
//! types, so that both are held to the same words.

mod bundle;
mod case;
mod fit;
mod questions;
mod script;
mod subject;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

pub use bundle::{Bundle, SECTION};
use case::Case;
pub use script::Script;
pub use subject::{Arguments, Instance, Interface, Subject, shown};

/// How one case went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The folder's name.
    pub name: String,
    /// What differs, if anything does.
    pub verdict: Result<(), String>,
    /// How long the answer took, reading the case not included.
    pub took: Duration,
    /// Instructions it took, by a subject that counts them; else 0.
    pub instructions: u64,
}

/// Runs every case below `root`, in order of their names.
///
/// # Errors
/// When the folder cannot be read, or holds no case.
pub fn run(root: &Path, subject: &dyn Subject) -> Result<Vec<Outcome>, String> {
    Ok(Bundle::read(root)?.run(subject).collect())
}

/// What the subject answers to every case, without judging it: for holding two subjects to the same.
///
/// # Errors
/// When the folder cannot be read, or holds no case.
pub fn answers(root: &Path, subject: &dyn Subject) -> Result<BTreeMap<String, Result<Value, String>>, String> {
    let answer = |case: Result<Case, String>| questions::ask(&case?, subject);
    Ok(Bundle::read(root)?.cases().map(|(name, case)| (name.to_owned(), answer(case))).collect())
}

fn one(name: String, case: Result<Case, String>, subject: &dyn Subject) -> Outcome {
    timed(name, case, subject, questions::ask, |case, answer| {
        let answer = fit::readable(answer);
        if case.is_webhook() { fit::listed(&case.expect, &answer) } else { fit::whole(&case.expect, &answer) }
    })
}

/// None where the case does not say whether it is genuine.
fn proof(name: String, case: Result<Case, String>, subject: &dyn Subject) -> Option<Outcome> {
    const GENUINE: &str = "holds";
    if case.as_ref().is_ok_and(|case| !case.is_webhook() || case.expect.get("proof").is_none()) {
        return None;
    }
    Some(timed(name, case, subject, questions::prove, |case, found| {
        match (case.expect["proof"] == GENUINE, found == GENUINE) {
            (true, false) => Err(format!("it is genuine, and was not taken for it: {found}")),
            (false, true) => Err("it is not genuine, and was taken for it".to_owned()),
            _ => Ok(()),
        }
    }))
}

fn timed(
    name: String,
    case: Result<Case, String>,
    subject: &dyn Subject,
    ask: impl Fn(&Case, &dyn Subject) -> Result<Value, String>,
    judge: impl Fn(&Case, Value) -> Result<(), String>,
) -> Outcome {
    let before = subject.instructions();
    let began = Instant::now();
    let answered = case.and_then(|case| ask(&case, subject).map(|answer| (case, answer)));
    let took = began.elapsed();
    let instructions = subject.instructions().saturating_sub(before);
    let verdict = answered.and_then(|(case, answer)| judge(&case, answer));
    Outcome { name, verdict, took, instructions }
}
