//! Shared state of one host: in this process.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::{Admission, CallLimit, MediaGrant, NewMediaGrant, SignInFlow, Word};

/// Words that a slow listener may be behind.
const WORDS: usize = 256;

/// Tables of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory(Arc<Tables>);

#[derive(Debug)]
struct Tables {
    grants: Mutex<Expiring<[u8; 32], MediaGrant>>,
    seen: Mutex<Expiring<String, ()>>,
    flows: Mutex<Expiring<[u8; 32], SignInFlow>>,
    counts: Mutex<HashMap<String, Count>>,
    seats: RandomState,
    transfers: Mutex<Transfers>,
    leases: Mutex<Expiring<String, String>>,
    words: broadcast::Sender<Word>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            grants: Mutex::default(),
            seen: Mutex::default(),
            flows: Mutex::default(),
            counts: Mutex::default(),
            seats: RandomState::default(),
            transfers: Mutex::default(),
            leases: Mutex::default(),
            words: broadcast::channel(WORDS).0,
        }
    }
}

/// Contexts by their ids, and ids by the call.
#[derive(Debug, Default)]
struct Transfers {
    contexts: Expiring<String, String>,
    of_call: Expiring<String, String>,
}

impl Transfers {
    fn put(&mut self, id: &str, call_sid: &str, context: &str, lasting: Duration, now: Instant) {
        self.of_call.put(call_sid.to_owned(), id.to_owned(), now + lasting, now);
        self.contexts.put(id.to_owned(), context.to_owned(), now + lasting, now);
    }
}

/// Calls that are up, each with its end, and the beginnings in one second. A call is known by a hash of its seat's name: that two
/// of a million are taken for one happens once in 30 million times.
#[derive(Debug, Default)]
struct Count {
    calls: HashMap<u64, Instant>,
    /// None of them ends before: only from then on is it worth looking for those that did.
    earliest: Option<Instant>,
    second: Option<Instant>,
    begun: u64,
}

impl Count {
    fn put(&mut self, call: u64, end: Instant) {
        self.calls.insert(call, end);
        self.earliest = Some(self.earliest.map_or(end, |earliest| earliest.min(end)));
    }

    fn refuses(&mut self, limit: &CallLimit, now: Instant) -> Option<fn(usize) -> Admission> {
        if self.earliest.is_some_and(|earliest| earliest <= now) {
            self.calls.retain(|_, end| *end > now);
            self.earliest = self.calls.values().min().copied();
        }
        if self.second.is_none_or(|second| now.duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.begun) = (Some(now), 0);
        }
        if limit.calls.is_some_and(|most| self.calls.len() as u64 >= most) {
            return Some(Admission::Full);
        }
        limit.per_second.is_some_and(|most| self.begun >= most).then_some(Admission::TooFast)
    }
}

/// A table has no more entries than this: what comes then has to wait for others to end.
const MOST: usize = 1_000_000;
/// A sweep goes through all of a table, which has to wait meanwhile: one that is full is not swept for each that comes.
const SWEPT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Expiring<K, V> {
    entries: HashMap<K, (Instant, V)>,
    /// Swept when it has grown to twice what the last sweep left.
    sweep_at: usize,
    swept: Option<Instant>,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), sweep_at: 1_024, swept: None }
    }
}

impl<K: Eq + Hash, V> Expiring<K, V> {
    fn put(&mut self, key: K, value: V, until: Instant, now: Instant) {
        let of_late = self.swept.is_some_and(|at| now.duration_since(at) < SWEPT);
        if self.entries.len() >= self.sweep_at && !(of_late && self.entries.len() >= MOST) {
            self.swept = Some(now);
            self.entries.retain(|_, (end, _)| *end > now);
            self.sweep_at = (self.entries.len() * 2).clamp(1_024, MOST);
        }
        if self.entries.len() < MOST {
            self.entries.insert(key, (until, value));
        }
    }

    fn take(&mut self, key: &K, now: Instant) -> Option<V> {
        self.entries.remove(key).filter(|(end, _)| *end > now).map(|(_, value)| value)
    }

