//! Runs test vectors that lie in folders: a new case is a new folder and no new Rust.
//!
//! | file | what it holds |
//! |---|---|
//! | `request.http` | a webhook: request line with the absolute URL, headers, a blank line, the raw body (a last line end does not count) |
//! | `request.json` | or one question to the plugin: `{"check": {}}`, `{"reply": {…}}`, `{"media": {…}}`, or a function of `calls` with its arguments |
//! | `http.json` | for `calls`: the requests that are due, in order, each with the answer it gets |
//! | `expect.json` | what must come out |
//! | `account.json` | `fields`, and `secrets` with their values; the folder's own, else the one beside the folders |
//! | `now`, `hook` | Unix milliseconds (else 0) and the name of the hook (else `inbound`) |
//!
//! What `expect.json` leaves out of a record must be empty there. A word where a variant is due stands for that case
//! with any text. Bytes are written as text, or as `base64:…` where they are none. Of a webhook only the listed answers
//! are looked at: `identify`, `proof`, `replay_key`, `read`.

mod case;
mod fit;
mod questions;
mod script;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::types::{Check, Hash, Proof};
use crate::{Calls, Manifest, Media, Webhooks};
use case::Case;

type Ask = fn(&Case) -> Result<Value, String>;

/// The vectors of one plugin, and the interfaces that are asked.
#[derive(Debug)]
pub struct Vectors {
    root: PathBuf,
    asks: BTreeMap<&'static str, Ask>,
}

impl Vectors {
    /// The folders below this one.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), asks: BTreeMap::new() }
    }

    /// Asks this plugin's `manifest`.
    #[must_use]
    pub fn manifest<P: Manifest>(self) -> Self {
        self.with("check", questions::check::<P>)
    }

    /// Asks this plugin's `webhooks`.
    #[must_use]
    pub fn webhooks<P: Webhooks>(self) -> Self {
        self.with("webhook", questions::webhook::<P>).with("reply", questions::reply::<P>)
    }

    /// Asks this plugin's `calls`.
    #[must_use]
    pub fn calls<P: Calls>(self) -> Self {
        questions::CALLS.iter().fold(self, |vectors, name| vectors.with(name, questions::calls::<P>))
    }

    /// Asks this plugin's `media`.
    #[must_use]
    pub fn media<P: Media>(self) -> Self {
        self.with("media", questions::media::<P>)
    }

    fn with(mut self, question: &'static str, ask: Ask) -> Self {
        self.asks.insert(question, ask);
        self
    }

    /// Runs every case; their number.
    ///
    /// # Errors
    /// Each case that does not hold, with what differs; also when there is no case at all.
    pub fn run(&self) -> Result<usize, String> {
        let folders = case::folders(&self.root)?;
        let failures: Vec<String> = folders
            .iter()
            .filter_map(|folder| self.one(folder).err().map(|why| format!("{}: {why}", folder.display())))
            .collect();
        if folders.is_empty() {
            return Err(format!("{} holds no case", self.root.display()));
        }
        if failures.is_empty() { Ok(folders.len()) } else { Err(failures.join("\n")) }
    }

    fn one(&self, folder: &Path) -> Result<(), String> {
        let case = Case::read(&self.root, folder)?;
        let ask = self.asks.get(case.question()).ok_or_else(|| format!("nothing answers `{}`", case.question()))?;
        let actual = fit::readable(ask(&case)?);
        if case.is_webhook() { fit::listed(&case.expect, &actual) } else { fit::whole(&case.expect, &actual) }
    }
}

/// Does a proof hold with these secrets? As a host decides it, but for tests: not in constant time.
pub fn holds(proof: &Proof, secrets: &BTreeMap<String, String>) -> bool {
    let secret = |name: &str| secrets.get(name).filter(|secret| !secret.is_empty());
    proof.any_of.iter().any(|check| match check {
        Check::Hmac(check) => secret(&check.secret).is_some_and(|secret| {
            let key = ring::hmac::Key::new(algorithm(check.hash), secret.as_bytes());
            ring::hmac::verify(&key, &check.message, &check.digest).is_ok()
        }),
        Check::Equal(check) => secret(&check.secret).is_some_and(|secret| *secret == check.value),
        Check::Ed25519(check) => ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, &check.public_key)
            .verify(&check.message, &check.signature)
            .is_ok(),
        Check::Verified => true,
        Check::Other(_) => false,
    })
}

fn algorithm(hash: Hash) -> ring::hmac::Algorithm {
    match hash {
        Hash::Sha1 => ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => ring::hmac::HMAC_SHA256,
        Hash::Sha512 => ring::hmac::HMAC_SHA512,
    }
}
