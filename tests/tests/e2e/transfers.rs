//! Callers who are put through to somebody else, over Twilio.

use std::time::Duration;

use jackfield_tests::carrier::{Leg, MediaStream, Signature};
use jackfield_tests::twilio_rest::{Fault, PlacedCall};
use serde_json::{Value, json};

use crate::world::{CALLER, NUMBER, World, ended, frames, id, speak_and_hear};

const SOMEBODY: &str = "+14155550177";

/// A caller who talks to the agent, whom Twilio can be asked to move.
async fn talking(world: &World) -> (Leg, MediaStream, String) {
    let (leg, mut stream) = world.call_in().await;
    world.rest.know(&leg.sid, CALLER, NUMBER);
    speak_and_hear(&mut stream, &frames(20)).await;
    let call = id(&world.api.call_of(&leg.sid).await.unwrap());
    (leg, stream, call)
}

async fn transfer(world: &World, call: &str, mode: &str) -> (u16, Value) {
    let order = json!({ "to": SOMEBODY, "mode": mode, "announcement": "A caller for you" });
    let answer = world.api.post(&format!("calls/{call}/transfer"), &order).await.unwrap();
    (answer.status, answer.json().unwrap())
}

fn destination(world: &World) -> PlacedCall {
    world.rest.calls().into_iter().find(|call| call.to == SOMEBODY).unwrap()
}

async fn report(world: &World, placed: &PlacedCall, status: &str, sequence: u32) {
    let (sid, from, to) = (placed.sid.clone(), placed.from.clone(), placed.to.clone());
    let leg = Leg { sid, from, to, direction: "outbound-api" };
    let webhook = world.carrier.status_webhook(&placed.status_callback, &leg, status, sequence, &[]);
    let answer = world.carrier.post(&webhook).await.unwrap();
    assert_eq!(answer.status / 100, 2, "{status}: {}", answer.text());
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("waited for {what}");
}

