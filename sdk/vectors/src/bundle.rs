//! Cases with all their files: from a folder, or as a component carries them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::case::{self, Case};
use crate::subject::Subject;
use crate::{Outcome, one, proof};

/// The custom section of a component that carries its cases.
pub const SECTION: &str = "jackfield:vectors";

/// Bytes of a section, files in it, and bytes of a file. Whoever reads one has not made it.
const LARGEST: usize = 16 << 20;
const MOST_FILES: usize = 16 << 10;
const LARGEST_FILE: usize = 256 << 10;

/// The files of a case by their names.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Cases with all their files, in order of their names; one at least.
///
/// A component carries them as a JSON object: the paths of files below the folder, and what is in them as text, or as
/// `{"base64": …}` where it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The account of cases that have no own.
    account: Option<Vec<u8>>,
    cases: BTreeMap<String, Files>,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Binary { base64: String },
}

impl Bundle {
    /// The cases in the folders below `root`.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds no case.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        for (name, path) in case::entries(root)? {
            if path.is_dir() {
                for (file, path) in case::entries(&path)? {
                    // A folder in a case is as wrong as any file that is not known, and is told with the case.
                    let content = if path.is_dir() { Vec::new() } else { case::bytes(&path)? };
                    files.push((format!("{name}/{file}"), content));
                }
            } else if name == case::ACCOUNT {
                files.push((name, case::bytes(&path)?));
            }
        }
        Self::of_files(files).map_err(|why| format!("{}: {why}", root.display()))
    }

    /// The cases whose files have these paths: `account.json`, and a folder's name and a file's for each other.
    ///
    /// # Errors
    /// When a path is of another kind or comes twice, or there is no case.
    pub fn of_files(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, String> {
        let mut bundle = Self { account: None, cases: BTreeMap::new() };
        for (path, content) in files {
            let known = match path.split_once('/') {
                None if path == case::ACCOUNT => bundle.account.replace(content),
                Some((case, file)) if !case.is_empty() && !file.is_empty() && !file.contains('/') => {
                    bundle.cases.entry(case.to_owned()).or_default().insert(file.to_owned(), content)
                }
                _ => return Err(format!("`{path}` is no file of a case")),
            };
            if known.is_some() {
                return Err(format!("`{path}` is there twice"));
            }
        }
        if bundle.cases.is_empty() { Err("it holds no case".to_owned()) } else { Ok(bundle) }
    }

    /// The cases in a component's section.
    ///
    /// # Errors
    /// When the section is not what [`Self::to_section`] makes, or too large.
    pub fn of_section(section: &[u8]) -> Result<Self, String> {
        if section.len() > LARGEST {
            return Err(format!("it has {} bytes, and {LARGEST} are allowed", section.len()));
        }
        let Listed(files) = serde_json::from_slice(section).map_err(|why| why.to_string())?;
        Self::of_files(files)
    }

    /// As a component carries them. The same files make the same bytes.
    ///
    /// # Errors
    /// When they have no JSON form.
    pub fn to_section(&self) -> Result<Vec<u8>, String> {
        let account = self.account.iter().map(|content| (case::ACCOUNT.to_owned(), content));
        let cases = self
            .cases
            .iter()
            .flat_map(|(name, files)| files.iter().map(move |(file, content)| (format!("{name}/{file}"), content)));
        let files: BTreeMap<String, Content<'_>> =
            account.chain(cases).map(|(path, content)| (path, Content::of(content))).collect();
        serde_json::to_vec(&files).map_err(|why| why.to_string())
    }

    /// Runs every case, as they are asked for.
    pub fn run<'a>(&'a self, subject: &'a dyn Subject) -> impl Iterator<Item = Outcome> + 'a {
        self.cases().map(|(name, case)| one(name.to_owned(), case, subject))
    }

    /// Runs those webhooks of which it is known whether the provider signed them, and asks for nothing else: is what is
    /// genuine, and nothing else, taken for it? Which other word is found for what is not, does not matter.
    pub fn run_proofs<'a>(&'a self, subject: &'a dyn Subject) -> impl Iterator<Item = Outcome> + 'a {
        self.cases().filter_map(|(name, case)| proof(name.to_owned(), case, subject))
    }

    pub(crate) fn cases(&self) -> impl Iterator<Item = (&str, Result<Case, String>)> {
        let read = |files| Case::read(files, self.account.as_deref());
        self.cases.iter().map(move |(name, files)| (name.as_str(), read(files)))
    }
}

