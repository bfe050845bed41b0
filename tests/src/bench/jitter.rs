//! Does the audio loop hold its beat, whatever happens beside it? The share of 20 ms beats that streams heard more than 10 ms
//! late, by the host's own count, with nothing else to do and under each attack.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::interval;

use super::crowd::Crowd;
use super::table::{Limit, Table};
use crate::carrier::Leg;
use crate::hostile::{Export, Hostile, Misdeed};
use crate::place;
use crate::telephone::Telephone;

const CALLS: usize = 500;
/// Eight seconds of frames.
const FRAMES: usize = 400;
const WEBHOOKS_A_SECOND: u64 = 2_000;
/// Percent of beats.
const LATE: f64 = 0.1;

/// What goes on beside the calls.
#[derive(Debug, Clone, Copy)]
enum Attack {
    None,
    HostilePlugin,
    HostileAudio,
    Compiling,
    SlowDatabase,
    Webhooks,
}

const ATTACKS: [(Attack, &str); 6] = [
    (Attack::None, "nothing else"),
    (Attack::HostilePlugin, "a plugin that loops in webhooks"),
    (Attack::HostileAudio, "a plugin that loops in its own calls' audio"),
    (Attack::Compiling, "a component being compiled"),
    (Attack::SlowDatabase, "a database that takes 3 s"),
    (Attack::Webhooks, "2,000 webhooks a second"),
];

pub(super) async fn measure(table: &mut Table) -> Result<()> {
    for (attack, words) in ATTACKS {
        let crowd = Arc::new(Crowd::gather().await?);
        let streams = crowd.put_through(CALLS).await?;
        let over = Arc::new(AtomicBool::new(false));
        let attacking = begin(attack, &crowd, &over).await?;
        let before = beats(&crowd).await?;
        let (mut speaking, first) = (JoinSet::new(), Instant::now());
        for (index, stream) in streams.into_iter().enumerate() {
            let offset = Duration::from_micros(20_000 * u64::try_from(index)? / u64::try_from(CALLS)?);
            speaking.spawn(stream.speak(first + offset, FRAMES, 50));
        }
        while let Some(done) = speaking.join_next().await {
            done??;
        }
        let after = beats(&crowd).await?;
        over.store(true, Ordering::Relaxed);
        if let Some(attacking) = attacking {
            attacking.await??;
        }
        let (all, late) = (after.0 - before.0, after.1 - before.1);
        table.held(
            &format!("beats 10 ms late, 500 calls, {words}"),
            100.0 * late / all.max(1.0),
            "%",
            Limit::AtMost(LATE),
        );
    }
    Ok(())
}

async fn begin(attack: Attack, crowd: &Arc<Crowd>, over: &Arc<AtomicBool>) -> Result<Option<JoinHandle<Result<()>>>> {
    let (crowd, over) = (crowd.clone(), over.clone());
    Ok(match attack {
        Attack::None => None,
        Attack::HostilePlugin => {
            let looping = Hostile::new("looping", Export::Identify, Misdeed::Loop).build()?;
            crowd.api.put_plugin("looping", looping).await?.expect(200)?;
            // One that nobody has an account with is not asked.
            let account = json!({ "name": "looping", "provider": "looping", "fields": {} });
            crowd.api.create("telephony/configurations", &account).await?;
            Some(tokio::spawn(async move { ring(&crowd, &over, 50).await }))
        }
        Attack::HostileAudio => {
            let looping = Hostile::new("looping", Export::Decode, Misdeed::Loop);
            let agent = crowd.api.add_agent("echo", None).await?;
            let telephone = Telephone::install(&crowd.api, &crowd.carrier, &looping, &agent).await?;
            Some(tokio::spawn(async move { call(&telephone, &over).await }))
        }
        Attack::Webhooks => Some(tokio::spawn(async move { ring(&crowd, &over, WEBHOOKS_A_SECOND).await })),
        Attack::Compiling => Some(tokio::spawn(async move { compile(&crowd, &over).await })),
        Attack::SlowDatabase => Some(tokio::spawn(async move { lock(&crowd, &over).await })),
    })
}

/// Webhooks of callers whom nobody has heard of; what they are answered does not matter here.
async fn ring(crowd: &Arc<Crowd>, over: &AtomicBool, a_second: u64) -> Result<()> {
    let mut beat = interval(Duration::from_millis(10));
    let (mut ringing, mut index) = (JoinSet::new(), 1_000_000);
    while !over.load(Ordering::Relaxed) {
        beat.tick().await;
        for _ in 0..(a_second / 100).max(1) {
            // Whoever waits for an answer asks nothing new.
            while ringing.len() >= 64 {
                ringing.join_next().await;
            }
            index += 1;
            let (crowd, leg): (_, Leg) = (crowd.clone(), Crowd::leg(index));
            ringing.spawn(async move { crowd.carrier.post(&crowd.carrier.inbound_webhook(&leg)).await.is_ok() });
        }
        while ringing.try_join_next().is_some() {}
    }
    Ok(())
}

/// Fifty calls a second that are dead with their first message.
async fn call(telephone: &Telephone, over: &AtomicBool) -> Result<()> {
    let (mut beat, mut calling, mut caller) = (interval(Duration::from_millis(20)), JoinSet::new(), 0);
    while !over.load(Ordering::Relaxed) {
        beat.tick().await;
        caller += 1;
        let (telephone, caller) = (telephone.clone(), caller.to_string());
        calling.spawn(async move {
            // None is put through while the plugin is out.
            if let Ok(mut line) = telephone.call(&caller).await {
                line.hear().await;
            }
        });
        while calling.try_join_next().is_some() {}
    }
    Ok(())
}

/// The same plugin again and again, each time with other bytes at its end, so that nothing is found in a cache.
async fn compile(crowd: &Crowd, over: &AtomicBool) -> Result<()> {
    let plugin = place::plugin("twilio")?;
    let mut number = 0u64;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        // A custom section of an own name: the component means what it meant.
        let section = [&[0, 13, 4][..], b"salt", &number.to_le_bytes()].concat();
        crowd.api.put_plugin("twilio", [&plugin[..], &section].concat()).await?.expect(200)?;
    }
    Ok(())
}

/// Holds the database's lock for three seconds of every three and a half, from a process of its own.
async fn lock(crowd: &Crowd, over: &AtomicBool) -> Result<()> {
    let script = "import sqlite3, sys, time\n\
                  c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n\
                  c.execute('BEGIN IMMEDIATE')\ntime.sleep(3)\nc.execute('COMMIT')\n";
    let database = crowd.host.folder().join("data/jackfield.db");
    while !over.load(Ordering::Relaxed) {
        let mut python = Command::new("python3");
        python.args(["-c", script]).arg(&database);
        let held = tokio::task::spawn_blocking(move || python.status()).await?;
        let held = held.context("it takes python3 to lock the database")?;
        anyhow::ensure!(held.success(), "the database could not be locked");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

/// Beats that were heard, and those that were late.
async fn beats(crowd: &Crowd) -> Result<(f64, f64)> {
    let page = reqwest::get(format!("http://{}/metrics", crowd.host.gateway().address)).await?.text().await?;
    let figure = |name: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("jackfield_media_{name} ")));
        line.and_then(|figure| figure.trim().parse::<f64>().ok()).with_context(|| format!("no {name} in the metrics"))
    };
    Ok((figure("beats_total")?, figure("beats_late_total")?))
}
