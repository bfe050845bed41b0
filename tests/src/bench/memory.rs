//! What a live call takes of the host's memory.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

use super::crowd::Crowd;
use super::process;
use super::table::{Limit, Table};

const CALLS: usize = 1_000;

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let crowd = Crowd::gather().await?;
    // What the first calls touch is not theirs alone.
    speak(&crowd, 10, 50).await?;
    let before = process::own(crowd.host.pid())?;
    let during = speak(&crowd, CALLS, 250).await?;
    let kib = f64::from(u32::try_from(during.saturating_sub(before))?) / f64::from(u32::try_from(CALLS)?);
    table.held("memory a live call, over 1,000", kib * 1.024, "KB", Limit::AtMost(100.0));
    Ok(())
}

/// Memory shortly before these calls end.
async fn speak(crowd: &Crowd, calls: usize, frames: usize) -> Result<u64> {
    let mut speaking = JoinSet::new();
    let streams = crowd.put_through(calls).await?;
    let first = Instant::now();
    for stream in streams {
        speaking.spawn(stream.speak(first, frames, 0));
    }
    let frames = u64::try_from(frames)?;
    tokio::time::sleep(Duration::from_millis(frames * 20 - 200)).await;
    let taken = process::own(crowd.host.pid())?;
    while let Some(done) = speaking.join_next().await {
        done??;
    }
    Ok(taken)
}
