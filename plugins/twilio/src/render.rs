//! Writes TwiML.

use jackfield_sdk::reply::{acknowledged, document};
use jackfield_sdk::twiml::{connect, join, spoken};
use jackfield_sdk::types::{Action, Fault, RejectReason, Response, StreamAction};
use jackfield_sdk::xml::Element;

pub(crate) fn answer(action: &Action) -> Result<Response, Fault> {
    let response = Element::new("Response");
    let twiml = match action {
        Action::Stream(stream) => response.child(connect(short(stream)?)?),
        Action::Say(say) => response.child(spoken(say)).child(Element::new("Hangup")),
        Action::HangUp => response.child(Element::new("Hangup")),
        Action::Reject(reason) => response.child(reject(reason)),
        Action::Conference(action) => {
            let room = Element::new("Conference").attribute("startConferenceOnEnter", "true");
            join(response, room, action)
        }
        Action::Acknowledge => return Ok(acknowledged()),
        Action::Other(what) => return Err(Fault::Unsupported(what.clone())),
    };
    Ok(document("application/xml", twiml.document()))
}

/// Bytes of a parameter's name and value together.
const LONGEST_PARAMETER: usize = 500;

fn short(action: &StreamAction) -> Result<&StreamAction, Fault> {
    let long = action.parameters.iter().find(|(name, value)| name.len() + value.len() > LONGEST_PARAMETER);
    match long {
        Some((name, _)) => Err(Fault::Other(format!("the parameter `{name}` is longer than a stream can carry"))),
        None => Ok(action),
    }
}

/// Before the call is answered, and not billed.
fn reject(reason: &RejectReason) -> Element {
    let reason = if matches!(reason, RejectReason::Busy) { "busy" } else { "rejected" };
    Element::new("Reject").attribute("reason", reason)
}
