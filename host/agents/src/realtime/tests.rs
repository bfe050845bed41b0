#![allow(clippy::unwrap_used, reason = "tests")]
use jackfield_media::{Codec, Format};

use super::*;
use crate::connector::tests::start;
use crate::connector::{Connector, Dialect};
use crate::secret::Proof;
use crate::settings::Settings;

const NOW: Duration = Duration::ZERO;
const ULAW: Format = Format { codec: Codec::Pcmu, rate: 8_000 };

fn options(settings: &Value) -> Options {
    Options::parse(Settings::of(settings).unwrap()).unwrap()
}

/// A model whose session stands, and what was written until then.
fn live(settings: &Value) -> (Realtime, Vec<Value>) {
    let options = options(settings);
    let beginning = Beginning { start: &start(), audio: options.audio(ULAW), proof: &Proof::None, unix_time: 0 };
    let mut realtime = Realtime::new(&options, &beginning);
    assert!(realtime.open(NOW).is_empty());
    let mut actions = read(&mut realtime, &json!({ "type": "session.created", "session": {} }));
    actions.extend(read(&mut realtime, &json!({ "type": "session.updated", "session": {} })));
    assert_eq!(actions.pop(), Some(Action::Ready));
    (realtime, written(actions))
}

fn read(realtime: &mut Realtime, event: &Value) -> Vec<Action> {
    realtime.read(NOW, Message::Text(event.to_string()))
}

fn written(actions: Vec<Action>) -> Vec<Value> {
    let value = |action| match action {
        Action::Write(Message::Text(text)) | Action::WriteAudio(Message::Text(text)) => {
            serde_json::from_str(&text).unwrap()
        }
        other => panic!("{other:?}"),
    };
    actions.into_iter().map(value).collect()
}

fn created(realtime: &mut Realtime, id: &str) {
    assert!(read(realtime, &json!({ "type": "response.created", "response": { "id": id } })).is_empty());
}

fn done(realtime: &mut Realtime) -> Vec<Action> {
    read(realtime, &json!({ "type": "response.done", "response": { "id": "r1", "status": "completed" } }))
}

fn delta(response: &str, item: &str, milliseconds: usize) -> Value {
    let audio = STANDARD.encode(vec![0x55; milliseconds * 8]);
    json!({ "type": "response.output_audio.delta", "response_id": response, "item_id": item, "output_index": 0,
        "content_index": 0, "delta": audio })
}

fn speech_started(realtime: &mut Realtime) -> Vec<Action> {
    let event = json!({ "type": "input_audio_buffer.speech_started", "audio_start_ms": 1, "item_id": "u1" });
    read(realtime, &event)
}

fn truncate(item: &str, heard_ms: u64) -> Value {
    json!({ "type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": heard_ms })
}

fn clear() -> Action {
    Action::Say(FromAgent::Clear)
}

#[test]
fn the_session_is_asked_for_as_the_agent_is_set_up() {
    let settings = json!({
        "instructions": "Be brief.", "voice": "marin", "tools": ["hang_up"],
        "turn_detection": { "type": "semantic_vad", "eagerness": "high" }, "transcription": { "model": "whisper-1" },
        "session": { "max_output_tokens": 500, "audio": { "output": { "speed": 1.1, "format": { "type": "audio/pcm" } } } },
    });
    let (_, written) = live(&settings);
    let format = json!({ "type": "audio/pcmu" });
    let session = json!({
        "type": "realtime", "output_modalities": ["audio"], "instructions": "Be brief.", "tool_choice": "auto",
        "max_output_tokens": 500,
        "audio": {
            "input": { "format": format, "turn_detection": { "type": "semantic_vad", "eagerness": "high" },
                "transcription": { "model": "whisper-1" } },
            "output": { "format": format, "voice": "marin", "speed": 1.1 },
        },
        "tools": [{ "type": "function", "name": "hang_up",
            "description": "End the phone call. Say goodbye first; what you said is heard to its end.",
            "parameters": { "type": "object", "properties": {}, "required": [] } }],
    });
    assert_eq!(written, [json!({ "type": "session.update", "session": session })]);
}

