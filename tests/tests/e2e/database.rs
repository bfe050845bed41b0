//! What becomes of calls while PostgreSQL is cut off, slow, away or read-only.

use std::time::{Duration, Instant};

use jackfield_tests::carrier::{Leg, document, parse_stream};
use jackfield_tests::fleet::fresh_database;
use jackfield_tests::proxy::Proxy;
use sqlx::{Connection, Executor};

use crate::world::{CALLER, NUMBER, World, ended, frames, speak_and_hear};

async fn behind_a_proxy() -> (World, Proxy, String) {
    let url = fresh_database().await.unwrap();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (user, place) = rest.split_once('@').unwrap();
    let (server, name) = place.split_once('/').unwrap();
    let proxy = Proxy::start(server).await.unwrap();
    let through = format!("{scheme}://{user}@{}/{name}", proxy.address);
    let world = World::with(|mut options| {
        options.environment.push(("DATABASE_URL".to_owned(), through));
        options
    })
    .await;
    (world, proxy, url)
}

/// The status that a new caller's webhook gets, and how long it took.
async fn ring(world: &World) -> (u16, Duration) {
    let began = Instant::now();
    let answer = world.carrier.post(&world.carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER))).await.unwrap();
    let streams = document(&answer).ok().and_then(|verbs| parse_stream(verbs).ok()).is_some();
    assert_eq!(answer.status == 200, streams, "{}", answer.text());
    (answer.status, began.elapsed())
}

async fn ready(world: &World) -> u16 {
    world.api.get("/readyz").await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_cost_no_call_and_no_end() {
    let (world, proxy, _) = behind_a_proxy().await;
    let (leg, mut stream) = world.call_in().await;
    for _ in 0..10 {
        proxy.cut();
        speak_and_hear(&mut stream, &frames(3)).await;
        let (mut status, _) = ring(&world).await;
        if status == 503 {
            // The provider comes again.
            (status, _) = ring(&world).await;
        }
        assert_eq!(status, 200);
    }
    proxy.cut();
    stream.hang_up();
    let call = world.call_when(&leg, "the end", ended).await;
    let ends = call["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "ended").count();
    assert_eq!(ends, 1, "{call:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_database_keeps_nobody_waiting_past_the_sender_and_no_audio() {
    let (world, proxy, _) = behind_a_proxy().await;
    let (_leg, mut stream) = world.call_in().await;
    proxy.delay(Duration::from_secs(3));
    for _ in 0..3 {
        let (_, took) = ring(&world).await;
        assert!(took < Duration::from_millis(4_300), "{took:?}");
        speak_and_hear(&mut stream, &frames(20)).await;
    }
    proxy.delay(Duration::ZERO);
    let until = Instant::now() + Duration::from_secs(15);
    while ring(&world).await.0 != 200 {
        assert!(Instant::now() < until, "it does not come back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_said_and_calls_go_on() {
    let (world, proxy, _) = behind_a_proxy().await;
    let (leg, mut stream) = world.call_in().await;
    proxy.down(true);
    assert_eq!(ring(&world).await.0, 503);
    assert_eq!(ready(&world).await, 503);
    assert_eq!(world.api.get("/healthz").await.unwrap().status, 200);
    speak_and_hear(&mut stream, &frames(30)).await;
    proxy.down(false);
    let until = Instant::now() + Duration::from_secs(5);
    while ready(&world).await != 200 || ring(&world).await.0 != 200 {
        assert!(Instant::now() < until, "recovery takes longer than 5 s");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    speak_and_hear(&mut stream, &frames(10)).await;
    stream.hang_up();
    world.call_when(&leg, "the end", ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_makes_the_host_not_ready() {
    let (world, proxy, url) = behind_a_proxy().await;
    let (base, name) = url.rsplit_once('/').unwrap();
    let mut operator = sqlx::AnyConnection::connect(&format!("{base}/postgres")).await.unwrap();
    let mut set = async |value: &str| {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
        operator.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
        proxy.cut();
    };
    set("on").await;
    let until = Instant::now() + Duration::from_secs(5);
    while ready(&world).await != 503 {
        assert!(Instant::now() < until, "it says that it is ready");
    }
    assert_eq!(ring(&world).await.0, 503);
    set("off").await;
    let until = Instant::now() + Duration::from_secs(5);
    while ready(&world).await != 200 || ring(&world).await.0 != 200 {
        assert!(Instant::now() < until, "it does not come back");
    }
}
