//! `jackfield plugin test FILE --vectors DIR`.

use std::path::Path;

use jackfield_vectors::Outcome;
use serde_json::{Value, json};

use super::{Bench, Shipped, report};
use crate::ending::Ending;

pub(super) fn run(file: &Path, vectors: &Path, json: bool) -> Ending {
    let bench = match Bench::with(file, Shipped::Leave) {
        Ok(bench) => bench,
        Err(ending) => return ending,
    };
    let outcomes = match bench.vectors(vectors) {
        Ok(outcomes) => outcomes,
        Err(ending) => return ending,
    };
    if json {
        report::say_json(&as_json(&outcomes));
    } else {
        report::say(&as_text(&outcomes));
    }
    if report::failed(&outcomes) == 0 { Ending::Done } else { Ending::Failed }
}

fn as_text(outcomes: &[Outcome]) -> Vec<String> {
    let mut lines = report::cases(outcomes);
    lines.push(match report::failed(outcomes) {
        0 => format!("All {} cases hold.", outcomes.len()),
        some => format!("{some} of {} cases do not hold.", outcomes.len()),
    });
    lines
}

fn as_json(outcomes: &[Outcome]) -> Value {
    json!({ "ok": report::failed(outcomes) == 0, "cases": report::cases_json(outcomes) })
}
