//! `Idempotency-Key`: an order that is sent twice under one key is carried out once, and answered twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use serde_json::Value;

use super::{Kind, Problem};
use crate::token::digest;

/// How long an answer can be asked for again.
const KEPT: Duration = Duration::from_secs(12 * 60 * 60);
/// More keys than this are not remembered; those whose time is over go first.
const MOST: usize = 100_000;

/// Answers by key. One order at a time is carried out for a key.
#[derive(Debug, Default)]
pub(crate) struct Answered(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    until: Instant,
    order: [u8; 32],
    answer: Arc<tokio::sync::Mutex<Option<Answer>>>,
}

/// The place for the answer to an order.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// What names the order in the database, so that other nodes and later runs of the host know it too.
    pub(crate) key: String,
    /// Empty until the order was carried out; locked while it is.
    pub(crate) answer: Arc<tokio::sync::Mutex<Option<Answer>>>,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Done(Value),
    /// It may have been carried out, so it must not be again.
    Unknown(String),
}

impl Answered {
    /// The place for the answer to this order; none without a key.
    pub(crate) fn slot(
        &self,
        headers: &HeaderMap,
        organization: &str,
        order: &[u8],
        now: Instant,
    ) -> Result<Option<Slot>, Problem> {
        let Some(key) = key(headers)? else { return Ok(None) };
        let key = hex::encode(digest(format!("{organization}/{key}")));
        let order = digest(order);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            entries.retain(|_, entry| entry.until > now);
        }
        if entries.len() >= MOST {
            return Err(Problem::new(Kind::Limit, "too many idempotency keys are in use; send the order without one"));
        }
        let fresh = || Entry { until: now + KEPT, order, answer: Arc::default() };
        let entry = entries.entry(key.clone()).or_insert_with(fresh);
        if entry.until <= now {
            *entry = fresh();
        }
        if entry.order != order {
            return Err(Problem::invalid("this Idempotency-Key was used for another order; take a new one"));
        }
        Ok(Some(Slot { key, answer: Arc::clone(&entry.answer) }))
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > 255 || values.next().is_some() {
        return Err(Problem::new(Kind::Malformed, "Idempotency-Key is one header of 1 to 255 visible characters"));
    }
    Ok(Some(key.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn keyed(key: &str) -> HeaderMap {
        HeaderMap::from_iter([("idempotency-key".parse().unwrap(), key.parse().unwrap())])
    }

    #[tokio::test]
    async fn the_same_order_under_the_same_key_has_one_answer() {
        let (answered, now) = (Answered::default(), Instant::now());
        let slot = answered.slot(&keyed("k"), "org", b"order", now).unwrap().unwrap();
        *slot.answer.lock().await = Some(Answer::Done(Value::from(1)));
        let again = answered.slot(&keyed("k"), "org", b"order", now).unwrap().unwrap();
        assert_eq!(*again.answer.lock().await, Some(Answer::Done(Value::from(1))));
        assert_ne!(again.key, answered.slot(&keyed("k"), "another", b"order", now).unwrap().unwrap().key);
        let other = answered.slot(&keyed("l"), "org", b"order", now).unwrap().unwrap();
        assert_eq!(*other.answer.lock().await, None);
        let later = answered.slot(&keyed("k"), "org", b"order", now + KEPT).unwrap().unwrap();
        assert_eq!(*later.answer.lock().await, None);
    }

    #[test]
    fn a_key_stands_for_one_order_only_and_no_key_for_none() {
        let (answered, now) = (Answered::default(), Instant::now());
        answered.slot(&keyed("k"), "org", b"order", now).unwrap();
        assert!(answered.slot(&keyed("k"), "org", b"another", now).is_err());
        assert!(answered.slot(&HeaderMap::new(), "org", b"order", now).unwrap().is_none());
        assert!(answered.slot(&keyed(""), "org", b"order", now).is_err());
    }
}
