//! What state costs a webhook: in the embedded database, and in PostgreSQL and Redis on the same machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::{AnyConnection, Connection, Row};

use super::crowd::Crowd;
use super::process;
use super::table::{Limit, Table, count};
use crate::fleet::Fleet;

const WARM: usize = 500;
const REQUESTS: usize = 10_000;
/// Webhooks whose commands are counted, apart from the others: Redis pays for telling.
const COUNTED: usize = 200;
/// PostgreSQL adds its figures up once a second.
const TOLD: Duration = Duration::from_millis(1_500);

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    super::transfers::measure(table).await?;
    let embedded = Crowd::gather().await?;
    webhooks(table, "SQLite", &embedded, Limit::AtMost(60.0)).await?;
    drop(embedded);
    let Ok(fleet) = Fleet::new(|options| options).await else {
        table.told("PostgreSQL and Redis: not measured; `cargo xtask services up` names them", 0.0, "");
        return Ok(());
    };
    let crowd = Crowd::gather_on(fleet.options()).await?;
    let before = transactions(&fleet.database).await?;
    webhooks(table, "PostgreSQL and Redis", &crowd, Limit::AtMost(120.0)).await?;
    tokio::time::sleep(TOLD).await;
    let after = transactions(&fleet.database).await?;
    table.told("transactions of PostgreSQL for each webhook", (after - before) / count(WARM + REQUESTS), "");
    let log = fleet.redis.monitor()?;
    crowd.ring(WARM + REQUESTS, COUNTED).await?;
    let log = log.lock().map_err(|_| anyhow::anyhow!("the log is lost"))?;
    // What scripts do inside is told too, and is no way there and back.
    let commands = log.iter().filter(|line| !line.contains(" lua] ")).count();
    table.told("commands and scripts of Redis for each webhook", count(commands) / count(COUNTED), "");
    Ok(())
}

async fn webhooks(table: &mut Table, place: &str, crowd: &Crowd, most: Limit) -> Result<()> {
    crowd.ring(0, WARM).await?;
    let (before, began) = (process::cpu(crowd.host.pid())?, Instant::now());
    let mut times = crowd.ring(WARM, REQUESTS).await?;
    let (lasted, used) = (began.elapsed(), process::cpu(crowd.host.pid())?.saturating_sub(before));
    times.sort_unstable();
    let late = times.get(times.len() * 99 / 100).context("no webhooks")?;
    table.held(
        &format!("inbound webhooks a second, {place}"),
        count(REQUESTS) / lasted.as_secs_f64(),
        "",
        Limit::AtLeast(2_000.0),
    );
    table.held(&format!("99 of 100 within, {place}"), late.as_secs_f64() * 1e3, "ms", Limit::AtMost(25.0));
    table.held(&format!("CPU of the host for each, {place}"), used.as_secs_f64() * 1e6 / count(REQUESTS), "us", most);
    Ok(())
}

/// Transactions that were committed in a database.
async fn transactions(url: &str) -> Result<f64> {
    let mut connection = AnyConnection::connect(url).await?;
    let sql = "SELECT CAST(xact_commit AS BIGINT) FROM pg_stat_database WHERE datname = current_database()";
    let committed: i64 = sqlx::query(sql).fetch_one(&mut connection).await?.try_get(0)?;
    Ok(count(usize::try_from(committed)?))
}
