//! Several hosts as one: each is a node with a name, says that it is alive, follows what others change, hands on what is
//! about another node's call, and takes over the calls of nodes that died.
//!
//! Promises: a call has one owner, by a number in the database that each change of hands raises; what an owner that lost a
//! call still writes is refused there. Nothing here matters to a host that is alone.

mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_store::{Call, Shared, Word, new_id};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::App;
pub(crate) use words::Errand;
use words::Said;

/// A node says so often that it is alive, and counts as alive for so long after.
const BEAT: Duration = Duration::from_secs(2);
const ALIVE: Duration = Duration::from_secs(6);
/// Only a node that was seen to be dead for so long is: a Redis that came back empty knows of nobody for a moment.
const DEAD: Duration = Duration::from_secs(6);
/// How often changes of other nodes are looked for.
const FOLLOW: Duration = Duration::from_secs(1);
/// How often seats are held.
const HOLD: Duration = Duration::from_secs(20);
/// How long another node may take to answer.
const ANSWER: Duration = Duration::from_secs(1);
const RUNG: Duration = Duration::from_secs(15);

/// This process among the others. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Node(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: String,
    shared: Shared,
    /// Who waits for another node's answer.
    waiting: Mutex<HashMap<String, oneshot::Sender<Result<Value, String>>>>,
}

/// Why another node did not do something.
#[derive(Debug)]
pub(crate) enum NotTold {
    /// It did not answer, or could not be asked: nobody knows whether it did it.
    Silent,
    /// It answered no.
    Refused(String),
}

impl Node {
    /// With a name of its own.
    pub fn new(id: String, shared: Shared) -> Self {
        Self(Arc::new(Inner { id, shared, waiting: Mutex::default() }))
    }

    /// A name for a node. Each run of a host is another node.
    pub fn fresh_id() -> String {
        new_id("node")
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Has the call's owner do something, or say something.
    pub(crate) async fn ask(&self, owner: &str, errand: Errand) -> Result<Value, NotTold> {
        let patience = match &errand {
            // The provider is asked first.
            Errand::Transfer { .. } => RUNG,
            _ => ANSWER,
        };
        let (answer, answered) = oneshot::channel();
        let id = new_id("ask");
        self.waiting().insert(id.clone(), answer);
        let said = Said::Ask { id: id.clone(), from: self.0.id.clone(), errand };
        let outcome = match self.say(Some(owner), &said).await {
            Ok(()) => timeout(patience, answered).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        self.waiting().remove(&id);
        outcome.ok_or(NotTold::Silent)?.map_err(NotTold::Refused)
    }

    /// Tells the call's owner of before that it has it no more.
    pub(crate) async fn taken(&self, from: &Call) {
        let said = Said::Taken { call: from.id.clone(), epoch: from.epoch };
        // An owner that does not hear it is refused by the database.
        self.say(Some(&from.owner), &said).await.ok();
    }

    /// Is that node known to live?
    pub(crate) async fn is_alive(&self, node: &str) -> Result<bool, String> {
        self.0.shared.is_alive(node).await.map_err(|error| error.to_string())
    }

    async fn say(&self, to: Option<&str>, said: &Said) -> Result<(), String> {
        let text = serde_json::to_string(said).map_err(|error| error.to_string())?;
        self.0.shared.say(Word { to: to.map(str::to_owned), text }).await.map_err(|error| error.to_string())
    }

    fn answered(&self, id: &str, outcome: Result<Value, String>) {
        if let Some(answer) = self.waiting().remove(id) {
            // Whoever asked may have given up.
            answer.send(outcome).ok();
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Result<Value, String>>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps this host together with the others, for as long as it runs.
pub async fn keep_together(app: App) {
    let clock = crate::clock::keep(&app);
    tokio::join!(beat(&app), words::listen(&app), follow(&app), hold(&app), take_over(&app), clock);
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn beat(app: &App) {
    let mut ticks = every(BEAT);
    loop {
        ticks.tick().await;
        if let Err(error) = app.shared.alive(app.node.id(), ALIVE).await {
            tracing::warn!(%error, "other nodes cannot be told that this one is alive");
        }
    }
}

/// What others changed is live here within a second or two.
async fn follow(app: &App) {
    let mut ticks = every(FOLLOW);
    loop {
        ticks.tick().await;
        match app.store.follow().await {
            Ok(true) => app.rollout.follow().await,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "changes of other nodes cannot be followed"),
        }
    }
}

async fn hold(app: &App) {
    let mut ticks = every(HOLD);
    loop {
        ticks.tick().await;
        app.calls.hold_seats().await;
    }
}

/// Takes over the calls of nodes that died.
async fn take_over(app: &App) {
    let mut missed: HashMap<String, Instant> = HashMap::new();
    let mut ticks = every(BEAT);
    loop {
        ticks.tick().await;
        if let Err(error) = orphans(app, &mut missed).await {
            // Who cannot be asked about may live.
            missed.clear();
            tracing::warn!(error, "calls of other nodes cannot be looked after");
        }
    }
}

/// Asks for owners first: there are few of them, and many calls.
async fn orphans(app: &App, missed: &mut HashMap<String, Instant>) -> Result<(), String> {
    let mut dead = Vec::new();
    for owner in app.store.other_owners(app.node.id()).await.map_err(|error| error.to_string())? {
        if !app.node.is_alive(&owner).await? {
            dead.push(owner);
        }
    }
    // A host without others knows at once that nobody else has its calls.
    let patience = if app.shared.is_shared() { DEAD } else { Duration::ZERO };
    missed.retain(|owner, _| dead.contains(owner));
    for owner in dead {
        let since = *missed.entry(owner.clone()).or_insert_with(Instant::now);
        if since.elapsed() < patience {
            continue;
        }
        let left = app.store.unfinished_calls_of(&owner).await.map_err(|error| error.to_string())?;
        for call in left {
            app.calls.take_over(&call).await;
        }
    }
    Ok(())
}
