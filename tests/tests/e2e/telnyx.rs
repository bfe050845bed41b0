//! Calls over a provider that is driven by commands, towards a fake of its REST API.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_tests::api::Api;
use jackfield_tests::carrier::dialects;
use jackfield_tests::host_process::{HostOptions, HostProcess};
use jackfield_tests::telnyx_rest::{CONFERENCE, Command, TelnyxRest};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const KEY: &str = "KEY0123456789";
const APPLICATION: &str = "1494404757140276705";
const NUMBER: &str = "+12065550188";
const CALLER: &str = "+14155550123";
const CALL: &str = "v3:AbC-123";

pub(crate) struct Telnyx {
    pub(crate) host: HostProcess,
    api: Api,
    rest: TelnyxRest,
    key: Ed25519KeyPair,
    agent: String,
    configuration: String,
}

async fn telnyx() -> Telnyx {
    telnyx_with(|options| options).await
}

/// With other settings.
pub(crate) async fn telnyx_with(change: impl FnOnce(HostOptions) -> HostOptions) -> Telnyx {
    let rest = TelnyxRest::start(KEY).await.unwrap();
    let host = change(HostOptions::new().unwrap().with_route("api.telnyx.com", rest.address)).start().unwrap();
    let api = host.api().unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let fields = json!({
        "api_key": KEY, "connection_id": APPLICATION, "webhook_public_key": STANDARD.encode(key.public_key()),
    });
    let account = json!({ "name": "main", "provider": "telnyx", "fields": fields });
    let configuration = api.create("telephony/configurations", &account).await.unwrap();
    let agent = api.add_agent("echo", None).await.unwrap();
    api.add_number(NUMBER, &configuration, Some(&agent)).await.unwrap();
    Telnyx { host, api, rest, key, agent, configuration }
}

fn event(kind: &str, id: &str, call: &str, more: Value) -> Value {
    let mut payload = json!({
        "call_control_id": call, "call_leg_id": "l", "call_session_id": "s", "connection_id": APPLICATION,
        "from": CALLER, "to": NUMBER,
    });
    if let (Some(payload), Value::Object(more)) = (payload.as_object_mut(), more) {
        payload.extend(more);
    }
    json!({ "data": { "event_type": kind, "id": id, "record_type": "event", "payload": payload } })
}

impl Telnyx {
    /// Posts a signed event to a URL that the host gave out, or to the one that calls come in by.
    async fn post(&self, url: &str, event: &Value) -> u16 {
        let body = event.to_string();
        let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let signature = self.key.sign(format!("{seconds}|{body}").as_bytes());
        let path = url.trim_start_matches("https://gw.example.net");
        let request = reqwest::Client::new().post(format!("http://{}{path}", self.host.gateway().address));
        let request = request
            .header("content-type", "application/json")
            .header("telnyx-timestamp", seconds.to_string())
            .header("telnyx-signature-ed25519", STANDARD.encode(signature));
        request.body(body).send().await.unwrap().status().as_u16()
    }

    /// A caller rings.
    pub(crate) async fn ring(&self, id: &str, call: &str, to: &str) -> u16 {
        let more = json!({ "direction": "incoming", "state": "parked", "to": to });
        self.post(dialects::RUN, &event("call.initiated", id, call, more)).await
    }

