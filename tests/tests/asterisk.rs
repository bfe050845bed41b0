//! Calls over a real Asterisk 22: `cargo xtask test asterisk` installs one in a folder and runs these.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::{Duration, Instant};

use jackfield_tests::api::Api;
use jackfield_tests::asterisk::{Asterisk, PASSWORD, USER};
use jackfield_tests::host_process::{HostOptions, HostProcess};
use serde_json::{Value, json};

const NEEDS: &str = "needs Asterisk: `cargo xtask test asterisk`";
const PATIENCE: Duration = Duration::from_secs(30);

struct Pbx {
    host: HostProcess,
    api: Api,
    asterisk: Asterisk,
    configuration: String,
    agent: String,
}

async fn pbx() -> Pbx {
    pbx_with(HostOptions::new().unwrap(), "ulaw").await
}

async fn pbx_with(options: HostOptions, format: &str) -> Pbx {
    let mut options = options;
    options.environment.push(("JACKFIELD_EGRESS_NETWORKS".to_owned(), "127.0.0.0/8".to_owned()));
    let host = options.start().unwrap();
    let api = host.api().unwrap();
    let asterisk = Asterisk::start(host.gateway().address).await.expect(NEEDS);
    let fields = json!({
        "ari_endpoint": format!("http://{}", asterisk.address), "app_name": USER, "app_password": PASSWORD,
        "ws_client_name": "gw", "dial_template": "Local/{digits}@out/n", "media_format": format,
    });
    let account = json!({ "name": "pbx", "provider": "asterisk", "fields": fields });
    let configuration = api.create("telephony/configurations", &account).await.unwrap();
    let agent = api.add_agent("echo", None).await.unwrap();
    api.add_number("8000", &configuration, Some(&agent)).await.unwrap();
    let pbx = Pbx { host, api, asterisk, configuration, agent };
    pbx.open().await;
    pbx
}

impl Pbx {
    /// Waits until the event socket is open.
    async fn open(&self) {
        let path = format!("telephony/configurations/{}", self.configuration);
        until("the event socket to open", async || {
            let answer = self.api.get(&path).await.unwrap().json().unwrap();
            (answer["socket"]["state"] == "open").then_some(())
        })
        .await;
    }

    async fn ring(&self, caller: &str, act: &str) {
        self.asterisk.ring(&self.configuration, caller, act).await.unwrap();
    }

    /// The call of a caller, once it is as wanted.
    async fn call_when(&self, caller: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let provider_id = format!("{caller}-far");
        until(&format!("{caller} to be {what}"), async || {
            let calls = self.api.calls().await.unwrap();
            calls.into_iter().find(|call| call["provider_call_id"] == provider_id.as_str() && holds(call))
        })
        .await
    }

    async fn place(&self, to: &str) -> String {
        let order = json!({ "agent": self.agent, "to": to, "from": "8000" });
        self.api.create("calls", &order).await.unwrap()
    }

    async fn placed_when(&self, id: &str, status: &str) -> Value {
        until(&format!("{id} to be {status}"), async || {
            let call = self.api.call(id).await.unwrap();
            (call["status"] == status).then_some(call)
        })
        .await
    }

    /// What became of a call's audio.
    async fn audio(&self, id: &str) -> Value {
        until(&format!("the audio of {id} to be told"), async || {
            let call = self.api.call(id).await.unwrap();
            let events = call["events"].as_array().unwrap();
            // The stream may end after the call.
            events.iter().find(|event| event["kind"] == "audio").map(|event| event["data"].clone())
        })
        .await
    }

