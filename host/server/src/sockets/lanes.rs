//! What happens to one call happens in order; what happens to others does not wait for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use jackfield_plugins::types::Event;
use jackfield_store::Configuration;

use super::events;
use crate::App;

/// Calls that events are being acted on for, over all sockets.
const LANES: usize = 4_096;
/// Events of one call that may wait.
const WAITING: usize = 64;

/// Something that happened, and where.
pub(super) struct Work {
    pub(super) app: App,
    pub(super) configuration: Arc<Configuration>,
    pub(super) event: Event,
}

/// One lane a call, for as long as something happens to it. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Lanes(Arc<Mutex<HashMap<String, VecDeque<Work>>>>);

impl Lanes {
    /// Acts on an event, after all that came before about its call. False when there is no room for it.
    pub(super) fn take(&self, call: &str, work: Work) -> bool {
        let key = format!("{}/{call}", work.configuration.id);
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = lanes.get_mut(&key) {
            let room = waiting.len() < WAITING;
            if room {
                waiting.push_back(work);
            }
            return room;
        }
        if lanes.len() >= LANES {
            return false;
        }
        lanes.insert(key.clone(), VecDeque::new());
        drop(lanes);
        tokio::spawn(self.clone().run(key, work));
        true
    }

    async fn run(self, key: String, first: Work) {
        let mut next = Some(first);
        while let Some(work) = next {
            // A task of its own, so that a panic ends neither the lane nor what waits in it.
            tokio::spawn(events::act(work)).await.ok();
            let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            next = lanes.get_mut(&key).and_then(VecDeque::pop_front);
            if next.is_none() {
                lanes.remove(&key);
            }
        }
    }
}
