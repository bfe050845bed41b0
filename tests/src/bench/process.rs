//! What another process has used, as the kernel counts it.

use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time of all threads of a process, in user and kernel.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    // The name in parentheses may hold anything; what follows is counted.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let used = ticks(11).zip(ticks(12)).map(|(user, system)| user + system).context("an odd /proc/PID/stat")?;
    let a_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_micros(used * 1_000_000 / a_second.max(1)))
}

/// Descriptors that are open.
pub(super) fn descriptors(pid: u32) -> Result<u64> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).context("the process is gone")?;
    Ok(u64::try_from(open.count())?)
}

/// Mappings of its memory.
pub(super) fn maps(pid: u32) -> Result<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).context("the process is gone")?;
    Ok(u64::try_from(maps.lines().count())?)
}

/// Threads.
pub(super) fn threads(pid: u32) -> Result<u64> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).context("the process is gone")?;
    Ok(u64::try_from(threads.count())?)
}

/// Resident memory in KiB.
pub(super) fn resident(pid: u32) -> Result<u64> {
    kib(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// The same, with a page that is mapped many times counted once: each guest maps its plugin's first pages.
pub(super) fn own(pid: u32) -> Result<u64> {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

fn kib(file: &str, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(file).context("the process is gone")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
    kib.with_context(|| format!("an odd {file}"))
}
