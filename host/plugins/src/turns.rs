//! Whose turn it is among the guests of one build: so many run at the same time, so many more may wait, and whoever comes then
//! is turned away. What one build has to wait for, no other waits for.
//!
//! Among those who wait, each account (or each address, while the account is not known) has its next one served in turn, and
//! where no more may wait it is the one with the most who loses its last: a flood waits for itself.
//!
//! A build that used up a guest's time has one place less for a while, down to the last: what keeps a core from others shall not
//! keep all of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, Receiver, Sender};

use crate::fault::GuestError;

/// The queue of a build.
#[derive(Debug)]
pub(crate) struct Turns(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    line: Mutex<Line>,
    at_once: usize,
    most_waiting: usize,
    turned_away: AtomicU64,
}

/// Who waits, and for what. While a place is free nobody does.
#[derive(Debug)]
struct Line {
    free: usize,
    /// When places that were lost come back.
    lost: VecDeque<Instant>,
    /// Places that were lost while somebody had them: whoever is done next takes one along.
    owed: usize,
    /// The next to be served is in front.
    lanes: VecDeque<Lane>,
    /// In all lanes.
    waiting: usize,
}

/// Those of one account or address, while there are any.
#[derive(Debug)]
struct Lane {
    whose: String,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    place: Sender<Turn>,
    /// Who had a turn before is not turned away: what was begun is brought to its end.
    has_begun: bool,
}

/// How long a place is lost for.
const LOST: Duration = Duration::from_secs(10);

/// A guest may run for as long as this is held. Not to be held while waiting for anything else.
#[derive(Debug)]
pub struct Turn(Option<Arc<Queue>>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            pass_on(&queue);
        }
    }
}

/// Gives a place to whoever is next.
fn pass_on(queue: &Arc<Queue>) {
    loop {
        let next = queue.line().next();
        let Some(next) = next else { return };
        match next.send(Turn(Some(Arc::clone(queue)))) {
            Ok(()) => return,
            // Whoever that was has given up.
            Err(mut turn) => turn.0 = None,
        }
    }
}

impl Turns {
    pub(crate) fn new(at_once: usize, most_waiting: usize) -> Self {
        let at_once = at_once.max(1);
        let (lost, lanes) = (VecDeque::new(), VecDeque::new());
        let line = Mutex::new(Line { free: at_once, lost, owed: 0, lanes, waiting: 0 });
        Self(Arc::new(Queue { line, at_once, most_waiting, turned_away: AtomicU64::new(0) }))
    }

    /// For who does not want to wait.
    pub(crate) fn free(&self) -> Option<Turn> {
        self.0.line().take_free().then(|| self.turn())
    }

    /// For who comes new, on account of `whose`.
    pub(crate) async fn take(&self, whose: &str) -> Result<Turn, GuestError> {
        if let Some(turn) = self.free() {
            return Ok(turn);
        }
        self.regain(Instant::now());
        let turned_away = || GuestError::NoInstance("so many wait for this plugin that no more may".to_owned());
        let waits = {
            let mut line = self.0.line();
            if line.take_free() {
                return Ok(self.turn());
            }
            if line.waiting >= self.0.most_waiting {
                self.0.turned_away.fetch_add(1, Ordering::Relaxed);
                if !line.makes_room_for(whose) {
                    return Err(turned_away());
                }
            }
            line.join(whose, false)
        };
        waits.await.map_err(|_| turned_away())
    }

    /// For who had a turn before.
    pub(crate) async fn wait(&self, whose: &str) -> Turn {
        let waits = {
            let mut line = self.0.line();
            if line.take_free() {
                return self.turn();
            }
            line.join(whose, true)
        };
        // Nobody turns these away.
        waits.await.unwrap_or(Turn(None))
    }

    /// A guest used up its time.
    pub(crate) fn lose_one(&self, now: Instant) {
        let mut line = self.0.line();
        if line.lost.len() + 1 < self.0.at_once {
            line.lost.push_back(now + LOST);
            line.owed += 1;
        }
    }

    /// Brings back what was lost long enough ago.
    fn regain(&self, now: Instant) {
        while self.0.line().lost.pop_front_if(|back| *back <= now).is_some() {
            pass_on(&self.0);
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.line().waiting
    }

    pub(crate) fn turned_away(&self) -> u64 {
        self.0.turned_away.load(Ordering::Relaxed)
    }

    fn turn(&self) -> Turn {
        Turn(Some(Arc::clone(&self.0)))
    }
}

impl Queue {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn take_free(&mut self) -> bool {
        let is_free = self.free > 0;
        self.free -= usize::from(is_free);
        is_free
    }

    /// A place has become free: for whom? Nobody, if it is lost, or if nobody waits.
    fn next(&mut self) -> Option<Sender<Turn>> {
        if self.owed > 0 {
            self.owed -= 1;
            return None;
        }
        while let Some(mut lane) = self.lanes.pop_front() {
            let Some(next) = lane.waiting.pop_front() else { continue };
            self.waiting -= 1;
            if !lane.waiting.is_empty() {
                self.lanes.push_back(lane);
            }
            return Some(next.place);
        }
        self.free += 1;
        None
    }

