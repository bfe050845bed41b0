//! `jackfield plugin new NAME`: a crate that builds, passes its own tests and is recognisable at once.

use std::path::{Path, PathBuf};

use super::report;
use crate::ending::Ending;

/// What a new plugin is made of. `{name}`, `{name_}`, `{Name}` and `{sdk…}` are filled in.
const FILES: [(&str, &str); 17] = [
    ("Cargo.toml", include_str!("../../../../sdk/template/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("../../../../sdk/template/src/lib.rs.txt")),
    ("src/config.rs", include_str!("../../../../sdk/template/src/config.rs.txt")),
    ("src/event.rs", include_str!("../../../../sdk/template/src/event.rs.txt")),
    ("src/render.rs", include_str!("../../../../sdk/template/src/render.rs.txt")),
    ("src/sign.rs", include_str!("../../../../sdk/template/src/sign.rs.txt")),
    ("tests/vectors.rs", include_str!("../../../../sdk/template/tests/vectors.rs.txt")),
    ("vectors/account.json", include_str!("../../../../sdk/template/vectors/account.json")),
    (
        "vectors/inbound-call/request.http",
        include_str!("../../../../sdk/template/vectors/inbound-call/request.http.txt"),
    ),
    ("vectors/inbound-call/expect.json", include_str!("../../../../sdk/template/vectors/inbound-call/expect.json")),
    (
        "vectors/inbound-call-that-was-changed/request.http",
        include_str!("../../../../sdk/template/vectors/inbound-call-that-was-changed/request.http.txt"),
    ),
    (
        "vectors/inbound-call-that-was-changed/expect.json",
        include_str!("../../../../sdk/template/vectors/inbound-call-that-was-changed/expect.json"),
    ),
    (
        "vectors/status-completed/request.http",
        include_str!("../../../../sdk/template/vectors/status-completed/request.http.txt"),
    ),
    ("vectors/status-completed/hook", include_str!("../../../../sdk/template/vectors/status-completed/hook")),
    (
        "vectors/status-completed/expect.json",
        include_str!("../../../../sdk/template/vectors/status-completed/expect.json"),
    ),
    ("vectors/answer-stream/request.json", include_str!("../../../../sdk/template/vectors/answer-stream/request.json")),
    ("vectors/answer-stream/expect.json", include_str!("../../../../sdk/template/vectors/answer-stream/expect.json")),
];

pub(super) fn run(name: &str, sdk: Option<&Path>) -> Ending {
    if !is_name(name) {
        report::complain("a plugin's name is 1 to 32 of a-z, 0-9 and -, and begins with a letter");
        return Ending::Usage;
    }
    let folder = PathBuf::from(name);
    if folder.exists() {
        report::complain(&format!("{name} is there already; take another name or another folder"));
        return Ending::Usage;
    }
    match write(&folder, name, sdk) {
        Ok(()) => {
            report::say(&[
                format!("{name} is written. Now:"),
                format!("  cd {name}"),
                "  cargo test".to_owned(),
                "  jackfield plugin build".to_owned(),
                format!("  jackfield plugin check target/{name}.wasm"),
                format!("  jackfield plugin test target/{name}.wasm --vectors vectors"),
            ]);
            Ending::Done
        }
        Err(error) => {
            report::complain(&format!("{name} could not be written: {error}"));
            Ending::NoInput
        }
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 32 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(plain)
}

fn write(folder: &Path, name: &str, sdk: Option<&Path>) -> std::io::Result<()> {
    let (sdk, sdk_for_tests) = dependency(sdk)?;
    for (path, template) in FILES {
        let text = template
            .replace("{sdk}", &sdk)
            .replace("{sdk-for-tests}", &sdk_for_tests)
            .replace("{name}", name)
            .replace("{name_}", &name.replace('-', "_"))
            .replace("{Name}", &camel(name));
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// The SDK as a dependency, without and with its runner of vectors.
fn dependency(sdk: Option<&Path>) -> std::io::Result<(String, String)> {
    let from = match sdk {
        None => format!("version = {:?}", env!("CARGO_PKG_VERSION")),
        Some(path) => format!("path = {:?}", path.canonicalize()?.display().to_string()),
    };
    Ok((format!("{{ {from} }}"), format!("{{ {from}, features = [\"vectors\"] }}")))
}

/// `acme-voice` as `AcmeVoice`.
fn camel(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_become_types() {
        assert!(is_name("acme-voice2"));
        for odd in ["", "2acme", "Acme", "acme_voice", "../acme", "-acme"] {
            assert!(!is_name(odd), "{odd}");
        }
        assert_eq!(camel("acme-voice2"), "AcmeVoice2");
    }
}
