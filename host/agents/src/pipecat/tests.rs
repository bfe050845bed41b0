#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::connector::tests::start;
use crate::secret::Proof;
use crate::wav::tests::file;

const NOW: Duration = Duration::ZERO;

fn pipecat(settings: &Value) -> Pipecat {
    let options = Options::parse(Settings::of(settings).unwrap()).unwrap();
    let beginning = Beginning { start: &start(), audio: options.audio(), proof: &Proof::None, unix_time: 0 };
    Pipecat::new(options, &beginning)
}

fn read(pipecat: &mut Pipecat, frame: &Frame) -> Vec<Action> {
    pipecat.read(NOW, Message::Binary(frame::encode(frame)))
}

fn refused(actions: &[Action], due: &str) {
    assert!(matches!(actions, [Action::Say(FromAgent::Problem(what))] if what.contains(due)), "{actions:?}");
}

/// Made with Pipecat's own serializer, version 1.14.0.
#[test]
fn pipecats_own_bytes_are_read_and_written() {
    let bytes = hex::decode("1224080712154f7574707574417564696f5261774672616d6523301a040102030420807d2801").unwrap();
    let audio = Frame::Audio { audio: vec![1, 2, 3, 4], rate: 16_000, channels: 1 };
    assert_eq!(frame::decode(&bytes), Ok(audio));
    let interruption = hex::decode("2a1708091213496e74657272757074696f6e4672616d652330").unwrap();
    assert_eq!(frame::decode(&interruption), Ok(Frame::Interruption));
    let mut pipecat = pipecat(&json!({ "rate": 8_000 }));
    let written = pipecat.tell(NOW, ToAgent::Audio(vec![1, 2, 3, 4]));
    let expected = hex::decode("120b1a040102030420c03e2801").unwrap();
    assert_eq!(written, [Action::WriteAudio(Message::Binary(expected))]);
}

#[test]
fn a_bot_speaks_interrupts_and_reports() {
    let mut pipecat = pipecat(&json!({}));
    let audio = Frame::Audio { audio: vec![1, 2], rate: 24_000, channels: 1 };
    assert_eq!(read(&mut pipecat, &audio), [Action::Say(FromAgent::Audio(vec![1, 2]))]);
    assert_eq!(read(&mut pipecat, &Frame::Interruption), [Action::Say(FromAgent::Clear)]);
    let words =
        |speaker, text: &str, last| vec![Action::Say(FromAgent::Transcript { speaker, text: text.to_owned(), last })];
    assert_eq!(read(&mut pipecat, &Frame::Text("hello".into())), words(Speaker::Agent, "hello", true));
    assert_eq!(read(&mut pipecat, &Frame::Transcription("hi".into())), words(Speaker::Caller, "hi", true));
    let rtvi = |kind: &str, data: Value| {
        Frame::Message(json!({ "label": "rtvi-ai", "type": kind, "id": "x", "data": data }).to_string())
    };
    let heard = rtvi("user-transcription", json!({ "text": "hi", "final": false }));
    assert_eq!(read(&mut pipecat, &heard), words(Speaker::Caller, "hi", false));
    refused(&read(&mut pipecat, &rtvi("error", json!({ "error": "no voice", "fatal": true }))), "no voice");
    for other in [rtvi("metrics", json!({})), Frame::Message("{}".into()), Frame::Message("no JSON".into())] {
        assert!(read(&mut pipecat, &other).is_empty());
    }
}

#[test]
fn stereo_and_wav_headers_are_taken_off() {
    let mut pipecat = pipecat(&json!({ "rate_out": 8_000 }));
    let audio = |audio: Vec<u8>, channels| Frame::Audio { audio, rate: 8_000, channels };
    let said = |bytes: &[u8]| vec![Action::Say(FromAgent::Audio(bytes.to_vec()))];
    assert_eq!(read(&mut pipecat, &audio(file(8_000, 1, 16, &[1, 2]), 1)), said(&[1, 0, 2, 0]));
    assert_eq!(read(&mut pipecat, &audio(vec![10, 0, 20, 0], 2)), said(&[15, 0]));
    assert_eq!(read(&mut pipecat, &audio(file(8_000, 2, 16, &[10, 20]), 2)), said(&[15, 0]));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    let mut pipecat = pipecat(&json!({}));
    refused(&pipecat.read(NOW, Message::Text("{}".into())), "is text");
    refused(&pipecat.read(NOW, Message::Binary(vec![0xFF; 9])), "one Pipecat frame");
    let audio = |rate, channels| Frame::Audio { audio: vec![0; 4], rate, channels };
    refused(&read(&mut pipecat, &audio(16_000, 1)), "16000 Hz, and `rate_out` of the agent says 24000");
    refused(&read(&mut pipecat, &audio(24_000, 6)), "6 channels");
    // A frame of a later Pipecat is no fault.
    assert!(pipecat.read(NOW, Message::Binary(vec![0x32, 0])).is_empty());
}

#[test]
fn a_bot_with_rtvi_is_greeted_and_told_of_keys_and_the_end() {
    let json_of = |action: Option<&Action>| -> Value {
        match action {
            Some(Action::Write(Message::Binary(bytes))) => match frame::decode(bytes) {
                Ok(Frame::Message(text)) => serde_json::from_str(&text).unwrap(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    };
    let mut silent = pipecat(&json!({}));
    assert_eq!(silent.open(NOW), [Action::Ready]);
    assert!(silent.tell(NOW, ToAgent::Stop { reason: "over".into() }).is_empty());
    let mut pipecat = pipecat(&json!({ "rtvi": true }));
    let ready = json!({ "label": "rtvi-ai", "type": "client-ready", "id": "1",
        "data": { "version": "2.1.0", "about": { "library": "jackfield" } } });
    assert_eq!(json_of(pipecat.open(NOW).first()), ready);
    let dtmf = json!({ "label": "rtvi-ai", "type": "dtmf", "id": "2", "data": { "buttons": ["5"] } });
    assert_eq!(json_of(pipecat.tell(NOW, ToAgent::Dtmf("5".into())).first()), dtmf);
    assert_eq!(json_of(pipecat.tell(NOW, ToAgent::Stop { reason: "over".into() }).first())["type"], "disconnect-bot");
}
