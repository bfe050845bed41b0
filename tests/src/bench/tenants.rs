//! What an account notices while another floods the same plugin with webhooks: one in Python, which takes milliseconds for each, so
//! that all of them wait for the plugin's turns and not for the cores that the load shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::interval;

use super::crowd::Crowd;
use super::hostile::p99;
use super::table::{Limit, Table};
use crate::carrier::{Account, Carrier, Leg, Webhook};
use crate::demo::tell;
use crate::python_peer::PythonPeer;
use crate::python_plugin;

/// Of the quiet account.
const WEBHOOKS: usize = 400;
const EVERY: Duration = Duration::from_millis(50);
/// Of the flood, at the same time: each is followed by the next as soon as it is answered.
const FLOOD: usize = 64;

/// An account with a number and a URL of its own.
struct Tenant {
    carrier: Carrier,
    url: String,
    number: String,
}

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    if PythonPeer::python().is_none() {
        tell("  no plugin in Python: `cargo xtask test` installs what makes one");
        return Ok(());
    }
    let crowd = Crowd::gather().await?;
    crowd.api.put_plugin(python_plugin::NAME, python_plugin::build()?).await?.expect(200)?;
    let agent = crowd.api.create("agents", &json!({ "name": "tenants", "connector": "echo" })).await?;
    let quiet = Arc::new(Tenant::new(&crowd, &agent, "+12065550101").await?);
    let loud = Arc::new(Tenant::new(&crowd, &agent, "+12065550102").await?);
    quiet.ring(20).await?;
    let idle = p99(quiet.ring(WEBHOOKS).await?)?;
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let mut flood = JoinSet::new();
    for _ in 0..FLOOD {
        flood.spawn(rush(loud.clone(), over.clone(), answered.clone()));
    }
    let began = Instant::now();
    let beside = p99(quiet.ring(WEBHOOKS).await?)?;
    over.store(true, Ordering::Relaxed);
    let rate = f64::from(answered.load(Ordering::Relaxed)) / began.elapsed().as_secs_f64();
    flood.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
    table.told("webhooks of one account, p99, idle", idle.as_secs_f64() * 1e3, "ms");
    table.told("another account's webhooks a second, as many as are answered", rate, "");
    let slowed = beside.as_secs_f64() / idle.as_secs_f64();
    table.held("the first one's p99 beside them, of idle", slowed, "times", Limit::AtMost(2.0));
    Ok(())
}

impl Tenant {
    async fn new(crowd: &Crowd, agent: &str, number: &str) -> Result<Self> {
        let account = Account::fresh();
        let fields = json!({ "account_sid": account.sid, "auth_token": account.token });
        let form = json!({ "name": number, "provider": python_plugin::NAME, "fields": fields });
        let id = crowd.api.create("telephony/configurations", &form).await?;
        crowd.api.add_number(number, &id, Some(agent)).await?;
        let carrier = Carrier::keeping_connections(crowd.carrier.gateway.clone(), account)?;
        let url = format!("{}/api/v1/telephony/inbound/{id}", carrier.gateway.public_url);
        Ok(Self { carrier, url, number: number.to_owned() })
    }

    /// Somebody calls, and is put through.
    async fn answer(&self) -> Result<()> {
        let leg = Leg::inbound("+14155550199", &self.number);
        let webhook = Webhook::new(&self.url, self.carrier.fields(&leg, "ringing"));
        let answer = self.carrier.post(&webhook).await?;
        ensure!(answer.status == 200 && answer.text().contains("<Stream"), "{}: {}", answer.status, answer.text());
        Ok(())
    }

    /// Webhooks of so many callers, twenty a second, and how long each took. On a thread of their own: the flood shall fill the
    /// host's queues, and not ours.
    async fn ring(&self, many: usize) -> Result<Vec<Duration>> {
        let tenant = Arc::new(Self {
            carrier: Carrier::keeping_connections(self.carrier.gateway.clone(), self.carrier.account.clone())?,
            url: self.url.clone(),
            number: self.number.clone(),
        });
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
        tokio::task::spawn_blocking(move || runtime()?.block_on(tenant.ring_here(many))).await?
    }

    async fn ring_here(self: &Arc<Self>, many: usize) -> Result<Vec<Duration>> {
        let (mut beat, mut ringing) = (interval(EVERY), JoinSet::new());
        for _ in 0..many {
            beat.tick().await;
            let tenant = self.clone();
            ringing.spawn(async move {
                let began = Instant::now();
                tenant.answer().await.map(|()| began.elapsed())
            });
        }
        ringing.join_all().await.into_iter().collect()
    }
}

/// One webhook after the other, until it is over.
async fn rush(tenant: Arc<Tenant>, over: Arc<AtomicBool>, answered: Arc<AtomicU32>) -> Result<()> {
    while !over.load(Ordering::Relaxed) {
        tenant.answer().await?;
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
