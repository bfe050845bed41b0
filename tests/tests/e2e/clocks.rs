//! Clocks that are wrong: an hour between two hosts, between a host and its provider, and steps while calls are up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jackfield_tests::carrier::Leg;
use jackfield_tests::clock::Clock;
use jackfield_tests::host_process::{HostOptions, HostProcess};
use serde_json::{Value, json};

use crate::fleet::Together;
use crate::telnyx::telnyx_with;
use crate::world::{CALLER, NUMBER, World, ended, frames, id, speak_and_hear};

const HOUR: i64 = 3_600;
const ALARM: &str = "this machine's clock is off";

/// Calls may be shorter than clocks differ: by a wrong clock each is too long at once.
fn half_an_hour(mut options: HostOptions) -> HostOptions {
    options.environment.push(("JACKFIELD_LIMITS_CALL_SECONDS".to_owned(), "1800".to_owned()));
    options
}

fn real_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// What the host tells of a clock that is off.
async fn off_seconds(host: &HostProcess) -> i64 {
    let metrics = host.api().unwrap().get("/metrics").await.unwrap().text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("jackfield_clock_off_seconds "));
    line.unwrap_or_else(|| panic!("no such metric:\n{metrics}")).parse().unwrap()
}

/// The stamps of a call that is over are in order, and of the time of this test.
fn in_order(call: &Value, began: i64) {
    let stamp = |name: &str| call[name].as_i64().unwrap_or_else(|| panic!("{name}: {call:#}"));
    let (created, answered, over) = (stamp("created_at"), stamp("answered_at"), stamp("ended_at"));
    assert!(created <= answered && answered <= over, "{call:#}");
    let about = began - 5_000..real_ms() + 5_000;
    assert!(about.contains(&created) && about.contains(&over), "{about:?}: {call:#}");
    let events = call["events"].as_array().unwrap();
    assert!(events.iter().all(|event| about.contains(&event["at"].as_i64().unwrap())), "{call:#}");
}

/// How often the provider was asked how a call stands.
fn inspections(hosts: &Together, leg: &Leg) -> usize {
    hosts.rest.seen().iter().filter(|seen| seen.method == "GET" && seen.path.contains(&leg.sid)).count()
}

/// Two hosts, the second of which is an hour ahead of the first and of the database.
async fn an_hour_apart(clock: &Clock) -> Together {
    let hosts = Together::each(2, |host, options| {
        let options = half_an_hour(options);
        if host == 1 { options.with_clock(clock) } else { options }
    })
    .await;
    hosts.no_calls().await;
    hosts
}

#[tokio::test]
async fn hosts_an_hour_apart_are_still_one() {
    let (began, clock) = (real_ms(), Clock::ahead(HOUR).unwrap());
    let hosts = an_hour_apart(&clock).await;
    hosts.eventually("the wrong clock to be told of", 10, async || hosts.hosts[1].output().contains(ALARM)).await;
    assert!(!hosts.hosts[0].output().contains(ALARM));
    assert!((HOUR - 5..HOUR + 5).contains(&off_seconds(&hosts.hosts[1]).await));
    assert!(off_seconds(&hosts.hosts[0]).await < 5);
    let narrow = json!({ "name": "default", "minutes_per_month": 30, "max_calls": 2 });
    hosts.api(0).put("organizations/org_default", &narrow).await.unwrap().expect(200).unwrap();
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    // Each call begins by one clock, and goes on by the other.
    let (one, mut one_stream) = hosts.call_in(1, 0).await;
    let (two, mut two_stream) = hosts.call_in(0, 1).await;
    // Longer than it takes to find a host dead, and to lose a lease.
    tokio::time::sleep(Duration::from_secs(14)).await;
    for stream in [&mut one_stream, &mut two_stream] {
        speak_and_hear(stream, &frames(10)).await;
    }
    for (host, leg) in [(0, &two), (1, &one)] {
        let url = hosts.carrier(host).shared_inbound_url();
        assert_eq!(hosts.status(host, &url, leg, "in-progress", 1).await / 100, 2);
        let live = hosts.api(host).call_of(&leg.sid).await.unwrap();
        assert_eq!(live["status"], "in-progress", "{live:#}");
        let third = hosts.ring(host, &Leg::inbound(CALLER, NUMBER)).await;
        assert!(third.is_none(), "a third call is one too many for either");
    }
    for (leg, stream) in [(&one, one_stream), (&two, two_stream)] {
        stream.hang_up();
        hosts.call_when(0, leg, "the end", 20, ended).await;
        in_order(&hosts.api(1).call_of(&leg.sid).await.unwrap(), began);
    }
    for host in 0..2 {
        let known = hosts.api(host).get("organizations/org_default").await.unwrap().json().unwrap();
        assert_eq!(known["minutes_this_month"], 0, "nobody pays for the hour: {known}");
    }
}