    async fn call_when(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..400 {
            if let Some(call) = self.api.calls().await.unwrap().into_iter().find(|call| holds(call)) {
                return call;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("waited for {what}: {:?}\n{}", self.api.calls().await, self.host.output())
    }
}

fn start(call: &str, encoding: &str) -> Value {
    json!({
        "event": "start", "sequence_number": "1", "stream_id": "S1",
        "start": {
            "call_control_id": call, "from": CALLER, "to": NUMBER,
            "media_format": { "encoding": encoding, "sample_rate": 8000, "channels": 1 },
        },
    })
}

/// A call's audio, over the socket that a command asked for.
struct Line {
    socket: WebSocketStream<TcpStream>,
    /// Chunks so far: none comes twice.
    said: u8,
}

impl Line {
    async fn open(telnyx: &Telnyx, command: &Command, call: &str, encoding: &str) -> Self {
        let url = command.body["stream_url"].as_str().unwrap();
        let socket = TcpStream::connect(telnyx.host.gateway().address).await.unwrap();
        let url = url.replace("wss://", "ws://");
        let (mut socket, _) = tokio_tungstenite::client_async(url, socket).await.unwrap();
        socket.send(Message::text(json!({ "event": "connected", "version": "1.0.0" }).to_string())).await.unwrap();
        socket.send(Message::text(start(call, encoding).to_string())).await.unwrap();
        Self { socket, said: 0 }
    }

    /// Says six frames, out of order as the vendor says it may be.
    async fn say(&mut self) {
        for chunk in [1, 2, 4, 3, 5, 6] {
            let payload = STANDARD.encode([0x20 + chunk; 160]);
            let chunk = (self.said + chunk).to_string();
            let media = json!({ "track": "inbound", "chunk": chunk, "payload": payload });
            let message = json!({ "event": "media", "stream_id": "S1", "media": media });
            self.socket.send(Message::text(message.to_string())).await.unwrap();
        }
        self.said += 6;
    }

    /// The audio of the next message, if it holds any.
    async fn hear(&mut self) -> Vec<u8> {
        let message = self.socket.next().await.unwrap().unwrap();
        let said: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        let payload = said["media"]["payload"].as_str().filter(|_| said["event"] == "media").unwrap_or_default();
        STANDARD.decode(payload).unwrap()
    }

    /// Says six frames, and hears as many.
    async fn speak(&mut self) -> Vec<u8> {
        self.say().await;
        let mut heard = Vec::new();
        while heard.len() < 6 * 160 {
            heard.extend(tokio::time::timeout(Duration::from_secs(5), self.hear()).await.unwrap());
        }
        heard
    }

    /// Speaks until the agent's echo is heard. What was left of a tone comes first.
    async fn is_echoed(&mut self) {
        for _ in 0..20 {
            self.say().await;
            let echoed = async { while !self.hear().await.chunks(160).any(|frame| frame == [0x21; 160]) {} };
            if tokio::time::timeout(Duration::from_millis(300), echoed).await.is_ok() {
                return;
            }
        }
        panic!("the agent is not heard");
    }

    /// Waits for the host to close it.
    async fn closed(mut self) {
        let over = async { while matches!(self.socket.next().await, Some(Ok(message)) if !message.is_close()) {} };
        tokio::time::timeout(Duration::from_secs(10), over).await.expect("the host closes the stream");
    }
}

async fn speak(telnyx: &Telnyx, command: &Command, call: &str, encoding: &str) -> Vec<u8> {
    Line::open(telnyx, command, call, encoding).await.speak().await
}

#[tokio::test]
async fn a_call_is_answered_by_a_command_and_its_audio_comes_back_in_order() {
    let telnyx = telnyx().await;
    // The first try is turned away: the command goes again under the same name.
    telnyx.rest.fail_next(503);
    assert_eq!(telnyx.ring("e-1", CALL, NUMBER).await, 204);
    let mut command = telnyx.rest.command("/actions/answer").await.unwrap();
    for _ in 0..100 {
        let answers = telnyx.rest.seen().into_iter().filter(|seen| seen.path.ends_with("/actions/answer"));
        let answers: Vec<Command> = answers.collect();
        if let [first, second] = &answers[..] {
            assert_eq!(first.body["command_id"], second.body["command_id"]);
            command = second.clone();
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The webhook comes again, which is no second call and no second answer.
    assert_eq!(telnyx.ring("e-1", CALL, NUMBER).await, 204);
    assert_eq!(telnyx.ring("e-2", CALL, NUMBER).await, 204);
    let hook = command.body["webhook_url"].as_str().unwrap().to_owned();
    assert_eq!(telnyx.post(&hook, &event("call.answered", "e-3", CALL, json!({}))).await, 204);
    let heard = speak(&telnyx, &command, CALL, "PCMU").await;
    let order: Vec<u8> = heard.chunks(160).map(|frame| frame[0]).collect();
    assert_eq!(order, [0x21, 0x22, 0x23, 0x24, 0x25, 0x26]);
    let hangup = json!({ "hangup_cause": "normal_clearing", "hangup_source": "caller" });
    assert_eq!(telnyx.post(&hook, &event("call.hangup", "e-4", CALL, hangup)).await, 204);
    let cost = json!({ "total_cost": "0.0069", "billed_duration_secs": 42, "cost_parts": [{ "currency": "USD" }] });
    assert_eq!(telnyx.post(&hook, &event("call.cost", "e-5", CALL, cost)).await, 204);
    let call = telnyx.call_when("the bill", |call| !call["cost"].is_null() && call["status"] == "completed").await;
    assert_eq!((&call["from"], &call["to"]), (&json!(CALLER), &json!(NUMBER)));
    assert_eq!(call["duration_s"], 42);
    let answers = telnyx.rest.seen().into_iter().filter(|seen| seen.path.ends_with("/actions/answer")).count();
    assert_eq!(answers, 2, "{:?}", telnyx.rest.seen());
    assert_eq!(telnyx.api.calls().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_number_that_nobody_answers_is_rejected_by_a_command() {
    let telnyx = telnyx().await;
    assert_eq!(telnyx.ring("e-1", CALL, "+12065550199").await, 204);
    let command = telnyx.rest.command("/actions/reject").await.unwrap();
    assert_eq!(command.body["cause"], "CALL_REJECTED");
    assert_eq!(telnyx.api.calls().await.unwrap(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_call_that_cannot_be_answered_ends_as_failed_and_says_why() {
    let telnyx = telnyx().await;
    telnyx.rest.over(CALL);
    assert_eq!(telnyx.ring("e-1", CALL, NUMBER).await, 204);
    let call = telnyx.call_when("the end", |call| !call["ended_at"].is_null()).await;
    assert!(call["end_reason"].as_str().unwrap().contains("did not answer the call"), "{call}");
}

#[tokio::test]
async fn a_call_out_is_dialled_with_its_audio_and_ends_at_our_word() {
    let telnyx = telnyx().await;
    let order = json!({
        "agent": telnyx.agent, "to": CALLER, "from": NUMBER, "configuration": telnyx.configuration,
    });
    let placed = telnyx.api.post("calls", &order).await.unwrap();
    assert_eq!(placed.status, 201, "{}", placed.text());
    let id = placed.json().unwrap()["id"].as_str().unwrap().to_owned();
    let dial = telnyx.rest.command("/calls").await.unwrap();
    assert!(dial.authorized);
    let hook = dial.body["webhook_url"].as_str().unwrap().to_owned();
    // In any order, and twice.
    for (index, kind) in ["call.answered", "call.initiated", "call.answered", "streaming.started"].iter().enumerate() {
        let more = json!({ "direction": "outgoing" });
        assert_eq!(telnyx.post(&hook, &event(kind, &format!("o-{index}"), "v3:out-1", more)).await, 204);
    }
    // A European leg speaks A-law towards us, and hears what was asked for.
    let heard = speak(&telnyx, &dial, "v3:out-1", "PCMA").await;
    assert_eq!(heard.len(), 960);
    assert_eq!(telnyx.api.call(&id).await.unwrap()["status"], "in-progress");
    assert_eq!(telnyx.api.post(&format!("calls/{id}/hangup"), &json!({})).await.unwrap().status / 100, 2);
    telnyx.rest.command("/actions/hangup").await.unwrap();
    let call = telnyx.call_when("the end", |call| !call["ended_at"].is_null()).await;
    assert_eq!(call["status"], "completed");
}

const SOMEBODY: &str = "+14155550177";
/// The leg that the fake says it dials.
const LEG: &str = "v3:out-1";

/// A caller who talks to the agent: the hook of the call, its audio and its id.
async fn talking(telnyx: &Telnyx) -> (String, Line, String) {
    assert_eq!(telnyx.ring("t-1", CALL, NUMBER).await, 204);
    let command = telnyx.rest.command("/actions/answer").await.unwrap();
    let hook = command.body["webhook_url"].as_str().unwrap().to_owned();
    assert_eq!(telnyx.post(&hook, &event("call.answered", "t-2", CALL, json!({}))).await, 204);
    let mut line = Line::open(telnyx, &command, CALL, "PCMU").await;
    assert_eq!(line.speak().await.len(), 960);
    let call = telnyx.call_when("the answer", |call| call["status"] == "in-progress").await;
    (hook, line, call["id"].as_str().unwrap().to_owned())
}

/// An attended transfer whose destination rings: where its news go.
async fn transferred(telnyx: &Telnyx, call: &str) -> String {
    let order = json!({ "to": SOMEBODY, "mode": "attended" });
    let begun = telnyx.api.post(&format!("calls/{call}/transfer"), &order).await.unwrap();
    assert_eq!(begun.expect(201).unwrap()["state"], "dialled");
    let dial = telnyx.rest.command("/calls").await.unwrap();
    assert_eq!((&dial.body["to"], &dial.body["from"]), (&json!(SOMEBODY), &json!(NUMBER)));
    assert!(dial.authorized && dial.body["stream_url"].is_null(), "the agent has no part in it: {}", dial.body);
    let hook = dial.body["webhook_url"].as_str().unwrap().to_owned();
    assert_eq!(telnyx.post(&hook, &event("call.initiated", "d-1", LEG, json!({ "direction": "outgoing" }))).await, 204);
    hook
}

/// What a call's history tells of its transfer: the states, and why it failed.
async fn told(telnyx: &Telnyx, call: &str, last: &str) -> (Vec<String>, Value) {
    for _ in 0..400 {
        let shown = telnyx.api.call(call).await.unwrap();
        let events = shown["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "transfer");
        let data: Vec<Value> = events.map(|event| event["data"].clone()).collect();
        if data.last().is_some_and(|data| data["state"] == last) {
            let states = data.iter().map(|data| data["state"].as_str().unwrap().to_owned()).collect();
            return (states, data.last().unwrap()["reason"].clone());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited for {last}: {:#}\n{}", telnyx.api.call(call).await.unwrap(), telnyx.host.output())
}

fn sent(telnyx: &Telnyx, end: &str) -> usize {
    telnyx.rest.seen().into_iter().filter(|command| command.path.ends_with(end)).count()
}

#[tokio::test]
async fn a_caller_is_put_through_into_a_conference_and_hung_up_when_the_other_leaves() {
    let telnyx = telnyx().await;
    let (hook, line, call) = talking(&telnyx).await;
    let destination = transferred(&telnyx, &call).await;
    // It comes twice, as Telnyx says it may.
    for id in ["d-2", "d-2", "d-3"] {
        assert_eq!(telnyx.post(&destination, &event("call.answered", id, LEG, json!({}))).await, 204);
    }
    let (states, _) = told(&telnyx, &call, "joined").await;
    assert_eq!(states, ["requested", "dialled", "answered", "joined"]);
    let made = telnyx.rest.command("/conferences").await.unwrap();
    assert_eq!(made.body["call_control_id"], LEG, "whoever answered is in it first");
    let joined = telnyx.rest.command(&format!("/conferences/{CONFERENCE}/actions/join")).await.unwrap();
    assert_eq!(joined.body["call_control_id"], CALL);
    line.closed().await;
    assert_eq!(telnyx.api.call(&call).await.unwrap()["status"], "in-progress", "they talk without the agent");
    let normal = json!({ "hangup_cause": "normal_clearing", "hangup_source": "callee" });
    assert_eq!(telnyx.post(&destination, &event("call.hangup", "d-4", LEG, normal.clone())).await, 204);
    telnyx.rest.command("v3%3AAbC-123/actions/hangup").await.unwrap();
    assert_eq!(telnyx.post(&hook, &event("call.hangup", "t-9", CALL, normal)).await, 204);
    let over = telnyx.call_when("the end", |call| !call["ended_at"].is_null()).await;
    assert_eq!(over["status"], "completed");
    assert_eq!(told(&telnyx, &call, "ended").await.0.last().unwrap(), "ended");
    assert_eq!((sent(&telnyx, "/conferences"), sent(&telnyx, "/actions/join"), sent(&telnyx, "/calls")), (1, 1, 1));
}

#[tokio::test]
async fn a_busy_destination_gives_the_caller_back_to_the_agent() {
    let telnyx = telnyx().await;
    let (_, mut line, call) = talking(&telnyx).await;
    let destination = transferred(&telnyx, &call).await;
    let busy = json!({ "hangup_cause": "user_busy", "hangup_source": "callee", "sip_hangup_cause": "486" });
    assert_eq!(telnyx.post(&destination, &event("call.hangup", "d-2", LEG, busy)).await, 204);
    assert_eq!(
        told(&telnyx, &call, "failed").await,
        (["requested", "dialled", "failed"].map(str::to_owned).to_vec(), json!("busy"))
    );
    line.is_echoed().await;
    assert_eq!(telnyx.api.call(&call).await.unwrap()["status"], "in-progress");
    assert_eq!((sent(&telnyx, "/conferences"), sent(&telnyx, "/actions/hangup")), (0, 0));
}

#[tokio::test]
async fn a_caller_who_hangs_up_before_the_destination_answers_takes_it_along_once() {
    let telnyx = telnyx().await;
    let (hook, line, call) = talking(&telnyx).await;
    transferred(&telnyx, &call).await;
    let gone = json!({ "hangup_cause": "normal_clearing", "hangup_source": "caller" });
    assert_eq!(telnyx.post(&hook, &event("call.hangup", "t-9", CALL, gone)).await, 204);
    drop(line);
    telnyx.rest.command("v3%3Aout-1/actions/hangup").await.unwrap();
    assert_eq!(told(&telnyx, &call, "failed").await.1, "the caller hung up");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((sent(&telnyx, "v3%3Aout-1/actions/hangup"), sent(&telnyx, "/conferences")), (1, 0));
    let over = telnyx.call_when("the end", |call| !call["ended_at"].is_null()).await;
    assert_eq!(over["status"], "completed");
}
