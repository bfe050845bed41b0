//! From the start of the process to ready, with every cache warm.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::table::{Limit, Table};
use crate::host_process::{HostOptions, HostProcess};

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let options = HostOptions::new()?.in_folder(folder.path());
    table.told("first start to ready", once(&options).await?, "ms");
    let mut warm = Vec::new();
    for _ in 0..5 {
        warm.push(once(&options).await?);
    }
    warm.sort_by(f64::total_cmp);
    let typical = warm.get(2).copied().unwrap_or_default();
    table.held("start to ready, caches warm, median of 5", typical, "ms", Limit::AtMost(500.0));
    Ok(())
}

async fn once(options: &HostOptions) -> Result<f64> {
    let began = Instant::now();
    let mut host = options.start()?;
    ready(&host).await?;
    let passed = began.elapsed();
    host.terminate()?;
    host.wait(Duration::from_secs(10)).await?;
    Ok(passed.as_secs_f64() * 1_000.0)
}

async fn ready(host: &HostProcess) -> Result<()> {
    let api = host.api()?;
    while api.get("/readyz").await?.status != 200 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}
