//! More and more calls a second, until one of a thousand fails or the host takes most of the machine: what one host carries.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::time::interval;

use super::crowd::Crowd;
use super::process;
use super::table::{Table, count};
use crate::demo::tell;
use crate::echo::percentile;

/// Calls a second of the first step, and how many more than that each further step has, in percent.
const FIRST: u32 = 40;
const MORE: u32 = 25;
const STEP: Duration = Duration::from_secs(12);
/// Frames of a call: three seconds.
const FRAMES: usize = 150;
/// Of a call's frames, one in so many may be missing, or late by so many microseconds: each is heard.
const MISSING: usize = 100;
const LATE: u32 = 100_000;
/// Of calls, one in so many may fail.
const FAILED: usize = 1_000;
/// Of all cores, in percent.
const CPU: f64 = 80.0;

/// What came of the calls of one step.
#[derive(Debug, Default)]
struct Step {
    calls: usize,
    failed: usize,
    /// The first failure, in words.
    why: Option<String>,
    /// Of the machine, in percent.
    cpu: f64,
    /// Microseconds that frames took there and back, in order.
    delays: Vec<u32>,
}

impl Step {
    fn passes(&self) -> bool {
        self.failed * FAILED <= self.calls && self.cpu < CPU
    }
}

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let crowd = Arc::new(Crowd::gather().await?);
    let (mut rate, mut faultless, mut passed, mut next) = (FIRST, 0, None, 0);
    loop {
        let step = climb(&crowd, rate, next).await?;
        next += step.calls;
        let p99 = f64::from(percentile(&step.delays, 0.99)) / 1e3;
        let Step { calls, failed, cpu, why, .. } = &step;
        tell(&format!("  {rate} a second: {failed} of {calls} failed, {cpu:.0} % of the machine, p99 {p99:.1} ms"));
        if let Some(why) = why {
            tell(&format!("    {why}"));
        }
        if !step.passes() {
            break;
        }
        if step.failed == 0 {
            faultless = rate;
        }
        passed = Some((rate, step, p99));
        rate = (rate * (100 + MORE) / 100).max(rate + 1);
    }
    let (rate, step, p99) = passed.ok_or_else(|| anyhow::anyhow!("the first step failed"))?;
    table.told("ramp, calls of 3 s a second, none of which fails", f64::from(faultless), "");
    table.told("ramp, the same with one of 1,000 failed and 80 % of the machine at most", f64::from(rate), "");
    table.told("ramp, CPU of the host then, of all cores, shared with the load", step.cpu, "%");
    table.told("ramp, echo then, p99", p99, "ms");
    Ok(())
}

/// Calls that begin at an even rate; the step is over with the last of them.
async fn climb(crowd: &Arc<Crowd>, rate: u32, first: usize) -> Result<Step> {
    let calls = usize::try_from(u64::from(rate) * STEP.as_secs())?;
    let (mut beat, mut calling) = (interval(Duration::from_secs(1) / rate), JoinSet::new());
    let (before, began) = (process::cpu(crowd.host.pid())?, Instant::now());
    for index in first..first + calls {
        beat.tick().await;
        let crowd = Arc::clone(crowd);
        calling.spawn(async move { call(&crowd, index).await });
    }
    // Of the time in which calls begin: afterwards there are fewer and fewer.
    let cpu = process::cpu(crowd.host.pid())?.saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
    let cores = count(std::thread::available_parallelism()?.get());
    let mut step = Step { calls, cpu: cpu * 100.0 / cores, ..Step::default() };
    while let Some(done) = calling.join_next().await {
        match done? {
            Ok(delays) => step.delays.extend(delays),
            Err(error) => {
                step.failed += 1;
                step.why.get_or_insert(format!("{error:#}"));
            }
        }
    }
    step.delays.sort_unstable();
    Ok(step)
}

/// The whole of a call: its webhook, its audio there and back, its end.
async fn call(crowd: &Crowd, index: usize) -> Result<Vec<u32>> {
    let tally = crowd.put_one_through(index).await?.speak(Instant::now(), FRAMES, 0).await?;
    let late = tally.delays.iter().filter(|delay| **delay > LATE).count();
    let missing = tally.sent - tally.heard + late;
    ensure!(missing * MISSING <= tally.sent, "{missing} of {} frames came late or not at all", tally.sent);
    Ok(tally.delays)
}
