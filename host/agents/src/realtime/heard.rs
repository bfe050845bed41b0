//! Which part of the agent's speech was heard, item by item. The host's clock says how much; this says of what.

use std::collections::VecDeque;

use jackfield_media::Format;

/// Items that are kept track of. A model that begins more without one being heard does not speak to a person.
const MOST: usize = 1_024;

/// Speech that was handed to the host and is not known to be heard.
#[derive(Debug)]
pub(crate) struct Ledger {
    format: Format,
    items: VecDeque<Item>,
    /// Bytes since the base.
    said: usize,
    /// What the host had played when the first byte after it was said, in milliseconds of the whole call.
    base_ms: u64,
    /// Speech cut by a barge-in, until the host says what was heard of it.
    cut: VecDeque<VecDeque<Item>>,
}

#[derive(Debug)]
struct Item {
    id: String,
    start: usize,
    length: usize,
}

/// An item that was not heard to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CutItem {
    pub(crate) id: String,
    /// Of it, and never more than was received.
    pub(crate) heard_ms: u64,
}

impl Ledger {
    pub(crate) fn new(format: Format) -> Self {
        Self { format, items: VecDeque::new(), said: 0, base_ms: 0, cut: VecDeque::new() }
    }

    /// Audio of an item goes to the host.
    pub(crate) fn say(&mut self, id: &str, bytes: usize) {
        match self.items.back_mut() {
            Some(item) if item.id == id => item.length += bytes,
            _ => self.items.push_back(Item { id: id.to_owned(), start: self.said, length: bytes }),
        }
        self.said += bytes;
        if self.items.len() > MOST {
            self.items.pop_front();
        }
    }

    /// An item was heard to its end, and so was all before it.
    pub(crate) fn played(&mut self, id: &str, heard_ms: u64) {
        if let Some(index) = self.items.iter().position(|item| item.id == id) {
            self.items.drain(..=index);
        }
        // Once all is played both clocks meet again: the filling of last frames must not add up.
        if self.items.is_empty() && self.cut.is_empty() {
            (self.said, self.base_ms) = (0, heard_ms);
        }
    }

    pub(crate) fn has_unheard(&self) -> bool {
        !self.items.is_empty()
    }

    /// Nothing said so far shall be heard. The items that this concerns.
    pub(crate) fn cut(&mut self) -> Vec<String> {
        let items = std::mem::take(&mut self.items);
        let ids = items.iter().map(|item| item.id.clone()).collect();
        self.said = 0;
        self.cut.push_back(items);
        ids
    }

    /// The host says how much was heard when it cut: in answer to a cut of ours, or by itself.
    pub(crate) fn cleared(&mut self, heard_ms: u64) -> Vec<CutItem> {
        if self.cut.is_empty() {
            self.cut();
        }
        let items = self.cut.pop_front().unwrap_or_default();
        let heard = heard_ms.saturating_sub(self.base_ms);
        self.base_ms = heard_ms;
        let cut = items.into_iter().filter_map(|item| {
            let (start, end) = (self.milliseconds(item.start), self.milliseconds(item.start + item.length));
            (heard < end).then(|| CutItem { id: item.id, heard_ms: heard.saturating_sub(start) })
        });
        cut.collect()
    }

    fn milliseconds(&self, bytes: usize) -> u64 {
        self.format.micros(bytes) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use jackfield_media::Codec;

    use super::*;

    /// Bytes of so many milliseconds.
    fn ms(milliseconds: usize) -> usize {
        milliseconds * 8
    }

    fn ledger() -> Ledger {
        Ledger::new(Format { codec: Codec::Pcmu, rate: 8_000 })
    }

    fn cut(id: &str, heard_ms: u64) -> CutItem {
        CutItem { id: id.to_owned(), heard_ms }
    }

    #[test]
    fn an_item_is_cut_where_it_was_heard_and_those_behind_it_at_nothing() {
        let mut ledger = ledger();
        ledger.say("a", ms(400));
        ledger.say("a", ms(600));
        ledger.say("b", ms(2_000));
        ledger.say("c", ms(500));
        assert_eq!(ledger.cut(), ["a", "b", "c"]);
        assert!(!ledger.has_unheard());
        assert_eq!(ledger.cleared(1_250), [cut("b", 250), cut("c", 0)]);
    }

    #[test]
    fn no_more_was_heard_than_was_received() {
        let mut ledger = ledger();
        ledger.say("a", ms(400));
        ledger.cut();
        assert_eq!(ledger.cleared(5_000), []);
    }

    #[test]
    fn what_was_cut_is_not_counted_again() {
        let mut ledger = ledger();
        ledger.say("a", ms(1_000));
        ledger.cut();
        // The next item may come before the host has answered.
        ledger.say("b", ms(1_000));
        assert_eq!(ledger.cleared(300), [cut("a", 300)]);
        ledger.cut();
        assert_eq!(ledger.cleared(420), [cut("b", 120)]);
    }

    #[test]
    fn filling_of_last_frames_does_not_add_up() {
        let mut ledger = ledger();
        let mut heard = 0;
        for _ in 0..100 {
            ledger.say("a", ms(90));
            // The host fills the last frame: 100 ms are played.
            heard += 100;
            ledger.played("a", heard);
        }
        ledger.say("b", ms(1_000));
        ledger.cut();
        assert_eq!(ledger.cleared(heard + 500), [cut("b", 500)]);
    }

    #[test]
    fn a_host_that_cuts_by_itself_is_believed() {
        let mut ledger = ledger();
        ledger.say("a", ms(1_000));
        assert_eq!(ledger.cleared(400), [cut("a", 400)]);
        assert_eq!(ledger.cleared(400), []);
    }
}
