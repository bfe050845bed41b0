//! SIGHUP: the settings are read again, and those that can change while the host runs do.
//!
//! Promises: settings that cannot be used change nothing, and the log says why; each one that changed and takes a restart is
//! named, again each time until there was one.

use std::path::PathBuf;

use jackfield_server::DrainSettings;
use tokio::signal::unix::Signal;
use tokio::sync::watch;

use crate::config::{self, Settings, Written};
use crate::logs::SetLevel;

/// What changes without a restart. `defaults.toml` says so of each.
const LIVE: [&str; 4] = ["log.level", "drain.calls_seconds", "drain.webhooks_seconds", "retention.call_days"];

/// The settings that may change while the host runs, where they are read at each use.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) drain: watch::Receiver<DrainSettings>,
    pub(crate) call_days: watch::Receiver<u32>,
}

/// Changes them.
pub(crate) struct Reload {
    file: Option<PathBuf>,
    /// Those that the host runs on.
    running: Written,
    set_level: SetLevel,
    drain: watch::Sender<DrainSettings>,
    call_days: watch::Sender<u32>,
}

impl Reload {
    /// From the settings that the host was started with.
    pub(crate) fn new(file: Option<PathBuf>, running: Written, settings: &Settings, set_level: SetLevel) -> Self {
        let (drain, call_days) = (settings.drain().clone(), settings.retention.call_days);
        Self { file, running, set_level, drain: watch::Sender::new(drain), call_days: watch::Sender::new(call_days) }
    }

    /// Where they are read.
    pub(crate) fn live(&self) -> Live {
        Live { drain: self.drain.subscribe(), call_days: self.call_days.subscribe() }
    }

    /// Reads them again at every signal, for as long as the host runs: unheard, SIGHUP would end the host, and with it every call.
    pub(crate) async fn at_each(mut self, mut hangups: Signal) {
        while hangups.recv().await.is_some() {
            if let Err(why) = self.again() {
                tracing::error!(why, "SIGHUP: the settings cannot be used, and stay as they were");
            }
        }
    }

    fn again(&mut self) -> Result<(), String> {
        let read = config::load_written(self.file.as_deref(), config::variables());
        let (written, settings) = read.map_err(|error| error.to_string())?;
        let changed = self.running.differing(&written).map_err(|error| error.to_string())?;
        let (live, at_start): (Vec<String>, Vec<String>) =
            changed.into_iter().partition(|path| LIVE.contains(&path.as_str()));
        // It comes first: what it refuses changes nothing.
        (self.set_level)(&settings.log.level)?;
        self.drain.send_replace(settings.drain().clone());
        self.call_days.send_replace(settings.retention.call_days);
        self.running.take(&written, &live);
        tell(&live, &at_start);
        Ok(())
    }
}

fn tell(live: &[String], at_start: &[String]) {
    if live.is_empty() && at_start.is_empty() {
        tracing::info!("SIGHUP: the settings are as they were");
    }
    for setting in live {
        tracing::info!(setting, "SIGHUP: changed");
    }
    for setting in at_start {
        tracing::warn!(setting, "SIGHUP: not changed yet: this one is read at the start alone");
    }
}
