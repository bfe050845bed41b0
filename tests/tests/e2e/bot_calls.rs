//! Calls to a bot over the `websocket` connector.

use jackfield_tests::bot::{Bot, Conversation};
use jackfield_tests::carrier::{Leg, MediaStream};
use jackfield_tests::speech::{from_ulaw, to_ulaw};
use serde_json::{Value, json};

use crate::world::{CALLER, World, ended, frames};

const BOTS_NUMBER: &str = "+12065550177";

struct BotCall {
    world: World,
    leg: Leg,
    stream: MediaStream,
    bot: Bot,
    talk: Conversation,
}

async fn call_bot() -> BotCall {
    call(&json!({ "connector": "websocket" })).await
}

async fn call(agent: &Value) -> BotCall {
    let world = World::with(|options| options.with_settings("[egress]\ndanger_allow_private = true\n")).await;
    world.api.create("agents", &json!({ "name": "spare", "connector": "tone" })).await.unwrap();
    let mut bot = Bot::start().await.unwrap();
    let mut agent = agent.clone();
    agent["name"] = json!("bot");
    agent["url"] = json!(bot.url);
    let agent = world.api.create("agents", &agent).await.unwrap();
    world.api.add_number(BOTS_NUMBER, &world.configuration, Some(&agent)).await.unwrap();
    let leg = Leg::inbound(CALLER, BOTS_NUMBER);
    let verb = world.carrier.ring_through(&leg).await.unwrap();
    let stream = world.carrier.open_stream(&leg, &verb).await.unwrap();
    let mut talk = bot.conversation().await.unwrap();
    talk.until("who calls", |heard| !heard.metadata.is_null()).await.unwrap();
    BotCall { world, leg, stream, bot, talk }
}

fn marks(messages: &[Value]) -> Vec<(String, String)> {
    let marks = messages.iter().filter(|message| message["type"] == "mark");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    marks.map(|mark| (text(&mark["data"]["name"]), text(&mark["data"]["event"]))).collect()
}

#[tokio::test]
async fn a_bot_is_told_who_calls_and_hears_the_caller_as_pcm() {
    let mut call = call_bot().await;
    let metadata = call.talk.heard().metadata;
    assert_eq!((metadata["from"].as_str(), metadata["to"].as_str()), (Some(CALLER), Some(BOTS_NUMBER)));
    assert_eq!(metadata["sampleRate"], 8_000);
    let spoken = frames(20);
    call.stream.speak(&spoken).await;
    let samples: Vec<u8> = spoken.concat().into_iter().flat_map(|byte| from_ulaw(byte).to_le_bytes()).collect();
    let heard = call.talk.until("the caller", |heard| heard.audio.len() >= samples.len()).await.unwrap();
    assert!(heard.audio.windows(samples.len()).step_by(2).any(|part| part == samples), "every sample arrived");
}

#[tokio::test]
async fn a_caller_hears_what_the_bot_says_and_its_mark_comes_back_when_played() {
    let mut call = call_bot().await;
    let samples: Vec<i16> = frames(25).concat().into_iter().map(from_ulaw).collect();
    call.talk.speak(&samples);
    call.talk.mark("said");
    call.talk.speak(&samples[..160]);
    let heard = call.talk.until("the mark", |heard| !marks(&heard.messages).is_empty()).await.unwrap();
    assert_eq!(marks(&heard.messages), [("said".to_owned(), "playout".to_owned())]);
    let said: Vec<u8> = samples.into_iter().map(to_ulaw).collect();
    let played: Vec<u8> = call.stream.heard().audio.into_iter().flat_map(|passed| passed.bytes).collect();
    assert!(played.windows(said.len()).any(|part| part == said), "heard {} bytes", played.len());
}

#[tokio::test]
async fn a_barge_in_clears_what_is_not_played_and_tells_the_marks() {
    let mut call = call_bot().await;
    let ten_seconds = vec![1_000; 80_000];
    call.talk.speak(&ten_seconds);
    call.talk.mark("never");
    call.talk.speak(&ten_seconds[..160]);
    call.stream.until("the bot", |heard| heard.bytes() > 1_600).await.unwrap();
    call.talk.kill_audio();
    let heard = call.talk.until("the cleared mark", |heard| !marks(&heard.messages).is_empty()).await.unwrap();
    assert_eq!(marks(&heard.messages), [("never".to_owned(), "cleared".to_owned())]);
    let heard = call.stream.until("the clear", |heard| !heard.clears.is_empty()).await.unwrap();
    assert!(heard.bytes() < 80_000, "{} bytes went out", heard.bytes());
    assert!(heard.most_ahead.as_millis() <= 200, "{:?} was ahead of the ear", heard.most_ahead);
}