#[test]
fn a_look_alike_of_2024_is_spoken_to_in_its_words() {
    let settings =
        json!({ "dialect": "beta", "voice": "alloy", "tools": [], "codec": "pcma", "turn_detection": false });
    let (mut realtime, written) = live(&settings);
    let session = json!({
        "modalities": ["audio", "text"], "voice": "alloy", "tool_choice": "auto", "tools": [], "turn_detection": null,
        "input_audio_format": "g711_alaw", "output_audio_format": "g711_alaw",
    });
    assert_eq!(written, [json!({ "type": "session.update", "session": session })]);
    let delta = json!({ "type": "response.audio.delta", "item_id": "a", "delta": "VVU=" });
    assert_eq!(read(&mut realtime, &delta), [Action::Say(FromAgent::Audio(vec![0x55; 2]))]);
    let end = json!({ "type": "response.audio.done", "item_id": "a" });
    assert_eq!(read(&mut realtime, &end), [Action::Say(FromAgent::Mark("a".into()))]);
    assert_eq!(options(&settings).headers(), [("OpenAI-Beta", "realtime=v1".to_owned())]);
}

#[test]
fn the_wires_law_is_spoken_so_that_nothing_is_transcoded() {
    let audio = |settings: Value, codec, rate| options(&settings).audio(Format { codec, rate }).to_agent;
    let format = |codec| Format { codec, rate: 8_000 };
    assert_eq!(audio(json!({}), Codec::Pcmu, 8_000), format(Codec::Pcmu));
    assert_eq!(audio(json!({}), Codec::Pcma, 8_000), format(Codec::Pcma));
    assert_eq!(audio(json!({}), Codec::L16, 16_000), format(Codec::Pcmu));
    assert_eq!(audio(json!({ "codec": "pcma" }), Codec::Pcmu, 8_000), format(Codec::Pcma));
}

#[test]
fn audio_goes_straight_through_both_ways() {
    let (mut realtime, _) = live(&json!({}));
    let told = written(realtime.tell(NOW, ToAgent::Audio(vec![0xFF; 3])));
    assert_eq!(told, [json!({ "type": "input_audio_buffer.append", "audio": "////" })]);
    let said = read(&mut realtime, &delta("r1", "a", 20));
    assert_eq!(said, [Action::Say(FromAgent::Audio(vec![0x55; 160]))]);
    // Some proxies put JSON into binary messages.
    let binary = Message::Binary(delta("r1", "a", 20).to_string().into_bytes());
    assert_eq!(realtime.read(NOW, binary), said);
}

#[test]
fn a_barge_in_truncates_at_what_was_heard_and_drops_what_comes_late() {
    let (mut realtime, _) = live(&json!({}));
    created(&mut realtime, "r1");
    for (item, milliseconds) in [("a", 1_000), ("b", 3_000)] {
        read(&mut realtime, &delta("r1", item, milliseconds));
    }
    assert_eq!(speech_started(&mut realtime), [clear()]);
    assert!(read(&mut realtime, &delta("r1", "b", 500)).is_empty(), "late audio of a cut item");
    assert!(read(&mut realtime, &delta("r1", "c", 500)).is_empty(), "a new item of the same response");
    assert!(read(&mut realtime, &json!({ "type": "response.output_audio.done", "item_id": "b" })).is_empty());
    assert_eq!(written(realtime.tell(NOW, ToAgent::Cleared { heard_ms: 1_440 })), [truncate("b", 440)]);
    // The next answer is heard.
    done(&mut realtime);
    created(&mut realtime, "r2");
    assert_eq!(read(&mut realtime, &delta("r2", "d", 20)).len(), 1);
}

