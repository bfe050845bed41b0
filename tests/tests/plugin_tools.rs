//! `jackfield plugin …`, as the author of a plugin uses it: in a folder that is nobody's.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jackfield_tests::place;
use serde_json::Value;

struct Author {
    folder: tempfile::TempDir,
    sdk: PathBuf,
    target: PathBuf,
}

impl Author {
    fn new() -> Self {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk").canonicalize().unwrap();
        let target = place::target().canonicalize().unwrap().join("plugin-author");
        Self { folder: tempfile::tempdir().unwrap(), sdk, target }
    }

    fn run(&self, folder: &str, program: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        // What the tests were given is nothing that a host has a setting for.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JACKFIELD_")) {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.folder.path().join(folder))
            .env("CARGO_TARGET_DIR", &self.target)
            // What it needs was fetched with the host.
            .env("CARGO_NET_OFFLINE", "true")
            .env_remove("RUSTFLAGS")
            .env("JACKFIELD_EGRESS_TOTAL_MS", "1500")
            .output()
            .unwrap()
    }

    fn jackfield(&self, folder: &str, arguments: &[&str]) -> (i32, String, String) {
        let output = self.run(folder, &place::host_binary().unwrap().canonicalize().unwrap(), arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn a_new_plugin_builds_passes_its_tests_and_would_be_taken() {
    let author = Author::new();
    let sdk = author.sdk.display().to_string();
    let (code, said, _) = author.jackfield("", &["plugin", "new", "acme-voice", "--sdk", &sdk]);
    assert_eq!(code, 0, "{said}");
    let cargo = PathBuf::from(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    let tested = author.run("acme-voice", &cargo, &["test"]);
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let (code, file, why) = author.jackfield("acme-voice", &["plugin", "build"]);
    assert_eq!(code, 0, "{why}");
    let file = file.trim();
    let (code, checked, _) = author.jackfield("", &["plugin", "check", file, "--json"]);
    let checked: Value = serde_json::from_str(&checked).unwrap();
    assert_eq!((code, &checked["ok"], &checked["name"]), (0, &true.into(), &"acme-voice".into()));
    assert_eq!(checked["stages"].as_array().unwrap().len(), 10);
    // The template's cases are in it.
    assert!(checked["stages"][9]["detail"].as_str().unwrap().starts_with("4 of its own hold"), "{checked}");
    let (code, said, _) = author.jackfield("acme-voice", &["plugin", "test", file, "--vectors", "vectors"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("All 4 cases hold."), "{said}");
    let (code, checked, _) =
        author.jackfield("acme-voice", &["plugin", "check", file, "--vectors", "vectors", "--json"]);
    let checked: Value = serde_json::from_str(&checked).unwrap();
    let cases = checked["cases"].as_array().unwrap();
    assert_eq!((code, cases.len()), (0, 4));
    assert!(cases.iter().all(|case| case["instructions"].as_u64() > Some(0)), "{checked}");
    std::fs::write(
        author.folder.path().join("acme-voice/vectors/status-completed/expect.json"),
        r#"{"proof": "fails"}"#,
    )
    .unwrap();
    let (code, said, _) = author.jackfield("acme-voice", &["plugin", "test", file, "--vectors", "vectors", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["ok"]), (1, &false.into()));
}

#[test]
fn keys_are_made_once_and_builds_are_signed_with_them_again_and_again() {
    let author = Author::new();
    let at = |name: &str| author.folder.path().join(name);
    let (code, public, _) = author.jackfield("", &["plugin", "keygen", "key.pem"]);
    assert_eq!((code, public.trim().len()), (0, 44), "{public}");
    assert_eq!(at("key.pem").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let (code, _, why) = author.jackfield("", &["plugin", "keygen", "key.pem"]);
    assert!(code == 64 && why.contains("never overwritten"), "{why}");
    assert_eq!(author.jackfield("", &["plugin", "keygen", "no/such/folder.pem"]).0, 66);
    let bytes = place::plugin("twilio").unwrap();
    std::fs::write(at("twilio.wasm"), &bytes).unwrap();
    let sign = |arguments: &[&str]| author.jackfield("", &[&["plugin", "sign"], arguments].concat());
    let (code, said, why) = sign(&["twilio.wasm", "--key", "key.pem", "--out", "signed.wasm"]);
    assert!(code == 0 && said.contains(public.trim()), "{said}{why}");
    assert_eq!(std::fs::read(at("twilio.wasm")).unwrap(), bytes);
    let signed = std::fs::read(at("signed.wasm")).unwrap();
    assert!(signed.starts_with(&bytes) && signed.len() == bytes.len() + 119);
    assert_eq!(sign(&["signed.wasm", "--key", "key.pem"]).0, 0);
    assert_eq!(std::fs::read(at("signed.wasm")).unwrap(), signed);
    assert_eq!(author.jackfield("", &["plugin", "check", "signed.wasm"]).0, 0);
    std::fs::write(at("odd.wasm"), b"not wasm").unwrap();
    for (arguments, wanted, words) in [
        (["odd.wasm", "--key", "key.pem"], 65, "not WebAssembly"),
        (["twilio.wasm", "--key", "odd.wasm"], 65, "plugin keygen"),
        (["twilio.wasm", "--key", "none.pem"], 66, "none.pem"),
        (["none.wasm", "--key", "key.pem"], 66, "none.wasm"),
    ] {
        let (code, _, why) = sign(&arguments);
        assert!(code == wanted && why.contains(words), "{arguments:?}: {code} {why}");
    }
}

#[test]
fn what_is_no_plugin_is_refused_with_a_sentence_and_a_code() {
    let author = Author::new();
    std::fs::write(author.folder.path().join("odd.wasm"), b"not wasm").unwrap();
    let (code, said, _) = author.jackfield("", &["plugin", "check", "odd.wasm"]);
    assert_eq!(code, 65);
    assert!(said.contains("not WebAssembly"), "{said}");
    let (code, _, said) = author.jackfield("", &["plugin", "test", "odd.wasm", "--vectors", "."]);
    assert_eq!(code, 65, "{said}");
    assert_eq!(author.jackfield("", &["plugin", "check", "nowhere.wasm"]).0, 66);
    assert_eq!(author.jackfield("", &["plugin", "new", "Acme"]).0, 64);
    let twilio = place::target().canonicalize().unwrap().join("plugins/twilio.wasm").display().to_string();
    let (code, _, said) = author.jackfield("", &["plugin", "test", &twilio, "--vectors", "."]);
    assert_eq!(code, 66, "{said}");
}

#[test]
fn the_zoo_keeps_its_promises_here_and_says_so_where_a_setting_breaks_one() {
    let author = Author::new();
    let zoo = |arguments: &[&str]| {
        let (code, said, why) = author.jackfield("", &[&["plugin", "zoo", "--json"], arguments].concat());
        (code, serde_json::from_str::<Value>(&said).unwrap_or_else(|_| panic!("{why}")))
    };
    let (code, told) = zoo(&[]);
    assert_eq!((code, &told["ok"]), (0, &true.into()), "{told:#}");
    assert!(told["attacks"].as_array().unwrap().len() > 50, "{told:#}");
    // A megabyte is more than these settings take for too much.
    let settings = author.folder.path().join("lax.toml");
    std::fs::write(&settings, "[plugins]\nresult_bytes = 8388608\n").unwrap();
    let (code, told) = zoo(&["--config", settings.to_str().unwrap()]);
    assert_ne!(code, 0);
    let broken: Vec<&Value> = told["attacks"].as_array().unwrap().iter().filter(|row| row["ok"] == false).collect();
    assert!(!broken.is_empty(), "{told:#}");
    for row in broken {
        assert!(row["attack"].as_str().unwrap().starts_with("returns"), "{row}");
    }
}
