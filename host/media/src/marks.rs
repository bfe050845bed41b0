//! Marks: what tells the agent which of its audio was heard.

use std::collections::VecDeque;
use std::time::Duration;

/// An agent that has more of them open has lost count.
pub(crate) const MOST: usize = 1000;
/// A provider that has not echoed a mark so long after its time is taken to have played it: some never echo.
const GRACE: Duration = Duration::from_secs(2);

/// Marks beside the queue, and marks at the provider.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    waiting: VecDeque<Waiting>,
    placed: VecDeque<Placed>,
    next_id: u64,
}

#[derive(Debug)]
struct Waiting {
    /// Place in the stream of queued bytes.
    position: u64,
    name: String,
}

#[derive(Debug)]
struct Placed {
    id: u64,
    /// None is the session's own.
    name: Option<String>,
    /// Its place in what was sent.
    place: Duration,
    /// When it should be heard.
    due: Duration,
}

/// A mark that came back.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) name: Option<String>,
    pub(crate) place: Duration,
}

impl Marks {
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() + self.placed.len() >= MOST
    }

    /// Puts a mark behind the audio that is queued up to `position`.
    pub(crate) fn wait(&mut self, position: u64, name: String) {
        self.waiting.push_back(Waiting { position, name });
    }

    /// The next mark whose audio was sent.
    pub(crate) fn pop_ready(&mut self, sent: u64) -> Option<String> {
        self.waiting.pop_front_if(|mark| mark.position <= sent).map(|mark| mark.name)
    }

    /// Notes a mark as being at the provider, and names it on the wire.
    pub(crate) fn place(&mut self, name: Option<String>, place: Duration, due: Duration) -> String {
        self.next_id += 1;
        self.placed.push_back(Placed { id: self.next_id, name, place, due });
        format!("m{}", self.next_id)
    }

    /// The provider echoed a mark; none if it is not ours or was answered before.
    pub(crate) fn reach(&mut self, wire_name: &str) -> Option<Reached> {
        let id: u64 = wire_name.strip_prefix('m')?.parse().ok()?;
        let index = self.placed.iter().position(|mark| mark.id == id)?;
        self.placed.remove(index).map(|mark| Reached { name: mark.name, place: mark.place })
    }

    /// The next mark that the provider should have echoed long ago.
    pub(crate) fn pop_overdue(&mut self, now: Duration) -> Option<Option<String>> {
        self.placed.pop_front_if(|mark| mark.due + GRACE <= now).map(|mark| mark.name)
    }

    /// Whether the provider still owes an echo.
    pub(crate) fn any_placed(&self) -> bool {
        !self.placed.is_empty()
    }

    /// Forgets every mark, first those that are at the provider, and names those of the agent.
    pub(crate) fn take_placed(&mut self) -> impl Iterator<Item = String> + use<> {
        std::mem::take(&mut self.placed).into_iter().filter_map(|mark| mark.name)
    }

    /// Forgets the marks that wait beside the queue.
    pub(crate) fn take_waiting(&mut self) -> impl Iterator<Item = String> + use<> {
        std::mem::take(&mut self.waiting).into_iter().map(|mark| mark.name)
    }
}