#[test]
fn nothing_heard_is_truncated_at_nothing_and_all_heard_not_at_all() {
    let (mut realtime, _) = live(&json!({}));
    created(&mut realtime, "r1");
    read(&mut realtime, &delta("r1", "a", 1_000));
    assert_eq!(speech_started(&mut realtime), [clear()]);
    assert_eq!(written(realtime.tell(NOW, ToAgent::Cleared { heard_ms: 0 })), [truncate("a", 0)]);
    done(&mut realtime);
    created(&mut realtime, "r2");
    read(&mut realtime, &delta("r2", "b", 1_000));
    read(&mut realtime, &json!({ "type": "response.output_audio.done", "item_id": "b" }));
    realtime.tell(NOW, ToAgent::Mark { name: "b".into(), cleared: false, heard_ms: 1_000 });
    done(&mut realtime);
    assert!(speech_started(&mut realtime).is_empty(), "all was heard");
    // Speech whose mark is still on its way back, but which the host knows to be heard.
    read(&mut realtime, &delta("r3", "c", 200));
    assert_eq!(speech_started(&mut realtime), [clear()]);
    assert!(realtime.tell(NOW, ToAgent::Cleared { heard_ms: 1_200 }).is_empty());
}

#[test]
fn only_a_server_that_does_not_interrupt_is_told_to_cancel() {
    let detection = json!({ "type": "server_vad", "interrupt_response": false });
    for settings in [
        json!({ "turn_detection": detection }),
        json!({ "session": { "audio": { "input": { "turn_detection": detection } } } }),
        json!({ "dialect": "beta", "turn_detection": detection }),
    ] {
        let (mut realtime, _) = live(&settings);
        created(&mut realtime, "r1");
        assert!(speech_started(&mut realtime).is_empty(), "nothing was said");
        read(&mut realtime, &delta("r1", "a", 100));
        let mut actions = speech_started(&mut realtime);
        assert_eq!(actions.pop(), Some(clear()));
        assert_eq!(written(actions), [json!({ "type": "response.cancel" })]);
        // No response is in progress, so there is none to cancel.
        done(&mut realtime);
        realtime.tell(NOW, ToAgent::Cleared { heard_ms: 0 });
        read(&mut realtime, &delta("r2", "b", 100));
        assert_eq!(speech_started(&mut realtime), [clear()]);
    }
}

#[test]
fn a_greeting_is_asked_for_once_the_session_stands() {
    let create = |settings: Value| live(&settings).1.pop().unwrap();
    let plain = json!({ "type": "response.create", "event_id": "jackfield-response-1" });
    assert_eq!(create(json!({ "greeting": true })), plain);
    let mut with = plain;
    with["response"] = json!({ "instructions": "Say hello." });
    assert_eq!(create(json!({ "greeting": "Say hello." })), with);
    assert_eq!(create(json!({ "greeting": false }))["type"], "session.update");
}

fn call(event: &str, id: &str, name: &str, arguments: &str) -> Value {
    let mut call = json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments });
    if event == "response.output_item.done" {
        return json!({ "type": event, "item": call });
    }
    call["type"] = json!(event);
    call
}

fn output(id: &str, output: &Value) -> Value {
    let item = json!({ "type": "function_call_output", "call_id": id, "output": output.to_string() });
    json!({ "type": "conversation.item.create", "item": item })
}

#[test]
fn a_model_that_hangs_up_is_heard_to_its_end() {
    let (mut realtime, _) = live(&json!({}));
    created(&mut realtime, "r1");
    let event = call("response.function_call_arguments.done", "c1", "hang_up", "{}");
    assert_eq!(written(read(&mut realtime, &event)), [output("c1", &json!({ "ok": true }))]);
    assert_eq!(read(&mut realtime, &delta("r1", "a", 20)).len(), 1, "it says goodbye still");
    let hang_up = Action::Say(FromAgent::HangUp { after_playout: true });
    assert_eq!(done(&mut realtime).as_slice(), std::slice::from_ref(&hang_up));
    assert_eq!(realtime.wake_at(), None);
    // A response that never ends does not keep the call.
    created(&mut realtime, "r2");
    read(&mut realtime, &call("response.output_item.done", "c2", "hang_up", "{}"));
    assert_eq!(realtime.wake_at(), Some(FAREWELL));
    assert!(realtime.wake(Duration::from_secs(4)).is_empty());
    assert_eq!(realtime.wake(FAREWELL), [hang_up]);
}

