//! Writes NCCOs: lists of actions in JSON. The call ends behind the last.

use jackfield_sdk::reply::{acknowledged, document, hook_url};
use jackfield_sdk::types::{Action, Fault, Response, SayAction, StreamAction};
use serde_json::{Value, json};

/// Characters that may be spoken at once.
const LONGEST_TEXT: usize = 1_500;

pub(crate) fn answer(action: &Action) -> Result<Response, Fault> {
    let ncco = match action {
        Action::Stream(stream) => connect(stream)?,
        Action::Say(say) => talk(say),
        // There is no action that hangs up, and an empty list is refused: a moment of silence, and then the end.
        Action::HangUp | Action::Reject(_) => {
            json!({ "action": "talk", "text": "<speak><break time='100ms'/></speak>" })
        }
        Action::Conference(room) => {
            json!({ "action": "conversation", "name": room.name, "startOnEnter": true, "endOnExit": room.end_on_exit })
        }
        Action::Acknowledge => return Ok(acknowledged()),
        Action::Other(what) => return Err(Fault::Unsupported(what.clone())),
    };
    Ok(document("application/json", json!([ncco]).to_string()))
}

/// With nothing behind it: what follows would begin as soon as the socket is open.
fn connect(action: &StreamAction) -> Result<Value, Fault> {
    let socket = action.url.starts_with("wss://") || action.url.starts_with("ws://");
    if !socket || action.url.contains('?') {
        return Err(Fault::Other("a stream URL is wss:// without a query".to_owned()));
    }
    let headers: Value = action.parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    Ok(json!({
        "action": "connect",
        "eventUrl": [hook_url(&action.hooks, "event")],
        "endpoint": [{
            "type": "websocket",
            "uri": action.url,
            "content-type": "audio/l16;rate=16000",
            "headers": if action.parameters.is_empty() { json!({}) } else { headers },
        }],
    }))
}

/// Without brackets: what looks like markup would be taken for it.
pub(crate) fn talk(say: &SayAction) -> Value {
    let text: String = say.text.chars().filter(|c| !matches!(c, '<' | '>')).take(LONGEST_TEXT).collect();
    match say.language.as_str() {
        "" => json!({ "action": "talk", "text": text }),
        language => json!({ "action": "talk", "text": text, "language": language }),
    }
}
