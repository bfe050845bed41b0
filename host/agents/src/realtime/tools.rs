//! What the model may do to the call: functions that the host answers.

use serde_json::{Value, json};

use crate::connector::AgentError;
use crate::contract::TransferWish;
use crate::listen::is_dtmf;
use crate::settings::Settings;

/// A function that is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    HangUp,
    SendDtmf,
    Transfer,
}

const ALL: [(&str, Tool); 3] = [("hang_up", Tool::HangUp), ("send_dtmf", Tool::SendDtmf), ("transfer", Tool::Transfer)];

/// What a call of a function asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    HangUp,
    Dtmf(String),
    Transfer(TransferWish),
    /// Nothing that can be done, and why: for the model.
    Impossible(String),
}

impl Tool {
    /// The setting `tools`: which are offered; all without it.
    pub(crate) fn parse(settings: Settings<'_>) -> Result<Vec<Self>, AgentError> {
        let wrong =
            || AgentError::Invalid("the setting `tools` is a list of `hang_up`, `send_dtmf` and `transfer`".to_owned());
        let named = |name: &Value| ALL.iter().find(|(known, _)| name == known).map(|(_, tool)| *tool);
        match settings.value("tools") {
            // Whom to call costs money: that a model may choose is for its owner to say.
            None => Ok(vec![Self::HangUp, Self::SendDtmf]),
            Some(Value::Array(names)) => names.iter().map(|name| named(name).ok_or_else(wrong)).collect(),
            Some(_) => Err(wrong()),
        }
    }

    /// As the model reads it.
    pub(crate) fn describe(self) -> Value {
        let (name, description, properties, required) = match self {
            Self::HangUp => (
                "hang_up",
                "End the phone call. Say goodbye first; what you said is heard to its end.",
                json!({}),
                json!([]),
            ),
            Self::SendDtmf => (
                "send_dtmf",
                "Press keys of the phone, for a menu of the other side.",
                json!({ "digits": { "type": "string", "description": "0-9 * # A-D, and w for a pause; at most 64" } }),
                json!(["digits"]),
            ),
            Self::Transfer => (
                "transfer",
                "Put the caller through to somebody else. Say that you do; they hear a tone until somebody picks up. You are \
                 told if nobody does.",
                json!({ "to": { "type": "string", "description": "a telephone number with + and its country code" } }),
                json!(["to"]),
            ),
        };
        json!({
            "type": "function", "name": name, "description": description,
            "parameters": { "type": "object", "properties": properties, "required": required },
        })
    }
}

/// Reads a call of a function.
pub(crate) fn wish(name: &str, arguments: &str) -> Wish {
    match ALL.iter().find(|(known, _)| *known == name) {
        Some((_, Tool::HangUp)) => Wish::HangUp,
        Some((_, Tool::SendDtmf)) => {
            let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
            match arguments["digits"].as_str() {
                Some(digits) if is_dtmf(digits) => Wish::Dtmf(digits.to_owned()),
                _ => Wish::Impossible("`digits` are 1 to 64 of 0-9 * # A-D w".to_owned()),
            }
        }
        Some((_, Tool::Transfer)) => {
            let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
            match arguments["to"].as_str().filter(|to| (1..=128).contains(&to.len())) {
                Some(to) => Wish::Transfer(TransferWish {
                    to: to.to_owned(),
                    blind: false,
                    ring_seconds: None,
                    announcement: String::new(),
                }),
                None => Wish::Impossible("`to` is a telephone number with + and its country code".to_owned()),
            }
        }
        None => Wish::Impossible("there is no such function".to_owned()),
    }
}
