//! The vendors' own libraries judge what goes over the wire: they share no code with us.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bot;

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bot::{Bot, pair, text};
use futures_util::{SinkExt, StreamExt};
use jackfield_agents::{FromAgent, Link, Speaker, ToAgent};
use jackfield_media::Format;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

fn ask(script: &str, question: &Value) -> Value {
    let python = std::env::var_os("JACKFIELD_PYTHON").expect(
        "JACKFIELD_PYTHON is not set: run it through `cargo xtask test`, which makes a Python with the vendors' libraries",
    );
    let script = format!("{}/../../tests/oracles/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut oracle = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    oracle.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let answer = oracle.wait_with_output().unwrap();
    assert!(answer.status.success(), "the oracle failed: {}", answer.status);
    serde_json::from_slice(&answer.stdout).unwrap()
}

async fn binary(bot: &mut Bot) -> String {
    match bot.next().await.unwrap().unwrap() {
        Message::Binary(bytes) => hex::encode(bytes),
        other => panic!("{other:?}"),
    }
}

async fn says(bot: &mut Bot, link: &mut Link, message: Message) -> FromAgent {
    bot.send(message).await.unwrap();
    link.next().await
}

#[tokio::test]
async fn pipecat_reads_our_frames_and_we_read_its_own() {
    let (mut pipecat, mut bot) = pair("pipecat", &json!({ "rtvi": true }), &[]).await;
    let mut frames = vec![binary(&mut bot).await];
    for message in [ToAgent::Audio(vec![1, 0, 2, 0]), ToAgent::Dtmf("#".into())] {
        pipecat.send(message);
        frames.push(binary(&mut bot).await);
    }
    let (mut stream, mut twilio_bot) = pair("twilio-stream", &json!({ "parameters": { "tenant": "a" } }), &[]).await;
    stream.send(ToAgent::Audio(vec![0xFF; 160]));
    stream.send(ToAgent::Dtmf("5".into()));
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(text(&mut twilio_bot).await);
    }
    let texts: Vec<String> = messages.iter().map(Value::to_string).collect();
    let answer = ask("pipecat_frames.py", &json!({ "frames": frames, "twilio": texts }));
    assert_eq!(answer["frames"][0]["message"]["type"], "client-ready");
    let audio = json!({ "kind": "audio", "audio": "01000200", "rate": 16_000, "channels": 1 });
    assert_eq!(answer["frames"][1], audio);
    assert_eq!(answer["frames"][2]["message"]["data"], json!({ "buttons": ["#"] }));
    assert!(answer["frames"].as_array().unwrap().iter().all(|frame| frame["fault"].is_null()), "{answer}");
    its_frames_are_understood(&mut bot, &mut pipecat, &answer["said"]).await;
    it_takes_us_for_twilio(&mut twilio_bot, &mut stream, &messages, &answer).await;
}

async fn its_frames_are_understood(bot: &mut Bot, link: &mut Link, said: &Value) {
    let message = |name: &str| Message::binary(hex::decode(said[name].as_str().unwrap()).unwrap());
    let pcm: Vec<u8> = (0..32).cycle().take(320).collect();
    assert_eq!(says(bot, link, message("audio")).await, FromAgent::Audio(pcm));
    assert_eq!(says(bot, link, message("interruption")).await, FromAgent::Clear);
    for (name, speaker, text) in [("text", Speaker::Agent, "good day"), ("transcription", Speaker::Caller, "hello")] {
        let expected = FromAgent::Transcript { speaker, text: text.to_owned(), last: true };
        assert_eq!(says(bot, link, message(name)).await, expected);
    }
    let reported = says(bot, link, message("message")).await;
    assert!(matches!(&reported, FromAgent::Problem(what) if what.contains("no voice")), "{reported:?}");
}