#[tokio::test]
async fn keys_reach_the_bot() {
    let mut call = call_bot().await;
    call.stream.speak(&frames(3)).await;
    for digit in ["1", "#", "A"] {
        call.stream.dtmf(digit);
    }
    let keys = |messages: &[Value]| -> Vec<Value> {
        messages.iter().filter(|message| message["event"] == "dtmf").map(|message| message["dtmf"].clone()).collect()
    };
    let heard = call.talk.until("three keys", |heard| keys(&heard.messages).len() == 3).await.unwrap();
    assert_eq!(keys(&heard.messages), [json!("1"), json!("#"), json!("A")]);
}

#[tokio::test]
async fn a_bot_that_disconnects_ends_the_call() {
    let mut call = call_bot().await;
    call.stream.speak(&frames(3)).await;
    call.talk.disconnect();
    call.stream.until("the end", |heard| heard.closed.is_some()).await.unwrap();
    let ended = call.world.call_when(&call.leg, "the end", ended).await;
    assert_eq!(ended["status"], "completed");
}

/// Is there sound in what the caller heard from here on?
async fn hears_sound(stream: &mut MediaStream) {
    let before = stream.heard().bytes();
    let loud = |bytes: &[u8]| bytes.iter().filter(|byte| from_ulaw(**byte).unsigned_abs() > 2_000).count();
    stream
        .until("sound", |heard| {
            let all: Vec<u8> = heard.audio.iter().flat_map(|passed| passed.bytes.clone()).collect();
            loud(all.get(before..).unwrap_or_default()) > 400
        })
        .await
        .unwrap();
}

async fn entrances(call: &BotCall) -> Vec<String> {
    let call = call.world.api.call_of(&call.leg.sid).await.unwrap();
    let call = call_with_events(&call);
    call.iter().filter(|event| event["kind"] == "agent").map(|event| event["data"]["entrance"].to_string()).collect()
}

