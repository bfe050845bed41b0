//! Whose turn it is among the guests of one build: so many run at the same time, so many more may wait, and whoever comes then is
//! turned away. What one build has to wait for, no other waits for.
//!
//! Guests run where their webhook came in as long as the build is quick: to wake another thread and be woken by it costs as much
//! as they do. One that takes longer there is stopped and begun again on a thread of its own, and its build has nothing but such
//! threads for a while: whatever it does, the network waits for milliseconds at most.
//!
//! Among those who wait, each account (or each address, while the account is not known) has its next one served in turn, and
//! where no more may wait it is the one with the most who loses its last: a flood waits for itself.
//!
//! A build that used up a guest's time has one place less for a while, down to the last: what keeps a core from others shall not
//! keep all of them.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, Receiver};

use crate::fault::GuestError;
use crate::limits::thread_cpu;
use crate::trial::on_trial;

/// The queue of a build.
#[derive(Debug)]
pub(crate) struct Turns(Arc<Queue>);

#[derive(Debug)]
struct Queue(Mutex<Line<Work>>);

/// What is done in a turn, from its beginning to its end.
type Work = Box<dyn FnOnce() + Send>;

/// Who wants a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    New,
    /// Had one before, and is not turned away: what was begun is brought to its end.
    Again,
}

/// How long a place is lost for.
const LOST: Duration = Duration::from_secs(10);
/// A turn that takes longer is slow. By the clock at first, which costs nothing to ask: on a machine with much to do one now and
/// then is. After so many in a row the next is held to the CPU time of its thread.
const SLOW: Duration = Duration::from_millis(1);
const SLOW_IN_A_ROW: u32 = 3;
/// How long a build that is slow has none but threads of its own.
const APART: Duration = Duration::from_mins(10);

impl Turns {
    pub(crate) fn new(at_once: usize, most_waiting: usize) -> Self {
        Self(Arc::new(Queue(Mutex::new(Line::new(at_once, most_waiting)))))
    }

    /// Does work for who does not want to wait, or gives it back.
    pub(crate) async fn do_if_free<T, W>(&self, threads: &Handle, work: W) -> Result<Result<T, GuestError>, W>
    where
        T: Send + 'static,
        W: Fn() -> T + Send + 'static,
    {
        if !self.0.line().take_free() {
            return Err(work);
        }
        Ok(self.with_place(threads, work).await)
    }

    /// Does work on account of `whose`.
    pub(crate) async fn take<T: Send + 'static>(
        &self,
        threads: &Handle,
        whose: &str,
        work: impl Fn() -> T + Send + 'static,
        arrival: Arrival,
    ) -> Result<T, GuestError> {
        if self.0.line().take_free() {
            return self.with_place(threads, work).await;
        }
        let (work, done) = told(work);
        self.enter(threads, whose, work, arrival);
        outcome(done).await
    }

    /// Does work that has a place: here, or where it keeps nobody.
    async fn with_place<T: Send + 'static>(
        &self,
        threads: &Handle,
        work: impl Fn() -> T + Send + 'static,
    ) -> Result<T, GuestError> {
        if let Some(outcome) = self.tried_here(threads, &work) {
            return Ok(outcome);
        }
        let (work, done) = told(work);
        self.0.begin(threads, work);
        outcome(done).await
    }

    /// Does work that has a place, unless it takes too long: then it has its place still.
    fn tried_here<T>(&self, threads: &Handle, work: &impl Fn() -> T) -> Option<T> {
        let began = Instant::now();
        let is_suspect = {
            let line = self.0.line();
            if line.is_apart(began) {
                return None;
            }
            line.is_suspect()
        };
        let ran_before = is_suspect.then(thread_cpu);
        let mut place = Place { queue: &self.0, threads, is_left: true };
        let outcome = on_trial(work);
        place.is_left = outcome.is_some();
        let now = Instant::now();
        let lasted =
            || ran_before.map_or_else(|| now.duration_since(began), |before| thread_cpu().saturating_sub(before));
        self.0.line().tried(outcome.is_some().then(lasted), now);
        outcome
    }

    fn enter(&self, threads: &Handle, whose: &str, work: Work, arrival: Arrival) {
        let Entered { begin, turned_away } = self.0.line().enter(whose, work, arrival, Instant::now());
        // Not in the line's lock: whoever waits for it is woken.
        drop(turned_away);
        for work in begin {
            self.0.begin(threads, work);
        }
    }

    /// A guest used up its time.
    pub(crate) fn lose_one(&self, now: Instant) {
        self.0.line().lose_one(now);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.0.line().waiting
    }

    pub(crate) fn turned_away(&self) -> u64 {
        self.0.line().turned_away
    }
}

