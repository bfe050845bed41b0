//! How many calls an organization and an account may have: asked before a call begins, given back when it ends.

use std::time::Duration;

use jackfield_store::{Admission, Call, CallLimit, Directory, NewMediaGrant, Shared, Store, StoreError};

use crate::clock::now_ms;

/// A seat is held for so long without a word from the node that carries the call.
const HELD: Duration = Duration::from_secs(60);

/// Why a call may not begin.
#[derive(Debug)]
pub(crate) enum NoSeat {
    /// A limit, in a sentence for whoever ordered the call.
    Limit(String),
    Store(StoreError),
}

/// Counts calls under the limits of those they belong to. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Seats {
    pub(crate) store: Store,
    pub(crate) shared: Shared,
}

/// What a call is counted as: by the provider's id where that comes first, so that a webhook that comes again is the same.
pub(crate) fn member(configuration: &str, provider_call_id: Option<&str>, call: &str) -> String {
    provider_call_id.map_or_else(|| call.to_owned(), |id| format!("{configuration}/{id}"))
}

/// The name of a call's seat.
fn seat_of(call: &Call) -> String {
    let inbound = call.direction == "inbound";
    let provider_call_id = call.provider_call_id.as_deref().filter(|_| inbound);
    member(&call.configuration_id, provider_call_id, &call.id)
}

/// Whose limits a call counts under.
fn whose(call: &Call) -> Vec<String> {
    vec![call.organization_id.clone(), call.configuration_id.clone()]
}

fn limits(directory: &Directory, organization: &str, configuration: &str) -> Vec<CallLimit> {
    let positive = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
    let of = |whose: &str, calls, per_second| CallLimit {
        whose: whose.to_owned(),
        calls: positive(calls),
        per_second: positive(per_second),
    };
    let owner = directory.organization(organization);
    let account = directory.configuration(configuration);
    vec![
        of(organization, owner.and_then(|known| known.max_calls), owner.and_then(|known| known.calls_per_second)),
        of(configuration, account.and_then(|known| known.max_calls), account.and_then(|known| known.calls_per_second)),
    ]
}

impl Seats {
    /// Takes a seat, and grants the call's audio on the way if it is known. The same seat again is the same.
    pub(crate) async fn take(
        &self,
        seat: &str,
        organization: &str,
        configuration: &str,
        audio: Option<NewMediaGrant>,
    ) -> Result<(), NoSeat> {
        let directory = self.store.directory();
        if let Some(minutes) = directory.organization(organization).and_then(|known| known.minutes_per_month) {
            // Boxed: most organizations have no quota, and their webhooks need no room for it.
            let used = Box::pin(self.store.seconds_used(organization, now_ms())).await.map_err(NoSeat::Store)?;
            if used >= minutes.saturating_mul(60) {
                return Err(NoSeat::Limit(format!("the organization has used its {minutes} minutes of this month")));
            }
        }
        let limits = limits(&directory, organization, configuration);
        let outcome = self.shared.admit(seat, &limits, HELD, audio).await.map_err(NoSeat::Store)?;
        let who = |index: usize| if index == 0 { "the organization" } else { "the configuration" };
        match outcome {
            Admission::Admitted => Ok(()),
            Admission::Full(index) => {
                let most = limits.get(index).and_then(|limit| limit.calls).unwrap_or_default();
                Err(NoSeat::Limit(format!("{} has {most} calls up, as many as it may", who(index))))
            }
            Admission::TooFast(index) => {
                let most = limits.get(index).and_then(|limit| limit.per_second).unwrap_or_default();
                Err(NoSeat::Limit(format!("{} may begin {most} calls a second; try again in one", who(index))))
            }
        }
    }

    /// Holds the seats of calls that are up.
    pub(crate) async fn hold(&self, calls: &[Call]) {
        let held: Vec<(String, Vec<String>)> = calls.iter().map(|call| (seat_of(call), whose(call))).collect();
        if let Err(error) = self.shared.renew_calls(&held, HELD).await {
            tracing::warn!(%error, "calls could not be counted on; they are counted again in a while");
        }
    }

    /// A call is over.
    pub(crate) async fn give_back(&self, call: &Call) {
        if let Err(error) = self.shared.release_call(&seat_of(call), &whose(call)).await {
            tracing::warn!(%error, "a call's seat could not be given back; it is free in {} s", HELD.as_secs());
        }
    }
}
