//! What is said about a plugin, to people and to programs.

use std::io::Write;

use jackfield_plugins::StageReport;
use jackfield_vectors::Outcome;
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

/// Cases that do not hold.
pub(super) fn failed(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.verdict.is_err()).count()
}

/// Each case with its time and instructions.
pub(super) fn cases(outcomes: &[Outcome]) -> Vec<String> {
    let line = |outcome: &Outcome| {
        let cost = format!("{:>7} us {:>9} instructions", outcome.took.as_micros(), outcome.instructions);
        match &outcome.verdict {
            Ok(()) => format!("  ok     {cost}  {}", outcome.name),
            Err(why) => format!("  FAILED {cost}  {}: {why}", outcome.name),
        }
    };
    outcomes.iter().map(line).collect()
}

pub(super) fn cases_json(outcomes: &[Outcome]) -> Value {
    let case = |outcome: &Outcome| {
        let micros = u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX);
        json!({
            "name": outcome.name,
            "ok": outcome.verdict.is_ok(),
            "micros": micros,
            "instructions": outcome.instructions,
            "why": outcome.verdict.as_ref().err(),
        })
    };
    outcomes.iter().map(case).collect()
}
