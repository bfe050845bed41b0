//! What is known of a transfer on every node. The first members are those of the original, whose tools read them.

use jackfield_calls::{TransferMode, TransferState};
use jackfield_plugins::types::{Action, ConferenceAction};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A transfer's context, as it lies in the shared state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    pub(crate) transfer_id: String,
    /// The destination's leg, by the provider's id, once there is one.
    pub(crate) call_sid: Option<String>,
    pub(crate) target_number: String,
    /// The caller's leg, by the provider's id.
    pub(crate) original_call_sid: String,
    pub(crate) conference_name: String,
    /// Seconds since 1970.
    pub(crate) initiated_at: i64,
    pub(crate) state: TransferState,
    pub(crate) reason: Option<String>,
    pub(crate) mode: TransferMode,
    pub(crate) announcement: String,
    pub(crate) call_id: String,
    pub(crate) configuration_id: String,
    pub(crate) provider: String,
    /// The build of the plugin that the call began with.
    pub(crate) generation: String,
    /// The node that carries the transfer out.
    pub(crate) node: String,
}

impl Context {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(damaged)
    }

    /// As another node tells it.
    pub(crate) fn of(told: Value) -> Result<Self, String> {
        serde_json::from_value(told).map_err(damaged)
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Where both legs meet.
    pub(crate) fn conference(&self, announced: bool) -> Action {
        Action::Conference(ConferenceAction {
            name: self.conference_name.clone(),
            announcement: if announced { self.announcement.clone() } else { String::new() },
            end_on_exit: true,
        })
    }
}

fn damaged(error: serde_json::Error) -> String {
    format!("a transfer's context is damaged: {error}")
}
