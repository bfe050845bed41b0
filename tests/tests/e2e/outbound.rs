//! Calls that the host places, towards a fake of Twilio's REST API.

use std::time::Duration;

use jackfield_tests::carrier::{Leg, MediaStream, Webhook, document, parse_stream};
use jackfield_tests::twilio_rest::{Fault, PlacedCall, Seen};
use serde_json::{Value, json};

use crate::world::{CALLER, NUMBER, World, ended, frames, id, speak_and_hear};

async fn order(world: &World) -> (u16, Value) {
    let order = json!({ "agent": world.agent, "to": CALLER, "from": NUMBER, "configuration": world.configuration });
    let answer = world.api.post("calls", &order).await.unwrap();
    (answer.status, answer.json().unwrap())
}

fn leg_of(placed: &PlacedCall) -> Leg {
    Leg { sid: placed.sid.clone(), from: placed.from.clone(), to: placed.to.clone(), direction: "outbound-api" }
}

async fn report(world: &World, placed: &PlacedCall, status: &str, sequence: u32, more: &[(&str, &str)]) {
    let webhook = world.carrier.status_webhook(&placed.status_callback, &leg_of(placed), status, sequence, more);
    let answer = world.carrier.post(&webhook).await.unwrap();
    assert_eq!(answer.status / 100, 2, "{status}: {}", answer.text());
}

async fn answered(world: &World, placed: &PlacedCall) -> MediaStream {
    let leg = leg_of(placed);
    let webhook = Webhook::new(&placed.url, world.carrier.fields(&leg, "in-progress"));
    let verb = parse_stream(document(&world.carrier.post(&webhook).await.unwrap()).unwrap()).unwrap();
    world.carrier.open_stream(&leg, &verb).await.unwrap()
}

#[tokio::test]
async fn a_placed_call_is_dialled_answered_spoken_on_and_hung_up() {
    let world = World::new().await;
    let (status, call) = order(&world).await;
    assert_eq!(status, 201, "{call}");
    let placed = world.rest.placed().await.unwrap();
    assert_eq!((placed.to.as_str(), placed.from.as_str()), (CALLER, NUMBER));
    report(&world, &placed, "initiated", 0, &[]).await;
    report(&world, &placed, "ringing", 1, &[]).await;
    let mut stream = answered(&world, &placed).await;
    report(&world, &placed, "in-progress", 2, &[]).await;
    speak_and_hear(&mut stream, &frames(25)).await;
    let live = world.api.call(&id(&call)).await.unwrap();
    assert_eq!((live["status"].as_str(), live["direction"].as_str()), (Some("in-progress"), Some("outbound")));
    world.rest.settle(&placed.sid, "in-progress", None, None);
    let hang_up = world.api.post(&format!("calls/{}/hangup", id(&call)), &json!({})).await.unwrap();
    assert_eq!(hang_up.status / 100, 2, "{}", hang_up.text());
    stream.until("the end of the stream", |heard| heard.closed.is_some()).await.unwrap();
    let asked = || {
        world.rest.seen().into_iter().any(|seen| seen.path.contains(&placed.sid) && seen.field("Status") == "completed")
    };
    assert!(eventually(asked).await, "{:?}", world.rest.seen());
    report(&world, &placed, "completed", 3, &[("CallDuration", "7"), ("Duration", "1")]).await;
    let call = world.call_when(&leg_of(&placed), "the end", |call| ended(call) && !call["duration_s"].is_null()).await;
    assert_eq!((call["status"].as_str(), call["duration_s"].as_i64()), (Some("completed"), Some(7)));
}

