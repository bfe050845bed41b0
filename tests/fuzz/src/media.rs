//! One media stream, from its opening on.

use jackfield_sdk::Media;
use jackfield_sdk::encoding::from_base64;
use jackfield_sdk::types::{Call, Direction, Fault, MediaCommand, MediaEvent, Message};
use serde_json::Value;

use crate::exports::About;
use crate::input::{Parts, text};
use crate::twice;

/// What came of one step.
type Came = (Result<Vec<MediaEvent>, Fault>, Result<Vec<Message>, Fault>);

pub(crate) fn stream<P: Media>(about: &About, mut parts: Parts<'_>) {
    let call = parts.call().unwrap_or_else(nobodys);
    let came = twice(|| {
        let mut stream = P::default();
        let opened = stream.open(&about.account, &call);
        (opened, parts.clone().map(|part| step(&mut stream, part)).collect::<Vec<Came>>())
    });
    let (events, _): (Vec<_>, Vec<_>) = came.1.into_iter().unzip();
    let starts = events.iter().flatten().flatten().filter(|event| matches!(event, MediaEvent::Started(_)));
    assert!(starts.count() <= 1, "a stream that starts twice");
}

fn nobodys() -> Call {
    let [provider_id, from, to] = [const { String::new() }; 3];
    let (memo, extra) = (Vec::new(), Vec::new());
    Call { id: "call_1".to_owned(), provider_id, direction: Direction::Inbound, from, to, memo, extra }
}

fn step<P: Media>(stream: &mut P, part: &[u8]) -> Came {
    let (kind, said) = part.split_first().map_or((0, &[][..]), |(kind, said)| (*kind, said));
    let mut events = Ok(Vec::new());
    let mut messages = Ok(Vec::new());
    match kind {
        b't' => events = stream.decode(Message::Text(text(said))),
        b'b' => events = stream.decode(Message::Binary(said.to_vec())),
        b'A' => {
            messages = stream.encode(MediaCommand::Audio(said.to_vec()));
            messages.iter().for_each(|messages| carry(messages, said));
        }
        b'M' => messages = stream.encode(MediaCommand::Mark(text(said))),
        b'C' => messages = stream.encode(MediaCommand::Clear),
        b'D' => messages = stream.encode(MediaCommand::Dtmf(text(said))),
        b'S' => messages = stream.encode(MediaCommand::Stop),
        _ => messages = stream.encode(MediaCommand::Other(text(said))),
    }
    events.iter().flatten().for_each(sound);
    messages.iter().flatten().for_each(written);
    (events, messages)
}

fn sound(event: &MediaEvent) {
    match event {
        MediaEvent::Dtmf(key) => assert!(key.len() == 1 && "0123456789*#ABCD".contains(key), "no key is {key:?}"),
        MediaEvent::Audio(audio) => assert!(!audio.payload.is_empty(), "audio that is none"),
        _ => {}
    }
}

/// A name in a message breaks no message.
fn written(message: &Message) {
    if let Message::Text(text) = message
        && text.starts_with('{')
    {
        assert!(serde_json::from_str::<Value>(text).is_ok(), "no JSON: {text}");
    }
}

/// All of the audio is in the messages, and nothing else.
fn carry(messages: &[Message], audio: &[u8]) {
    let carried = |message: &Message| match message {
        Message::Binary(payload) => payload.clone(),
        Message::Text(text) => {
            let message: Value = serde_json::from_str(text).unwrap_or_default();
            let payload = message["media"]["payload"].as_str().and_then(from_base64);
            payload.unwrap_or_else(|| panic!("audio that is not base64: {text}"))
        }
    };
    assert_eq!(messages.iter().flat_map(carried).collect::<Vec<u8>>(), audio, "audio was changed on its way");
}
