//! How an event socket stands, for people.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::now_ms;

/// The same trouble is written to the log so often.
const AGAIN: Duration = Duration::from_secs(900);

/// What a socket is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// On its way.
    Connecting,
    /// Events come.
    Open,
    /// It failed, and is tried again soon.
    Waiting,
    /// It was refused, and is tried again later, or when the configuration changes.
    Refused,
}

impl State {
    pub(crate) const ALL: [Self; 4] = [Self::Connecting, Self::Open, Self::Waiting, Self::Refused];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Open => "open",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
        }
    }
}

/// The standing of one socket.
#[derive(Debug)]
pub(crate) struct Standing(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    state: State,
    /// Unix milliseconds.
    since: i64,
    reason: Option<String>,
    logged: Option<(String, i64)>,
}

impl Default for Standing {
    fn default() -> Self {
        Self(Mutex::new(Inner { state: State::Connecting, since: now_ms(), reason: None, logged: None }))
    }
}

impl Standing {
    pub(crate) fn state(&self) -> State {
        self.inner().state
    }

    pub(super) fn open(&self) {
        let mut inner = self.inner();
        (inner.state, inner.since, inner.reason) = (State::Open, now_ms(), None);
    }

    /// Says whether this is news for the log.
    pub(super) fn failed(&self, state: State, reason: &str) -> bool {
        let (mut inner, now) = (self.inner(), now_ms());
        if inner.state != state || inner.reason.as_deref() != Some(reason) {
            (inner.state, inner.since, inner.reason) = (state, now, Some(reason.to_owned()));
        }
        let again = i64::try_from(AGAIN.as_millis()).unwrap_or(i64::MAX);
        let known = inner.logged.as_ref().is_some_and(|(logged, at)| logged == reason && now - at < again);
        if !known {
            inner.logged = Some((reason.to_owned(), now));
        }
        !known
    }

    /// For the API.
    pub(crate) fn shown(&self) -> Value {
        let inner = self.inner();
        json!({ "state": inner.state.as_str(), "since": inner.since, "reason": inner.reason })
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_trouble_is_logged_once_and_another_at_once() {
        let standing = Standing::default();
        assert!(standing.failed(State::Waiting, "unreachable"));
        assert!(!standing.failed(State::Waiting, "unreachable"));
        assert!(standing.failed(State::Refused, "401"));
        assert_eq!(standing.shown()["state"], "refused");
        standing.open();
        assert_eq!((standing.state(), &standing.shown()["reason"]), (State::Open, &Value::Null));
    }
}
