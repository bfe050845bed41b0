//! Writes CXML, a dialect of TwiML.

use jackfield_sdk::reply::{acknowledged, document, hook_url};
use jackfield_sdk::types::{Action, ConferenceAction, Fault, Response, StreamAction};
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
    let ended = |element: Element| element.child(Element::new("Hangup"));
    Ok(match action {
        Action::Stream(action) => ended(response.child(Element::new("Connect").child(stream(action)?))),
        Action::Say(say) => {
            let element = Element::new("Say").attribute("voice", "alice");
            let element = if say.language.is_empty() { element } else { element.attribute("language", &say.language) };
            ended(response.child(element.text(&say.text)))
        }
        // There is no verb that refuses before the answer.
        Action::HangUp | Action::Reject(_) => ended(response),
        Action::Conference(room) => ended(join(response, room)),
        Action::Acknowledge => response,
        Action::Other(what) => return Err(Fault::Unsupported(what.clone())),
    })
}

/// What stands behind it is done when the stream ends; a pause there would be silence.
fn stream(action: &StreamAction) -> Result<Element, Fault> {
    let socket = action.url.starts_with("wss://") || action.url.starts_with("ws://");
    if !socket || action.url.contains('?') {
        return Err(Fault::Other("a stream URL is wss:// without a query".to_owned()));
    }
    let stream = Element::new("Stream")
        .attribute("url", &action.url)
        .attribute("statusCallback", &hook_url(&action.hooks, "stream"))
        .attribute("statusCallbackMethod", "POST");
    Ok(action.parameters.iter().fold(stream, |stream, (name, value)| {
        stream.child(Element::new("Parameter").attribute("name", name).attribute("value", value))
    }))
}

fn join(response: Element, action: &ConferenceAction) -> Element {
    let room = Element::new("Conference")
        .attribute("endConferenceOnExit", if action.end_on_exit { "true" } else { "false" })
        .attribute("beep", "false")
        .attribute("holdMusic", "false")
        .text(&action.name);
    let announced = match action.announcement.is_empty() {
        true => response,
        false => response.child(Element::new("Say").text(&action.announcement)),
    };
    announced.child(Element::new("Dial").child(room))
}
