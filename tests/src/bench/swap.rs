//! How long new calls wait for a promotion, once its checks are done.

use anyhow::{Context, Result};

use super::crowd::Crowd;
use super::table::{Limit, Table};
use crate::place;

const SWAPS: usize = 10;

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let crowd = Crowd::gather().await?;
    let builds = [place::plugin("twilio-next")?, place::plugin("twilio")?];
    let (mut longest, mut all) = (0.0_f64, 0.0_f64);
    for build in builds.iter().cycle().take(SWAPS) {
        let admission = crowd.api.put_plugin("twilio", build.clone()).await?.expect(200)?;
        let stages = admission["stages"].as_array().context("no stages")?;
        let micros = |stage: &serde_json::Value| stage["micros"].as_f64().unwrap_or_default() / 1_000.0;
        longest = stages.iter().filter(|stage| stage["stage"] == "promote").map(micros).fold(longest, f64::max);
        all = stages.iter().map(micros).sum::<f64>().max(all);
    }
    table.held("promotion after its checks, longest of 10", longest, "ms", Limit::AtMost(5.0));
    table.told("all stages of an admission, longest of 10", all, "ms");
    Ok(())
}
