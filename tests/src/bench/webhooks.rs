//! What an inbound webhook costs the host, everything in, beside what it costs one who writes it with the provider's library.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::crowd::{self, Crowd};
use super::process;
use super::table::{Limit, Table, count};
use crate::carrier::{Account, Carrier, Gateway};
use crate::demo::tell;
use crate::python_peer::PythonPeer;

const WARM: usize = 500;
const REQUESTS: usize = 12_000;
/// Fewer for the peer: it is slower, and as steady.
const PEERS_REQUESTS: usize = 4_000;
/// Where the peer says it is to the world. Nobody looks the name up.
const PEERS_URL: &str = "https://peer.example";

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let peer = fastapi().await?;
    let crowd = Crowd::gather().await?;
    let (used, a_second) = cost(crowd.host.pid(), &crowd.carrier, REQUESTS).await?;
    let forged = forged(&crowd).await?;
    table.held("inbound webhook, CPU", used, "us", Limit::AtMost(60.0));
    table.told("inbound webhooks a second, load and host on one machine", a_second, "");
    table.held("webhook with a wrong signature, CPU", forged, "us", Limit::AtMost(50.0));
    match peer {
        Some((peer, _)) => {
            table.told("inbound webhook, CPU of FastAPI with Twilio's library", peer, "us");
            // 60 us of 338, which the two were measured at, on a machine of any speed.
            table.held("inbound webhook, CPU, of FastAPI's", used / peer, "", Limit::AtMost(0.18));
        }
        None => tell("  no FastAPI to compare with: `cargo xtask test` installs it"),
    }
    Ok(())
}

/// Microseconds of CPU that a process uses for each webhook once it is warm, and how many come to an end in a second.
async fn cost(pid: u32, carrier: &Arc<Carrier>, requests: usize) -> Result<(f64, f64)> {
    crowd::ring(carrier, 0, WARM).await?;
    let (before, began) = (process::cpu(pid)?, Instant::now());
    crowd::ring(carrier, WARM, requests).await?;
    let (used, lasted) = (process::cpu(pid)?.saturating_sub(before), began.elapsed());
    Ok((used.as_secs_f64() * 1e6 / count(requests), count(requests) / lasted.as_secs_f64()))
}

/// The same for each webhook that somebody made up.
async fn forged(crowd: &Crowd) -> Result<f64> {
    let before = crowd.host.cpu()?;
    crowd::forge(&crowd.carrier, 0, REQUESTS).await?;
    Ok(crowd.host.cpu()?.saturating_sub(before).as_secs_f64() * 1e6 / count(REQUESTS))
}

/// The same webhooks to a server in Python, where there is one that can.
async fn fastapi() -> Result<Option<(f64, f64)>> {
    if PythonPeer::python().is_none() {
        return Ok(None);
    }
    let (account, folder) = (Account::fresh(), tempfile::tempdir()?);
    let peer = PythonPeer::fastapi_webhook(PEERS_URL, &account.token, &folder.path().join("calls.db"))?;
    let gateway = Gateway { public_url: PEERS_URL.to_owned(), address: peer.address };
    let carrier = Arc::new(Carrier::keeping_connections(gateway, account)?);
    cost(peer.pid(), &carrier, PEERS_REQUESTS).await.map(Some)
}
