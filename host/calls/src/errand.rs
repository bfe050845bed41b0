//! An order to the provider that is repeated until it is carried out: hanging up, or looking for a placed call.

/// Where an errand stands. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Errand {
    /// How often it was sent.
    pub(crate) tries: u32,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Step {
    #[default]
    Idle,
    /// Sent; whoever carries it out is overdue from then on.
    UnderWay { overdue: u64 },
    /// To be sent again.
    Again { at: u64 },
}

/// What is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Nothing,
    Send,
    /// No answer came: it counts as failed.
    Overdue,
}

/// Longer than any order may take (a `calls` export has 15 s of wall time), so that a lost answer stalls nothing.
const ANSWER: u64 = 30_000;
/// The first pause; each further one is twice as long.
const PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 64_000;

impl Errand {
    /// One that is due at `at`.
    pub(crate) fn due_at(at: u64) -> Self {
        Self { tries: 0, step: Step::Again { at } }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.step == Step::Idle
    }

    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.step, Step::UnderWay { .. })
    }

    pub(crate) fn sent(&mut self, now: u64) {
        self.tries += 1;
        self.step = Step::UnderWay { overdue: now + ANSWER };
    }

    /// It is carried out, or given up.
    pub(crate) fn settled(&mut self) {
        self.step = Step::Idle;
    }

    /// Once more, after a pause that grows.
    pub(crate) fn again(&mut self, now: u64) {
        let pause = (PAUSE << self.tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        self.step = Step::Again { at: now + pause };
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        match self.step {
            Step::Idle => None,
            Step::UnderWay { overdue } => Some(overdue),
            Step::Again { at } => Some(at),
        }
    }

    pub(crate) fn due(&self, now: u64) -> Due {
        match self.step {
            Step::UnderWay { overdue } if now >= overdue => Due::Overdue,
            Step::Again { at } if now >= at => Due::Send,
            _ => Due::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut errand = Errand::due_at(5);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            errand.sent(1_000);
            errand.again(1_000);
            pauses.extend(errand.deadline().map(|at| at - 1_000));
        }
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000, 64_000]);
    }

    #[test]
    fn an_answer_that_never_comes_is_overdue_and_one_that_came_is_not() {
        let mut errand = Errand::due_at(5);
        assert_eq!((errand.due(4), errand.due(5)), (Due::Nothing, Due::Send));
        errand.sent(5);
        assert_eq!((errand.due(30_004), errand.due(30_005)), (Due::Nothing, Due::Overdue));
        errand.settled();
        assert_eq!((errand.due(u64::MAX), errand.deadline()), (Due::Nothing, None));
    }
}
