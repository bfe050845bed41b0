//! The layout is the architecture: dependencies point down, and files stay readable.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may depend on whom inside the house. A new edge is a decision: it belongs in this table first.
const ALLOWED: [(&str, &[&str]); 14] = [
    (
        "jackfield",
        &[
            "jackfield-server",
            "jackfield-agents",
            "jackfield-plugins",
            "jackfield-store",
            "jackfield-egress",
            "jackfield-vectors",
            "jackfield-component",
            "jackfield-hostile",
        ],
    ),
    (
        "jackfield-server",
        &[
            "jackfield-agents",
            "jackfield-calls",
            "jackfield-media",
            "jackfield-plugins",
            "jackfield-store",
            "jackfield-egress",
        ],
    ),
    ("jackfield-agents", &["jackfield-media", "jackfield-egress"]),
    ("jackfield-calls", &[]),
    ("jackfield-media", &[]),
    ("jackfield-plugins", &["jackfield-vectors"]),
    ("jackfield-store", &[]),
    ("jackfield-egress", &[]),
    ("jackfield-sdk", &["jackfield-vectors"]),
    ("jackfield-vectors", &[]),
    ("jackfield-component", &[]),
    ("jackfield-hostile", &["jackfield-plugins"]),
    ("xtask", &["jackfield-component", "jackfield-vectors"]),
    (
        "jackfield-tests",
        &[
            "jackfield-plugins",
            "jackfield-media",
            "jackfield-sdk",
            "jackfield-vectors",
            "jackfield-component",
            "jackfield-hostile",
            "jackfield-store",
            "plugin-twilio",
            "plugin-plivo",
            "plugin-vobiz",
            "plugin-vonage",
            "plugin-cloudonix",
            "plugin-telnyx",
            "plugin-asterisk",
            "plugin-webex",
        ],
    ),
];

/// The state machines know no runtime and no IO.
const NO_IO: [&str; 2] = ["jackfield-calls", "jackfield-media"];
const IO: [&str; 6] = ["tokio", "hyper", "reqwest", "sqlx", "wasmtime", "tokio-tungstenite"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Each package of the workspace with what it depends on, tests left out.
fn packages() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        let built = dependencies.filter(|dependency| dependency["kind"] != "dev");
        (text(&package["name"]), built.map(|dependency| text(&dependency["name"])).collect())
    });
    packages.collect()
}

#[test]
fn dependencies_inside_the_house_point_down() {
    let packages = packages();
    assert!(packages.len() > 10);
    for (package, dependencies) in &packages {
        let allowed = ALLOWED.iter().find(|(name, _)| name == package).map(|(_, allowed)| *allowed);
        // Plugins are alike: they depend on the SDK and on nothing else here.
        let allowed = allowed.unwrap_or(if package.starts_with("plugin-") { &["jackfield-sdk"] } else { &[] });
        for dependency in dependencies.iter().filter(|name| packages.contains_key(*name)) {
            assert!(allowed.contains(&dependency.as_str()), "{package} may not depend on {dependency}");
        }
    }
}

#[test]
fn state_machines_know_no_io_and_one_crate_knows_wasmtime() {
    for (package, dependencies) in packages() {
        let has = |name: &str| dependencies.iter().any(|dependency| dependency == name);
        if NO_IO.contains(&package.as_str()) {
            assert!(!IO.into_iter().any(has), "{package} does IO");
        }
        assert!(!has("wasmtime") || package == "jackfield-plugins", "{package} names wasmtime");
    }
}

#[test]
fn no_file_is_longer_than_700_lines() {
    let mut folders = vec![root()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                assert!(lines <= 700, "{} has {lines} lines", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 50);
}
