//! What a build fails at is read by the next one, and told of without what it said.

use jackfield_tests::carrier::{Leg, Webhook};
use serde_json::{Value, json};

use crate::world::{CALLER, NUMBER, World, ended, id};

const PAGE: u64 = 65_536;

async fn plugin(world: &World) -> Value {
    world.api.get("plugins/twilio").await.unwrap().expect(200).unwrap()
}

/// Leaves the plugin the memory that its own vectors need, and hardly more.
async fn narrow(world: &World) {
    narrow_by(world, "plugins/twilio/grants").await;
}

async fn narrow_by(world: &World, path: &str) {
    world.call_in().await;
    let used = plugin(world).await["generations"][0]["memory_bytes"].as_u64().unwrap();
    for pages in 0..16 {
        let grants = json!({ "memory_bytes": used + pages * PAGE });
        if world.api.put(path, &grants).await.unwrap().status == 200 {
            return;
        }
    }
    panic!("its vectors need more than a megabyte above {used} bytes");
}

/// A report that is right, and has more in it than fits into so little memory.
fn huge(world: &World, url: &str, leg: &Leg, status: &str) -> Webhook {
    let mut webhook = world.carrier.status_webhook(url, leg, status, 9, &[("CallDuration", "7")]);
    let more = (0..500).map(|index| (format!("Parameter{index}"), "x".repeat(96)));
    webhook.fields.extend(more);
    webhook
}

#[tokio::test]
async fn a_report_that_a_build_fails_at_waits_for_the_next_build() {
    let world = World::new().await;
    narrow(&world).await;
    let order = json!({ "agent": world.agent, "to": CALLER, "from": NUMBER, "configuration": world.configuration });
    world.api.post("calls", &order).await.unwrap().expect(201).unwrap();
    let placed = world.rest.placed().await.unwrap();
    let out = Leg { sid: placed.sid.clone(), from: placed.from, to: placed.to, direction: "outbound-api" };
    let (inside, _stream) = world.call_in().await;
    let account = format!("{}/{}", world.carrier.shared_inbound_url().trim_end_matches("/run"), world.configuration);

    let webhook = huge(&world, &placed.status_callback, &out, "busy");
    assert_eq!(world.carrier.post(&webhook).await.unwrap().status, 502, "{}", world.host.output());
    world.carrier.post(&huge(&world, &account, &inside, "completed")).await.unwrap();
    assert_eq!(world.carrier.post(&webhook).await.unwrap().status, 502, "it comes again, and waits once");
    for leg in [&out, &inside] {
        assert!(!ended(&world.api.call_of(&leg.sid).await.unwrap()));
    }
    assert_eq!(world.metric("jackfield_callbacks_waiting").await, f64::from(2));

    world.api.delete("plugins/twilio/grants").await.unwrap().expect(200).unwrap();
    let over = world.call_when(&out, "the end that the next build reads", ended).await;
    assert_eq!(over["status"], "busy");
    let over = world.call_when(&inside, "the other end", ended).await;
    assert_eq!(over["status"], "completed");
    assert_eq!(world.metric("jackfield_callbacks_waiting").await, f64::from(0));
    assert_eq!(world.metric("jackfield_callbacks_waited_total").await, f64::from(2));
}

#[tokio::test]
async fn an_input_that_a_build_failed_at_twice_is_shown_without_what_it_said() {
    let world = World::new().await;
    narrow(&world).await;
    let (leg, _stream) = world.call_in().await;
    let webhook = huge(&world, &world.carrier.shared_inbound_url(), &leg, "ringing");
    for _ in 0..3 {
        world.carrier.post(&webhook).await.unwrap();
    }
    let breaker = plugin(&world).await["breaker"].clone();
    assert_eq!(breaker["quarantined_inputs"], 1, "{breaker:#}");
    let what = &breaker["inputs"][0]["what"];
    assert!(what["error"].as_str().unwrap().contains("trapped in `"), "{breaker:#}");
    let request = &what["request"];
    assert_eq!((request["method"].as_str(), request["bytes"].as_u64().unwrap() > 50_000), (Some("POST"), true));
    assert!(request["body"].as_array().unwrap().contains(&json!("CallStatus=aaaaaaa")), "{breaker:#}");
    for said in [CALLER, NUMBER, &leg.sid, "ringing"] {
        let said = said.trim_start_matches('+');
        assert!(!breaker.to_string().contains(said), "{said}: {breaker:#}");
        assert!(!world.host.output().contains(said), "{said} is in the log");
    }
}

#[tokio::test]
async fn a_canary_whose_guests_fail_is_taken_off_and_what_serves_goes_on() {
    let world = World::new().await;
    let good = world.generation().await;
    narrow_by(&world, "plugins/twilio/grants?canary=100%25&canary_for=60s").await;
    assert_eq!(world.generation().await, good);
    let order = json!({ "agent": world.agent, "to": CALLER, "from": NUMBER, "configuration": world.configuration });
    world.api.post("calls", &order).await.unwrap().expect(201).unwrap();
    let placed = world.rest.placed().await.unwrap();
    let leg = Leg { sid: placed.sid.clone(), from: placed.from, to: placed.to, direction: "outbound-api" };
    for number in 0..6 {
        let mut webhook = huge(&world, &placed.status_callback, &leg, "ringing");
        webhook.fields.push(("Number".to_owned(), number.to_string()));
        assert_eq!(world.carrier.post(&webhook).await.unwrap().status, 502, "{}", world.host.output());
    }
    let mut newest = Value::Null;
    for _ in 0..200 {
        let page = world.api.get("plugins/twilio/rollouts").await.unwrap().expect(200).unwrap();
        newest = page["items"][0].clone();
        if newest["state"] == "aborted" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(newest["state"], "aborted", "{newest:#}");
    assert!(newest["reason"].as_str().unwrap().contains("failed"), "{newest:#}");
    assert_eq!(world.generation().await, good);
    let (later, _stream) = world.call_in().await;
    assert_eq!(world.api.call_of(&later.sid).await.unwrap()["generation"], good.as_str());
}

#[tokio::test]
async fn a_report_about_a_transfer_waits_as_well() {
    let world = World::new().await;
    narrow(&world).await;
    let (leg, stream) = world.call_in().await;
    world.rest.know(&leg.sid, &leg.from, &leg.to);
    let call = id(&world.call_when(&leg, "audio", |call| call["status"] == "in-progress").await);
    let order = json!({ "to": "+14155550177", "mode": "attended" });
    world.api.post(&format!("calls/{call}/transfer"), &order).await.unwrap().expect(201).unwrap();
    let placed = world.rest.calls().into_iter().find(|call| call.to == "+14155550177").unwrap();
    let out = Leg { sid: placed.sid.clone(), from: placed.from, to: placed.to, direction: "outbound-api" };
    let webhook = huge(&world, &placed.status_callback, &out, "busy");
    assert_eq!(world.carrier.post(&webhook).await.unwrap().status, 502, "{}", world.host.output());
    assert_eq!(world.metric("jackfield_callbacks_waiting").await, f64::from(1));
    world.api.delete("plugins/twilio/grants").await.unwrap().expect(200).unwrap();
    let failed = |call: &Value| {
        let events = call["events"].as_array().unwrap();
        events.iter().any(|event| event["kind"] == "transfer" && event["data"]["reason"] == "busy")
    };
    world.call_when(&leg, "the failure that the next build reads", failed).await;
    assert_eq!(world.metric("jackfield_callbacks_waiting").await, f64::from(0));
    drop(stream);
}
