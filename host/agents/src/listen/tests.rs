#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::connector::tests::start;

const NOW: Duration = Duration::ZERO;

fn listen(codec: Codec, proof: &Proof) -> Listen {
    let audio = AgentAudio::both(Format { codec, rate: 8_000 });
    Listen::new(&Beginning { start: &start(), audio, proof, unix_time: 1_700_000_000 })
}

fn read(text: &str) -> Vec<Action> {
    listen(Codec::L16, &Proof::None).read(NOW, Message::Text(text.to_owned()))
}

fn said(said: FromAgent) -> Vec<Action> {
    vec![Action::Say(said)]
}

fn text(actions: &[Action]) -> &str {
    match actions.first() {
        Some(Action::Write(Message::Text(text))) => text,
        other => panic!("{other:?}"),
    }
}

fn refused(actions: &[Action], due: &str) {
    assert!(matches!(actions, [Action::Say(FromAgent::Problem(what))] if what.contains(due)), "{actions:?}");
}

#[test]
fn the_hello_is_written_to_the_byte() {
    let mut listen = listen(Codec::L16, &Proof::None);
    let actions = listen.open(NOW);
    let expected = concat!(
        r#"{"agent":"bot","callId":"call_1","callSid":"call_1","codec":"l16","direction":"inbound","#,
        r#""from":"+14155550123","mixType":"mono","protocol":{"name":"jackfield","version":"0.2"},"#,
        r#""provider":"twilio","sampleRate":8000,"to":"+12065550188"}"#
    );
    assert_eq!(actions, [Action::Write(Message::Text(expected.to_owned())), Action::Ready]);
}

/// The value was made with Python's `hmac`:
/// `"".join(f"{len(f)}:{f}" for f in ["jackfield-start-1", "1700000000", "call_1", from, to, "inbound"])`.
#[test]
fn the_signature_of_the_hello_is_the_documented_one() {
    let mut listen = listen(Codec::Pcmu, &Proof::Signed(Secret::from("s3cr:t".to_owned())));
    let actions = listen.open(NOW);
    let hello: Value = serde_json::from_str(text(&actions)).unwrap();
    let expected = json!({
        "algorithm": "hmac-sha256", "timestamp": "1700000000",
        "value": "0226db12baf5002fb8f921f2e6036ed168d64e897a9f7b624d757ee812366d0b",
    });
    assert_eq!((&hello["signature"], &hello["codec"]), (&expected, &json!("pcmu")));
}

