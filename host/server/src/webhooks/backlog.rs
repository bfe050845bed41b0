//! Callbacks that a build failed at wait here, for another build to read them: a provider tells once that a call is over.
//!
//! In memory alone, bounded by number, size and age. The sender heard that it failed, and those that come again do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_plugins::Generation;
use jackfield_plugins::types::Request;
use tokio::time::timeout;

use super::{Refused, callback, inbound};
use crate::App;
use crate::clock::now_for_guests;

const MOST: usize = 1_000;
/// Bytes of all of them.
const LARGEST: usize = 8 << 20;
/// Milliseconds.
const OLDEST: u64 = 60 * 60 * 1_000;
const GLANCE: Duration = Duration::from_secs(5);

/// A callback about a call, and the build that failed at it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waiting {
    pub(super) provider: String,
    pub(super) about: About,
    pub(super) request: Request,
    /// When it came, in Unix milliseconds: it is to be proved as of then.
    pub(super) came_at: u64,
    pub(super) failed_by: String,
}

/// What its path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    Call {
        id: String,
        hook: String,
    },
    /// An account: what comes to its numbers, of which only what it says about known calls is read later.
    Configuration(String),
}

impl Waiting {
    pub(super) fn of(failed_by: &Generation, about: About, request: Request, came_at: u64) -> Self {
        let (provider, failed_by) = (failed_by.describe().name.clone(), failed_by.digest().to_owned());
        Self { provider, about, request, came_at, failed_by }
    }
}

/// All that wait.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    waiting: Mutex<VecDeque<Waiting>>,
    read: AtomicU64,
    dropped: AtomicU64,
}

/// How the backlog stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stands {
    pub(crate) waiting: usize,
    /// Read by another build.
    pub(crate) read: u64,
    /// Too old, too many, or no other build could say that it is genuine.
    pub(crate) dropped: u64,
}

impl Backlog {
    /// The same message that comes again waits once.
    pub(super) fn put(&self, new: Waiting) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.iter().any(|known| known.about == new.about && known.request.body == new.request.body) {
            return;
        }
        waiting.push_back(new);
        let mut bytes: usize = waiting.iter().map(size).sum();
        while waiting.len() > MOST || bytes > LARGEST {
            let Some(oldest) = waiting.pop_front() else { break };
            bytes -= size(&oldest);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes those out that another build may be asked about, and forgets those that are too old.
    fn due(&self, now: u64, other_build: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let all = waiting.len();
        waiting.retain(|known| now.saturating_sub(known.came_at) < OLDEST);
        self.dropped.fetch_add((all - waiting.len()) as u64, Ordering::Relaxed);
        let (due, kept): (VecDeque<_>, _) = waiting.drain(..).partition(other_build);
        *waiting = kept;
        due.into()
    }

    pub(crate) fn stands(&self) -> Stands {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
        let (read, dropped) = (self.read.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed));
        Stands { waiting, read, dropped }
    }
}

fn size(waiting: &Waiting) -> usize {
    let headers: usize = waiting.request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    waiting.request.body.len() + waiting.request.url.len() + headers
}

/// Has what waits read by builds that come into service, for as long as the host runs.
pub async fn keep_backlog(app: App) {
    let mut changes = app.store.changes();
    loop {
        // Promotions are told of as changes; a look now and then finds those that were missed.
        timeout(GLANCE, changes.changed()).await.ok();
        let build = |known: &Waiting| app.plugins.current(&known.provider);
        let other = |known: &Waiting| build(known).is_some_and(|build| build.digest() != known.failed_by);
        for waiting in app.backlog().due(now_for_guests(), other) {
            let Some(build) = build(&waiting) else { continue };
            // A task of its own: one that panics keeps no other from being read.
            tokio::spawn(again(app.clone(), build, waiting)).await.ok();
        }
    }
}

async fn again(app: App, build: Arc<Generation>, waiting: Waiting) {
    let Waiting { about, request, came_at, .. } = waiting.clone();
    let outcome = match about {
        About::Call { id, hook } => callback::again(&app, &build, (&hook, &id), request, came_at).await,
        About::Configuration(id) => inbound::again(&app, &build, &id, request, came_at).await,
    };
    let counter = match outcome {
        Ok(()) => &app.backlog().read,
        Err(refused) if refused.is_failure() => {
            let failed_by = build.digest().to_owned();
            return app.backlog().put(Waiting { failed_by, ..waiting });
        }
        Err(_) => &app.backlog().dropped,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Refused {
    /// Was it the plugin that failed, so that another build may do better?
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Plugin(_) | Self::Quarantined | Self::Out(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(call: &str, body: &str, came_at: u64) -> Waiting {
        let body = body.as_bytes().to_vec();
        let request = Request { method: "POST".to_owned(), url: "/".to_owned(), headers: vec![], body };
        let (provider, failed_by) = ("p".to_owned(), "old".to_owned());
        let about = About::Call { id: call.to_owned(), hook: "status".to_owned() };
        Waiting { provider, about, request, came_at, failed_by }
    }

    #[test]
    fn what_comes_twice_waits_once_and_in_order() {
        let backlog = Backlog::default();
        for (call, body) in [("a", "1"), ("a", "2"), ("a", "1"), ("b", "1")] {
            backlog.put(waiting(call, body, 5));
        }
        assert!(backlog.due(6, |_| false).is_empty());
        let due = backlog.due(6, |known| known.about == waiting("a", "", 0).about);
        assert_eq!(due, [waiting("a", "1", 5), waiting("a", "2", 5)]);
        assert_eq!(backlog.stands(), Stands { waiting: 1, read: 0, dropped: 0 });
    }

    #[test]
    fn too_many_too_large_and_too_old_ones_are_dropped_and_counted() {
        let backlog = Backlog::default();
        for call in 0..MOST + 3 {
            backlog.put(waiting(&call.to_string(), "x", 0));
        }
        assert_eq!(backlog.stands(), Stands { waiting: MOST, read: 0, dropped: 3 });
        assert!(backlog.due(OLDEST, |_| true).is_empty());
        assert_eq!(backlog.stands(), Stands { waiting: 0, read: 0, dropped: 3 + MOST as u64 });
        let large = "x".repeat(LARGEST / 2);
        for call in ["a", "b", "c"] {
            backlog.put(waiting(call, &large, 0));
        }
        assert_eq!(backlog.stands().waiting, 1);
    }
}
