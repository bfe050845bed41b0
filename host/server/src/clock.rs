//! The one place where the server reads clocks. Everything below takes time as an argument.
//!
//! Three of them: the machine's, for what providers sign by date; the one that all nodes share, for what is stored, which is
//! the database's and no step of the machine's moves it; and stopwatches, for whatever waits.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jackfield_store::Store;

use crate::App;

/// How often clocks are compared.
const EVERY: Duration = Duration::from_secs(2);
/// A clock that is further off than this is told of. Plugins allow providers' clocks as much.
const OFF: i64 = 5_000;
/// A database that took longer to say what time it is has said nothing.
const PROMPT: Duration = Duration::from_secs(1);
const UNKNOWN: i64 = i64::MIN;

/// Where the shared clock stood when `STARTED` was. One for the process, as there is one machine below it.
static SHARED: AtomicI64 = AtomicI64::new(UNKNOWN);
static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time that all nodes share, in Unix milliseconds: for whatever is stored.
pub(crate) fn now_ms() -> i64 {
    match SHARED.load(Ordering::Relaxed) {
        UNKNOWN => wall_ms(),
        at_start => at_start.saturating_add(millis(STARTED.elapsed())),
    }
}

/// The machine's own time, in Unix milliseconds.
fn wall_ms() -> i64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The machine's own time as the contract counts it: a provider's signature is as old as this says.
pub(crate) fn now_for_guests() -> u64 {
    u64::try_from(wall_ms()).unwrap_or(0)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// How far the machine's clock is ahead of the shared one, in milliseconds.
pub(crate) fn ahead_ms() -> i64 {
    wall_ms().saturating_sub(now_ms())
}

/// Goes on evenly from where the shared clock stood, whatever is done to clocks meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    at: i64,
    began: Instant,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { at: now_ms(), began: Instant::now() }
    }

    /// Unix milliseconds.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.at.saturating_add(millis(self.began.elapsed()))).unwrap_or(0)
    }
}

/// Sets the shared clock by the database's, before anything is stored.
///
/// # Errors
/// When the database does not answer.
pub async fn set_clock(store: &Store) -> Result<(), jackfield_store::StoreError> {
    let asked = Instant::now();
    let said = store.clock().await?;
    match said {
        // It was so in the middle of the question.
        Some(said) if asked.elapsed() < PROMPT => set(said.saturating_add(millis(asked.elapsed() / 2))),
        Some(_) => {}
        // The database's clock is this machine's.
        None => set(wall_ms()),
    }
    Ok(())
}

fn set(now: i64) {
    SHARED.store(now.saturating_sub(millis(STARTED.elapsed())), Ordering::Relaxed);
}

/// Compares clocks for as long as the server runs, and tells of one that is off.
pub(crate) async fn keep(app: &App) {
    let mut told = false;
    loop {
        // Before it is followed: a step of the machine's clock is seen only against what it was.
        let stepped = ahead_ms();
        if let Err(error) = set_clock(&app.store).await {
            tracing::debug!(%error, "the database's clock cannot be read");
        }
        let off = ahead_ms().abs().max(stepped.abs()) > OFF;
        if off && !told {
            let seconds = stepped / 1_000;
            let why = "webhooks that are signed by date may be refused until it is right";
            tracing::error!(seconds, why, "this machine's clock is off, or was set anew");
        } else if told && !off {
            tracing::info!("this machine's clock agrees again with what is stored");
        }
        told = off;
        tokio::time::sleep(EVERY).await;
    }
}