#[test]
fn what_the_app_hears_is_written_to_the_byte() {
    let mut listen = listen(Codec::L16, &Proof::None);
    let mut told = |message| match listen.tell(NOW, message).pop() {
        Some(Action::Write(Message::Text(text))) => text,
        other => panic!("{other:?}"),
    };
    let stop = told(ToAgent::Stop { reason: "the caller hung up".into() });
    assert_eq!(stop, r#"{"data":{"reason":"the caller hung up"},"type":"stop"}"#);
    assert_eq!(told(ToAgent::Dtmf("5".into())), r#"{"dtmf":"5","duration":"1600","event":"dtmf"}"#);
    for (cleared, event) in [(false, "playout"), (true, "cleared")] {
        listen.read(NOW, Message::Text(r#"{"type":"mark","data":{"name":"a"}}"#.into()));
        let actions = listen.tell(NOW, ToAgent::Mark { name: "a".into(), cleared, heard_ms: 0 });
        assert_eq!(text(&actions), format!(r#"{{"data":{{"event":"{event}","name":"a"}},"type":"mark"}}"#));
    }
    let complaint = listen.complaint("a message needs a `type`");
    let expected = r#"{"data":{"message":"a message needs a `type`"},"type":"error"}"#;
    assert_eq!(complaint, Some(Message::Text(expected.to_owned())));
    assert_eq!(listen.tell(NOW, ToAgent::Audio(vec![1, 2])), [Action::WriteAudio(Message::Binary(vec![1, 2]))]);
}

#[test]
fn every_message_of_the_protocol_is_read() {
    let cases = [
        (r#"{"type":"killAudio"}"#, FromAgent::Clear),
        (r#"{"type":"mark","data":{"name":"a"}}"#, FromAgent::Mark("a".into())),
        (r#"{"type":"disconnect"}"#, FromAgent::HangUp { after_playout: false }),
        (r#"{"type":"hangup"}"#, FromAgent::HangUp { after_playout: true }),
        (r#"{"type":"hangup","data":{"after_playout":false}}"#, FromAgent::HangUp { after_playout: false }),
        (r#"{"type":"sendDtmf","data":{"digits":"12#"}}"#, FromAgent::Dtmf("12#".into())),
        (r#"{"type":"playAudio","data":{"audioContent":"AQIDBA=="}}"#, FromAgent::Audio(vec![1, 2, 3, 4])),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), said(expected), "{text}");
    }
    assert!(read(r#"{"type":"transcription"}"#).is_empty());
}

#[test]
fn a_message_that_makes_no_sense_is_refused_with_a_reason() {
    let wrong = [
        ("UklGRiQAAABXQVZF", "audio goes in binary"),
        ("{}", "`type`"),
        (r#"{"type":"sing"}"#, "`sing`"),
        (r#"{"type":"mark"}"#, "`name`"),
        (r#"{"type":"mark","data":{"name":"ghost","event":"playout"}}"#, "no mark `ghost` was set"),
        (r#"{"type":"sendDtmf","data":{"digits":"x"}}"#, "`digits`"),
        (r#"{"type":"playAudio","data":{"audioContent":"***"}}"#, "base64"),
        (r#"{"type":"playAudio","data":{"audioContent":"","sampleRate":16000}}"#, "16000 and must be 8000"),
        (r#"{"type":"playAudio","data":{"audioContent":"AAAA","audioContentType":"wav"}}"#, "not a WAV"),
        (r#"{"type":"playAudio","data":{"audioContentType":"mp3"}}"#, "`raw` or `wav`"),
    ];
    for (text, due) in wrong {
        refused(&read(text), due);
    }
    let mut listen = listen(Codec::L16, &Proof::None);
    refused(&listen.read(NOW, Message::Binary(br#"{"type":"killAudio"}"#.to_vec())), "came as binary");
}

#[test]
fn a_wav_is_played_in_the_apps_codec_and_only_at_its_rate() {
    let play = |codec, rate| {
        let content = STANDARD.encode(wav::tests::file(rate, 1, 16, &[0, 0]));
        let text = json!({ "type": "playAudio", "data": { "audioContentType": "wav", "audioContent": content } });
        listen(codec, &Proof::None).read(NOW, Message::Text(text.to_string()))
    };
    assert_eq!(play(Codec::L16, 8_000), said(FromAgent::Audio(vec![0; 4])));
    assert_eq!(play(Codec::Pcmu, 8_000), said(FromAgent::Audio(vec![0xFF; 2])));
    refused(&play(Codec::L16, 16_000), "16000 and must be 8000");
}

#[test]
fn a_sample_that_is_cut_between_messages_is_put_together() {
    let mut listen = listen(Codec::L16, &Proof::None);
    for (sent, due) in [(vec![1, 2, 3], vec![1, 2]), (vec![4], vec![3, 4]), (vec![5, 6], vec![5, 6])] {
        assert_eq!(listen.read(NOW, Message::Binary(sent)), said(FromAgent::Audio(due)));
    }
}

#[test]
fn marks_that_the_app_forgot_are_not_answered_and_too_many_are_refused() {
    let mut listen = listen(Codec::L16, &Proof::None);
    let set = |listen: &mut Listen| listen.read(NOW, Message::Text(r#"{"type":"mark","data":{"name":"a"}}"#.into()));
    let heard = || ToAgent::Mark { name: "a".into(), cleared: false, heard_ms: 20 };
    set(&mut listen);
    assert!(listen.read(NOW, Message::Text(r#"{"type":"clearMarks"}"#.into())).is_empty());
    set(&mut listen);
    assert!(listen.tell(NOW, heard()).is_empty());
    assert_eq!(listen.tell(NOW, heard()).len(), 1);
    assert!(listen.tell(NOW, heard()).is_empty(), "no such mark was set");
    for _ in 0..MOST_MARKS {
        assert_eq!(set(&mut listen), said(FromAgent::Mark("a".into())));
    }
    refused(&set(&mut listen), "1000 marks");
}

#[test]
fn an_app_chooses_its_codec_and_rate() {
    let wire = Format { codec: Codec::Pcmu, rate: 8_000 };
    let audio = |settings: Value| Options::parse(Settings::of(&settings).unwrap()).map(|options| options.audio(wire));
    let due = |codec, rate| Ok(AgentAudio::both(Format { codec, rate }));
    assert_eq!(audio(json!({})), due(Codec::L16, 8_000));
    assert_eq!(audio(json!({ "rate": 16_000 })), due(Codec::L16, 16_000));
    assert_eq!(audio(json!({ "codec": "pcma" })), due(Codec::Pcma, 8_000));
    assert!(audio(json!({ "codec": "pcma", "rate": 16_000 })).is_err());
}
