//! `jackfield plugin sign FILE --key KEY`: the same build with a signature at its end.

use std::path::Path;

use jackfield_plugins::{SigningKey, SigningKeyError, digest_of, sign};

use super::report;
use crate::ending::Ending;

pub(super) fn run(file: &Path, key: &Path, out: Option<&Path>) -> Ending {
    match signed(file, key, out.unwrap_or(file)) {
        Ok(lines) => {
            report::say(&lines);
            Ending::Done
        }
        Err((ending, why)) => {
            report::complain(&why);
            ending
        }
    }
}

fn signed(file: &Path, key: &Path, out: &Path) -> Result<[String; 2], (Ending, String)> {
    let key = SigningKey::read(key).map_err(|error| {
        let ending = if matches!(error, SigningKeyError::File(_)) { Ending::NoInput } else { Ending::BadData };
        (ending, format!("{}: {error}", key.display()))
    })?;
    let at = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let bytes = std::fs::read(file).map_err(|error| (Ending::NoInput, at(file, &error)))?;
    let signed = sign(&bytes, &key).map_err(|unfit| (Ending::BadData, at(file, &unfit)))?;
    replace(out, &signed).map_err(|error| (Ending::NoInput, at(out, &error)))?;
    Ok([format!("{} is signed with {}", out.display(), key.public()), digest_of(&signed)])
}

/// Whole or not at all: the file may lie in the folder of a host that watches it.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}
