//! Calls that come and go for an hour: what does the host keep of them?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::crowd::Crowd;
use super::process;
use super::table::{Limit, Table, count};
use crate::demo::tell;

/// Calls at once, each of so many frames.
const CALLS: usize = 40;
const FRAMES: usize = 1_000;
const EVERY: Duration = Duration::from_secs(10);
/// For how long, in minutes, where nobody says otherwise.
const MINUTES: u64 = 60;
const VARIABLE: &str = "JACKFIELD_SOAK_MINUTES";

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let minutes = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(MINUTES);
    let lasting = Duration::from_secs(minutes * 60);
    let crowd = Arc::new(Crowd::gather().await?);
    let (next, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (began, mut callers) = (Instant::now(), JoinSet::new());
    for _ in 0..CALLS {
        let (crowd, next, ended) = (Arc::clone(&crowd), Arc::clone(&next), Arc::clone(&ended));
        callers.spawn(async move {
            let (mut lost, mut cut) = (0, Vec::new());
            while began.elapsed() < lasting {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let stream = crowd.put_one_through(index).await?;
                match stream.speak(Instant::now(), FRAMES, 0).await {
                    Ok(tally) => lost += tally.sent.saturating_sub(tally.heard),
                    Err(error) => cut.push(format!("call {index}: {error:#}")),
                }
                ended.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok((lost, cut))
        });
    }
    let mut samples = Vec::new();
    while began.elapsed() < lasting {
        tokio::time::sleep(EVERY).await;
        let pid = crowd.host.pid();
        samples.push((began.elapsed().as_secs_f64() / 3_600.0, process::resident(pid)?, process::descriptors(pid)?));
    }
    let (mut lost, mut cut) = (0, Vec::new());
    while let Some(done) = callers.join_next().await {
        let (lost_here, cut_here) = done??;
        lost += lost_here;
        cut.extend(cut_here);
    }
    if let Some(first) = cut.first() {
        tell(&format!("{first}\n{}", crowd.host.output()));
    }
    // What the first calls touch stays touched.
    let settled = &samples[samples.len() / 5..];
    let memory = slope(settled.iter().map(|(at, resident, _)| (*at, count(*resident) / 1_024.0)));
    let descriptors = slope(settled.iter().map(|(at, _, open)| (*at, count(*open))));
    let calls = count(ended.load(Ordering::Relaxed));
    table.told("soak, minutes", count(minutes), "");
    table.told("soak, calls", calls, "");
    table.told("soak, frames that did not come back, of each call", count(lost) / calls.max(1.0), "");
    table.held("soak, calls that were cut", count(cut.len()), "", Limit::AtMost(0.0));
    table.held("soak, memory that an hour adds", memory, "MB", Limit::AtMost(8.0));
    table.held("soak, descriptors that an hour adds", descriptors, "", Limit::AtMost(10.0));
    Ok(())
}

/// By least squares.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let size = count(points.clone().count());
    let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), (at, value)| (x + at / size, y + value / size));
    let (up, down) =
        points.fold((0.0, 0.0), |(up, down), (at, value)| (up + (at - x) * (value - y), down + (at - x) * (at - x)));
    if down == 0.0 { 0.0 } else { up / down }
}