/// A place that is passed on when its work is over, also by a panic.
struct Place<'a> {
    queue: &'a Arc<Queue>,
    threads: &'a Handle,
    is_left: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let next = self.is_left.then(|| self.queue.line().next()).flatten();
        if let Some(next) = next {
            self.queue.begin(self.threads, next);
        }
    }
}

impl Queue {
    fn line(&self) -> MutexGuard<'_, Line<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a thread do work that has a place, and then what waits: nobody is woken as long as there is something to do.
    fn begin(self: &Arc<Self>, threads: &Handle, work: Work) {
        let queue = Arc::clone(self);
        threads.spawn_blocking(move || {
            let mut next = Some(work);
            while let Some(work) = next {
                work();
                next = queue.line().next();
            }
        });
    }
}

type Panic = Box<dyn Any + Send>;

/// Work whose outcome is told. A panic is told too: it is for whoever waits, and the thread goes on with others'.
fn told<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> (Work, Receiver<Result<T, Panic>>) {
    let (tell, done) = oneshot::channel();
    let work = move || {
        // Whoever waited may have given up.
        if !tell.is_closed() {
            tell.send(catch_unwind(AssertUnwindSafe(work))).ok();
        }
    };
    (Box::new(work), done)
}

async fn outcome<T>(done: Receiver<Result<T, Panic>>) -> Result<T, GuestError> {
    match done.await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(panic)) => resume_unwind(panic),
        // It was dropped before it began.
        Err(_) => Err(GuestError::NoInstance("so many wait for this plugin that no more may".to_owned())),
    }
}

/// Who waits, and for what. While a place is free nobody does.
struct Line<W> {
    at_once: usize,
    most_waiting: usize,
    free: usize,
    /// When places that were lost come back.
    lost: VecDeque<Instant>,
    /// Places that were lost while somebody had them: whoever is done next takes one along.
    owed: usize,
    /// The next to be served is in front.
    lanes: VecDeque<Lane<W>>,
    /// In all lanes.
    waiting: usize,
    turned_away: u64,
    /// Turns in a row that were slow.
    slow: u32,
    apart_until: Option<Instant>,
}

/// Those of one account or address, while there are any.
struct Lane<W> {
    whose: String,
    waiting: VecDeque<Waiter<W>>,
}

struct Waiter<W> {
    work: W,
    arrival: Arrival,
}

/// What becomes of it when somebody comes.
struct Entered<W> {
    /// That have a place now.
    begin: Vec<W>,
    turned_away: Option<W>,
}

impl<W> Line<W> {
    fn new(at_once: usize, most_waiting: usize) -> Self {
        let at_once = at_once.max(1);
        let (lost, lanes) = (VecDeque::new(), VecDeque::new());
        Self {
            at_once,
            most_waiting,
            free: at_once,
            lost,
            owed: 0,
            lanes,
            waiting: 0,
            turned_away: 0,
            slow: 0,
            apart_until: None,
        }
    }

    fn take_free(&mut self) -> bool {
        let is_free = self.free > 0;
        self.free -= usize::from(is_free);
        is_free
    }

    fn enter(&mut self, whose: &str, work: W, arrival: Arrival, now: Instant) -> Entered<W> {
        if self.take_free() {
            return Entered { begin: vec![work], turned_away: None };
        }
        let mut begin = self.regain(now);
        if self.take_free() {
            begin.push(work);
            return Entered { begin, turned_away: None };
        }
        let mut turned_away = None;
        if arrival == Arrival::New && self.waiting >= self.most_waiting {
            self.turned_away += 1;
            turned_away = self.make_room_for(whose);
            if turned_away.is_none() {
                return Entered { begin, turned_away: Some(work) };
            }
        }
        self.join(whose, Waiter { work, arrival });
        Entered { begin, turned_away }
    }

    /// Brings back places that were lost long enough ago, and says who has them.
    fn regain(&mut self, now: Instant) -> Vec<W> {
        let mut begin = Vec::new();
        while self.lost.pop_front_if(|back| *back <= now).is_some() {
            begin.extend(self.next());
        }
        begin
    }

    fn lose_one(&mut self, now: Instant) {
        if self.lost.len() + 1 < self.at_once {
            self.lost.push_back(now + LOST);
            self.owed += 1;
        }
    }

