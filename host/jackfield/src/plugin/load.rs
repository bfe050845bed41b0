//! `jackfield plugin load FILE`: an upload to a host that runs, with what became of each stage.

use std::path::Path;

use serde_json::Value;
use url::form_urlencoded;

use super::report;
use crate::ending::Ending;

/// The variable with the token: on a command line it would be seen by all.
const TOKEN: &str = "JACKFIELD_ADMIN_TOKEN";

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
    let Ok(token) = std::env::var(TOKEN) else {
        report::complain(&format!("{TOKEN} is not set: the host takes plugins from whoever has a token for it"));
        return Ending::Config;
    };
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(wanted.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))))
        .finish();
    let target = format!("{}/api/v1/plugins/{name}?{query}", url.trim_end_matches('/'));
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            report::complain(&format!("the system gives no threads: {error}"));
            return Ending::Config;
        }
    };
    let sent = runtime.block_on(jackfield_egress::put_to_host(&target, &token, "application/wasm", bytes));
    match sent {
        Ok((status, text)) => told(status, &serde_json::from_str(&text).unwrap_or(Value::Null)),
        Err(error) => {
            report::complain(&format!("the host at {url}: {error}"));
            Ending::Failed
        }
    }
}

fn told(status: u16, answer: &Value) -> Ending {
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
    report::complain(&format!("{status}: {}", answer["detail"].as_str().unwrap_or("the host did not take it")));
    Ending::BadData
}
