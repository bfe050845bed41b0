//! What webhooks say, begun: a plugin fills in what its provider tells besides.

use crate::types::{CallStatus, Incoming, StatusUpdate};

/// A new call that nothing else is known of. Numbers are in the contract's form already.
pub fn incoming(provider_id: &str, from: String, to: String) -> Incoming {
    Incoming {
        provider_id: provider_id.to_owned(),
        from,
        to,
        from_country: String::new(),
        to_country: String::new(),
        caller_name: String::new(),
        memo: Vec::new(),
        extra: Vec::new(),
    }
}

/// Where a call stands, and the provider's word for it.
pub fn status_update(provider_id: &str, status: CallStatus, raw: &str) -> StatusUpdate {
    StatusUpdate {
        provider_id: provider_id.to_owned(),
        status,
        raw: raw.to_owned(),
        duration: None,
        cost: None,
        cause: None,
        answered_by: None,
        sequence: None,
        at: None,
        extra: Vec::new(),
    }
}

/// Does nothing follow on this?
pub fn is_end(status: &CallStatus) -> bool {
    use CallStatus::{Busy, Canceled, Completed, Failed, NoAnswer};
    matches!(status, Completed | Busy | NoAnswer | Failed | Canceled)
}
