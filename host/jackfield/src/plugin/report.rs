//! What is said about a plugin, to people and to programs.

use std::io::Write;

use jackfield_plugins::StageReport;
use serde_json::{Value, json};

/// Lines on standard output. A reader that went away has seen enough.
pub(super) fn say(lines: &[String]) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}

/// One JSON object on standard output.
pub(super) fn say_json(value: &Value) {
    say(&[value.to_string()]);
}

/// A line on standard error.
pub(super) fn complain(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

/// The stages as a table.
pub(super) fn stages(stages: &[StageReport]) -> Vec<String> {
    let line = |stage: &StageReport| {
        let mark = if stage.ok { "ok" } else { "REFUSED" };
        let millis = stage.micros / 1_000;
        format!("  {:<12} {mark:<8} {millis:>5} ms  {}", stage.stage, stage.detail)
    };
    stages.iter().map(line).collect()
}

pub(super) fn stages_json(stages: &[StageReport]) -> Value {
    stages
        .iter()
        .map(|stage| json!({ "stage": stage.stage, "ok": stage.ok, "detail": stage.detail, "micros": stage.micros }))
        .collect()
}
