//! What a provider, or whoever says to be one, posts.

use jackfield_sdk::Webhooks;
use jackfield_sdk::types::{
    Action, Check, ConferenceAction, Proof, RejectReason, Request, Response, SayAction, StreamAction,
};

use crate::account::described;
use crate::exports::About;
use crate::input::{Parts, pairs, text};
use crate::provider::is_header;
use crate::twice;

/// What the host takes at most, by its defaults: of a body, of a head, and of a plugin's answer.
const BODY: usize = 64 << 10;
const HEAD: usize = 32 << 10;
const ANSWER: usize = 256 << 10;

pub(crate) fn take<P: Webhooks>(about: &About, mut parts: Parts<'_>) {
    let (hook, now) = (parts.text(), parts.number());
    let request = request(&mut parts);
    let identity = twice(|| P::identify(&request));
    if let Some(identity) = identity {
        let told = identity.account.map_or(0, |text| text.len()) + identity.called.map_or(0, |text| text.len());
        assert!(told <= ANSWER, "an identity of {told} bytes");
    }
    if let Ok(proof) = twice(|| P::authenticate(&about.account, &request, now)) {
        sound(about, &proof);
    }
    // What is not proved is never read; what is, is no repetition.
    if request.body.len() < BODY / 4 {
        drop(twice(|| P::read(&about.account, &request, &hook)));
    }
}

/// Whoever sends nonsense may not make a plugin fail: the host takes out what keeps failing. So the proof of the
/// longest of requests must be one that the host can take.
fn sound(about: &About, proof: &Proof) {
    let sizes = proof.any_of.iter().map(|check| match check {
        Check::Hmac(check) => {
            described(&about.provider, &check.secret);
            check.message.len() + check.digest.len()
        }
        Check::Equal(check) => {
            described(&about.provider, &check.secret);
            check.value.len()
        }
        Check::Ed25519(check) => {
            assert_eq!((check.public_key.len(), check.signature.len()), (32, 64), "neither key nor signature");
            check.message.len()
        }
        Check::Verified => 0,
        Check::Other(other) => panic!("`{other}` never holds"),
    });
    let size: usize = sizes.sum::<usize>() + proof.replay_key.as_ref().map_or(0, String::len);
    assert!(size <= ANSWER, "a proof of {size} bytes");
}

/// Method, URL, headers, body. One part before them tells how often the values of headers and the body are repeated:
/// what is long in a request is not long in an input.
fn request(parts: &mut Parts<'_>) -> Request {
    let times = parts.text();
    let (of_headers, of_body) = times.split_once(' ').unwrap_or_default();
    let times = |word: &str| word.parse().unwrap_or(1_usize);
    let (method, url) = (parts.text(), parts.text());
    let mut headers = pairs(&parts.text(), ": ");
    let most = HEAD / headers.len().max(1);
    for (_, value) in &mut headers {
        // As a list, where one is due.
        let list = repeated(format!("{value},").as_bytes(), times(of_headers), most);
        *value = text(&list[..list.len() - 1]);
    }
    let body = repeated(parts.bytes(), times(of_body), BODY);
    Request { method, url, headers, body }
}

fn repeated(bytes: &[u8], times: usize, most: usize) -> Vec<u8> {
    bytes.repeat(times.min(most / bytes.len().max(1)).max(1))
}

pub(crate) fn reply<P: Webhooks>(about: &About, mut parts: Parts<'_>) {
    let call = parts.call();
    let (kind, said) = parts.kind();
    let action = action(kind, text(said), &mut parts);
    let Ok(response) = twice(|| P::reply(&about.account, call.as_ref(), &action)) else { return };
    assert!((100..600).contains(&response.status), "no status is {}", response.status);
    assert!(response.headers.iter().all(|(name, value)| is_header(name, value)), "{:?}", response.headers);
    well_formed(&response);
}

/// Also how calls are answered by command.
pub(crate) fn action(kind: u8, said: String, parts: &mut Parts<'_>) -> Action {
    match kind {
        b't' => Action::Stream(StreamAction { url: said, hooks: parts.text(), parameters: pairs(&parts.text(), "=") }),
        b's' => Action::Say(SayAction { text: said, language: parts.text() }),
        b'h' => Action::HangUp,
        b'b' => Action::Reject(RejectReason::Busy),
        b'd' => Action::Reject(RejectReason::Declined),
        b'r' => Action::Reject(RejectReason::Other(said)),
        b'c' => Action::Conference(ConferenceAction {
            name: said,
            announcement: parts.text(),
            end_on_exit: parts.number() > 0,
        }),
        b'a' => Action::Acknowledge,
        _ => Action::Other(said),
    }
}

/// Whatever stands in a text, it breaks no document.
fn well_formed(response: &Response) {
    let media_type = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let media_type = media_type.map_or("", |(_, value)| value.as_str());
    if media_type.contains("json") {
        let read = serde_json::from_slice::<serde_json::Value>(&response.body);
        assert!(read.is_ok(), "the answer is no JSON: {}", text(&response.body));
    } else if media_type.contains("xml") {
        let body = text(&response.body);
        let mut reader = quick_xml::Reader::from_str(&body);
        let mut depth = 0_i32;
        loop {
            match reader.read_event().unwrap_or_else(|error| panic!("{error} in {body}")) {
                quick_xml::events::Event::Start(_) => depth += 1,
                quick_xml::events::Event::End(_) => depth -= 1,
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(depth, 0, "elements are left open in {body}");
    }
}