/// The states that a call's history tells of its transfers, and why the last one failed.
fn told(call: &Value) -> (Vec<&str>, Option<&str>) {
    let events = call["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "transfer");
    let data: Vec<&Value> = events.map(|event| &event["data"]).collect();
    let states = data.iter().filter_map(|data| data["state"].as_str()).collect();
    (states, data.last().and_then(|data| data["reason"].as_str()))
}

fn cancelled(world: &World, sid: &str) -> usize {
    let asked = |status: &str| {
        let seen = world.rest.seen();
        seen.iter().filter(|seen| seen.path.contains(sid) && seen.field("Status") == status).count()
    };
    asked("canceled")
}

#[tokio::test]
async fn a_caller_is_put_through_and_the_call_goes_on_without_the_agent() {
    let world = World::new().await;
    let (leg, mut stream, call) = talking(&world).await;
    let (status, begun) = transfer(&world, &call, "attended").await;
    assert_eq!((status, &begun["state"]), (201, &json!("dialled")), "{begun}");
    let placed = destination(&world);
    assert_eq!(placed.from, NUMBER, "the number that was called is shown");
    assert!(placed.twiml.contains("<Say>A caller for you</Say>") && placed.twiml.contains("<Conference"));
    // The caller hears a tone, and no echo.
    let before = stream.heard().bytes();
    stream.speak(&frames(30)).await;
    let said: Vec<u8> = frames(30).concat();
    stream.until("the tone", |heard| heard.bytes() >= before + 10 * 160).await.unwrap();
    let heard: Vec<u8> = stream.heard().audio.iter().flat_map(|passed| passed.bytes.clone()).skip(before).collect();
    assert!(!heard.windows(160).any(|part| said.chunks(160).any(|frame| frame == part)), "the agent is not heard");
    let (status, twice) = transfer(&world, &call, "attended").await;
    assert_eq!(status, 409, "{twice}");
    report(&world, &placed, "ringing", 1).await;
    report(&world, &placed, "in-progress", 2).await;
    let moved = || world.rest.calls().iter().any(|known| known.sid == leg.sid && known.twiml.contains("<Conference"));
    until("the caller to be redirected", moved).await;
    let room =
        |twiml: &str| twiml.split("beep=\"false\">").nth(1).map(|rest| rest.split('<').next().unwrap().to_owned());
    let caller = world.rest.calls().into_iter().find(|known| known.sid == leg.sid).unwrap();
    assert_eq!(room(&caller.twiml), room(&placed.twiml), "both are in one room");
    stream.hang_up();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let live = world.api.call(&call).await.unwrap();
    assert_eq!(live["status"], "in-progress", "{live:#}");
    assert_eq!(told(&live).0, ["requested", "dialled", "answered", "joined"], "{live:#}");
    // Whoever hangs up first: both legs end, and each is told of.
    report(&world, &placed, "completed", 3).await;
    let asked =
        || world.rest.seen().iter().any(|seen| seen.path.contains(&leg.sid) && seen.field("Status") == "completed");
    until("the caller to be hung up", asked).await;
    let over = world.call_when(&leg, "the end", ended).await;
    assert_eq!((over["status"].as_str(), told(&over).0.last()), (Some("completed"), Some(&"ended")), "{over:#}");
}

#[tokio::test]
async fn a_destination_that_is_busy_gives_the_caller_back_to_the_agent() {
    let world = World::new().await;
    let (leg, mut stream, call) = talking(&world).await;
    assert_eq!(transfer(&world, &call, "attended").await.0, 201);
    report(&world, &destination(&world), "busy", 1).await;
    let live = world.call_when(&leg, "the failure", |call| told(call).1.is_some()).await;
    assert_eq!(told(&live), (vec!["requested", "dialled", "failed"], Some("busy")));
    let none = world.api.get(&format!("calls/{call}/transfer")).await.unwrap();
    assert_eq!(none.status, 404, "nothing of it is left: {}", none.text());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (sent, before) = (frames(25), stream.heard().bytes());
    stream.speak(&sent).await;
    stream.until("the echo", |heard| heard.bytes() >= before + 25 * 160).await.unwrap();
    stream.hang_up();
    world.call_when(&leg, "the end", ended).await;
}

#[tokio::test]
async fn a_destination_that_is_busy_at_once_was_rung_all_the_same() {
    let world = World::new().await;
    let (leg, _stream, call) = talking(&world).await;
    // Twilio tells how it went before it answers that it tries.
    world.rest.fail_next("POST", Fault::Stalled { done: true });
    let busy = async {
        until("the destination to be rung", || world.rest.calls().iter().any(|placed| placed.to == SOMEBODY)).await;
        report(&world, &destination(&world), "busy", 1).await;
    };
    let ((status, begun), ()) = tokio::join!(transfer(&world, &call, "attended"), busy);
    assert_eq!((status, &begun["state"]), (201, &json!("dialled")), "{begun}");
    let live = world.call_when(&leg, "the failure", |call| told(call).1.is_some()).await;
    assert_eq!(told(&live), (vec!["requested", "dialled", "failed"], Some("busy")));
}

#[tokio::test]
async fn a_blind_transfer_that_fails_ends_the_call() {
    let world = World::new().await;
    let (leg, _stream, call) = talking(&world).await;
    assert_eq!(transfer(&world, &call, "blind").await.0, 201);
    report(&world, &destination(&world), "no-answer", 1).await;
    let over = world.call_when(&leg, "the end", ended).await;
    assert_eq!(over["end_reason"], "the transfer failed: no answer");
}

#[tokio::test]
async fn a_caller_who_hangs_up_takes_the_destination_along_once() {
    let world = World::new().await;
    let (leg, stream, call) = talking(&world).await;
    assert_eq!(transfer(&world, &call, "attended").await.0, 201);
    let placed = destination(&world);
    stream.hang_up();
    let url = world.carrier.shared_inbound_url();
    let webhook = world.carrier.status_webhook(&url, &leg, "completed", 9, &[("CallDuration", "3")]);
    assert_eq!(world.carrier.post(&webhook).await.unwrap().status / 100, 2);
    world.call_when(&leg, "the end", ended).await;
    until("the destination to be given up", || cancelled(&world, &placed.sid) > 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(cancelled(&world, &placed.sid), 1);
}

#[tokio::test]
async fn a_transfer_can_be_cancelled_and_one_that_is_refused_says_why() {
    let world = World::new().await;
    let (leg, _stream, call) = talking(&world).await;
    let refused = world.api.post(&format!("calls/{call}/transfer"), &json!({ "to": "sip:nobody@example.net" })).await;
    let refused = refused.unwrap();
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(transfer(&world, &call, "attended").await.0, 201);
    assert_eq!(world.api.delete(&format!("calls/{call}/transfer")).await.unwrap().status, 202);
    let live = world.call_when(&leg, "the failure", |call| told(call).1 == Some("cancelled")).await;
    assert!(!ended(&live));
    let placed = destination(&world);
    until("the destination to be given up", || cancelled(&world, &placed.sid) == 1).await;
}

#[tokio::test]
async fn nobody_can_forge_the_answer_of_a_destination() {
    let world = World::new().await;
    let (_leg, _stream, call) = talking(&world).await;
    assert_eq!(transfer(&world, &call, "attended").await.0, 201);
    let placed = destination(&world);
    let leg = Leg { sid: placed.sid.clone(), from: NUMBER.into(), to: SOMEBODY.into(), direction: "outbound-api" };
    let webhook = world.carrier.status_webhook(&placed.status_callback, &leg, "in-progress", 1, &[]);
    for signature in [Signature::OtherToken, Signature::Missing] {
        let answer = world.carrier.post(&webhook.clone().signed(signature)).await.unwrap();
        assert_eq!(answer.status, 403);
    }
    let made_up = placed.status_callback.replace("tr_", "tr_0");
    let webhook = world.carrier.status_webhook(&made_up, &leg, "in-progress", 1, &[]);
    assert_eq!(world.carrier.post(&webhook).await.unwrap().status, 403);
    let live = world.api.get(&format!("calls/{call}/transfer")).await.unwrap().json().unwrap();
    assert_eq!(live["state"], "dialled");
}
