//! Swaps of a plugin: how long new calls wait for one, what webhooks and live calls notice of a hundred, and what ten
//! thousand leave behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::crowd::Crowd;
use super::load::{LoadStream, Tally};
use super::process;
use super::table::{Limit, Table, count};
use crate::place;

const SWAPS: usize = 100;
const LIVE_CALLS: usize = 200;
const WEBHOOKS_A_SECOND: u64 = 500;
/// Twenty seconds of frames; swaps are spread over most of them.
const FRAMES: usize = 1_000;
const BETWEEN: Duration = Duration::from_millis(150);
/// Before memory is looked at for the first time, and after.
const WARM_SWAPS: usize = 500;
const MANY_SWAPS: usize = 10_000;

/// A hundred swaps beside webhooks and live calls.
pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let crowd = Arc::new(Crowd::gather().await?);
    let calm = beside_live_calls(&crowd, 0, async { Ok(()) }).await?;
    let (over, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let ringing: JoinHandle<Result<usize>> = tokio::spawn(ring(crowd.clone(), over.clone(), failed.clone()));
    let before = generations(&crowd).await?;
    let mut swaps = Swaps::default();
    let swapped = beside_live_calls(&crowd, LIVE_CALLS, async {
        let begun = generations(&crowd).await?;
        swaps.make(&crowd, SWAPS, BETWEEN).await?;
        let after = generations(&crowd).await?;
        Ok::<_, anyhow::Error>((begun, after))
    })
    .await?;
    over.store(true, Ordering::Relaxed);
    let webhooks = ringing.await??;
    let (begun, after) = swapped.0;
    let changed = begun.iter().filter(|(id, digest)| after.get(*id).is_some_and(|now| now != *digest)).count();
    ensure!(begun.len() >= before.len() + LIVE_CALLS, "{} calls were to be watched", begun.len());
    let missed = |tally: &Tally| count(tally.sent.saturating_sub(tally.heard));
    table.told("webhooks beside 100 swaps and 200 calls", count(webhooks), "");
    table.held("webhooks that failed", count(failed.load(Ordering::Relaxed)), "", Limit::AtMost(0.0));
    table.held("calls whose generation changed", count(changed), "", Limit::AtMost(0.0));
    table.told("frames that did not come back, no swaps", missed(&calm.1), "");
    table.held(
        "frames that did not come back beside swaps, above that",
        missed(&swapped.1) - missed(&calm.1),
        "",
        Limit::AtMost(0.0),
    );
    table.held("promotion after its checks, longest of 100", swaps.promotion, "ms", Limit::AtMost(5.0));
    table.told("all stages of an admission, longest of 100", swaps.all, "ms");
    Ok(())
}

/// Ten thousand swaps with nothing beside them. Minutes: only when asked for.
pub(super) async fn measure_many(table: &mut Table) -> Result<()> {
    let crowd = Crowd::gather().await?;
    let mut swaps = Swaps::default();
    swaps.make(&crowd, WARM_SWAPS, Duration::ZERO).await?;
    let before = Footprint::of(crowd.host.pid())?;
    swaps.make(&crowd, MANY_SWAPS, Duration::ZERO).await?;
    let after = Footprint::of(crowd.host.pid())?;
    table.held("10,000 swaps, memory they add", (after.memory - before.memory) / 1_024.0, "MB", Limit::AtMost(8.0));
    table.held("10,000 swaps, mappings they add", after.maps - before.maps, "", Limit::AtMost(50.0));
    table.held("10,000 swaps, descriptors they add", after.descriptors - before.descriptors, "", Limit::AtMost(5.0));
    table.held("10,000 swaps, threads they add", after.threads - before.threads, "", Limit::AtMost(5.0));
    table.told("10,000 swaps, longest admission", swaps.all, "ms");
    Ok(())
}

/// What a process holds.
struct Footprint {
    memory: f64,
    maps: f64,
    descriptors: f64,
    threads: f64,
}

impl Footprint {
    fn of(pid: u32) -> Result<Self> {
        let figure = |figure: u64| usize::try_from(figure).map(count);
        Ok(Self {
            memory: figure(process::resident(pid)?)?,
            maps: figure(process::maps(pid)?)?,
            descriptors: figure(process::descriptors(pid)?)?,
            threads: figure(process::threads(pid)?)?,
        })
    }
}

/// The longest of all swaps, in milliseconds.
#[derive(Default)]
struct Swaps {
    promotion: f64,
    all: f64,
}

impl Swaps {
    async fn make(&mut self, crowd: &Crowd, swaps: usize, between: Duration) -> Result<()> {
        let builds = [place::plugin("twilio-next")?, place::plugin("twilio")?];
        for build in builds.iter().cycle().take(swaps) {
            let admission = crowd.api.put_plugin("twilio", build.clone()).await?.expect(200)?;
            let stages = admission["stages"].as_array().context("no stages")?;
            let millis = |stage: &Value| stage["micros"].as_f64().unwrap_or_default() / 1_000.0;
            let promotions = stages.iter().filter(|stage| stage["stage"] == "promote").map(millis);
            self.promotion = promotions.fold(self.promotion, f64::max);
            self.all = stages.iter().map(millis).sum::<f64>().max(self.all);
            tokio::time::sleep(between).await;
        }
        Ok(())
    }
}

/// What `work` came to, and what calls heard that spoke all the while.
async fn beside_live_calls<T>(
    crowd: &Crowd,
    first_caller: usize,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, Tally)> {
    let streams = crowd.put_through_from(first_caller, LIVE_CALLS).await?;
    let (mut speaking, first) = (JoinSet::new(), Instant::now());
    for (index, stream) in streams.into_iter().enumerate() {
        let offset = Duration::from_micros(20_000 * u64::try_from(index)? / u64::try_from(LIVE_CALLS)?);
        speaking.spawn(LoadStream::speak(stream, first + offset, FRAMES, 50));
    }
    let done = work.await?;
    let mut tallies = Vec::new();
    while let Some(tally) = speaking.join_next().await {
        tallies.push(tally??);
    }
    Ok((done, Tally::of(tallies)))
}

/// Webhooks of new callers until it is over. Returns how many.
async fn ring(crowd: Arc<Crowd>, over: Arc<AtomicBool>, failed: Arc<AtomicUsize>) -> Result<usize> {
    let mut beat = interval(Duration::from_micros(1_000_000 / WEBHOOKS_A_SECOND));
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut ringing, mut rung) = (JoinSet::new(), 0);
    while !over.load(Ordering::Relaxed) {
        beat.tick().await;
        rung += 1;
        let (crowd, failed, leg) = (crowd.clone(), failed.clone(), Crowd::leg(1_000_000 + rung));
        ringing.spawn(async move {
            let answer = crowd.carrier.post(&crowd.carrier.inbound_webhook(&leg)).await;
            if !answer.is_ok_and(|answer| answer.status == 200 && answer.text().contains("<Stream")) {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        });
        while ringing.try_join_next().is_some() {}
    }
    ringing.join_all().await;
    Ok(rung)
}

/// The generation of each live call, by its id.
async fn generations(crowd: &Crowd) -> Result<std::collections::HashMap<String, String>> {
    let mut found = std::collections::HashMap::new();
    let mut page = "calls?status=in-progress&limit=200".to_owned();
    loop {
        let calls = crowd.api.get(&page).await?.expect(200)?;
        for call in calls["items"].as_array().context("no calls")? {
            let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
            found.insert(text("id"), text("generation"));
        }
        let Some(next) = calls["next"].as_str() else { return Ok(found) };
        page = format!("calls?status=in-progress&limit=200&cursor={next}");
    }
}
