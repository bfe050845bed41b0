//! `jackfield plugin replay TRACE --plugin FILE`: asks a component what another was asked, and tells what differs.

use std::path::Path;
use std::sync::Arc;

use jackfield_plugins::{Conformance, Replayed, TraceEntry, replay};
use serde_json::{Value, json};

use super::{Bench, Shipped, report};
use crate::ending::Ending;

pub(super) fn run(trace: &Path, plugin: &Path, json: bool) -> Ending {
    let trace = match read(trace) {
        Ok(trace) => trace,
        Err(sentence) => {
            report::complain(&format!("{}: {sentence}", trace.display()));
            return Ending::NoInput;
        }
    };
    let bench = match Bench::with(plugin, Shipped::Leave) {
        Ok(bench) => bench,
        Err(ending) => return ending,
    };
    let candidate = match &bench.examined {
        Ok(candidate) => candidate,
        Err(refusal) => {
            report::complain(&format!("the component was refused: {refusal}"));
            return Ending::BadData;
        }
    };
    let subject = Conformance::new(Arc::clone(candidate.generation()), bench.runtime.handle().clone());
    match replay(&trace, &subject) {
        Ok(replayed) => told(&replayed, json),
        Err(sentence) => {
            report::complain(&sentence);
            Ending::BadData
        }
    }
}

fn read(trace: &Path) -> Result<Vec<TraceEntry>, String> {
    let text = std::fs::read_to_string(trace).map_err(|error| error.to_string())?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let entry = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| format!("line {}: {error}; `plugin record` writes it", index + 1))
    };
    lines.map(entry).collect()
}

fn told(replayed: &[Replayed], json: bool) -> Ending {
    let different: Vec<&Replayed> = replayed.iter().filter(|one| !one.differences.is_empty()).collect();
    if json {
        let shown =
            |one: &&Replayed| json!({ "line": one.index + 1, "export": one.export, "differences": one.differences });
        let different: Vec<Value> = different.iter().map(shown).collect();
        report::say_json(&json!({ "ok": different.is_empty(), "calls": replayed.len(), "different": different }));
    } else {
        let mut lines = Vec::new();
        for one in &different {
            lines.push(format!("line {}: {}", one.index + 1, one.export));
            lines.extend(one.differences.iter().map(|difference| format!("    {difference}")));
        }
        lines.push(match different.len() {
            0 => format!("All {} calls are answered as they were.", replayed.len()),
            some => format!("{some} of {} calls are answered otherwise.", replayed.len()),
        });
        report::say(&lines);
    }
    if different.is_empty() { Ending::Done } else { Ending::Failed }
}
