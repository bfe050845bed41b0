//! A thousand event sockets on one host: what each takes of its memory, and how long all take to come back when the
//! other side was away.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use super::process;
use super::table::{Limit, Table};
use crate::ari::Ari;
use crate::host_process::HostOptions;

const SOCKETS: usize = 1_000;
/// The first pause before a lost socket is dialled again, spread by a fifth: nobody can be back sooner.
const PAUSE: f64 = 1.2;

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let ari = Ari::start("gw", "secret").await?;
    let address = ari.address;
    let mut options = HostOptions::new()?;
    options.environment.push(("JACKFIELD_EGRESS_NETWORKS".to_owned(), "127.0.0.0/8".to_owned()));
    let host = options.start()?;
    let api = host.api()?;
    let fields = json!({
        "ari_endpoint": format!("http://{address}"), "app_name": "gw", "app_password": "secret", "ws_client_name": "gw",
    });
    let configure = async |name: String| {
        let account = json!({ "name": name, "provider": "asterisk", "fields": fields });
        api.create("telephony/configurations", &account).await
    };
    configure("first".to_owned()).await?;
    all_open(&ari, 1).await?;
    let before = process::resident(host.pid())?;
    for n in 1..SOCKETS {
        configure(format!("pbx {n}")).await?;
    }
    all_open(&ari, SOCKETS).await?;
    let taken = process::resident(host.pid())?.saturating_sub(before);
    let kib = f64::from(u32::try_from(taken)?) / f64::from(u32::try_from(SOCKETS)?);
    table.held("memory an event socket, with its configuration, over 1000", kib * 1.024, "KB", Limit::AtMost(100.0));
    drop(ari);
    let again = loop {
        // Its place is free once its task is gone.
        match Ari::at(address, "gw", "secret").await {
            Ok(again) => break again,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let began = Instant::now();
    all_open(&again, SOCKETS).await?;
    let back = began.elapsed().as_secs_f64();
    table.held("until 1000 are back, beside the first pause of 1.2 s", back / PAUSE, "×", Limit::AtMost(4.0));
    Ok(())
}

async fn all_open(ari: &Ari, sockets: usize) -> Result<()> {
    let began = Instant::now();
    while ari.open() < sockets {
        if began.elapsed() > Duration::from_secs(120) {
            bail!("{} of {sockets} event sockets are open after two minutes", ari.open());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
