//! Puts a provider's audio messages back in order, where it numbers them and does not promise theirs.

use std::collections::BTreeMap;

/// So many messages that came early wait for one that is missing: 60 ms of the usual size.
const WAITING: usize = 3;
/// A number that is so far behind begins a new count.
const RESTART: u64 = 100;
/// After so many gaps that nothing came to fill, or so many late ones in a row, the numbers are not what they are taken
/// for.
const PATIENCE: u32 = 10;

/// What came early, and what is due.
#[derive(Debug, Default)]
pub(crate) struct Reorder {
    due: Option<u64>,
    early: BTreeMap<u64, Vec<u8>>,
    unfilled: u32,
    late: u32,
}

/// What is to be done with a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is this one's turn; then ask for [`Reorder::next`].
    Now,
    /// It is kept; then ask for [`Reorder::next`].
    Kept,
    /// Its turn is over.
    Late,
}

impl Reorder {
    /// Takes a message by its number; without one, messages are in order.
    pub(crate) fn place(&mut self, number: Option<u64>, payload: &[u8]) -> Place {
        let believed = self.unfilled < PATIENCE && self.late < PATIENCE;
        let Some(number) = number.filter(|_| believed) else { return Place::Now };
        match self.due {
            Some(due) if number < due && due - number < RESTART => {
                self.late += 1;
                return Place::Late;
            }
            Some(due) if number > due && number - due < RESTART => {
                self.late = 0;
                self.early.insert(number, payload.to_vec());
                return Place::Kept;
            }
            _ => {}
        }
        if self.due == Some(number) && !self.early.is_empty() {
            self.unfilled = 0;
        }
        self.late = 0;
        self.due = Some(number.saturating_add(1));
        Place::Now
    }

    /// The next message whose turn it is: the one that is due, or the earliest once too many wait.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        let (number, _) = self.early.first_key_value()?;
        let number = *number;
        if self.due != Some(number) {
            if self.early.len() < WAITING {
                return None;
            }
            self.unfilled += 1;
        }
        self.due = Some(number.saturating_add(1));
        self.early.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(numbers: &[u64]) -> (Vec<u8>, usize) {
        let (mut order, mut played, mut late) = (Reorder::default(), Vec::new(), 0);
        for number in numbers {
            let payload = [u8::try_from(number % 256).unwrap_or(0)];
            match order.place(Some(*number), &payload) {
                Place::Now => played.extend(payload),
                Place::Kept => {}
                Place::Late => late += 1,
            }
            while let Some(next) = order.next() {
                played.extend(next);
            }
        }
        (played, late)
    }

    #[test]
    fn neighbours_that_changed_places_change_back() {
        assert_eq!(played(&[1, 2, 4, 3, 5]), (vec![1, 2, 3, 4, 5], 0));
        assert_eq!(played(&[7, 10, 9, 8, 11]), (vec![7, 8, 9, 10, 11], 0));
    }

    #[test]
    fn one_that_is_lost_is_not_waited_for_for_long_and_one_that_is_late_is_dropped() {
        assert_eq!(played(&[1, 3, 4, 5, 6, 2, 7]), (vec![1, 3, 4, 5, 6, 7], 1));
    }

    #[test]
    fn a_count_that_begins_anew_or_means_something_else_is_no_obstacle() {
        assert_eq!(played(&[200, 201, 1, 2, 3]).0, [200, 201, 1, 2, 3]);
        let by_twos: Vec<u64> = (0..100).map(|n| n * 2).collect();
        assert!(played(&by_twos).0.len() >= 98, "{:?}", played(&by_twos));
        let backwards: Vec<u64> = (0..50).rev().collect();
        assert_eq!(played(&backwards).0.len() + played(&backwards).1, 50);
        assert_eq!(played(&[1; 50]).1, 10, "a number that never changes");
    }
}
