//! Guests that begin on a thread that others wait for: they have little time there, and are begun again on a thread of their own if
//! it is not enough. That can be done to whatever reads webhooks: it changes nothing outside of its store.

use std::cell::Cell;
use std::time::Duration;

/// CPU time of one export on trial.
const CPU: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Runs,
    RanOver,
}

thread_local! {
    /// Of the guests that this thread runs: an export does not wait for anything, and so does not change threads.
    static STATE: Cell<State> = const { Cell::new(State::None) };
}

/// Has the guests of this work on trial; none if one ran over its time. What the work came to is of no use then.
pub(crate) fn on_trial<T>(work: impl FnOnce() -> T) -> Option<T> {
    let _ends = Ends;
    STATE.set(State::Runs);
    let outcome = work();
    (STATE.get() == State::Runs).then_some(outcome)
}

struct Ends;

impl Drop for Ends {
    fn drop(&mut self) {
        STATE.set(State::None);
    }
}

/// The CPU time that an export has, of so much that it may have.
pub(crate) fn granted(most: Duration) -> Duration {
    if STATE.get() == State::None { most } else { most.min(CPU) }
}

/// An export ran out of time.
pub(crate) fn run_over() {
    if STATE.get() == State::Runs {
        STATE.set(State::RanOver);
    }
}

/// Has one run over?
pub(crate) fn ran_over() -> bool {
    STATE.get() == State::RanOver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_short_on_trial_alone_and_a_trial_that_ran_over_came_to_nothing() {
        let most = Duration::from_millis(50);
        assert_eq!(on_trial(|| granted(most)), Some(CPU));
        assert_eq!(on_trial(run_over), None);
        run_over();
        assert_eq!((granted(most), ran_over()), (most, false));
        assert!(std::panic::catch_unwind(|| on_trial(|| std::panic::resume_unwind(Box::new(())))).is_err());
        assert_eq!(granted(most), most);
    }
}
