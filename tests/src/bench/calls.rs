//! Echo calls a core on the Twilio wire, beside a bare WebSocket echo under the same load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tokio::task::JoinSet;

use super::bare::BareEcho;
use super::crowd::Crowd;
use super::load::{Destination, LoadStream, Tally};
use super::process;
use super::table::{Limit, Table};
use crate::demo::tell;
use crate::echo::percentile;
use crate::python_peer::PythonPeer;

const CALLS: usize = 500;
const MANY: usize = 1_500;
const RESAMPLED: usize = 250;
/// More would keep a core of Python from holding its beat.
const PIPECAT: usize = 20;
const WARM: usize = 100;
const FRAMES: usize = 600;

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let bare = bare(CALLS).await?;
    let pipecat = pipecat().await?;
    table.told("bare WebSocket echo, calls a core", bare.0, "");
    table.told("bare echo, p99 at 500 calls", ms(percentile(&bare.1.delays, 0.99)), "ms");
    let crowd = Crowd::gather().await?;
    let streams = crowd.put_through(CALLS).await?;
    let (calls_a_core, tally) = under_load(crowd.host.pid(), streams).await?;
    table.told("echo calls a core", calls_a_core, "");
    table.held("echo calls a core, of the bare echo's", calls_a_core / bare.0, "", Limit::AtLeast(0.6));
    match pipecat {
        Some((pipecat, tally)) => {
            table.told("Pipecat's echo, calls a core", pipecat, "");
            table.told("Pipecat's echo, p50 at 20 calls", ms(percentile(&tally.delays, 0.5)), "ms");
            table.told("echo calls a core, of Pipecat's", calls_a_core / pipecat, "times");
        }
        None => tell("  no Pipecat to compare with: `cargo xtask test` installs one"),
    }
    table.held("echo latency at 500 calls, p50", ms(percentile(&tally.delays, 0.5)), "ms", Limit::AtMost(25.0));
    table.held("echo latency at 500 calls, p99", ms(percentile(&tally.delays, 0.99)), "ms", Limit::AtMost(35.0));
    let lost = tally.sent.saturating_sub(tally.heard);
    table.told("frames that did not come back", per_mille(lost, tally.sent), "per mille");
    drop(crowd);
    many(table, calls_a_core).await?;
    resampled(table).await?;
    let crowd = Crowd::gather_recorded().await?;
    let streams = crowd.put_through(CALLS).await?;
    let (recorded, _) = under_load(crowd.host.pid(), streams).await?;
    table.told("echo calls a core, of the bare echo's, each recorded", recorded / bare.0, "");
    Ok(())
}

/// Does a call cost more where there are more of them?
async fn many(table: &mut Table, few: f64) -> Result<()> {
    let crowd = Crowd::gather().await?;
    let streams = crowd.put_through(MANY).await?;
    let (calls_a_core, _) = under_load(crowd.host.pid(), streams).await?;
    table.held("echo calls a core at 1,500 calls, of those at 500", calls_a_core / few, "", Limit::AtLeast(0.9));
    Ok(())
}

/// A bot on a second socket that listens and speaks at 16 kHz. It takes a share of the machine itself, so these are fewer calls; and
/// a call costs less among many, so the limit is measured with as few.
async fn resampled(table: &mut Table) -> Result<()> {
    let (bare, _) = bare(RESAMPLED).await?;
    let bot = BareEcho::start()?;
    let url = format!("ws://{}/", bot.address);
    let agent = json!({ "name": "bot", "connector": "websocket", "url": url, "settings": { "rate": 16_000 } });
    let crowd = Crowd::gather_for(&agent).await?;
    let streams = crowd.put_through(RESAMPLED).await?;
    let (calls_a_core, _) = under_load(crowd.host.pid(), streams).await?;
    table.told("bare echo at 250 calls, calls a core", bare, "");
    table.held("calls a core to a 16 kHz bot at 250 calls, of those", calls_a_core / bare, "", Limit::AtLeast(0.3));
    Ok(())
}

async fn bare(calls: usize) -> Result<(f64, Tally)> {
    let echo = BareEcho::start()?;
    under_load(echo.pid(), streams_to(echo.address, calls).await?).await
}

/// A pipeline in Python for each call, where there is one that can.
async fn pipecat() -> Result<Option<(f64, Tally)>> {
    if PythonPeer::python().is_none() {
        return Ok(None);
    }
    let echo = PythonPeer::pipecat_echo()?;
    under_load(echo.pid(), streams_to(echo.address, PIPECAT).await?).await.map(Some)
}

async fn streams_to(address: SocketAddr, calls: usize) -> Result<Vec<LoadStream>> {
    let (url, call_sid) = (format!("ws://{address}/"), "CA00112233445566778899aabbccddeeff".to_owned());
    let destination = Destination { address, url, account_sid: String::new(), call_sid };
    let mut streams = Vec::with_capacity(calls);
    for _ in 0..calls {
        streams.push(LoadStream::open(&destination).await?);
    }
    Ok(streams)
}

/// Calls a core: how many the measured CPU time would carry if it were all of one core's.
async fn under_load(pid: u32, streams: Vec<LoadStream>) -> Result<(f64, Tally)> {
    let (mut speaking, calls) = (JoinSet::new(), streams.len());
    let first = Instant::now() + Duration::from_millis(200);
    for (index, stream) in (0u32..).zip(streams) {
        // Callers do not speak in step: spread over the 20 ms.
        let offset = Duration::from_micros(u64::from(index % 500) * 40);
        speaking.spawn(stream.speak(first + offset, FRAMES, WARM));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (began, before) = (Instant::now(), process::cpu(pid)?);
    tokio::time::sleep(Duration::from_secs(8)).await;
    let (passed, used) = (began.elapsed(), process::cpu(pid)?.saturating_sub(before));
    let mut tallies = Vec::new();
    while let Some(tally) = speaking.join_next().await {
        tallies.push(tally??);
    }
    let cores = used.as_secs_f64() / passed.as_secs_f64();
    Ok((f64::from(u32::try_from(calls)?) / cores.max(1e-6), Tally::of(tallies)))
}

fn ms(micros: u32) -> f64 {
    f64::from(micros) / 1_000.0
}

fn per_mille(part: usize, whole: usize) -> f64 {
    let count = |value: usize| f64::from(u32::try_from(value).unwrap_or(u32::MAX));
    count(part) * 1_000.0 / count(whole).max(1.0)
}