    /// Nothing of any call is left in Asterisk.
    async fn is_empty(&self) {
        let began = Instant::now();
        loop {
            let (channels, bridges) = (self.asterisk.channels().await, self.asterisk.bridges().await);
            match (channels, bridges) {
                (Ok(channels), Ok(bridges)) if channels.is_empty() && bridges.is_empty() => return,
                left if began.elapsed() > PATIENCE => panic!("left in Asterisk: {left:?}\n{}", self.story()),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// How much of the sentence somebody heard.
    fn heard(&self, channel: &str) -> f64 {
        self.asterisk.heard(channel).unwrap_or_else(|why| panic!("{why:#}\n{}", self.story()))
    }

    fn story(&self) -> String {
        format!("{}\n{}", self.host.output(), self.asterisk.log())
    }
}

async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {what}");
}

fn ended(call: &Value) -> bool {
    !call["ended_at"].is_null()
}

fn up(call: &Value) -> bool {
    call["status"] == "in-progress"
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn a_caller_hears_what_he_says_and_hangs_up() {
    let pbx = pbx().await;
    pbx.ring("ann", "talk").await;
    let call = pbx.call_when("ann", "over", ended).await;
    assert_eq!(
        (&call["status"], &call["from"], &call["to"]),
        (&json!("completed"), &json!("+14155550123"), &json!("8000"))
    );
    pbx.is_empty().await;
    let heard = pbx.heard("ann");
    assert!(heard > 0.8, "heard {heard} of it\n{}", pbx.story());
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn a_call_in_linear_audio_at_16_khz_is_heard() {
    let pbx = pbx_with(HostOptions::new().unwrap(), "slin16").await;
    pbx.ring("ann", "talk").await;
    pbx.call_when("ann", "over", ended).await;
    let audio = pbx.audio(pbx.api.calls().await.unwrap()[0]["id"].as_str().unwrap()).await;
    assert!(audio["heard_ms"].as_u64().unwrap() > 2_500, "{audio}");
    assert_eq!(audio["bad"], 0, "{audio}");
    assert!(pbx.heard("ann") > 0.8, "{}", pbx.story());
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn the_host_hangs_up_and_nothing_is_left() {
    let pbx = pbx().await;
    pbx.ring("ann", "wait").await;
    let call = pbx.call_when("ann", "up", up).await;
    let answer = pbx.api.post(&format!("calls/{}/hangup", call["id"].as_str().unwrap()), &json!({})).await.unwrap();
    assert!(answer.status < 300, "{}", answer.text());
    pbx.call_when("ann", "over", ended).await;
    pbx.is_empty().await;
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn digits_reach_the_call() {
    let pbx = pbx().await;
    pbx.ring("ann", "press").await;
    let call = pbx.call_when("ann", "over", ended).await;
    let call = pbx.api.call(call["id"].as_str().unwrap()).await.unwrap();
    let digits = call["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "dtmf").count();
    assert_eq!(digits, 3, "{call}\n{}", pbx.story());
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn a_call_out_is_answered_and_heard() {
    let pbx = pbx().await;
    let id = pbx.place("7001").await;
    let call = pbx.placed_when(&id, "completed").await;
    assert!(!call["answered_at"].is_null(), "{call}");
    pbx.is_empty().await;
    let channel = format!("jf-out-{id};2");
    let heard = pbx.heard(&channel);
    assert!(heard > 0.8, "heard {heard} of it\n{}", pbx.story());
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn calls_out_that_nobody_answers_end_as_what_they_are() {
    let mut options = HostOptions::new().unwrap();
    options.environment.push(("JACKFIELD_LIMITS_RING_SECONDS".to_owned(), "5".to_owned()));
    let pbx = pbx_with(options, "ulaw").await;
    let (busy, silent, rejected) = (pbx.place("7017").await, pbx.place("7019").await, pbx.place("7021").await);
    pbx.placed_when(&busy, "busy").await;
    pbx.placed_when(&rejected, "failed").await;
    pbx.placed_when(&silent, "no-answer").await;
    pbx.is_empty().await;
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn an_extension_that_nobody_has_is_refused_and_nothing_is_left() {
    let pbx = pbx().await;
    let numbers = pbx.api.get("telephony/numbers").await.unwrap().json().unwrap();
    let number = numbers["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(pbx.api.delete(&format!("telephony/numbers/{number}")).await.unwrap().status < 300);
    pbx.ring("ann", "wait").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    pbx.is_empty().await;
    assert!(pbx.api.calls().await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn a_star_answers_every_extension() {
    let pbx = pbx().await;
    let numbers = pbx.api.get("telephony/numbers").await.unwrap().json().unwrap();
    let number = numbers["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(pbx.api.delete(&format!("telephony/numbers/{number}")).await.unwrap().status < 300);
    pbx.api.add_number("*", &pbx.configuration, Some(&pbx.agent)).await.unwrap();
    pbx.ring("ann", "wait").await;
    let call = pbx.call_when("ann", "up", up).await;
    assert_eq!(call["to"], "8000");
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn calls_end_with_asterisk_and_new_ones_come_after_it() {
    let mut pbx = pbx().await;
    for caller in ["ann", "bob"] {
        pbx.ring(caller, "wait").await;
        pbx.call_when(caller, "up", up).await;
    }
    pbx.asterisk.restart().await.unwrap();
    for caller in ["ann", "bob"] {
        pbx.call_when(caller, "over", ended).await;
    }
    pbx.open().await;
    pbx.ring("cem", "talk").await;
    pbx.call_when("cem", "over", ended).await;
    assert!(pbx.heard("cem") > 0.8, "{}", pbx.story());
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn fifty_calls_at_once_are_all_heard() {
    let pbx = pbx().await;
    let callers: Vec<String> = (0..50).map(|n| format!("caller{n}")).collect();
    for caller in &callers {
        pbx.ring(caller, "talk").await;
    }
    for caller in &callers {
        let call = pbx.call_when(caller, "over", ended).await;
        assert_eq!(call["status"], "completed", "{caller}: {call}");
    }
    pbx.is_empty().await;
    for call in pbx.api.calls().await.unwrap() {
        let audio = pbx.audio(call["id"].as_str().unwrap()).await;
        let (frames_in, frames_out) = (audio["frames_in"].as_u64().unwrap(), audio["frames_out"].as_u64().unwrap());
        assert!(frames_in >= 145 && frames_out + 3 >= frames_in, "three seconds are 150 frames: {audio}");
        assert_eq!((&audio["bad"], &audio["dropped"]), (&json!(0), &json!(0)), "{audio}");
    }
    // What Asterisk wrote down has holes of its own when a hundred channels share two cores with everything else.
    let heard: Vec<f64> = callers.iter().map(|caller| pbx.heard(caller)).collect();
    let most = heard.iter().filter(|heard| **heard >= 0.5).count();
    assert!(most >= 45, "{heard:?}\n{}", pbx.story());
}

/// The states that a call's history tells of its transfers.
fn transferred(call: &Value) -> Vec<&str> {
    let events = call["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "transfer");
    events.filter_map(|event| event["data"]["state"].as_str()).collect()
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn a_caller_is_put_through_to_another_extension() {
    let pbx = pbx().await;
    pbx.ring("ann", "wait").await;
    let call = pbx.call_when("ann", "up", up).await;
    let id = call["id"].as_str().unwrap();
    let order = json!({ "to": "7002", "mode": "attended" });
    pbx.api.post(&format!("calls/{id}/transfer"), &order).await.unwrap().expect(201).unwrap();
    let joined = async || {
        let call = pbx.api.call(id).await.unwrap();
        transferred(&call).contains(&"joined").then_some(())
    };
    until(&format!("the two to be joined\n{}", pbx.story()), joined).await;
    // The agent is out of it: the two are in one bridge, and nobody else is.
    until("a bridge of the two", async || {
        let (_, bridges) = pbx.asterisk.ari("GET", "bridges").await.ok()?;
        let members = bridges.as_array()?.iter().map(|bridge| bridge["channels"].as_array().map_or(0, Vec::len));
        (members.max() == Some(2)).then_some(())
    })
    .await;
    assert_eq!(pbx.asterisk.ari("DELETE", "channels/ann").await.unwrap().0, 204);
    pbx.call_when("ann", "over", ended).await;
    pbx.is_empty().await;
}

#[tokio::test]
#[ignore = "needs Asterisk"]
async fn a_caller_whose_destination_is_busy_is_back_with_the_agent() {
    let pbx = pbx().await;
    pbx.ring("ann", "wait").await;
    let call = pbx.call_when("ann", "up", up).await;
    let id = call["id"].as_str().unwrap();
    let order = json!({ "to": "7017", "mode": "attended" });
    pbx.api.post(&format!("calls/{id}/transfer"), &order).await.unwrap().expect(201).unwrap();
    until("the transfer to fail", async || {
        let call = pbx.api.call(id).await.unwrap();
        transferred(&call).contains(&"failed").then_some(())
    })
    .await;
    assert!(up(&pbx.api.call(id).await.unwrap()), "{}", pbx.story());
    pbx.asterisk.ari("DELETE", "channels/ann").await.unwrap();
    pbx.call_when("ann", "over", ended).await;
    pbx.is_empty().await;
}
