//! What it costs to find a transfer among few and many, as each callback of a destination has to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};
use jackfield_store::Shared;

use super::table::{Limit, Table};
use crate::fleet::Redis;

const CONTEXTS: [u32; 4] = [10, 1_000, 100_000, 1_000_000];
const ASKED: u32 = 5_000;
const WARM: u32 = 1_000;
/// Longer than all of this takes.
const KEPT: Duration = Duration::from_secs(3_600);
const AT_ONCE: usize = 256;
/// Among a million it may cost so many times what it costs among ten.
const FLAT: f64 = 2.0;

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    // A table of this process outgrows the caches on its way to a million: what is held is that nobody notices.
    found(table, "in process", &Shared::default(), Limit::AtMost(10.0)).await?;
    let Ok(redis) = Redis::start() else {
        table.told("transfers in Redis: not measured; `cargo xtask services up` names it", 0.0, "");
        return Ok(());
    };
    let shared = Shared::redis(&redis.url(), "bench").await?;
    let (few, many) = found(table, "Redis", &shared, Limit::AtMost(1_000.0)).await?;
    table.held("  among 1000000, for each us among 10", many / few, "", Limit::AtMost(FLAT));
    Ok(())
}

/// The medians among the fewest and the most, in microseconds.
async fn found(table: &mut Table, place: &str, shared: &Shared, most: Limit) -> Result<(f64, f64)> {
    let (mut there, mut medians) = (0, Vec::new());
    for contexts in CONTEXTS {
        let missing = stream::iter(there..contexts).map(|index| begin(shared, index));
        missing.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        there = contexts;
        let mut times = Vec::new();
        for turn in 0..WARM + ASKED {
            // All over the table, and never the same twice in a row where there are more.
            let index = u32::try_from(u64::from(turn) * 7_919 % u64::from(contexts))?;
            let began = Instant::now();
            let id = shared.transfer_of_call(&call(index)).await?.context("a transfer is gone")?;
            let context = shared.transfer(&id).await?.context("a context is gone")?;
            if turn >= WARM {
                times.push(began.elapsed());
            }
            anyhow::ensure!(context.contains(&call(index)), "another transfer's context");
        }
        times.sort_unstable();
        let micros = |share: usize| times[times.len() * share / 100].as_secs_f64() * 1e6;
        table.held(&format!("transfer found among {contexts}, {place}"), micros(50), "us", most);
        table.told("  99 of 100 within", micros(99), "us");
        medians.push(micros(50));
    }
    Ok((medians[0], medians[CONTEXTS.len() - 1]))
}

async fn begin(shared: &Shared, index: u32) -> Result<()> {
    // As long as a real one.
    let context = format!(
        r#"{{"transfer_id":"{}","original_call_sid":"{}","target_number":"+14155550177","conference_name":"transfer-{}","memo":"{:0>250}"}}"#,
        id(index),
        call(index),
        id(index),
        index
    );
    anyhow::ensure!(shared.begin_transfer(&id(index), &call(index), &context, KEPT).await?, "it is there already");
    Ok(())
}

fn id(index: u32) -> String {
    format!("tr_{index:032x}")
}

fn call(index: u32) -> String {
    format!("CA{index:032x}")
}