#[tokio::test]
async fn a_bill_is_asked_for_in_its_time_whichever_clock_is_wrong() {
    let clock = Clock::ahead(HOUR).unwrap();
    let hosts = an_hour_apart(&clock).await;
    for (webhook, media) in [(1, 0), (0, 1)] {
        let (leg, stream) = hosts.call_in(webhook, media).await;
        stream.hang_up();
        let url = hosts.carrier(media).shared_inbound_url();
        assert_eq!(hosts.status(media, &url, &leg, "completed", 1).await / 100, 2);
        hosts.call_when(0, &leg, "the end", 20, ended).await;
        let asked = inspections(&hosts, &leg);
        // The first question is due ten seconds after the end: the host whose clock is ahead must not ask at once.
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(inspections(&hosts, &leg), asked, "asked too early");
        hosts.rest.settle(&leg.sid, "completed", Some(3), Some("-0.0085"));
        // And the one that is behind must not wait for an hour.
        hosts.call_when(0, &leg, "the bill", 40, |call| !call["cost"].is_null()).await;
    }
}

#[tokio::test]
async fn a_clock_that_is_set_anew_neither_ends_calls_nor_stops_what_they_wait_for() {
    let clock = Clock::ahead(0).unwrap();
    let world = World::with(|options| half_an_hour(options).with_clock(&clock)).await;
    let (leg, mut stream) = world.call_in().await;
    world.rest.know(&leg.sid, CALLER, NUMBER);
    speak_and_hear(&mut stream, &frames(10)).await;
    let order = json!({ "agent": world.agent, "to": CALLER, "from": NUMBER, "configuration": world.configuration });
    let placed = world.api.post("calls", &order).await.unwrap().expect(201).unwrap();
    clock.set(HOUR).unwrap();
    // Each lets the call look at its timers.
    for digit in ["1", "2"] {
        stream.dtmf(digit);
        speak_and_hear(&mut stream, &frames(10)).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let rings = &world.rest.placed().await.unwrap();
    let outbound = Leg { sid: rings.sid.clone(), from: NUMBER.into(), to: CALLER.into(), direction: "outbound-api" };
    let webhook = world.carrier.status_webhook(&rings.status_callback, &outbound, "ringing", 1, &[]);
    assert_eq!(world.carrier.post(&webhook).await.unwrap().status / 100, 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let live = world.api.call_of(&leg.sid).await.unwrap();
    assert_eq!(live["status"], "in-progress", "{live:#}");
    let ringing = world.api.call(&id(&placed)).await.unwrap();
    assert_eq!(ringing["status"], "ringing", "{ringing:#}");
    assert!(world.host.output().contains(ALARM), "{}", world.host.output());
    // The provider is waited for a while before it is asked to end the call: by a clock that goes back, for an hour.
    let heard = |call: &Value| call["events"].as_array().unwrap().iter().any(|event| event["kind"] == "audio");
    stream.hang_up();
    world.call_when(&leg, "the end of the audio", heard).await;
    clock.set(-HOUR).unwrap();
    world.call_when(&leg, "the end", ended).await;
}

#[tokio::test]
async fn a_webhook_signed_by_date_is_refused_by_a_clock_that_is_off_and_taken_once_it_is_right() {
    let clock = Clock::ahead(0).unwrap();
    let telnyx = telnyx_with(|options| options.with_clock(&clock)).await;
    for (event, off, status) in [("e-1", HOUR, 403), ("e-2", -HOUR, 403), ("e-3", 0, 204)] {
        clock.set(off).unwrap();
        assert_eq!(telnyx.ring(event, "v3:AbC-123", NUMBER).await, status, "{off}");
    }
    assert!(telnyx.host.output().contains("signed at another time"), "{}", telnyx.host.output());
    let metrics = telnyx.host.api().unwrap().get("/metrics").await.unwrap().text();
    assert!(metrics.contains("jackfield_signature_failures_total{reason=\"stale\"} 2"), "{metrics}");
}