    fn is_apart(&self, now: Instant) -> bool {
        self.apart_until.is_some_and(|until| now < until)
    }

    /// Is the next turn to be measured by CPU time?
    fn is_suspect(&self) -> bool {
        self.slow >= SLOW_IN_A_ROW
    }

    /// A turn was over so soon where others waited for its thread; or it was not.
    fn tried(&mut self, lasted: Option<Duration>, now: Instant) {
        let is_slow = lasted.is_none_or(|lasted| lasted > SLOW);
        if lasted.is_none() || is_slow && self.is_suspect() {
            (self.slow, self.apart_until) = (0, Some(now + APART));
        } else {
            self.slow = if is_slow { self.slow + 1 } else { 0 };
        }
    }

    /// A place has become free: for whom? Nobody, if it is lost, or if nobody waits.
    fn next(&mut self) -> Option<W> {
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
            return Some(next.work);
        }
        self.free += 1;
        None
    }

    fn join(&mut self, whose: &str, waiter: Waiter<W>) {
        match self.lanes.iter_mut().find(|lane| lane.whose == whose) {
            Some(lane) => lane.waiting.push_back(waiter),
            None => self.lanes.push_back(Lane { whose: whose.to_owned(), waiting: VecDeque::from([waiter]) }),
        }
        self.waiting += 1;
    }

    /// Takes out the last of the longest lane, if somebody of another is still shorter with one more.
    fn make_room_for(&mut self, whose: &str) -> Option<W> {
        let own = self.lanes.iter().find(|lane| lane.whose == whose).map_or(0, |lane| lane.waiting.len());
        let longest = self.lanes.iter_mut().max_by_key(|lane| lane.waiting.len())?;
        if longest.waiting.len() <= own + 1 {
            return None;
        }
        let last = longest.waiting.iter().rposition(|waiter| waiter.arrival == Arrival::New)?;
        self.waiting -= 1;
        longest.waiting.remove(last).map(|waiter| waiter.work)
    }
}

