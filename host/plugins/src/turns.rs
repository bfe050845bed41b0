//! Whose turn it is among the guests of one build: so many run at the same time, so many more may wait, and whoever comes then
//! is turned away. What one build has to wait for, no other waits for.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::fault::GuestError;

/// The queue of a build.
#[derive(Debug)]
pub(crate) struct Turns {
    places: Semaphore,
    waiting: AtomicUsize,
    most_waiting: usize,
    turned_away: AtomicU64,
}

/// A guest may run for as long as this is held. Not to be held while waiting for anything else.
#[derive(Debug)]
pub struct Turn<'a>(#[expect(dead_code, reason = "held for its end")] Option<SemaphorePermit<'a>>);

impl Turns {
    pub(crate) fn new(at_once: usize, most_waiting: usize) -> Self {
        let places = Semaphore::new(at_once.max(1));
        Self { places, waiting: AtomicUsize::new(0), most_waiting, turned_away: AtomicU64::new(0) }
    }

    /// For who comes new.
    pub(crate) async fn take(&self) -> Result<Turn<'_>, GuestError> {
        if let Ok(permit) = self.places.try_acquire() {
            return Ok(Turn(Some(permit)));
        }
        if self.waiting.load(Ordering::Relaxed) >= self.most_waiting {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return Err(GuestError::NoInstance("so many wait for this plugin that no more may".to_owned()));
        }
        Ok(self.wait().await)
    }

    /// For who had a turn before: what was begun is brought to its end.
    pub(crate) async fn wait(&self) -> Turn<'_> {
        let _waiting = Waiting::one(&self.waiting);
        // Never closed.
        Turn(self.places.acquire().await.ok())
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
}
