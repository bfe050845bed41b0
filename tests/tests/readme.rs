//! What the README tells people to type exists.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

#[test]
fn every_task_that_the_readme_names_is_in_the_help() {
    let help = read("host/xtask/src/main.rs");
    let tasks = words_after("cargo xtask ");
    assert!(tasks.contains("demo") && tasks.contains("test"), "{tasks:?}");
    for task in tasks {
        assert!(help.contains(&format!("cargo xtask {task} ")), "`cargo xtask help` does not list `{task}`");
    }
}

#[test]
fn the_plugin_in_python_is_made_as_the_readme_says() {
    let told = format!("componentize-py {} --python-path tests/python ", jackfield_tests::python_plugin::ARGUMENTS);
    assert!(read("README.md").contains(&told), "{told}");
}

#[test]
fn every_path_that_the_readme_names_is_in_the_api() {
    let described: Value = serde_json::from_str(&read("host/server/src/api/openapi.json")).unwrap();
    let known: Vec<&String> = described["paths"].as_object().unwrap().keys().collect();
    let named = paths();
    assert!(named.len() >= 8, "{named:?}");
    for path in named {
        assert!(known.iter().any(|known| is_one_of(&path, known)), "the API has no {path}");
    }
}

#[test]
fn every_folder_that_the_readme_names_is_there() {
    let house = read("README.md").split("## The house").nth(1).unwrap().split("```").nth(1).unwrap().to_owned();
    let folders: Vec<&str> = house.lines().filter_map(|line| line.split_once('/').map(|(first, _)| first)).collect();
    assert!(folders.len() > 10);
    for line in house.lines().filter(|line| !line.is_empty()) {
        let folder = line.split_whitespace().next().unwrap().trim_end_matches("<name>/");
        assert!(root().join(folder).is_dir(), "there is no folder {folder}");
    }
}

/// `$API/x`, `/api/v1/x` and the probes, without what a shell adds.
fn paths() -> BTreeSet<String> {
    let readme = read("README.md").replace("$API/", "/api/v1/");
    let ends = |c: char| c.is_whitespace() || matches!(c, '`' | ',' | '"' | ')');
    let paths = readme.split(ends).filter(|word| is_path(word)).map(str::to_owned);
    paths.collect()
}

fn is_path(word: &str) -> bool {
    word.starts_with("/api/v1/") || matches!(word, "/healthz" | "/readyz" | "/metrics")
}

/// A part in braces stands for any part.
fn is_one_of(path: &str, known: &str) -> bool {
    let (path, known): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), known.split('/').collect());
    path.len() == known.len() && path.iter().zip(known).all(|(part, known)| known.starts_with('{') || *part == known)
}

fn words_after(start: &str) -> BTreeSet<String> {
    let readme = read("README.md");
    let word = |rest: &str| rest.chars().take_while(char::is_ascii_lowercase).collect::<String>();
    readme.split(start).skip(1).map(word).filter(|word| !word.is_empty()).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