impl<W> std::fmt::Debug for Line<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("free", &self.free).field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Who has a place, and who was turned away, when somebody comes.
    fn comes(line: &mut Line<u32>, whose: &str, work: u32) -> (Vec<u32>, Option<u32>) {
        let Entered { begin, turned_away } = line.enter(whose, work, Arrival::New, Instant::now());
        (begin, turned_away)
    }

    #[test]
    fn who_comes_to_a_full_queue_is_turned_away_and_who_was_in_it_is_not() {
        let mut line = Line::new(1, 1);
        assert_eq!(comes(&mut line, "one", 1), (vec![1], None));
        assert_eq!(comes(&mut line, "one", 2), (vec![], None));
        assert_eq!(comes(&mut line, "one", 3), (vec![], Some(3)));
        assert_eq!((line.waiting, line.turned_away), (1, 1));
        let again = line.enter("one", 4, Arrival::Again, Instant::now());
        assert_eq!((again.begin, again.turned_away), (vec![], None), "whoever had a turn waits, however many do");
        assert_eq!([line.next(), line.next(), line.next()], [Some(2), Some(4), None]);
        assert_eq!((line.free, line.waiting), (1, 0));
    }

    #[test]
    fn who_uses_up_its_time_has_fewer_places_for_a_while_and_never_none() {
        let (mut line, now) = (Line::new(2, 8), Instant::now());
        let comes_at = |line: &mut Line<u32>, work, at| line.enter("one", work, Arrival::New, at).begin;
        assert_eq!([comes_at(&mut line, 1, now), comes_at(&mut line, 2, now)], [[1], [2]]);
        line.lose_one(now);
        line.lose_one(now);
        assert!(comes_at(&mut line, 3, now).is_empty());
        // Whoever is done first pays.
        assert_eq!([line.next(), line.next()], [None, Some(3)]);
        assert!(comes_at(&mut line, 4, now + LOST / 2).is_empty());
        assert_eq!(comes_at(&mut line, 5, now + LOST), [4], "the place is back, for who came first");
        assert_eq!([line.next(), line.next(), line.next()], [Some(5), None, None]);
        assert_eq!(line.free, 2);
    }

    #[test]
    fn a_flood_waits_for_itself_and_each_of_the_others_has_every_second_turn() {
        let mut line = Line::new(1, 100);
        for work in 0..10 {
            comes(&mut line, "flood", work);
        }
        comes(&mut line, "other", 100);
        comes(&mut line, "other", 101);
        let served: Vec<u32> = std::iter::from_fn(|| line.next()).take(6).collect();
        assert_eq!(served, [1, 100, 2, 101, 3, 4]);
    }

    #[test]
    fn where_no_more_may_wait_it_is_the_last_of_the_flood_that_is_turned_away() {
        let mut line = Line::new(1, 4);
        comes(&mut line, "flood", 0);
        let flood: Vec<_> = (1..=5).map(|work| comes(&mut line, "flood", work).1).collect();
        assert_eq!(flood, [None, None, None, None, Some(5)]);
        let other: Vec<_> = (11..=13).map(|work| comes(&mut line, "other", work).1).collect();
        assert_eq!(other, [Some(4), Some(3), Some(13)], "half of it and no more");
        assert_eq!((line.waiting, line.turned_away), (4, 4));
    }

    #[test]
    fn a_build_that_is_slow_has_threads_of_its_own_for_a_while() {
        let (mut line, now) = (Line::<u32>::new(1, 1), Instant::now());
        let (quick, slow) = (Some(SLOW / 20), Some(SLOW * 2));
        for lasted in [quick, slow, slow, quick, slow, slow, slow] {
            assert!(!line.is_suspect());
            line.tried(lasted, now);
        }
        assert!(line.is_suspect());
        line.tried(quick, now);
        assert!(!line.is_suspect() && !line.is_apart(now), "it was the machine's fault");
        for _ in 0..4 {
            assert!(!line.is_apart(now));
            line.tried(slow, now);
        }
        assert_eq!([now, now + APART].map(|now| line.is_apart(now)), [true, false]);
        line.tried(None, now + APART);
        assert!(line.is_apart(now + APART), "once is enough where it was stopped");
    }

    /// Work that takes too long on a thread that others wait for.
    fn runs_over(at: &'static AtomicUsize) -> impl Fn() -> usize {
        move || {
            crate::trial::run_over();
            at.fetch_add(1, Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_begun_again_on_a_thread_of_its_own_and_what_comes_next_begins_there() {
        static BEGUN: AtomicUsize = AtomicUsize::new(0);
        let (turns, threads) = (Turns::new(1, 8), Handle::current());
        let here = std::thread::current().id();
        let place = || std::thread::current().id();
        assert_eq!(turns.take(&threads, "one", place, Arrival::New).await.unwrap(), here);
        let begun = turns.take(&threads, "one", runs_over(&BEGUN), Arrival::New).await.unwrap();
        assert_eq!(begun, 1, "for the second time");
        assert_ne!(turns.take(&threads, "one", place, Arrival::New).await.unwrap(), here);
        // Its thread gives the place back after it has told.
        while turns.0.line().free == 0 {
            tokio::task::yield_now().await;
        }
        assert_ne!(turns.do_if_free(&threads, place).await.ok().unwrap().unwrap(), here);
    }

    #[tokio::test]
    async fn work_that_panics_is_told_to_whoever_waits_for_it_and_harms_no_other() {
        let (turns, threads) = (Arc::new(Turns::new(1, 8)), Handle::current());
        let comes = |work: fn() -> u32| {
            let (turns, threads) = (Arc::clone(&turns), threads.clone());
            tokio::spawn(async move { turns.take(&threads, "one", work, Arrival::New).await.ok() })
        };
        assert!(comes(|| panic!("as the test wants it, here")).await.unwrap_err().is_panic());
        let (begin, begun) = std::sync::mpsc::channel::<()>();
        turns.0.line().tried(None, Instant::now());
        let (first, threads) = (Arc::clone(&turns), threads.clone());
        let begun = Mutex::new(begun);
        let first = tokio::spawn(async move {
            let work = move || begun.lock().unwrap().recv().is_ok();
            first.do_if_free(&threads, work).await.ok().unwrap()
        });
        while turns.0.line().free > 0 {
            tokio::task::yield_now().await;
        }
        assert!(turns.do_if_free(&Handle::current(), || ()).await.is_err(), "it is not free any more");
        let (panics, gives_up) = (comes(|| panic!("as the test wants it")), comes(|| panic!("nobody waits for it")));
        let last = comes(|| 7);
        while turns.waiting() < 3 {
            tokio::task::yield_now().await;
        }
        gives_up.abort();
        assert!(gives_up.await.unwrap_err().is_cancelled());
        begin.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        assert!(panics.await.unwrap_err().is_panic());
        assert_eq!(last.await.unwrap(), Some(7));
        assert_eq!(turns.waiting(), 0);
    }
}
