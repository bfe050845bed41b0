//! What is stored. Times are Unix milliseconds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::secret::Secret;

/// The organization of whoever needs only one.
pub const DEFAULT_ORGANIZATION: &str = "org_default";

/// Whom everything belongs to. No limit where a limit is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    pub id: String,
    pub name: String,
    /// Calls at once.
    pub max_calls: Option<i64>,
    /// New calls a second.
    pub calls_per_second: Option<i64>,
    /// Minutes of calls a calendar month (UTC).
    pub minutes_per_month: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
}

/// A token for the REST API, as it is kept: whoever brings what has this digest may do what the scopes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: String,
    pub organization_id: String,
    pub name: String,
    /// SHA-256, in hex.
    pub digest: String,
    pub scopes: Vec<String>,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
}

/// One account with a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    pub id: String,
    pub organization_id: String,
    pub name: String,
    pub provider: String,
    pub fields: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, Secret>,
    /// Secrets that were replaced, and until when webhooks may still be proved by them.
    pub previous: BTreeMap<String, (Secret, i64)>,
    /// Places calls of its organization where an order names no configuration.
    pub is_default: bool,
    /// Calls at once.
    pub max_calls: Option<i64>,
    /// New calls a second.
    pub calls_per_second: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Somebody who signed in with a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    pub configuration_id: String,
    /// As the provider names them.
    pub person: String,
    pub access: Secret,
    pub refresh: Option<Secret>,
    pub expires_at: i64,
    pub refresh_expires_at: Option<i64>,
    pub scope: String,
    /// The provider has taken it back.
    pub revoked: bool,
    /// Their calls are told to them.
    pub monitored: bool,
}

/// A number of a configuration, and the agent that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneNumber {
    pub id: String,
    pub organization_id: String,
    /// Canonical: E.164, or an address.
    pub number: String,
    pub configuration_id: String,
    pub agent_id: Option<String>,
    pub label: String,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Who talks to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    pub id: String,
    pub organization_id: String,
    pub name: String,
    pub connector: String,
    pub url: Option<String>,
    pub settings: Value,
    /// What the host proves itself to the agent with.
    pub secret: Option<Secret>,
    pub created_at: i64,
    pub updated_at: i64,
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub id: String,
    pub organization_id: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    pub status: String,
    pub provider: String,
    /// Digest of the plugin generation it began with.
    pub generation: String,
    pub configuration_id: String,
    pub agent_id: Option<String>,
    pub from: String,
    pub to: String,
    pub provider_call_id: Option<String>,
    pub memo: Vec<u8>,
    pub created_at: i64,
    pub answered_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub duration_s: Option<i64>,
    pub cost_amount: Option<String>,
    pub cost_currency: Option<String>,
    pub end_reason: Option<String>,
    /// Name of the recording's file.
    pub recording: Option<String>,
    /// The node that carries it.
    pub owner: String,
    /// How often it changed hands. Who has an older number writes nothing.
    pub epoch: i64,
}

/// A call to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCall {
    /// From [`new_call_id`](crate::new_call_id).
    pub id: String,
    pub organization_id: String,
    /// The node that carries it.
    pub owner: String,
    pub direction: String,
    pub status: String,
    pub provider: String,
    pub generation: String,
    pub configuration_id: String,
    pub agent_id: Option<String>,
    pub from: String,
    pub to: String,
    pub provider_call_id: Option<String>,
    pub memo: Vec<u8>,
    pub created_at: i64,
    /// What the order was given under: the same again is the same call.
    pub order_key: Option<String>,
}

/// What came of storing a new call. Boxed: it goes from hand to hand, and waits in the tasks of webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inserted {
    /// It was new.
    New(Box<Call>),
    /// The provider's id is known: this is the call it names.
    Existing(Box<Call>),
}

impl Inserted {
    /// The call, new or not.
    pub fn into_call(self) -> Call {
        match self {
            Self::New(call) | Self::Existing(call) => *call,
        }
    }
}

/// Which calls are wanted. What is absent is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFilter {
    pub status: Option<String>,
    pub direction: Option<String>,
    pub configuration_id: Option<String>,
    pub agent_id: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// At or after, and before: Unix milliseconds.
    pub created_from: Option<i64>,
    pub created_before: Option<i64>,
}

/// A change to a call. Absent fields stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallChange {
    /// Only if the call has not changed hands since.
    pub epoch: Option<i64>,
    pub status: Option<String>,
    pub provider_call_id: Option<String>,
    pub answered_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub duration_s: Option<i64>,
    pub cost_amount: Option<String>,
    pub cost_currency: Option<String>,
    pub end_reason: Option<String>,
    pub recording: Option<String>,
    /// When its provider is asked what it cost, in Unix milliseconds.
    pub bill_at: Option<i64>,
}

/// An entry for a call's history.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub kind: String,
    pub data: Value,
}

/// An entry of a call's history.
#[derive(Debug, Clone, PartialEq)]
pub struct CallEvent {
    pub seq: i64,
    pub at: i64,
    pub kind: String,
    pub data: Value,
}

/// One build of a plugin, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    pub plugin: String,
    pub digest: String,
    pub version: String,
    pub source: String,
    pub bytes: Vec<u8>,
    pub admitted_at: i64,
}

/// What became of an attempt to bring a build of a plugin into service.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutRecord {
    pub id: String,
    pub plugin: String,
    pub digest: String,
    /// The build that served before.
    pub previous: Option<String>,
    pub source: String,
    pub who: String,
    /// `refused`, `shadow`, `canary`, `baking`, `serving`, `rolled-back` or `aborted`.
    pub state: String,
    pub reason: Option<String>,
    pub stages: Value,
    pub figures: Value,
    pub began_at: i64,
    pub updated_at: i64,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Ask with this for what follows; absent at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From one row more than asked for.
    pub(crate) fn cut(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor);
        Self { items: rows, next }
    }
}