#[test]
fn a_model_presses_keys_and_goes_on_when_its_response_is_done() {
    let (mut realtime, _) = live(&json!({}));
    created(&mut realtime, "r1");
    let arguments = r#"{"digits":"12#"}"#;
    let mut actions = read(&mut realtime, &call("response.function_call_arguments.done", "c1", "send_dtmf", arguments));
    assert_eq!(actions.remove(0), Action::Say(FromAgent::Dtmf("12#".into())));
    assert_eq!(written(actions), [output("c1", &json!({ "ok": true }))]);
    // The same call, told once more.
    let again = call("response.output_item.done", "c1", "send_dtmf", arguments);
    assert!(read(&mut realtime, &again).is_empty());
    assert_eq!(written(done(&mut realtime))[0]["type"], "response.create");
}

#[test]
fn a_wish_that_cannot_be_done_is_answered_with_the_reason() {
    let cases = [
        ("send_dtmf", r#"{"digits":"x"}"#, "`digits`"),
        ("send_dtmf", "not JSON", "`digits`"),
        ("sing", "{}", "no such function"),
    ];
    for (name, arguments, due) in cases {
        let (mut realtime, _) = live(&json!({}));
        let actions = read(&mut realtime, &call("response.function_call_arguments.done", "c1", name, arguments));
        let written = written(actions);
        assert!(written[0]["item"]["output"].as_str().unwrap().contains(due), "{written:?}");
        assert_eq!(written[1]["type"], "response.create");
    }
}

#[test]
fn keys_are_gathered_and_told_when_the_caller_stops_pressing() {
    let (mut realtime, _) = live(&json!({ "dtmf_gap_ms": 500 }));
    let at = Duration::from_millis;
    for (time, key) in [(0, "1"), (400, "2"), (800, "#")] {
        assert!(realtime.tell(at(time), ToAgent::Dtmf(key.into())).is_empty());
    }
    assert_eq!(realtime.wake_at(), Some(at(1_300)));
    assert!(realtime.wake(at(1_299)).is_empty());
    let told = written(realtime.wake(at(1_300)));
    let content = json!([{ "type": "input_text", "text": "DTMF 12#" }]);
    let item = json!({ "type": "message", "role": "user", "content": content });
    assert_eq!(told[0], json!({ "type": "conversation.item.create", "item": item }));
    assert_eq!(told[1]["type"], "response.create");
    assert_eq!(realtime.wake_at(), None);
}

#[test]
fn a_response_that_crosses_another_is_asked_for_again() {
    let (mut realtime, _) = live(&json!({ "greeting": true }));
    let error = json!({ "type": "error", "error": { "type": "invalid_request_error",
        "code": "conversation_already_has_active_response", "event_id": "jackfield-response-1", "message": "m" } });
    assert!(matches!(read(&mut realtime, &error).as_slice(), [Action::Say(FromAgent::Problem(_))]));
    created(&mut realtime, "r1");
    assert_eq!(written(done(&mut realtime))[0]["type"], "response.create");
}

#[test]
fn errors_do_not_end_a_call_nor_show_what_was_sent() {
    let (mut realtime, _) = live(&json!({}));
    let error = |code: &str| {
        json!({ "type": "error", "error": { "type": "invalid_request_error", "code": code, "param": "item.id",
            "message": "canary +14155550123" } })
    };
    let actions = read(&mut realtime, &error("item_not_found"));
    let [Action::Say(FromAgent::Problem(what))] = actions.as_slice() else { panic!("{actions:?}") };
    assert!(what.contains("item_not_found") && what.contains("item.id") && !what.contains("canary"), "{what}");
    assert!(read(&mut realtime, &error("response_cancel_not_active")).is_empty());
    let failed = json!({ "type": "response.done", "response": { "status": "failed",
        "status_details": { "error": { "code": "rate_limit_exceeded" } } } });
    let actions = read(&mut realtime, &failed);
    assert!(matches!(actions.as_slice(), [Action::Say(FromAgent::Problem(what))] if what.contains("rate_limit")));
    for unknown in [json!({ "type": "mcp_list_tools.completed" }), json!({ "type": "of.tomorrow" }), json!({})] {
        assert!(read(&mut realtime, &unknown).is_empty());
    }
    let wrong = json!({ "type": "response.output_audio.delta", "item_id": "a", "delta": "***" });
    for actions in [read(&mut realtime, &wrong), realtime.read(NOW, Message::Text("[]".into()))] {
        assert!(matches!(actions.as_slice(), [Action::Say(FromAgent::Problem(_))]));
    }
}

#[test]
fn a_session_that_is_not_granted_is_refused_before_the_call_speaks() {
    let asked = |event: Value| {
        let options = options(&json!({}));
        let beginning = Beginning { start: &start(), audio: options.audio(ULAW), proof: &Proof::None, unix_time: 0 };
        let mut realtime = Realtime::new(&options, &beginning);
        read(&mut realtime, &json!({ "type": "session.created" }));
        read(&mut realtime, &event)
    };
    let error = json!({ "type": "error", "error": { "type": "invalid_request_error", "code": "invalid_value",
        "param": "session.audio.output.voice" } });
    let refused = |actions: Vec<Action>, due: &str| {
        assert!(matches!(actions.as_slice(), [Action::Refuse(why)] if why.contains(due)), "{actions:?}");
    };
    refused(asked(error), "session.audio.output.voice");
    let format = json!({ "type": "audio/pcm", "rate": 24_000 });
    let other = json!({ "type": "session.updated", "session": { "audio": { "output": { "format": format } } } });
    refused(asked(other), "`audio/pcm`");
}

#[test]
fn words_are_passed_on_by_who_said_them() {
    let (mut realtime, _) = live(&json!({}));
    let said = |speaker| vec![Action::Say(FromAgent::Transcript { speaker, text: "hello".into(), last: true })];
    let agent = json!({ "type": "response.output_audio_transcript.done", "transcript": "hello" });
    assert_eq!(read(&mut realtime, &agent), said(Speaker::Agent));
    let caller = json!({ "type": "conversation.item.input_audio_transcription.completed", "transcript": "hello" });
    assert_eq!(read(&mut realtime, &caller), said(Speaker::Caller));
}

#[test]
fn the_url_is_openais_or_the_agents_own_and_names_the_model_once() {
    let url = |settings: Value, url: Option<&str>| options(&settings).url(url);
    let openai = "wss://api.openai.com/v1/realtime?model=gpt-realtime";
    assert_eq!(url(json!({ "model": "gpt-realtime" }), None), Ok(openai.to_owned()));
    let azure = "wss://x.openai.azure.com/openai/v1/realtime?model=mine";
    assert_eq!(url(json!({ "model": "other" }), Some(azure)), Ok(azure.to_owned()));
    assert_eq!(url(json!({}), Some("ws://localhost:8000/v1")), Ok("ws://localhost:8000/v1".to_owned()));
    assert!(url(json!({}), None).is_err());
    let connector = Connector::parse("openai-realtime", None, &json!({ "model": "m" }), None).unwrap();
    assert!(matches!(connector, Connector::Remote { dialect: Dialect::OpenAiRealtime(_), .. }));
}

#[test]
fn settings_that_cannot_work_are_named() {
    let wrong = [
        json!({ "greeting": 1 }),
        json!({ "turn_detection": "server_vad" }),
        json!({ "transcription": "whisper-1" }),
        json!({ "tools": ["sing"] }),
        json!({ "tools": "hang_up" }),
        json!({ "session": [] }),
        json!({ "codec": "l16" }),
        json!({ "dialect": "gamma" }),
        json!({ "dtmf_gap_ms": 60_000 }),
    ];
    for settings in wrong {
        let key = settings.as_object().unwrap().keys().next().unwrap().clone();
        let error = Options::parse(Settings::of(&settings).unwrap()).unwrap_err().to_string();
        assert!(error.contains(&format!("`{key}`")), "{error}");
    }
}
