//! `jackfield plugin check FILE`.

use std::path::Path;

use jackfield_plugins::types::{Ability, Provider};
use jackfield_plugins::{CONTRACT, Surface};
use jackfield_vectors::Outcome;
use serde_json::{Value, json};

use super::{Bench, Shipped, report};
use crate::ending::Ending;

pub(super) fn run(file: &Path, vectors: Option<&Path>, json: bool) -> Ending {
    let bench = match Bench::with(file, Shipped::Run) {
        Ok(bench) => bench,
        Err(ending) => return ending,
    };
    // Without a component that can be asked, its checks say all there is to say.
    let outcomes = match vectors.filter(|_| bench.examined.is_ok()).map(|folder| bench.vectors(folder)).transpose() {
        Ok(outcomes) => outcomes.unwrap_or_default(),
        Err(ending) => return ending,
    };
    // Read for people's sake: what cannot be read is refused by the checks, with a sentence.
    let surface = std::fs::read(file).ok().and_then(|bytes| Surface::read(&bytes).ok());
    if json {
        report::say_json(&as_json(&bench, surface.as_ref(), &outcomes));
    } else {
        report::say(&as_text(&bench, surface, &outcomes));
    }
    match (&bench.examined, report::failed(&outcomes)) {
        (Err(_), _) => Ending::BadData,
        (Ok(_), 0) => Ending::Done,
        (Ok(_), _) => Ending::Failed,
    }
}

fn as_text(bench: &Bench, surface: Option<Surface>, outcomes: &[Outcome]) -> Vec<String> {
    let mut lines =
        vec![format!("contract       this host speaks {CONTRACT}"), format!("size           {} bytes", bench.bytes)];
    if let Some(surface) = surface {
        lines.push(format!("exports        {}", surface.exports.join(", ")));
        lines.push(format!("imports        {}", or_none(&surface.imports)));
        lines.push(format!("memory         {} KiB to begin with", surface.memory >> 10));
    }
    match &bench.examined {
        Ok(candidate) => {
            lines.extend(about(candidate.generation().describe()));
            lines.extend(report::stages(candidate.stages()));
            lines.extend(report::cases(outcomes));
            lines.push(match (report::failed(outcomes), outcomes.len()) {
                (0, 0) => "This host would take it.".to_owned(),
                (0, all) => format!("This host would take it, and all {all} cases hold."),
                (some, all) => format!("This host would take it, and {some} of {all} cases do not hold."),
            });
        }
        Err(refusal) => {
            lines.extend(report::stages(&refusal.stages));
            lines.push(format!("This host would not take it: {}", refusal.message));
        }
    }
    lines
}

fn about(provider: &Provider) -> [String; 3] {
    // `Debug` of generated types names the type too.
    let word = |ability: &Ability| format!("{ability:?}").replace("Ability::", "");
    let abilities: Vec<String> = provider.abilities.iter().map(word).collect();
    [
        format!("plugin         {} {} ({})", provider.name, provider.version, provider.display_name),
        format!("abilities      {}", or_none(&abilities)),
        format!("asks to call   {}", or_none(&provider.hosts)),
    ]
}

fn or_none(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

fn as_json(bench: &Bench, surface: Option<&Surface>, outcomes: &[Outcome]) -> Value {
    let (stages, provider, refusal) = match &bench.examined {
        Ok(candidate) => (candidate.stages(), Some(candidate.generation().describe()), None),
        Err(refusal) => (&refusal.stages[..], None, Some(refusal.message.clone())),
    };
    json!({
        "ok": refusal.is_none() && report::failed(outcomes) == 0,
        "contract": CONTRACT,
        "bytes": bench.bytes,
        "exports": surface.map(|surface| &surface.exports),
        "imports": surface.map(|surface| &surface.imports),
        "memory": surface.map(|surface| surface.memory),
        "name": provider.map(|provider| &provider.name),
        "version": provider.map(|provider| &provider.version),
        "hosts": provider.map(|provider| &provider.hosts),
        "stages": report::stages_json(stages),
        "cases": report::cases_json(outcomes),
        "refusal": refusal,
    })
}
