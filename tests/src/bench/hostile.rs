//! A hundred thousand calls of exports, good and hostile mixed: what they leave behind, and what a neighbour notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jackfield_plugins::{Generation, GuestLimits, PluginHost, Pooling};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::interval;

use super::crowd::Crowd;
use super::process;
use super::table::{Limit, Table, count};
use crate::carrier::Webhook;
use crate::hostile::{EXPORTS_AT_WORK, Export, Hostile, Misdeed, provoke};

const ALL: usize = 100_000;
/// Before memory is looked at for the first time.
const WARM: usize = 20_000;
/// One call in so many never returns by itself: each costs its whole time.
const LOOPS: usize = 100;
/// A good plugin's, for each of its figures.
const WEBHOOKS: usize = 1_500;

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    let limits = GuestLimits { instances: 64, generations: 200, ..GuestLimits::default() };
    let deadline = limits.webhook_cpu;
    let host = PluginHost::new(limits, Pooling::Auto, None).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let Attacked { memory, loops, failed } = attack(&animals(&host).await?)?;
    table.told("hostile and good calls of exports, mixed", count(ALL), "");
    table.told("of them stopped", count(failed), "");
    table.held("memory they add after the first 20,000", memory, "MB", Limit::AtMost(4.0));
    let longest = p99(loops)?.as_secs_f64() / deadline.as_secs_f64();
    table.held("a loop's CPU time, p99, of what it may have", longest, "times", Limit::AtMost(1.1));
    beside_others(table).await
}

/// What another plugin's callers notice, over HTTP.
async fn beside_others(table: &mut Table) -> Result<()> {
    let crowd = Arc::new(Crowd::gather().await?);
    ring(&crowd, 0, 500).await?;
    let idle = p99(ring(&crowd, 10_000, WEBHOOKS).await?)?;
    let over = Arc::new(AtomicBool::new(false));
    let mut attacking = JoinSet::new();
    for (index, misdeed) in [Misdeed::Loop, Misdeed::Trap, Misdeed::Grow, Misdeed::Amplify].into_iter().enumerate() {
        let name = format!("hostile-{index}");
        let bytes = Hostile::new(&name, Export::Authenticate, misdeed).build()?;
        crowd.api.put_plugin(&name, bytes).await?.expect(200)?;
        let account = json!({ "name": name, "provider": name, "fields": {} });
        let id = crowd.api.create("telephony/configurations", &account).await?;
        attacking.spawn(molest(crowd.clone(), id, over.clone()));
    }
    let beside = p99(ring(&crowd, 20_000, WEBHOOKS).await?)?;
    over.store(true, Ordering::Relaxed);
    attacking.join_all().await;
    table.told("webhooks of a good plugin, p99, idle", idle.as_secs_f64() * 1e3, "ms");
    let slowed = beside.as_secs_f64() / idle.as_secs_f64();
    table.held("the same beside four hostile plugins, of that", slowed, "times", Limit::AtMost(1.5));
    Ok(())
}

/// Webhooks of so many new callers, a hundred a second, and how long each took.
async fn ring(crowd: &Arc<Crowd>, first: usize, many: usize) -> Result<Vec<Duration>> {
    let (mut beat, mut ringing) = (interval(Duration::from_millis(10)), JoinSet::new());
    for index in first..first + many {
        beat.tick().await;
        let crowd = crowd.clone();
        ringing.spawn(async move {
            let (webhook, began) = (crowd.carrier.inbound_webhook(&Crowd::leg(index)), Instant::now());
            let answer = crowd.carrier.post(&webhook).await?;
            ensure!(answer.status == 200, "{}", answer.text());
            Ok(began.elapsed())
        });
    }
    ringing.join_all().await.into_iter().collect()
}

/// Fifty webhooks a second for a plugin that misbehaves, each of them new to it.
async fn molest(crowd: Arc<Crowd>, configuration: String, over: Arc<AtomicBool>) {
    let url = format!("{}/api/v1/telephony/inbound/{configuration}", crowd.carrier.gateway.public_url);
    let (mut beat, mut number, mut asked) = (interval(Duration::from_millis(20)), 0, JoinSet::new());
    while !over.load(Ordering::Relaxed) {
        beat.tick().await;
        number += 1;
        let webhook = Webhook::new(&url, vec![("number".to_owned(), number.to_string())]);
        let crowd = crowd.clone();
        asked.spawn(async move { crowd.carrier.post(&webhook).await.is_ok() });
        while asked.try_join_next().is_some() {}
    }
    asked.join_all().await;
}

struct Attacked {
    /// MB.
    memory: f64,
    /// CPU time of guests that never return by themselves.
    loops: Vec<Duration>,
    failed: usize,
}

fn attack(animals: &[Animal]) -> Result<Attacked> {
    let (looping, others): (Vec<&Animal>, Vec<&Animal>) =
        animals.iter().partition(|animal| animal.misdeed == Misdeed::Loop);
    let (mut looping, mut others) = (looping.into_iter().cycle(), others.into_iter().cycle());
    let (mut loops, mut failed, mut before) = (Vec::new(), 0, 0);
    for index in 0..ALL {
        let next = if index % LOOPS == 0 { looping.next() } else { others.next() };
        let animal = next.context("there are no animals")?;
        let began = thread_cpu();
        let outcome = provoke(&animal.generation, animal.export);
        match (animal.misdeed, outcome) {
            (Misdeed::Nothing, Ok(())) => {}
            (Misdeed::Loop, Err(error)) if Misdeed::Loop.ends_in(&error) => {
                // Audio has a deadline of its own, which is shorter.
                if animal.is_webhook() {
                    loops.push(thread_cpu().saturating_sub(began));
                }
                failed += 1;
            }
            (misdeed, Err(error)) if misdeed.ends_in(&error) => failed += 1,
            (misdeed, outcome) => ensure!(false, "{misdeed:?} in {:?}: {outcome:?}", animal.export),
        }
        if index == WARM {
            before = process::resident(std::process::id())?;
        }
    }
    let after = process::resident(std::process::id())?;
    let memory = (count(u32::try_from(after)?) - count(u32::try_from(before)?)) / 1_024.0;
    Ok(Attacked { memory, loops, failed })
}

struct Animal {
    generation: Arc<Generation>,
    export: Export,
    misdeed: Misdeed,
}

impl Animal {
    fn is_webhook(&self) -> bool {
        !matches!(self.export, Export::Open | Export::Decode | Export::Encode)
    }
}

/// Every misdeed in every export, and as many that are good.
async fn animals(host: &PluginHost) -> Result<Vec<Animal>> {
    let mut animals = Vec::new();
    for export in EXPORTS_AT_WORK {
        let good = std::iter::repeat_n(Misdeed::Nothing, Misdeed::AT_WORK.len());
        for misdeed in Misdeed::AT_WORK.into_iter().chain(good) {
            let name = format!("animal-{}", animals.len());
            let bytes = Hostile::new(&name, export, misdeed).build()?;
            animals.push(Animal { generation: admit(host, &name, bytes).await?, export, misdeed });
        }
    }
    Ok(animals)
}

async fn admit(host: &PluginHost, name: &str, bytes: Vec<u8>) -> Result<Arc<Generation>> {
    let candidate = host.check(name, bytes, "bench", 0).await?;
    Ok(Arc::clone(candidate.generation()))
}

pub(super) fn p99(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().context("nothing was measured")
}

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}
