//! `jackfield plugin record NAME --out FILE`: a trace of a plugin at work, a JSON object a line.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use jackfield_egress::{EgressError, get_from_host, post_to_host};
use serde_json::Value;

use super::{remote, report};
use crate::ending::Ending;

const GLANCE: Duration = Duration::from_millis(500);

pub(super) fn run(name: &str, exports: u32, patience: Duration, out: &Path, url: &str) -> Ending {
    let target = format!("{}/api/v1/plugins/{name}/trace", url.trim_end_matches('/'));
    let asked = remote::ask(url, async |token| recorded(&target, &token, exports, patience).await);
    match asked {
        Ok((200, trace)) => written(&trace, out),
        Ok((status, answer)) => remote::refused(status, &answer),
        Err(ending) => ending,
    }
}

/// The trace once it is whole, or what there is when patience ends.
async fn recorded(target: &str, token: &str, exports: u32, patience: Duration) -> Result<(u16, String), EgressError> {
    let began = Instant::now();
    let begun = post_to_host(&format!("{target}?exports={exports}"), token).await?;
    if begun.0 != 200 {
        return Ok(begun);
    }
    loop {
        tokio::time::sleep(GLANCE).await;
        let trace = get_from_host(target, token).await?;
        let done = serde_json::from_str(&trace.1).is_ok_and(|trace: Value| trace["done"] == true);
        if trace.0 != 200 || done || began.elapsed() >= patience {
            post_to_host(&format!("{target}?exports=0"), token).await?;
            return Ok(trace);
        }
    }
}

fn written(trace: &Value, out: &Path) -> Ending {
    let entries = trace["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    match write(entries, out) {
        Ok(()) => {
            report::say(&[format!("{} calls of exports in {}", entries.len(), out.display())]);
            Ending::Done
        }
        Err(error) => {
            report::complain(&format!("{}: {error}", out.display()));
            Ending::Failed
        }
    }
}

/// For its owner's eyes: it holds what providers sent.
fn write(entries: &[Value], out: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(out)?;
    for entry in entries {
        writeln!(file, "{entry}")?;
    }
    file.flush()
}
