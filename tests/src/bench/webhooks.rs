//! What an inbound webhook costs the host, everything in.

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use super::crowd::Crowd;
use super::process;
use super::table::{Limit, Table};

const WARM: usize = 500;
const REQUESTS: usize = 12_000;
const AT_ONCE: usize = 32;

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let crowd = Crowd::gather().await?;
    ring(&crowd, 0, WARM).await?;
    let before = process::cpu(crowd.host.pid())?;
    let began = std::time::Instant::now();
    ring(&crowd, WARM, REQUESTS).await?;
    let used = process::cpu(crowd.host.pid())?.saturating_sub(before);
    let count = f64::from(u32::try_from(REQUESTS)?);
    table.held("inbound webhook, CPU", used.as_secs_f64() * 1e6 / count, "us", Limit::AtMost(60.0));
    table.told("inbound webhooks a second, load and host on one machine", count / began.elapsed().as_secs_f64(), "");
    Ok(())
}

async fn ring(crowd: &Crowd, first: usize, count: usize) -> Result<()> {
    let mut ringing = JoinSet::new();
    for lane in 0..AT_ONCE {
        let carrier = crowd.carrier.clone();
        ringing.spawn(async move {
            for index in (first + lane..first + count).step_by(AT_ONCE) {
                let answer = carrier.post(&carrier.inbound_webhook(&Crowd::leg(index))).await?;
                ensure!(answer.status == 200 && answer.text().contains("<Stream"), "{}", answer.text());
            }
            Ok(())
        });
    }
    while let Some(done) = ringing.join_next().await {
        done??;
    }
    Ok(())
}
