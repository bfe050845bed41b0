//! What our channels and bridges are called. All names follow from the caller's channel, so that nothing has to be
//! remembered: a restart of either side leaves everything to be found again.

use jackfield_sdk::types::Call;

const OUTBOUND: &str = "jf-out-";
const EXTERNAL: &str = "jf-ext-";
const BRIDGE: &str = "jf-br-";

/// The channel that a call out begins with.
pub(crate) fn outbound(call: &Call) -> String {
    format!("{OUTBOUND}{}", call.id)
}

pub(crate) fn is_outbound(channel: &str) -> bool {
    channel.starts_with(OUTBOUND)
}

/// The channel of a transfer's destination is called as the transfer, and the host's transfers begin so.
pub(crate) fn is_destination(channel: &str) -> bool {
    channel.starts_with("tr_")
}

/// The channel that carries a call's audio to the host.
pub(crate) fn external(channel: &str) -> String {
    format!("{EXTERNAL}{channel}")
}

/// The channel whose audio this one carries, if it carries audio.
pub(crate) fn carried_by(external: &str) -> Option<&str> {
    external.strip_prefix(EXTERNAL)
}

/// The bridge in which the two meet.
pub(crate) fn bridge(channel: &str) -> String {
    format!("{BRIDGE}{channel}")
}

/// The channel that a bridge was made for, if we made it.
pub(crate) fn bridged_by(bridge: &str) -> Option<&str> {
    bridge.strip_prefix(BRIDGE)
}
