//! Who hears that the caller has interrupted an agent.

use serde_json::Value;

use crate::connector::AgentError;
use crate::settings::Settings;

/// The setting `barge_in` of an agent: `agent` (the default), or `host`.
///
/// # Errors
/// Says which words it takes.
pub fn host_barge_in(settings: &Value) -> Result<bool, AgentError> {
    let choice = Settings::of(settings)?.choice("barge_in", &[("agent", false), ("host", true)])?;
    Ok(choice.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_agent_hears_barge_ins_itself_unless_the_host_is_to() {
        assert_eq!(host_barge_in(&Value::Null), Ok(false));
        assert_eq!(host_barge_in(&json!({ "barge_in": "agent" })), Ok(false));
        assert_eq!(host_barge_in(&json!({ "barge_in": "host" })), Ok(true));
        assert!(host_barge_in(&json!({ "barge_in": true })).is_err());
    }
}
