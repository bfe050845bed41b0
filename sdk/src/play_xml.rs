//! The XML that Plivo designed and others took over: `<Stream>` with its URL as text, `<Speak>`, `<Hangup>`.

use crate::reply::{acknowledged, document, hook_url};
use crate::types::{Action, Fault, RejectReason, Response, SayAction, StreamAction};
use crate::xml::Element;

/// Writes an answer; `voice` is an attribute of `<Speak>`, empty for none.
///
/// # Errors
/// When the action has no words in this language.
pub fn answer(action: &Action, voice: &'static str) -> Result<Response, Fault> {
    let response = Element::new("Response");
    let xml = match action {
        Action::Stream(action) => response.child(stream(action)?),
        Action::Say(say) => response.child(spoken(say, voice)).child(Element::new("Hangup")),
        Action::HangUp => response.child(Element::new("Hangup")),
        Action::Reject(reason) => {
            let reason = if matches!(reason, RejectReason::Busy) { "busy" } else { "rejected" };
            response.child(Element::new("Hangup").attribute("reason", reason))
        }
        Action::Conference(room) => {
            let announced = match room.announcement.is_empty() {
                true => response,
                false => response.child(Element::new("Speak").text(&room.announcement)),
            };
            let ends = if room.end_on_exit { "true" } else { "false" };
            announced.child(Element::new("Conference").attribute("endConferenceOnExit", ends).text(&room.name))
        }
        Action::Acknowledge => return Ok(acknowledged()),
        Action::Other(what) => return Err(Fault::Unsupported(what.clone())),
    };
    Ok(document("application/xml", xml.document()))
}

/// Without `keepCallAlive` the call ends at once.
fn stream(action: &StreamAction) -> Result<Element, Fault> {
    let socket = action.url.starts_with("wss://") || action.url.starts_with("ws://");
    if !socket || action.url.contains('?') {
        return Err(Fault::Other("a stream URL is wss:// without a query".to_owned()));
    }
    Ok(Element::new("Stream")
        .attribute("bidirectional", "true")
        .attribute("keepCallAlive", "true")
        .attribute("contentType", "audio/x-mulaw;rate=8000")
        .attribute("statusCallbackUrl", &hook_url(&action.hooks, "stream"))
        .attribute("statusCallbackMethod", "POST")
        .text(&action.url))
}

fn spoken(say: &SayAction, voice: &'static str) -> Element {
    let element = Element::new("Speak");
    let element = if voice.is_empty() { element } else { element.attribute("voice", voice) };
    let element = if say.language.is_empty() { element } else { element.attribute("language", &say.language) };
    element.text(&say.text)
}