async fn eventually(holds: impl Fn() -> bool) -> bool {
    for _ in 0..200 {
        if holds() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}

#[tokio::test]
async fn statuses_in_the_wrong_order_only_move_a_call_forward() {
    let world = World::new().await;
    order(&world).await;
    let placed = world.rest.placed().await.unwrap();
    report(&world, &placed, "busy", 3, &[("SipResponseCode", "486")]).await;
    for (sequence, late) in [(1, "ringing"), (0, "initiated"), (2, "in-progress"), (3, "busy"), (4, "completed")] {
        report(&world, &placed, late, sequence, &[]).await;
    }
    let call = world.call_when(&leg_of(&placed), "the end", ended).await;
    assert_eq!(call["status"], "busy");
}

#[tokio::test]
async fn a_callback_about_another_call_than_its_path_names_is_refused() {
    let world = World::new().await;
    order(&world).await;
    let placed = world.rest.placed().await.unwrap();
    report(&world, &placed, "ringing", 1, &[]).await;
    let other = Leg { sid: jackfield_tests::carrier::fresh_call_sid(), ..leg_of(&placed) };
    let webhook = world.carrier.status_webhook(&placed.status_callback, &other, "completed", 2, &[]);
    let answer = world.carrier.post(&webhook).await.unwrap();
    assert!(matches!(answer.status, 401 | 403), "{}", answer.status);
    let call = world.api.call_of(&placed.sid).await.unwrap();
    assert_eq!(call["status"], "ringing");
}

#[tokio::test]
async fn a_place_whose_answer_was_lost_is_found_again_and_never_dialled_twice() {
    let world = World::new().await;
    world.rest.fail_next("POST", Fault::AnswerLost);
    order(&world).await;
    let placed = world.rest.placed().await.unwrap();
    let asked_back =
        || world.rest.seen().iter().any(|seen| seen.method == "GET" && seen.path.starts_with("Calls.json"));
    assert!(eventually(asked_back).await, "{:?}", world.rest.seen());
    assert_eq!(world.rest.calls().len(), 1);
    let mut known = Vec::new();
    for _ in 0..200 {
        known = world.api.calls().await.unwrap();
        if known.iter().any(|call| call["provider_call_id"] == placed.sid.as_str()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(known.len(), 1, "{known:?}");
    assert_eq!(known[0]["provider_call_id"], placed.sid.as_str());
    assert_eq!(world.rest.calls().len(), 1);
}

/// Where the host is killed about a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    /// The order is on its way, and comes to nothing.
    BeforeTheDial,
    /// It rings; the answer is on its way.
    AfterTheDial,
    /// The answer is here.
    WhileItRings,
    WhileTheySpeak,
}

/// Orders a call and kills the host at that point. What was placed by then.
async fn killed_at(world: &mut World, point: Killed, order: &Value) -> Option<PlacedCall> {
    match point {
        Killed::BeforeTheDial => world.rest.fail_next("POST", Fault::Stalled { done: false }),
        Killed::AfterTheDial => world.rest.fail_next("POST", Fault::Stalled { done: true }),
        Killed::WhileItRings | Killed::WhileTheySpeak => {}
    }
    let (api, order) = (world.api.clone(), order.clone());
    let ordered = tokio::spawn(async move { api.post_keyed("calls", &order, "one").await });
    assert!(eventually(|| world.rest.seen().iter().any(|seen| seen.method == "POST")).await);
    if matches!(point, Killed::WhileItRings | Killed::WhileTheySpeak) {
        ordered.await.unwrap().unwrap().expect(201).unwrap();
    }
    let placed = world.rest.calls().pop();
    if point == Killed::WhileTheySpeak {
        let mut stream = answered(world, placed.as_ref().unwrap()).await;
        speak_and_hear(&mut stream, &frames(5)).await;
    }
    world.host.kill().unwrap();
    placed
}

#[tokio::test]
async fn a_host_that_is_killed_at_a_dial_never_dials_twice_and_lets_nobody_ring_on() {
    for point in [Killed::BeforeTheDial, Killed::AfterTheDial, Killed::WhileItRings, Killed::WhileTheySpeak] {
        let folder = tempfile::tempdir().unwrap();
        let mut world = World::with(|options| options.in_folder(folder.path())).await;
        let order = json!({ "agent": world.agent, "to": CALLER, "from": NUMBER, "configuration": world.configuration });
        let placed = killed_at(&mut world, point, &order).await;
        assert_eq!(placed.is_some(), point != Killed::BeforeTheDial, "{point:?}");
        world.start_again(folder.path());
        // Whoever ordered it got no answer, and asks again.
        let again = world.api.post_keyed("calls", &order, "one").await.unwrap();
        assert_eq!(again.status / 100, 2, "{point:?}: {}", again.text());
        let call = id(&again.json().unwrap());
        let over = async || ended(&world.api.call(&call).await.unwrap());
        let mut tries = 0;
        while !over().await {
            tries += 1;
            assert!(tries < 600, "{point:?}: {}", world.host.output());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let calls = world.api.calls().await.unwrap();
        assert_eq!(calls.len(), 1, "{point:?}: {calls:?}");
        let dialled = world.rest.calls();
        assert_eq!(dialled.len(), usize::from(placed.is_some()), "{point:?}: {:?}", world.rest.seen());
        assert!(dialled.iter().all(|call| call.status == "completed"), "{point:?}: {dialled:?}");
    }
}

#[tokio::test]
async fn what_a_call_cost_is_asked_after_its_end_also_by_the_next_run_of_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::with(|options| options.in_folder(folder.path())).await;
    let (_, call) = order(&world).await;
    let placed = world.rest.placed().await.unwrap();
    report(&world, &placed, "completed", 3, &[("CallDuration", "7")]).await;
    let leg = leg_of(&placed);
    world.call_when(&leg, "the end", ended).await;
    world.host.kill().unwrap();
    world.rest.settle(&placed.sid, "completed", Some(7), Some("-0.0085"));
    world.start_again(folder.path());
    let mut shown = Value::Null;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        shown = world.api.call(&id(&call)).await.unwrap();
        if !shown["cost"].is_null() {
            break;
        }
    }
    assert_eq!(shown["cost"], json!({ "amount": "0.0085", "currency": "USD" }), "{shown:#}");
    let asked = world.rest.seen().iter().filter(|seen| seen.method == "GET" && seen.path.contains(&placed.sid)).count();
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn a_provider_that_is_busy_and_does_not_say_for_how_long_is_asked_once_more() {
    let world = World::new().await;
    world.rest.fail_next("POST", Fault::Status(429, None));
    let (status, answer) = order(&world).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(world.rest.calls().len(), 1);
    let orders = |seen: &Seen| seen.method == "POST" && seen.path.starts_with("Calls.json");
    assert_eq!(world.rest.seen().iter().filter(|seen| orders(seen)).count(), 2);
}

#[tokio::test]
async fn a_number_the_provider_refuses_fails_the_call_with_its_reason() {
    let world = World::new().await;
    world.rest.fail_next("POST", Fault::Status(400, None));
    let (status, answer) = order(&world).await;
    assert!(world.rest.calls().is_empty());
    if status == 201 {
        let call = world.api.call(&id(&answer)).await.unwrap();
        assert_eq!(call["status"], "failed", "{call}");
    } else {
        assert!(matches!(status, 422 | 502), "{status}: {answer}");
    }
}

#[tokio::test]
async fn a_number_is_bound_to_the_url_that_then_rings() {
    let world = World::new().await;
    world.rest.own_number("+12065550188999");
    world.rest.own_number(NUMBER);
    world
        .api
        .post(&format!("telephony/configurations/{}/probe", world.configuration), &json!({}))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let offered = world.api.get(&format!("telephony/configurations/{}/available-numbers", world.configuration)).await;
    assert!(offered.unwrap().expect(200).unwrap()["items"].to_string().contains(NUMBER));
    let numbers = world.api.get("telephony/numbers").await.unwrap().expect(200).unwrap();
    let number = id(&numbers["items"][0]);
    world.api.post(&format!("telephony/numbers/{number}/bind"), &json!({})).await.unwrap().expect(200).unwrap();
    let bound: Vec<String> = world.rest.numbers().into_iter().map(|number| number.voice_url).collect();
    assert!(bound[0].is_empty(), "a number that only looks like ours is left alone: {bound:?}");
    let leg = Leg::inbound(CALLER, NUMBER);
    let webhook = Webhook::new(&bound[1], world.carrier.fields(&leg, "ringing"));
    parse_stream(document(&world.carrier.post(&webhook).await.unwrap()).unwrap()).unwrap();
    world.api.post(&format!("telephony/numbers/{number}/unbind"), &json!({})).await.unwrap().expect(200).unwrap();
    assert!(world.rest.numbers().iter().all(|number| number.voice_url.is_empty()));
}

#[tokio::test]
async fn credentials_that_the_provider_refuses_are_told_by_the_probe() {
    let world = World::new().await;
    let other =
        world.api.add_twilio("wrong", &world.carrier.account.sid, "00000000000000000000000000000000").await.unwrap();
    let answer = world.api.post(&format!("telephony/configurations/{other}/probe"), &json!({})).await.unwrap();
    assert!(answer.status >= 400, "{}", answer.text());
    assert!(world.rest.seen().iter().any(|seen| !seen.authorized));
}