    fn get(&self, key: &K, now: Instant) -> Option<V>
    where
        V: Clone,
    {
        self.entries.get(key).filter(|(end, _)| *end > now).map(|(_, value)| value.clone())
    }

    fn has(&self, key: &K, now: Instant) -> bool {
        self.entries.get(key).is_some_and(|(end, _)| *end > now)
    }
}

impl Memory {
    pub(super) fn put_media_grant(&self, token: [u8; 32], grant: MediaGrant, lasting: Duration) {
        let now = Instant::now();
        lock(&self.0.grants).put(token, grant, now + lasting, now);
    }

    pub(super) fn take_media_grant(&self, token: [u8; 32]) -> Option<MediaGrant> {
        lock(&self.0.grants).take(&token, Instant::now())
    }

    pub(super) fn put_sign_in_flow(&self, state: [u8; 32], flow: SignInFlow, lasting: Duration) {
        let now = Instant::now();
        lock(&self.0.flows).put(state, flow, now + lasting, now);
    }

    pub(super) fn take_sign_in_flow(&self, state: [u8; 32]) -> Option<SignInFlow> {
        lock(&self.0.flows).take(&state, Instant::now())
    }

    pub(super) fn sign_in_flows(&self, configuration: &str) -> usize {
        let (flows, now) = (lock(&self.0.flows), Instant::now());
        let open = |(end, flow): &&(Instant, SignInFlow)| *end > now && flow.configuration_id == configuration;
        flows.entries.values().filter(open).count()
    }

    pub(super) fn clear_sign_in_flows(&self, configuration: &str) -> usize {
        let mut flows = lock(&self.0.flows);
        let before = flows.entries.len();
        flows.entries.retain(|_, (_, flow)| flow.configuration_id != configuration);
        before - flows.entries.len()
    }

    pub(super) fn first_seen(&self, key: &str, lasting: Duration) -> bool {
        self.first_seen_at(key, lasting, Instant::now())
    }

    pub(super) fn forget(&self, key: &str) {
        lock(&self.0.seen).entries.remove(key);
    }

    pub(super) fn admit(
        &self,
        call: &str,
        limits: &[CallLimit],
        lasting: Duration,
        audio: Option<NewMediaGrant>,
    ) -> Admission {
        let admission = self.count_in(call, limits, lasting);
        if let Some(audio) = audio.filter(|_| admission == Admission::Admitted) {
            self.put_media_grant(audio.token, audio.grant, audio.lasting);
        }
        admission
    }

    fn count_in(&self, call: &str, limits: &[CallLimit], lasting: Duration) -> Admission {
        let (call, now) = (self.seat(call), Instant::now());
        let mut counts = lock(&self.0.counts);
        for (index, limit) in limits.iter().enumerate() {
            let count = counts.entry(limit.whose.clone()).or_default();
            if count.calls.get(&call).is_some_and(|end| *end > now) {
                return Admission::Admitted;
            }
            if let Some(refused) = count.refuses(limit, now) {
                return refused(index);
            }
        }
        for limit in limits {
            let count = counts.entry(limit.whose.clone()).or_default();
            count.put(call, now + lasting);
            count.begun += 1;
        }
        Admission::Admitted
    }

    fn seat(&self, call: &str) -> u64 {
        self.0.seats.hash_one(call)
    }

    pub(super) fn renew_calls(&self, calls: &[(String, Vec<String>)], lasting: Duration) {
        let (mut counts, end) = (lock(&self.0.counts), Instant::now() + lasting);
        for (call, whose) in calls {
            for whose in whose {
                counts.entry(whose.clone()).or_default().put(self.seat(call), end);
            }
        }
    }

    pub(super) fn release_call(&self, call: &str, whose: &[String]) {
        let (call, mut counts) = (self.seat(call), lock(&self.0.counts));
        for whose in whose {
            counts.get_mut(whose).map(|count| count.calls.remove(&call));
        }
    }

    pub(super) fn calls_counted(&self, whose: &str) -> u64 {
        let (counts, now) = (lock(&self.0.counts), Instant::now());
        counts.get(whose).map_or(0, |count| count.calls.values().filter(|end| **end > now).count() as u64)
    }

