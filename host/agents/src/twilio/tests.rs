#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::connector::Connector;
use crate::connector::tests::start;
use crate::secret::Secret;

const NOW: Duration = Duration::ZERO;
const STREAM: &str = "MZ0123456789abcdef0123456789abcdef";

fn stream() -> TwilioStream {
    let ids = Ids {
        account: "AC0123456789abcdef0123456789abcdef".to_owned(),
        call: "CA0123456789abcdef0123456789abcdef".to_owned(),
        stream: STREAM.to_owned(),
    };
    let settings = json!({ "parameters": { "tenant": "a", "to_number": "hidden" } });
    let options = Options::parse(Settings::of(&settings).unwrap()).unwrap();
    TwilioStream::new(&options, ids, &start())
}

fn texts(actions: Vec<Action>) -> Vec<Value> {
    let text = |action| match action {
        Action::Write(Message::Text(text)) | Action::WriteAudio(Message::Text(text)) => {
            Some(serde_json::from_str(&text).unwrap())
        }
        Action::Ready => None,
        other => panic!("{other:?}"),
    };
    actions.into_iter().filter_map(text).collect()
}

fn read(value: &Value) -> Vec<Action> {
    stream().read(NOW, Message::Text(value.to_string()))
}

#[test]
fn a_call_is_told_as_twilio_tells_it() {
    let mut stream = stream();
    let opened = texts(stream.open(NOW));
    assert_eq!(opened.first(), Some(&json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" })));
    let (account, call) = ("AC0123456789abcdef0123456789abcdef", "CA0123456789abcdef0123456789abcdef");
    let start = json!({
        "event": "start", "sequenceNumber": "1", "streamSid": STREAM,
        "start": {
            "accountSid": account, "callSid": call, "streamSid": STREAM, "tracks": ["inbound"],
            "customParameters": { "from_number": "+14155550123", "tenant": "a", "to_number": "hidden" },
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
        },
    });
    assert_eq!(opened.get(1), Some(&start));
    let media = |sequence: &str, chunk: &str, timestamp: &str, byte: u8| {
        let payload = STANDARD.encode([byte; 160]);
        json!({ "event": "media", "sequenceNumber": sequence, "streamSid": STREAM,
            "media": { "track": "inbound", "chunk": chunk, "timestamp": timestamp, "payload": payload } })
    };
    // Providers with other frames are cut to Twilio's.
    assert!(stream.tell(NOW, ToAgent::Audio(vec![7; 100])).is_empty());
    let heard = texts(stream.tell(NOW, ToAgent::Audio(vec![7; 230])));
    assert_eq!(heard, [media("2", "1", "0", 7), media("3", "2", "20", 7)]);
    let dtmf = json!({ "event": "dtmf", "sequenceNumber": "4", "streamSid": STREAM,
        "dtmf": { "track": "inbound_track", "digit": "5" } });
    assert_eq!(texts(stream.tell(NOW, ToAgent::Dtmf("5".into()))), [dtmf]);
    for (sequence, cleared) in [("5", false), ("6", true)] {
        let mark = json!({ "event": "mark", "sequenceNumber": sequence, "streamSid": STREAM, "mark": { "name": "a" } });
        assert_eq!(texts(stream.tell(NOW, ToAgent::Mark { name: "a".into(), cleared, heard_ms: 0 })), [mark]);
    }
    let stop = json!({ "event": "stop", "sequenceNumber": "7", "streamSid": STREAM,
        "stop": { "accountSid": account, "callSid": call } });
    assert_eq!(texts(stream.tell(NOW, ToAgent::Stop { reason: "over".into() })), [stop]);
}

#[test]
fn what_a_bot_says_to_twilio_is_understood() {
    let said = |said| vec![Action::Say(said)];
    let media = json!({ "event": "media", "streamSid": STREAM, "media": { "payload": "/39/" } });
    assert_eq!(read(&media), said(FromAgent::Audio(vec![0xFF, 0x7F, 0x7F])));
    let mark = json!({ "event": "mark", "streamSid": STREAM, "mark": { "name": "a" } });
    assert_eq!(read(&mark), said(FromAgent::Mark("a".into())));
    assert_eq!(read(&json!({ "event": "clear", "streamSid": STREAM })), said(FromAgent::Clear));
}

#[test]
fn what_twilio_would_not_take_is_counted_with_a_reason_and_the_bot_hears_nothing() {
    let media = |payload: &str| json!({ "event": "media", "streamSid": STREAM, "media": { "payload": payload } });
    let cases = [
        (json!({ "event": "clear", "streamSid": "MZother" }), "another `streamSid`"),
        (json!({ "event": "clear" }), "another `streamSid`"),
        (media("***"), "base64"),
        (media(&STANDARD.encode(b"RIFF....WAVEfmt ")), "WAV"),
        (json!({ "event": "mark", "streamSid": STREAM }), "`mark.name`"),
        (json!({ "event": "dance" }), "`dance`"),
        (json!({}), "`event`"),
        (json!([]), "`event`"),
    ];
    for (value, due) in cases {
        let actions = read(&value);
        assert!(
            matches!(actions.as_slice(), [Action::Say(FromAgent::Problem(what))] if what.contains(due)),
            "{actions:?}"
        );
    }
    assert!(matches!(stream().read(NOW, Message::Binary(vec![1])).as_slice(), [Action::Say(FromAgent::Problem(_))]));
    assert_eq!(stream().complaint("anything"), None);
}

#[test]
fn ids_have_twilios_shape_and_are_a_calls_own() {
    let ids = Ids::of("call_1");
    for (id, letters) in [(&ids.account, "AC"), (&ids.call, "CA"), (&ids.stream, "MZ")] {
        let digits = id.strip_prefix(letters).unwrap();
        assert!(digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    assert_eq!(ids, Ids::of("call_1"));
    assert_ne!(ids.call, Ids::of("call_2").call);
    assert_eq!(ids.account, Ids::of("call_2").account);
}

/// Made with Twilio's own library.
#[test]
fn a_bot_that_checks_the_signature_is_signed_for() {
    let secret = Secret::from("12345".to_owned());
    let (url, settings) = (Some("wss://mycompany.com/stream"), json!({ "auth": "hmac" }));
    let Connector::Remote { endpoint, .. } = Connector::parse("twilio-stream", url, &settings, Some(secret)).unwrap()
    else {
        panic!("a remote agent")
    };
    assert_eq!(signature(&endpoint), Some(("X-Twilio-Signature", "DlELQE5iuG0XFAEQgMbv2UNcQU4=".to_owned())));
}
