//! What happens on people's telephones, put in order: events of one call come doubled, late, and in any order.

use std::collections::HashMap;

/// How far a call on a telephone is. Later ones are never followed by earlier ones of the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeskStage {
    /// Rings somewhere else.
    Dialing,
    /// Rings here.
    Ringing,
    /// Connected, or held.
    Up,
    /// Over.
    Ended,
}

/// Calls that are remembered: the oldest are forgotten first.
const MOST: usize = 10_000;

/// The last word on each call.
#[derive(Debug, Default)]
pub struct DeskOrder {
    calls: HashMap<String, Last>,
    turn: u64,
}

#[derive(Debug)]
struct Last {
    at: Option<u64>,
    stage: DeskStage,
    word: String,
    turn: u64,
}

impl DeskOrder {
    /// Is this news? `at` is Unix milliseconds by the provider's clock, `word` the provider's own for the state.
    ///
    /// Nothing follows an end; what is older than the last word is late; of one moment, what is further on counts.
    pub fn is_news(&mut self, call: &str, at: Option<u64>, stage: DeskStage, word: &str) -> bool {
        self.turn += 1;
        let turn = self.turn;
        if let Some(last) = self.calls.get(call) {
            let late = match (last.at, at) {
                (Some(last), Some(now)) if now < last => true,
                (Some(before), Some(now)) if now == before => stage < last.stage,
                _ => false,
            };
            let same = last.word == word && last.stage == stage;
            if last.stage == DeskStage::Ended || same || late && stage != DeskStage::Ended {
                return false;
            }
        } else if self.calls.len() >= MOST {
            self.forget_half();
        }
        self.calls.insert(call.to_owned(), Last { at, stage, word: word.to_owned(), turn });
        true
    }

    fn forget_half(&mut self) {
        let mut turns: Vec<u64> = self.calls.values().map(|last| last.turn).collect();
        turns.sort_unstable();
        let middle = turns.get(turns.len() / 2).copied().unwrap_or(0);
        self.calls.retain(|_, last| last.turn > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORY: [(u64, DeskStage, &str); 5] = [
        (1, DeskStage::Ringing, "alerting"),
        (2, DeskStage::Up, "connected"),
        (3, DeskStage::Up, "held"),
        (4, DeskStage::Up, "connected"),
        (4, DeskStage::Ended, "disconnected"),
    ];

    fn told(order: &[usize]) -> Vec<&'static str> {
        let mut desk = DeskOrder::default();
        let events = order.iter().map(|index| STORY[*index]);
        events.filter(|(at, stage, word)| desk.is_news("c", Some(*at), *stage, word)).map(|(.., word)| word).collect()
    }

    fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
        if of.is_empty() {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for (index, first) in of.iter().enumerate() {
            let rest = [&of[..index], &of[index + 1..]].concat();
            all.extend(permutations(&rest).into_iter().map(|rest| [&[*first][..], &rest].concat()));
        }
        all
    }

    #[test]
    fn in_order_everything_is_told() {
        assert_eq!(told(&[0, 1, 2, 3, 4]), ["alerting", "connected", "held", "connected", "disconnected"]);
    }

    #[test]
    fn in_any_order_and_doubled_time_never_runs_backwards_and_the_end_is_told_once_and_last() {
        for order in permutations(&[0, 1, 2, 3, 4]) {
            let doubled: Vec<usize> = order.iter().flat_map(|index| [*index, *index]).collect();
            for order in [order, doubled] {
                let told = told(&order);
                assert_eq!(told.last(), Some(&"disconnected"), "{order:?}: {told:?}");
                assert_eq!(told.iter().filter(|word| **word == "disconnected").count(), 1, "{order:?}: {told:?}");
                assert!(!told.windows(2).any(|pair| pair[0] == pair[1]), "{order:?}: {told:?}");
                let alerting = told.iter().position(|word| *word == "alerting");
                assert!(alerting.is_none_or(|at| at == 0), "{order:?}: {told:?}");
            }
        }
    }

    #[test]
    fn without_times_an_end_is_an_end() {
        let mut desk = DeskOrder::default();
        assert!(desk.is_news("c", None, DeskStage::Ringing, "alerting"));
        assert!(!desk.is_news("c", None, DeskStage::Ringing, "alerting"));
        assert!(desk.is_news("c", None, DeskStage::Ended, "disconnected"));
        assert!(!desk.is_news("c", None, DeskStage::Up, "connected"));
        assert!(desk.is_news("another", None, DeskStage::Up, "connected"));
    }

    #[test]
    fn memory_is_bounded_and_the_newest_are_kept() {
        let mut desk = DeskOrder::default();
        for call in 0..25_000 {
            assert!(desk.is_news(&call.to_string(), Some(1), DeskStage::Ringing, "alerting"));
        }
        assert!(desk.calls.len() <= MOST);
        assert!(!desk.is_news("24999", Some(1), DeskStage::Ringing, "alerting"));
    }
}
