//! What an inbound webhook costs the host, everything in.

use anyhow::Result;

use super::crowd::Crowd;
use super::process;
use super::table::{Limit, Table};

const WARM: usize = 500;
const REQUESTS: usize = 12_000;

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let crowd = Crowd::gather().await?;
    crowd.ring(0, WARM).await?;
    let before = process::cpu(crowd.host.pid())?;
    let began = std::time::Instant::now();
    crowd.ring(WARM, REQUESTS).await?;
    let used = process::cpu(crowd.host.pid())?.saturating_sub(before);
    let count = f64::from(u32::try_from(REQUESTS)?);
    table.held("inbound webhook, CPU", used.as_secs_f64() * 1e6 / count, "us", Limit::AtMost(60.0));
    table.told("inbound webhooks a second, load and host on one machine", count / began.elapsed().as_secs_f64(), "");
    Ok(())
}