async fn it_takes_us_for_twilio(bot: &mut Bot, link: &mut Link, messages: &[Value], answer: &Value) {
    let start = &messages[1]["start"];
    let detected = json!({
        "transport": "twilio", "stream": start["streamSid"], "call": start["callSid"], "from": "+14155550123",
        "body": { "from_number": "+14155550123", "to_number": "+12065550188", "tenant": "a" },
    });
    assert_eq!(answer["detected"], detected);
    let silence = "0000".repeat(160);
    let heard = json!([
        { "kind": "audio", "audio": silence, "rate": 8_000, "channels": 1 },
        { "kind": "dtmf", "digit": "5" },
    ]);
    assert_eq!(answer["heard"], heard);
    let message = |name: &str| Message::text(answer["answers"][name].as_str().unwrap().to_owned());
    let FromAgent::Audio(audio) = says(bot, link, message("audio")).await else { panic!("audio") };
    // Its encoder writes the negative zero.
    assert!(audio.len() == 160 && Format::decode(bot::WIRE, &audio).iter().all(|sample| *sample == 0));
    assert_eq!(says(bot, link, message("interruption")).await, FromAgent::Clear);
}

/// A server's side of a call, in full events of the API.
fn server_events() -> Vec<Value> {
    let event = |kind: &str, mut rest: Value| {
        (rest["type"], rest["event_id"]) = (json!(kind), json!("event_1"));
        rest
    };
    let place = |item: &str| json!({ "response_id": "r1", "item_id": item, "output_index": 0, "content_index": 0 });
    let with = |mut place: Value, key: &str, value: &str| {
        place[key] = json!(value);
        place
    };
    let mut call = with(with(place("f1"), "call_id", "c1"), "name", "send_dtmf");
    call["arguments"] = json!(r#"{"digits":"1"}"#);
    call.as_object_mut().unwrap().remove("content_index");
    let second = STANDARD.encode([0x55; 8_000]);
    vec![
        event("response.created", json!({ "response": { "id": "r1", "status": "in_progress" } })),
        event("response.output_audio.delta", with(place("a1"), "delta", &second)),
        event("response.output_audio.done", place("a1")),
        event("response.output_audio_transcript.done", with(place("a1"), "transcript", "good day")),
        event("response.function_call_arguments.done", call),
        event("input_audio_buffer.speech_started", json!({ "audio_start_ms": 10, "item_id": "u1" })),
        event("response.done", json!({ "response": { "id": "r1", "status": "cancelled" } })),
    ]
}

#[tokio::test]
async fn every_event_of_a_call_with_openai_is_one_of_its_types() {
    let session = |kind: &str| json!({ "type": kind, "event_id": "event_0", "session": { "type": "realtime" } });
    let first = [session("session.created"), session("session.updated")];
    let settings = json!({
        "model": "gpt-realtime", "instructions": "Be brief.", "voice": "marin", "greeting": "Say hello.",
        "turn_detection": { "type": "server_vad", "interrupt_response": false, "silence_duration_ms": 400 },
        "transcription": { "model": "gpt-4o-transcribe", "language": "en" }, "dtmf_gap_ms": 0,
    });
    let (mut link, mut bot) = pair("openai-realtime", &settings, &first).await;
    link.send(ToAgent::Audio(vec![0xFF; 160]));
    let events = server_events();
    let mut said = Vec::new();
    for event in &events {
        bot.send(Message::text(event.to_string())).await.unwrap();
    }
    while said.last() != Some(&FromAgent::Clear) {
        said.push(link.next().await);
    }
    link.send(ToAgent::Cleared { heard_ms: 300 });
    link.send(ToAgent::Dtmf("5".into()));
    let mut client = Vec::new();
    while client.last().is_none_or(|event: &Value| event["item"]["content"][0]["text"] != "DTMF 5") {
        client.push(text(&mut bot).await);
    }
    let kinds: Vec<&str> = client.iter().map(|event| event["type"].as_str().unwrap()).collect();
    for kind in [
        "session.update",
        "response.create",
        "input_audio_buffer.append",
        "conversation.item.create",
        "response.cancel",
        "conversation.item.truncate",
    ] {
        assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
    }
    let server: Vec<Value> = first.into_iter().chain(events).collect();
    let question = json!({ "client": client, "server": server });
    let answer = ask("openai_realtime.py", &question);
    for side in ["client", "server"] {
        for (event, fault) in question[side].as_array().unwrap().iter().zip(answer[side].as_array().unwrap()) {
            assert!(fault.is_null(), "{side}: {fault} in {event}");
        }
    }
}
