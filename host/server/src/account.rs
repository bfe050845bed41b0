//! A telephony configuration as a plugin may see it: secrets by name only.

use jackfield_plugins::types::{Account, Call as GuestCall, Direction};
use jackfield_store::{Call, Configuration, NewCall};

/// The plugin's view of a configuration.
pub(crate) fn account_of(configuration: &Configuration) -> Account {
    Account {
        id: configuration.id.clone(),
        fields: configuration.fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        secrets: configuration.secrets.keys().cloned().collect(),
    }
}

/// The plugin's view of a call from outside that is about to be written down.
pub(crate) fn guest_call_to_be(call: &NewCall) -> GuestCall {
    GuestCall {
        id: call.id.clone(),
        provider_id: call.provider_call_id.clone().unwrap_or_default(),
        direction: Direction::Inbound,
        from: call.from.clone(),
        to: call.to.clone(),
        memo: call.memo.clone(),
        extra: Vec::new(),
    }
}

/// The plugin's view of a call.
pub(crate) fn guest_call(call: &Call) -> GuestCall {
    GuestCall {
        id: call.id.clone(),
        provider_id: call.provider_call_id.clone().unwrap_or_default(),
        direction: if call.direction == "outbound" { Direction::Outbound } else { Direction::Inbound },
        from: call.from.clone(),
        to: call.to.clone(),
        memo: call.memo.clone(),
        extra: Vec::new(),
    }
}
