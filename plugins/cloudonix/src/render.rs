//! Writes CXML, a dialect of TwiML.

use jackfield_sdk::reply::{acknowledged, document};
use jackfield_sdk::twiml::{connect, join, spoken};
use jackfield_sdk::types::{Action, Fault, Response};
use jackfield_sdk::xml::Element;

pub(crate) fn answer(action: &Action) -> Result<Response, Fault> {
    match action {
        Action::Acknowledge => Ok(acknowledged()),
        action => Ok(document("application/xml", cxml(action)?.document())),
    }
}

/// The document by itself: orders carry it along.
pub(crate) fn cxml(action: &Action) -> Result<Element, Fault> {
    let response = Element::new("Response");
    let response = match action {
        Action::Stream(action) => response.child(connect(action)?),
        Action::Say(say) => response.child(spoken(say)),
        Action::Conference(action) => {
            join(response, Element::new("Conference").attribute("holdMusic", "false"), action)
        }
        // There is no verb that refuses before the answer.
        Action::HangUp | Action::Reject(_) => response,
        Action::Acknowledge => return Ok(response),
        Action::Other(what) => return Err(Fault::Unsupported(what.clone())),
    };
    Ok(response.child(Element::new("Hangup")))
}