    pub(super) fn begin_transfer(&self, id: &str, call_sid: &str, context: &str, lasting: Duration) -> bool {
        let (mut transfers, now) = (lock(&self.0.transfers), Instant::now());
        let free = !transfers.of_call.has(&call_sid.to_owned(), now);
        if free {
            transfers.put(id, call_sid, context, lasting, now);
        }
        free
    }

    pub(super) fn put_transfer(&self, id: &str, call_sid: &str, context: &str, lasting: Duration) {
        lock(&self.0.transfers).put(id, call_sid, context, lasting, Instant::now());
    }

    pub(super) fn transfer(&self, id: &str) -> Option<String> {
        lock(&self.0.transfers).contexts.get(&id.to_owned(), Instant::now())
    }

    pub(super) fn transfer_of_call(&self, call_sid: &str) -> Option<String> {
        lock(&self.0.transfers).of_call.get(&call_sid.to_owned(), Instant::now())
    }

    pub(super) fn clear_transfer(&self, id: &str, call_sid: &str) {
        let mut transfers = lock(&self.0.transfers);
        transfers.contexts.entries.remove(id);
        transfers.of_call.entries.remove(call_sid);
    }

    pub(super) fn lease(&self, name: &str, holder: &str, lasting: Duration) -> bool {
        let (mut leases, now) = (lock(&self.0.leases), Instant::now());
        let others = leases.get(&name.to_owned(), now).is_some_and(|known| known != holder);
        if !others {
            leases.put(name.to_owned(), holder.to_owned(), now + lasting, now);
        }
        !others
    }

    pub(super) fn release_lease(&self, name: &str, holder: &str) {
        let mut leases = lock(&self.0.leases);
        if leases.entries.get(name).is_some_and(|(_, known)| known == holder) {
            leases.entries.remove(name);
        }
    }

    pub(super) fn alive(&self, node: &str, lasting: Duration) {
        self.lease(&format!("node:{node}"), node, lasting);
    }

    pub(super) fn is_alive(&self, node: &str) -> bool {
        lock(&self.0.leases).has(&format!("node:{node}"), Instant::now())
    }

    pub(super) fn say(&self, word: Word) {
        // Nobody may be listening.
        let _ = self.0.words.send(word);
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Word> {
        self.0.words.subscribe()
    }

    fn first_seen_at(&self, key: &str, lasting: Duration, now: Instant) -> bool {
        let mut seen = lock(&self.0.seen);
        let first = !seen.has(&key.to_owned(), now);
        if first {
            seen.put(key.to_owned(), (), now + lasting, now);
        }
        first
    }
}

fn lock<T>(table: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_key_is_new_again_after_its_time() {
        let (shared, now) = (Memory::default(), Instant::now());
        assert!(shared.first_seen_at("k", MINUTE, now));
        assert!(!shared.first_seen_at("k", MINUTE, now + MINUTE / 2));
        assert!(shared.first_seen_at("k", MINUTE, now + MINUTE));
        assert!(shared.first_seen_at("other", MINUTE, now));
    }

    #[test]
    fn what_has_ended_does_not_pile_up() {
        let (shared, now) = (Memory::default(), Instant::now());
        for index in 0..100_000u64 {
            shared.first_seen_at(&index.to_string(), Duration::from_secs(1), now + Duration::from_secs(index));
        }
        assert!(lock(&shared.0.seen).entries.len() <= 2_048);
    }

    #[test]
    fn a_full_table_is_not_swept_for_each_that_comes() {
        let (mut table, now) = (Expiring::default(), Instant::now());
        for key in 0..MOST {
            table.put(key, (), now + MINUTE, now);
        }
        table.put(MOST, (), now + MINUTE, now);
        assert_eq!((table.has(&MOST, now), table.swept), (false, Some(now)));
        table.put(MOST, (), now + MINUTE, now + SWEPT / 2);
        assert_eq!((table.entries.len(), table.swept), (MOST, Some(now)));
        table.put(MOST, (), now + MINUTE * 2, now + MINUTE);
        assert_eq!((table.has(&MOST, now), table.entries.len()), (true, 1));
    }
}
