//! Short-lived state: media tokens and replay memory. In this process now; in Redis for several hosts later.
//!
//! All of it has an end, and losing it costs a retry, never a call or money.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::StoreError;
use crate::secret::Secret;

/// What a media token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaGrant {
    /// The call whose audio may be carried.
    pub call_id: String,
}

/// Somebody on their way through a provider's sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInFlow {
    pub configuration_id: String,
    /// Who set out.
    pub person: String,
    /// The proof key, where the provider takes one.
    pub verifier: Option<Secret>,
}

/// Short-lived state. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Tables>);

#[derive(Debug, Default)]
struct Tables {
    grants: Mutex<Expiring<[u8; 32], MediaGrant>>,
    seen: Mutex<Expiring<String, ()>>,
    flows: Mutex<Expiring<[u8; 32], SignInFlow>>,
}

/// More entries than this, and the oldest ends go first.
const MOST: usize = 1_000_000;

#[derive(Debug)]
struct Expiring<K, V> {
    entries: HashMap<K, (Instant, V)>,
    /// Swept when it has grown to twice what the last sweep left.
    sweep_at: usize,
}

impl<K, V> Default for Expiring<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), sweep_at: 1_024 }
    }
}

impl<K: Eq + Hash, V> Expiring<K, V> {
    fn put(&mut self, key: K, value: V, until: Instant, now: Instant) {
        if self.entries.len() >= self.sweep_at {
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

    fn has(&self, key: &K, now: Instant) -> bool {
        self.entries.get(key).is_some_and(|(end, _)| *end > now)
    }
}

impl Shared {
    /// Grants the audio of a call to whoever brings the token with this digest, once.
    ///
    /// # Errors
    /// None in process.
    pub async fn put_media_grant(
        &self,
        token: [u8; 32],
        grant: MediaGrant,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        let now = Instant::now();
        lock(&self.0.grants).put(token, grant, now + lasting, now);
        Ok(())
    }

    /// Spends a token.
    ///
    /// # Errors
    /// None in process.
    pub async fn take_media_grant(&self, token: [u8; 32]) -> Result<Option<MediaGrant>, StoreError> {
        Ok(lock(&self.0.grants).take(&token, Instant::now()))
    }

    /// Remembers somebody on their way, by the digest of their `state`.
    ///
    /// # Errors
    /// None in process.
    pub async fn put_sign_in_flow(
        &self,
        state: [u8; 32],
        flow: SignInFlow,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        let now = Instant::now();
        lock(&self.0.flows).put(state, flow, now + lasting, now);
        Ok(())
    }

    /// Whoever comes back with that `state`, once.
    ///
    /// # Errors
    /// None in process.
    pub async fn take_sign_in_flow(&self, state: [u8; 32]) -> Result<Option<SignInFlow>, StoreError> {
        Ok(lock(&self.0.flows).take(&state, Instant::now()))
    }

    /// How many of a configuration are on their way.
    ///
    /// # Errors
    /// None in process.
    pub async fn sign_in_flows(&self, configuration: &str) -> Result<usize, StoreError> {
        let (flows, now) = (lock(&self.0.flows), Instant::now());
        let open = |(end, flow): &&(Instant, SignInFlow)| *end > now && flow.configuration_id == configuration;
        Ok(flows.entries.values().filter(open).count())
    }

    /// Forgets all of a configuration who are on their way. Says how many.
    ///
    /// # Errors
    /// None in process.
    pub async fn clear_sign_in_flows(&self, configuration: &str) -> Result<usize, StoreError> {
        let mut flows = lock(&self.0.flows);
        let before = flows.entries.len();
        flows.entries.retain(|_, (_, flow)| flow.configuration_id != configuration);
        Ok(before - flows.entries.len())
    }

    /// True the first time in a while.
    ///
    /// # Errors
    /// None in process.
    pub async fn first_seen(&self, key: &str, lasting: Duration) -> Result<bool, StoreError> {
        Ok(self.first_seen_at(key, lasting, Instant::now()))
    }

    /// Lets the next one count as the first.
    ///
    /// # Errors
    /// None in process.
    pub async fn forget(&self, key: &str) -> Result<(), StoreError> {
        lock(&self.0.seen).entries.remove(key);
        Ok(())
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

    #[tokio::test(flavor = "multi_thread")]
    async fn a_token_is_taken_once_however_many_come_with_it() {
        let shared = Shared::default();
        shared.put_media_grant([7; 32], MediaGrant { call_id: "call".into() }, MINUTE).await.unwrap();
        let takers: Vec<_> = (0..64)
            .map(|_| {
                let shared = shared.clone();
                tokio::spawn(async move { shared.take_media_grant([7; 32]).await.unwrap().is_some() })
            })
            .collect();
        let mut taken = 0;
        for taker in takers {
            taken += usize::from(taker.await.unwrap());
        }
        assert_eq!(taken, 1);
    }

    #[tokio::test]
    async fn a_token_that_is_too_old_or_made_up_grants_nothing() {
        let shared = Shared::default();
        shared.put_media_grant([7; 32], MediaGrant { call_id: "call".into() }, Duration::ZERO).await.unwrap();
        assert_eq!(shared.take_media_grant([7; 32]).await.unwrap(), None);
        assert_eq!(shared.take_media_grant([8; 32]).await.unwrap(), None);
    }

    #[test]
    fn a_key_is_new_again_after_its_time() {
        let (shared, now) = (Shared::default(), Instant::now());
        assert!(shared.first_seen_at("k", MINUTE, now));
        assert!(!shared.first_seen_at("k", MINUTE, now + MINUTE / 2));
        assert!(shared.first_seen_at("k", MINUTE, now + MINUTE));
        assert!(shared.first_seen_at("other", MINUTE, now));
    }

    #[test]
    fn what_has_ended_does_not_pile_up() {
        let (shared, now) = (Shared::default(), Instant::now());
        for index in 0..100_000u64 {
            shared.first_seen_at(&index.to_string(), Duration::from_secs(1), now + Duration::from_secs(index));
        }
        assert!(lock(&shared.0.seen).entries.len() <= 2_048);
    }
}
