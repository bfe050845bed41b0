//! `jackfield plugin zoo`: plugins that misbehave, under an operator's own settings, and what became of each.

mod admission;
mod network;
mod timing;
mod work;

use std::path::Path;
use std::time::{Duration, Instant};

use jackfield_hostile::Hostile;
use jackfield_plugins::{CompilerProcess, Generation, PluginHost};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::runtime::Runtime;

use super::report;
use crate::config::{self, Settings};
use crate::ending::Ending;

/// One attack, and what was found.
struct Row {
    attack: String,
    promise: &'static str,
    /// What happened, or how the promise was broken.
    found: Result<String, String>,
    took: Duration,
}

/// The house that the animals are in: a plugin host as `serve` makes it, that serves nobody.
struct House {
    host: PluginHost,
    runtime: Runtime,
}

pub(super) fn run(file: Option<&Path>, json: bool) -> Ending {
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let (settings, house) = match config::load(file, variables)
        .map_err(|error| error.to_string())
        .and_then(|settings| House::new(&settings).map(|house| (settings, house)))
    {
        Ok(made) => made,
        Err(error) => {
            report::complain(&error);
            return Ending::Config;
        }
    };
    let before = resident();
    let mut rows = admission::rows(&house);
    rows.extend(work::rows(&house));
    rows.extend(timing::rows());
    rows.extend(house.runtime.block_on(network::rows(&settings.egress())));
    let memory = (before, resident());
    let broken = rows.iter().filter(|row| row.found.is_err()).count();
    if json {
        report::say_json(&as_json(&rows, memory));
    } else {
        report::say(&as_text(&rows, memory, broken));
    }
    if broken == 0 { Ending::Done } else { Ending::Failed }
}

impl House {
    /// With the limits of the settings. What they grant, and who has to sign, is left out: it would keep all of these
    /// from coming in at all.
    fn new(settings: &Settings) -> Result<Self, String> {
        let (limits, pooling) = settings.guests();
        let host = PluginHost::new(limits, pooling, None).map_err(|error| format!("{error:#}"))?;
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let host = host.compiled_by(CompilerProcess::new(program, vec!["compile-plugin".to_owned()]));
        let runtime = Runtime::new().map_err(|error| format!("the system gives no threads: {error}"))?;
        Ok(Self { host, runtime })
    }

    /// A plugin that is let in, ready to misbehave.
    fn admitted(&self, plugin: &Hostile) -> Result<Arc<Generation>, String> {
        let bytes = plugin.build().map_err(|error| format!("{error:#}"))?;
        let checked = self.runtime.block_on(self.host.check(&plugin.name, bytes, "zoo", 0));
        let candidate = checked.map_err(|refusal| format!("it was not let in: {refusal}"))?;
        Ok(Arc::clone(candidate.generation()))
    }
}

/// The last line says why; those before it, where.
fn last_line(text: &str) -> String {
    text.lines().next_back().unwrap_or_default().trim().to_owned()
}

fn row(attack: String, promise: &'static str, attempt: impl FnOnce() -> Result<String, String>) -> Row {
    let began = Instant::now();
    let found = attempt().map(|found| last_line(&found));
    Row { attack, promise, found, took: began.elapsed() }
}

/// Mebibytes of memory that this process has now.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    (pages * rustix::param::page_size()) >> 20
}

fn as_text(rows: &[Row], (before, after): (usize, usize), broken: usize) -> Vec<String> {
    let line = |row: &Row| {
        let (mark, found) = match &row.found {
            Ok(found) => ("ok    ", found),
            Err(found) => ("BROKEN", found),
        };
        let millis = row.took.as_millis();
        format!("  {mark} {millis:>6} ms  {:<58} {:<34} {found}", row.attack, row.promise)
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.push(format!("Memory of this process: {before} MiB before, {after} MiB after."));
    lines.push(match broken {
        0 => format!("All {} promises were kept.", rows.len()),
        some => format!("{some} of {} promises were broken.", rows.len()),
    });
    lines
}

fn as_json(rows: &[Row], (before, after): (usize, usize)) -> Value {
    let row = |row: &Row| {
        let (Ok(found) | Err(found)) = &row.found;
        let micros = u64::try_from(row.took.as_micros()).unwrap_or(u64::MAX);
        let (ok, attack, promise) = (row.found.is_ok(), &row.attack, row.promise);
        json!({ "attack": attack, "promise": promise, "ok": ok, "found": found, "micros": micros })
    };
    json!({
        "ok": rows.iter().all(|row| row.found.is_ok()),
        "mebibytes": { "before": before, "after": after },
        "attacks": rows.iter().map(row).collect::<Vec<_>>(),
    })
}
