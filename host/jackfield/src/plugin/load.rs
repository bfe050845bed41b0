//! `jackfield plugin load FILE`: an upload to a host that runs, with what became of each stage.

use std::path::Path;

use serde_json::Value;
use url::form_urlencoded;

use super::{remote, report};
use crate::ending::Ending;

pub(super) fn run(file: &Path, name: Option<&str>, wanted: &[(&str, &Option<String>)], url: &str) -> Ending {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            report::complain(&format!("{}: {error}", file.display()));
            return Ending::NoInput;
        }
    };
    let Some(name) = name.or_else(|| file.file_stem()?.to_str()) else {
        report::complain("the file has no name; say which provider it is for with --name");
        return Ending::Usage;
    };
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(wanted.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))))
        .finish();
    let target = format!("{}/api/v1/plugins/{name}?{query}", url.trim_end_matches('/'));
    let send = async |token: String| jackfield_egress::put_to_host(&target, &token, "application/wasm", bytes).await;
    match remote::ask(url, send) {
        Ok((status, answer)) => told(status, &answer),
        Err(ending) => ending,
    }
}

pub(super) fn told(status: u16, answer: &Value) -> Ending {
    let stages = answer["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |stage: &Value| {
        let ok = if stage["ok"] == true { "ok  " } else { "NOT " };
        let word = |name: &str| stage[name].as_str().unwrap_or_default();
        format!("{ok} {:<12} {}", word("stage"), word("detail"))
    };
    let mut lines: Vec<String> = stages.iter().map(line).collect();
    if status == 200 {
        let word = |name: &str| answer[name].as_str().unwrap_or_default();
        lines.push(format!("{}: rollout {} of {}", word("state"), word("rollout"), word("digest")));
        report::say(&lines);
        return Ending::Done;
    }
    report::say(&lines);
    remote::refused(status, answer)
}
