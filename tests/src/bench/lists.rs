//! Lists of calls among a million.

use std::time::Instant;

use anyhow::Result;
use sqlx::{AnyConnection, Connection, Executor};

use super::table::{Limit, Table};
use crate::api::Api;
use crate::fleet::fresh_database;
use crate::host_process::HostOptions;

const ROWS: u32 = 1_000_000;
const ASKED: usize = 30;

/// Rows as a host writes them: ids begin with the time, callers differ, few calls fail.
const COLUMNS: &str = "INSERT INTO calls (id, direction, status, provider, generation, configuration_id, from_address, \
                       to_address, memo, created_at, ended_at)";
const SQLITE: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) \
                      SELECT printf('call_%012x%032x', i, i), 'inbound', CASE WHEN i % 5000 = 0 THEN 'failed' ELSE \
                      'completed' END, 'twilio', 'd', 'cfg_bench', '+1' || (i % 100000), '+12065550188', '', i, i FROM n";
const POSTGRES: &str = "SELECT 'call_' || lpad(to_hex(i), 12, '0') || lpad(to_hex(i), 32, '0'), 'inbound', CASE WHEN \
                        i % 5000 = 0 THEN 'failed' ELSE 'completed' END, 'twilio', 'd', 'cfg_bench', \
                        '+1' || (i % 100000), '+12065550188', '', i, i FROM generate_series(1, 1000000) i";

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    sqlx::any::install_default_drivers();
    let host = HostOptions::new()?.start()?;
    let file = format!("sqlite:{}", host.folder().join("data/jackfield.db").display());
    fill(&file, SQLITE).await?;
    ask(table, "SQLite", &host.api()?).await?;
    drop(host);
    match fresh_database().await {
        Ok(url) => {
            let mut options = HostOptions::new()?;
            options.environment.push(("DATABASE_URL".to_owned(), url.clone()));
            let host = options.start()?;
            fill(&url, POSTGRES).await?;
            ask(table, "PostgreSQL", &host.api()?).await
        }
        Err(_) => {
            table.told("lists in PostgreSQL: not measured; `cargo xtask services up` names one", 0.0, "");
            Ok(())
        }
    }
}

async fn fill(url: &str, rows: &'static str) -> Result<()> {
    let mut connection = AnyConnection::connect(url).await?;
    connection.execute(sqlx::AssertSqlSafe(format!("{COLUMNS} {rows}"))).await?;
    connection.execute("ANALYZE").await?;
    Ok(())
}

async fn ask(table: &mut Table, database: &str, api: &Api) -> Result<()> {
    let middle = format!("call_{:012x}{:032x}", ROWS / 2, ROWS / 2);
    let questions = [
        ("newest", "calls?limit=100".to_owned()),
        ("from the middle", format!("calls?limit=100&cursor={middle}")),
        ("that failed", "calls?limit=100&status=failed".to_owned()),
        ("of one caller", "calls?limit=100&from=%2B177777".to_owned()),
        ("of one time", "calls?limit=100&created_from=250000&created_before=260000".to_owned()),
    ];
    for (name, path) in questions {
        let mut times = Vec::with_capacity(ASKED);
        for _ in 0..ASKED {
            let began = Instant::now();
            api.get(&path).await?.expect(200)?;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        times.sort_by(f64::total_cmp);
        let high = times.get(ASKED * 9 / 10).copied().unwrap_or_default();
        table.held(&format!("{database}, a million calls, {name}, p90"), high, "ms", Limit::AtMost(50.0));
    }
    Ok(())
}