fn call_with_events(call: &Value) -> Vec<Value> {
    call["events"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_bot_that_breaks_down_is_connected_once_more_if_it_may_be() {
    let mut call = call(&json!({ "connector": "websocket", "settings": { "reconnect": true } })).await;
    call.stream.speak(&frames(3)).await;
    call.talk.fail();
    let mut second = call.bot.conversation().await.unwrap();
    second.until("who calls", |heard| heard.metadata["from"] == CALLER).await.unwrap();
    call.stream.speak(&frames(5)).await;
    second.until("the caller", |heard| heard.audio.len() >= 4 * 320).await.unwrap();
    second.speak(&[12_000; 8_000]);
    hears_sound(&mut call.stream).await;
    assert_eq!(entrances(&call).await, ["\"reconnected\""]);
    // Once is once.
    second.fail();
    let ended = call.world.call_when(&call.leg, "the end", ended).await;
    assert!(ended["end_reason"].as_str().unwrap().contains("lost"), "{ended}");
}

#[tokio::test]
async fn another_agent_goes_on_with_the_call_of_a_bot_that_breaks_down() {
    let mut call = call(&json!({ "connector": "websocket", "settings": { "fallback": "spare" } })).await;
    call.stream.speak(&frames(3)).await;
    call.talk.fail();
    hears_sound(&mut call.stream).await;
    assert_eq!(entrances(&call).await, ["\"fallback\""]);
    call.stream.hang_up();
    call.world.call_when(&call.leg, "the end", ended).await;
}

#[tokio::test]
async fn another_agent_takes_the_call_of_a_bot_that_is_not_there() {
    let settings = "[media]\nagent_connect_ms = 600\n";
    let world = World::with(|options| options.with_settings(settings)).await;
    world.api.create("agents", &json!({ "name": "spare", "connector": "tone" })).await.unwrap();
    let bot = json!({
        "name": "bot", "connector": "websocket", "url": "ws://127.0.0.1:1/", "settings": { "fallback": "spare" },
    });
    let agent = world.api.create("agents", &bot).await.unwrap();
    world.api.add_number(BOTS_NUMBER, &world.configuration, Some(&agent)).await.unwrap();
    let leg = Leg::inbound(CALLER, BOTS_NUMBER);
    let verb = world.carrier.ring_through(&leg).await.unwrap();
    let mut stream = world.carrier.open_stream(&leg, &verb).await.unwrap();
    hears_sound(&mut stream).await;
}

#[tokio::test]
async fn stand_ins_that_are_none_are_refused() {
    let world = World::new().await;
    for settings in [json!({ "fallback": 7 }), json!({ "fallback": "" }), json!({ "reconnect": "yes" })] {
        let agent = json!({ "name": "bot", "connector": "echo", "settings": settings });
        let answer = world.api.post("agents", &agent).await.unwrap();
        assert_eq!(answer.status, 422, "{settings}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_becomes_of_the_audio_is_told_while_it_does() {
    let mut call = call_bot().await;
    call.talk.speak(&[9_000; 4_000]);
    call.stream.speak(&frames(75)).await;
    let live = call.world.api.call_of(&call.leg.sid).await.unwrap();
    let audio = &live["audio"];
    assert!(audio["frames_in"].as_u64().unwrap() >= 25, "{live}");
    assert!(audio["frames_out"].as_u64().unwrap() >= 20, "{live}");
    assert!(audio["first_audio_ms"].as_u64().is_some_and(|after| after < 5_000), "{live}");
    call.stream.hang_up();
    let ended = call.world.call_when(&call.leg, "the end", ended).await;
    assert_eq!(ended["status"], "completed");
}

#[tokio::test]
async fn a_caller_who_hangs_up_closes_the_bots_socket() {
    let mut call = call_bot().await;
    call.stream.speak(&frames(3)).await;
    call.stream.hang_up();
    call.talk.until("the close", |heard| heard.closed).await.unwrap();
}

#[tokio::test]
async fn a_bot_that_listens_and_speaks_at_another_rate_is_understood() {
    let agent = json!({ "connector": "websocket", "settings": { "rate": 16_000 } });
    let mut call = call(&agent).await;
    assert_eq!(call.talk.heard().metadata["sampleRate"], 16_000);
    let spoken = frames(40);
    call.stream.speak(&spoken).await;
    let heard = call.talk.until("the caller", |heard| heard.audio.len() >= 39 * 640).await.unwrap();
    let loudest = |samples: &[i16]| samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    let samples: Vec<i16> = heard.audio.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let sent: Vec<i16> = spoken.concat().into_iter().map(from_ulaw).collect();
    assert!(loudest(&samples) > loudest(&sent) / 2, "the speech is in it");
    // A second at 16 kHz is a second to the caller.
    let tone = |n: u32| (12_000.0 * (std::f64::consts::TAU * 500.0 * f64::from(n) / 16_000.0).sin()) as i16;
    call.talk.speak(&(0..16_000).map(tone).collect::<Vec<i16>>());
    call.talk.mark("said");
    call.talk.until("the mark", |heard| !marks(&heard.messages).is_empty()).await.unwrap();
    let said = call.stream.heard().audio.iter().map(|frame| frame.bytes.len()).sum::<usize>();
    assert!((7_990..=8_200).contains(&said), "{said} bytes of \u{3bc}-law");
}

#[tokio::test]
async fn the_host_proves_itself_to_a_bot_and_shows_the_secret_to_nobody() {
    let secret = "bearer-of-the-bot-0123456789";
    let call = call(&json!({ "connector": "websocket", "secret": secret })).await;
    assert_eq!(call.talk.heard().authorization.as_deref(), Some("Bearer bearer-of-the-bot-0123456789"));
    let agents = call.world.api.get("agents").await.unwrap().expect(200).unwrap();
    let bot = agents["items"].as_array().unwrap().iter().find(|agent| agent["name"] == "bot").unwrap().clone();
    assert_eq!(bot["secret"], "********6789");
    // Sent back as it was shown, it stays; empty, it goes.
    let path = format!("agents/{}", bot["id"].as_str().unwrap());
    let form = |secret: Value| json!({ "name": "bot", "connector": "websocket", "url": bot["url"], "secret": secret });
    let kept = call.world.api.put(&path, &form(bot["secret"].clone())).await.unwrap().expect(200).unwrap();
    assert_eq!(kept["secret"], "********6789");
    let gone = call.world.api.put(&path, &form(json!(""))).await.unwrap().expect(200).unwrap();
    assert_eq!(gone["secret"], Value::Null);
    assert_eq!(call.world.api.put(&path, &form(json!("********1234"))).await.unwrap().status, 422);
}