impl<'a> Content<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.into()),
            Err(_) => Self::Binary { base64: STANDARD.encode(bytes) },
        }
    }

    fn bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.into_owned().into_bytes()),
            Self::Binary { base64 } => STANDARD.decode(base64).map_err(|_| "not base64".to_owned()),
        }
    }
}

/// Files as they are listed, with an end to how many there may be.
struct Listed(Vec<(String, Vec<u8>)>);

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ListedVisitor)
    }
}

struct ListedVisitor;

impl<'de> Visitor<'de> for ListedVisitor {
    type Value = Listed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of paths and contents")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listed, A::Error> {
        let mut files = Vec::new();
        while let Some((path, content)) = map.next_entry::<String, Content<'de>>()? {
            if files.len() == MOST_FILES {
                return Err(A::Error::custom(format!("more than {MOST_FILES} files")));
            }
            let bytes = content.bytes().map_err(|why| A::Error::custom(format!("`{path}`: {why}")))?;
            if bytes.len() > LARGEST_FILE {
                return Err(A::Error::custom(format!("`{path}` has more than {LARGEST_FILE} bytes")));
            }
            files.push((path, bytes));
        }
        Ok(Listed(files))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn files(files: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
        files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect()
    }

    #[test]
    fn a_section_holds_what_was_in_the_folder_byte_for_byte() {
        let bundle = Bundle::of_files(files(&[
            ("one/request.http", b"POST https://gw.example.net/\n\n\xff\0"),
            ("one/expect.json", b"{\"proof\": \"holds\"}\n"),
            ("account.json", b"{}"),
        ]));
        let bundle = bundle.unwrap();
        let section = bundle.to_section().unwrap();
        assert_eq!(Bundle::of_section(&section).unwrap(), bundle);
        assert_eq!(bundle.to_section().unwrap(), section);
        let text = String::from_utf8(section).unwrap();
        assert!(text.contains(r#""account.json":"{}""#) && text.contains(r#""one/request.http":{"base64":"#), "{text}");
    }

    #[test]
    fn what_is_no_section_of_cases_is_refused_with_what_is_wrong() {
        let many: BTreeMap<String, &str> = (0..=MOST_FILES).map(|number| (format!("{number}/now"), "1")).collect();
        let long = format!("{{\"a/now\": {:?}}}", "1".repeat(LARGEST_FILE + 1));
        for (section, why) in [
            (&b"\xff"[..], "expected value"),
            (b"[]", "paths and contents"),
            (b"{}", "no case"),
            (b"{\"account.json\": \"{}\"}", "no case"),
            (br#"{"now": "1"}"#, "`now` is no file of a case"),
            (br#"{"a/b/now": "1"}"#, "no file of a case"),
            (br#"{"/now": "1"}"#, "no file of a case"),
            (br#"{"a/now": "1", "a/now": "2"}"#, "twice"),
            (br#"{"a/now": 1}"#, "did not match"),
            (br#"{"a/now": {"base64": "!"}}"#, "not base64"),
            (&serde_json::to_vec(&many).unwrap(), "more than 16384 files"),
            (long.as_bytes(), "more than 262144 bytes"),
            (&vec![b' '; LARGEST + 1], "are allowed"),
        ] {
            let found = Bundle::of_section(section).unwrap_err();
            assert!(found.contains(why), "{why}: {found}");
        }
    }
}
