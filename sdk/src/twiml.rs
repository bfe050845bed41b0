//! What Twilio's markup and its dialects have in common.

use crate::reply::hook_url;
use crate::types::{ConferenceAction, Fault, SayAction, StreamAction};
use crate::xml::Element;

/// `<Connect>` blocks until the socket closes; with nothing behind it the call then ends. Nothing is what it should get: a
/// pause there would leave the caller in silence.
///
/// # Errors
/// When the stream's URL is not one that the provider would dial.
pub fn connect(action: &StreamAction) -> Result<Element, Fault> {
    // Providers take wss:// alone; a carrier on loopback does without TLS.
    let socket = action.url.starts_with("wss://") || action.url.starts_with("ws://");
    if !socket || action.url.contains('?') {
        return Err(Fault::Other("a stream URL is wss:// without a query".to_owned()));
    }
    let stream = Element::new("Stream")
        .attribute("url", &action.url)
        .attribute("statusCallback", &hook_url(&action.hooks, "stream"))
        .attribute("statusCallbackMethod", "POST");
    let stream = action.parameters.iter().fold(stream, |stream, (name, value)| {
        stream.child(Element::new("Parameter").attribute("name", name).attribute("value", value))
    });
    Ok(Element::new("Connect").child(stream))
}

/// `<Say>`.
pub fn spoken(say: &SayAction) -> Element {
    let element = Element::new("Say").attribute("voice", "alice");
    let element = if say.language.is_empty() { element } else { element.attribute("language", &say.language) };
    element.text(&say.text)
}

/// The announcement, and `<Dial>` into the room: a `<Conference>` that has the provider's own attributes already.
pub fn join(response: Element, room: Element, action: &ConferenceAction) -> Element {
    let room = room
        .attribute("endConferenceOnExit", if action.end_on_exit { "true" } else { "false" })
        .attribute("beep", "false")
        .text(&action.name);
    let announced = match action.announcement.is_empty() {
        true => response,
        false => response.child(Element::new("Say").text(&action.announcement)),
    };
    announced.child(Element::new("Dial").child(room))
}
