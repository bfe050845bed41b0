//! `jackfield plugin test FILE --vectors DIR`.

use std::path::Path;

use jackfield_vectors::Outcome;
use serde_json::{Value, json};

use super::{Bench, report};
use crate::ending::Ending;

pub(super) fn run(file: &Path, vectors: &Path, json: bool) -> Ending {
    let bench = match Bench::with(file) {
        Ok(bench) => bench,
        Err(ending) => return ending,
    };
    let conformance = match bench.conformance() {
        Ok(conformance) => conformance,
        Err(refusal) => {
            report::complain(&format!("the component was refused: {refusal}"));
            return Ending::BadData;
        }
    };
    let outcomes = match jackfield_vectors::run(vectors, &conformance) {
        Ok(outcomes) => outcomes,
        Err(why) => {
            report::complain(&why);
            return Ending::NoInput;
        }
    };
    if json {
        report::say_json(&as_json(&outcomes));
    } else {
        report::say(&as_text(&outcomes));
    }
    if failed(&outcomes) == 0 { Ending::Done } else { Ending::Failed }
}

fn failed(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| outcome.verdict.is_err()).count()
}

fn as_text(outcomes: &[Outcome]) -> Vec<String> {
    let line = |outcome: &Outcome| {
        let micros = outcome.took.as_micros();
        match &outcome.verdict {
            Ok(()) => format!("  ok     {micros:>7} us  {}", outcome.name),
            Err(why) => format!("  FAILED {micros:>7} us  {}: {why}", outcome.name),
        }
    };
    let mut lines: Vec<String> = outcomes.iter().map(line).collect();
    lines.push(match failed(outcomes) {
        0 => format!("All {} cases hold.", outcomes.len()),
        some => format!("{some} of {} cases do not hold.", outcomes.len()),
    });
    lines
}

fn as_json(outcomes: &[Outcome]) -> Value {
    let case = |outcome: &Outcome| {
        let micros = u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX);
        json!({ "name": outcome.name, "ok": outcome.verdict.is_ok(), "micros": micros, "why": outcome.verdict.as_ref().err() })
    };
    json!({ "ok": failed(outcomes) == 0, "cases": outcomes.iter().map(case).collect::<Vec<_>>() })
}