    fn join(&mut self, whose: &str, has_begun: bool) -> Receiver<Turn> {
        let (place, waits) = oneshot::channel();
        let waiter = Waiter { place, has_begun };
        match self.lanes.iter_mut().find(|lane| lane.whose == whose) {
            Some(lane) => lane.waiting.push_back(waiter),
            None => self.lanes.push_back(Lane { whose: whose.to_owned(), waiting: VecDeque::from([waiter]) }),
        }
        self.waiting += 1;
        waits
    }

    /// Turns away the last of the longest lane, if somebody of another is still shorter with one more.
    fn makes_room_for(&mut self, whose: &str) -> bool {
        let own = self.lanes.iter().find(|lane| lane.whose == whose).map_or(0, |lane| lane.waiting.len());
        let Some(longest) = self.lanes.iter_mut().max_by_key(|lane| lane.waiting.len()) else { return false };
        if longest.waiting.len() <= own + 1 {
            return false;
        }
        let last = longest.waiting.iter().rposition(|waiter| !waiter.has_begun);
        let turned_away = last.and_then(|last| longest.waiting.remove(last));
        self.waiting -= usize::from(turned_away.is_some());
        turned_away.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn who_comes_to_a_full_queue_is_turned_away_and_who_was_in_it_is_not() {
        let turns = Turns::new(1, 1);
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(first)) = pin!(turns.take("one")).poll(&mut context) else { panic!("it is free") };
        let mut second = pin!(turns.take("one"));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert_eq!(turns.waiting(), 1);
        assert!(matches!(pin!(turns.take("one")).poll(&mut context), Poll::Ready(Err(GuestError::NoInstance(_)))));
        assert_eq!(turns.turned_away(), 1);
        let mut again = pin!(turns.wait("one"));
        assert!(again.as_mut().poll(&mut context).is_pending(), "whoever had a turn waits, however many do");
        drop(first);
        let Poll::Ready(Ok(second)) = second.as_mut().poll(&mut context) else { panic!("it is its turn") };
        assert_eq!(turns.waiting(), 1);
        drop(second);
        assert!(again.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn who_uses_up_its_time_has_fewer_places_for_a_while_and_never_none() {
        let (turns, now) = (Turns::new(2, 8), Instant::now());
        let mut context = Context::from_waker(Waker::noop());
        let mut places = || {
            let mut held = Vec::new();
            while let Poll::Ready(turn) = pin!(turns.wait("one")).poll(&mut context) {
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

    /// What a future has come to, if to anything.
    fn now<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_flood_waits_for_itself_and_each_of_the_others_has_every_second_turn() {
        let turns = Turns::new(1, 100);
        let mut held = turns.free();
        let mut flood: Vec<_> = (0..10).map(|_| Box::pin(turns.take("flood"))).collect();
        let mut other: Vec<_> = (0..2).map(|_| Box::pin(turns.take("other"))).collect();
        assert!(flood.iter_mut().chain(&mut other).all(|waits| now(waits.as_mut()).is_none()));
        drop(held.take());
        let mut lanes = [flood, other];
        for (lane, place) in [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)] {
            drop(now(lanes[lane][place].as_mut()).unwrap().unwrap());
        }
        assert_eq!(turns.waiting(), 7 - 1, "one more was given a place");
    }

    #[test]
    fn where_no_more_may_wait_it_is_the_last_of_the_flood_that_is_turned_away() {
        let turns = Turns::new(1, 4);
        let held = turns.free();
        let mut flood: Vec<_> = (0..5).map(|_| Box::pin(turns.take("flood"))).collect();
        let waits: Vec<bool> = flood.iter_mut().map(|waits| now(waits.as_mut()).is_none()).collect();
        assert_eq!(waits, [true, true, true, true, false]);
        flood.pop();
        let mut other: Vec<_> = (0..3).map(|_| Box::pin(turns.take("other"))).collect();
        let waits: Vec<bool> = other.iter_mut().map(|waits| now(waits.as_mut()).is_none()).collect();
        assert_eq!(waits, [true, true, false], "half of it and no more");
        let turned_away: Vec<bool> = flood.iter_mut().map(|waits| now(waits.as_mut()).is_some()).collect();
        assert_eq!(turned_away, [false, false, true, true]);
        assert_eq!((turns.waiting(), turns.turned_away()), (4, 4));
        drop(held);
    }

    #[test]
    fn who_gives_up_waiting_keeps_no_place_whether_it_was_given_one_or_not() {
        let turns = Turns::new(1, 8);
        let held = turns.free();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(turns.take("one"))).collect();
        assert!(waiting.iter_mut().all(|waits| now(waits.as_mut()).is_none()));
        drop(waiting.remove(0));
        // The second is given the place, and never looks.
        drop(held);
        drop(waiting.remove(0));
        drop(now(waiting.remove(0).as_mut()).unwrap());
        assert!(turns.free().is_some());
    }
}
