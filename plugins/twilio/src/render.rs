//! Writes TwiML.

use jackfield_sdk::reply::{acknowledged, document, hook_url};
use jackfield_sdk::types::{Action, ConferenceAction, Fault, RejectReason, Response, SayAction, StreamAction};
use jackfield_sdk::xml::Element;

pub(crate) fn answer(action: &Action) -> Result<Response, Fault> {
    let twiml = match action {
        Action::Stream(stream) => connect(stream)?,
        Action::Say(say) => response().child(spoken(say)).child(Element::new("Hangup")),
        Action::HangUp => response().child(Element::new("Hangup")),
        Action::Reject(reason) => response().child(reject(reason)),
        Action::Conference(conference) => join(conference),
        Action::Acknowledge => return Ok(acknowledged()),
        Action::Other(what) => return Err(Fault::Unsupported(what.clone())),
    };
    Ok(document("application/xml", twiml.document()))
}

/// Bytes of a parameter's name and value together.
const LONGEST_PARAMETER: usize = 500;

fn response() -> Element {
    Element::new("Response")
}

/// `<Connect>` blocks until the socket closes; with nothing behind it the call then ends. Nothing is what it gets: a
/// pause there would leave the caller in silence.
fn connect(action: &StreamAction) -> Result<Element, Fault> {
    // Twilio itself takes wss:// alone; a carrier on loopback does without TLS.
    let socket = action.url.starts_with("wss://") || action.url.starts_with("ws://");
    if !socket || action.url.contains('?') {
        return Err(Fault::Other("a stream URL is wss:// without a query".to_owned()));
    }
    if let Some((name, _)) = action.parameters.iter().find(|(name, value)| name.len() + value.len() > LONGEST_PARAMETER)
    {
        return Err(Fault::Other(format!("the parameter `{name}` is longer than a stream can carry")));
    }
    let stream = Element::new("Stream")
        .attribute("url", &action.url)
        .attribute("statusCallback", &hook_url(&action.hooks, "stream"))
        .attribute("statusCallbackMethod", "POST");
    let stream = action.parameters.iter().fold(stream, |stream, (name, value)| {
        stream.child(Element::new("Parameter").attribute("name", name).attribute("value", value))
    });
    Ok(response().child(Element::new("Connect").child(stream)))
}

fn spoken(say: &SayAction) -> Element {
    let element = Element::new("Say").attribute("voice", "alice");
    let element = if say.language.is_empty() { element } else { element.attribute("language", &say.language) };
    element.text(&say.text)
}

/// Before the call is answered, and not billed.
fn reject(reason: &RejectReason) -> Element {
    let reason = if matches!(reason, RejectReason::Busy) { "busy" } else { "rejected" };
    Element::new("Reject").attribute("reason", reason)
}

fn join(action: &ConferenceAction) -> Element {
    let room = Element::new("Conference")
        .attribute("startConferenceOnEnter", "true")
        .attribute("endConferenceOnExit", if action.end_on_exit { "true" } else { "false" })
        .attribute("beep", "false")
        .text(&action.name);
    let announced = match action.announcement.is_empty() {
        true => response(),
        false => response().child(Element::new("Say").text(&action.announcement)),
    };
    announced.child(Element::new("Dial").child(room))
}
