//! Whose turn it is among the guests of one build: so many run at the same time, so many more may wait, and whoever comes then
//! is turned away. What one build has to wait for, no other waits for.
//!
//! A build that used up a guest's time has one place less for a while, down to the last: what keeps a core from others shall not
//! keep all of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::GuestError;

/// The queue of a build.
#[derive(Debug)]
pub(crate) struct Turns {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    turned_away: AtomicU64,
    at_once: usize,
    /// When places that were lost come back.
    lost: Mutex<VecDeque<Instant>>,
    /// Places that were lost while somebody had them: whoever is done next takes one along.
    owed: Arc<AtomicUsize>,
}

/// How long a place is lost for.
const LOST: Duration = Duration::from_secs(10);

/// A guest may run for as long as this is held. Not to be held while waiting for anything else.
#[derive(Debug)]
pub struct Turn {
    /// None where the places are gone, which they never are.
    permit: Option<OwnedSemaphorePermit>,
    owed: Arc<AtomicUsize>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let pays = self.owed.try_update(Ordering::Relaxed, Ordering::Relaxed, |owed| owed.checked_sub(1)).is_ok();
        if let Some(permit) = self.permit.take().filter(|_| pays) {
            permit.forget();
        }
    }
}

impl Turns {
    pub(crate) fn new(at_once: usize, most_waiting: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            places: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
            most_waiting,
            turned_away: AtomicU64::new(0),
            at_once,
            lost: Mutex::default(),
            owed: Arc::default(),
        }
    }

    /// For who does not want to wait.
    pub(crate) fn free(&self) -> Option<Turn> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Turn { permit: Some(permit), owed: Arc::clone(&self.owed) })
    }

    /// For who comes new.
    pub(crate) async fn take(&self) -> Result<Turn, GuestError> {
        if let Some(turn) = self.free() {
            return Ok(turn);
        }
        self.regain(Instant::now());
        if self.waiting.load(Ordering::Relaxed) >= self.most_waiting {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(GuestError::NoInstance("so many wait for this plugin that no more may".to_owned()));
        }
        Ok(self.wait().await)
    }

    /// For who had a turn before: what was begun is brought to its end.
    pub(crate) async fn wait(&self) -> Turn {
        let _waiting = Waiting::one(&self.waiting);
        // Never closed.
        let permit = Arc::clone(&self.places).acquire_owned().await.ok();
        Turn { permit, owed: Arc::clone(&self.owed) }
    }

    /// A guest used up its time.
    pub(crate) fn lose_one(&self, now: Instant) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.len() + 1 < self.at_once {
            lost.push_back(now + LOST);
            self.owed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Brings back what was lost long enough ago.
    fn regain(&self, now: Instant) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        while lost.pop_front_if(|back| *back <= now).is_some() {
            self.places.add_permits(1);
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }
}

/// Counts one that waits, also if it gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn one(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn who_comes_to_a_full_queue_is_turned_away_and_who_was_in_it_is_not() {
        let turns = Turns::new(1, 1);
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(first)) = pin!(turns.take()).poll(&mut context) else { panic!("it is free") };
        let mut second = pin!(turns.take());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert_eq!(turns.waiting(), 1);
        assert!(matches!(pin!(turns.take()).poll(&mut context), Poll::Ready(Err(GuestError::NoInstance(_)))));
        assert_eq!(turns.turned_away(), 1);
        let mut again = pin!(turns.wait());
        assert!(again.as_mut().poll(&mut context).is_pending(), "whoever had a turn waits, however many do");
        drop(first);
        assert!(matches!(second.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
        assert_eq!(turns.waiting(), 1);
    }

    #[test]
    fn who_uses_up_its_time_has_fewer_places_for_a_while_and_never_none() {
        let (turns, now) = (Turns::new(2, 8), Instant::now());
        let mut context = Context::from_waker(Waker::noop());
        let mut places = || {
            let mut held = Vec::new();
            while let Poll::Ready(turn) = pin!(turns.wait()).poll(&mut context) {
                held.push(turn);
            }
            held.len()
        };
        assert_eq!(places(), 2);
        turns.lose_one(now);
        turns.lose_one(now);
        // Whoever is done first pays.
        places();
        assert_eq!(places(), 1);
        turns.regain(now + LOST / 2);
        assert_eq!(places(), 1);
        turns.regain(now + LOST);
        assert_eq!(places(), 2);
    }
}
