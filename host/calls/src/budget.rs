//! How many retries an account may have: a part of what it is asked anyway, so that a provider that flaps is not also flooded.

/// In fifths of a retry, so that nothing is rounded: what a retry costs.
const RETRY: u32 = 5;
/// What each first try adds: five of them pay for one retry.
const SHARE: u32 = 1;
/// What a quiet account has all the same, once it has been quiet for long enough.
const FLOOR: u32 = 3 * RETRY;
/// No more is saved up: a good hour shall not pay for a bad minute.
const MOST: u32 = 10 * RETRY;
/// Milliseconds after which a share comes back, up to the floor.
const REGAIN: u64 = 2_000;

/// The retries that one account may still have. Times in milliseconds, of any clock that does not go back.
///
/// Hanging up and looking for a placed call are not held back by it: a call that stays up costs money. They go by pauses that grow,
/// and end after a few tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    fifths: u32,
    /// Up to when time has been paid for.
    at: u64,
}

impl RetryBudget {
    /// That of an account nobody has asked anything of yet.
    pub fn new(now: u64) -> Self {
        Self { fifths: FLOOR, at: now }
    }

    /// Something is asked for the first time.
    pub fn first(&mut self, now: u64) {
        self.regain(now);
        self.fifths = (self.fifths + SHARE).min(MOST);
    }

    /// May something be asked again? Then it is paid for.
    pub fn spend(&mut self, now: u64) -> bool {
        self.regain(now);
        let left = self.fifths.checked_sub(RETRY);
        self.fifths = left.unwrap_or(self.fifths);
        left.is_some()
    }

    /// Is it as good as a new one? Then it need not be kept.
    pub fn is_rested(mut self, now: u64) -> bool {
        self.regain(now);
        self.fifths >= FLOOR
    }

    fn regain(&mut self, now: u64) {
        let gained = now.saturating_sub(self.at) / REGAIN;
        self.at += gained * REGAIN;
        if self.fifths < FLOOR {
            let gained = u32::try_from(gained).unwrap_or(FLOOR);
            self.fifths = self.fifths.saturating_add(gained).min(FLOOR);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spent(budget: &mut RetryBudget, now: u64) -> usize {
        std::iter::repeat_with(|| budget.spend(now)).take_while(|granted| *granted).count()
    }

    #[test]
    fn a_quiet_account_has_a_few_and_gets_them_back() {
        let mut budget = RetryBudget::new(7);
        assert_eq!(spent(&mut budget, 7), 3);
        assert!(!budget.is_rested(7));
        assert_eq!(spent(&mut budget, 10_006), 0);
        assert_eq!(spent(&mut budget, 10_007), 1);
        assert!(!budget.is_rested(40_006) && budget.is_rested(40_007));
        assert_eq!(spent(&mut budget, u64::MAX), 3, "however long it was quiet");
    }

    #[test]
    fn five_that_were_asked_pay_for_one_more_and_not_without_end() {
        let mut budget = RetryBudget::new(0);
        assert_eq!(spent(&mut budget, 0), 3);
        (0..9).for_each(|_| budget.first(0));
        assert_eq!(spent(&mut budget, 0), 1);
        (0..1_000).for_each(|_| budget.first(0));
        assert_eq!(spent(&mut budget, 0), 10);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut budget = RetryBudget::new(1_000_000);
        assert_eq!(spent(&mut budget, 1_000_000), 3);
        assert_eq!((spent(&mut budget, 0), spent(&mut budget, 1_000_000)), (0, 0));
    }

    proptest! {
        #[test]
        fn never_more_than_a_fifth_of_what_was_asked_beside_the_floor(
            steps in prop::collection::vec((0..4_u8, 0..900_u64), 0..900)
        ) {
            let (mut budget, mut now, mut firsts, mut granted) = (RetryBudget::new(0), 0, 0, 0);
            for (step, pause) in steps {
                now += pause;
                if step == 0 {
                    budget.first(now);
                    firsts += 1;
                } else {
                    granted += u64::from(budget.spend(now));
                }
            }
            prop_assert!(granted * 5 <= 15 + firsts + now / REGAIN, "{granted} of {firsts} in {now} ms");
        }
    }
}
