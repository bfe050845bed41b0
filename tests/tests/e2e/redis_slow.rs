//! What becomes of calls while Redis is slow, and while Redis and PostgreSQL are both away.

use std::time::{Duration, Instant};

use jackfield_tests::carrier::{Leg, document, parse_stream};
use jackfield_tests::fleet::{Redis, fresh_database};
use jackfield_tests::proxy::Proxy;

use crate::world::{CALLER, NUMBER, World, ended, frames, speak_and_hear};

/// What a provider waits for at the least, and a little for the machine.
const SENDERS_PATIENCE: Duration = Duration::from_millis(4_300);

/// A host whose database and Redis are reached through proxies.
struct Apart {
    world: World,
    database: Proxy,
    redis: Proxy,
    _server: Redis,
}

impl Apart {
    async fn new() -> Self {
        let (url, server) = (fresh_database().await.unwrap(), Redis::start().unwrap());
        let (before, place) = url.split_once('@').unwrap();
        let (address, name) = place.split_once('/').unwrap();
        let database = Proxy::start(address).await.unwrap();
        let redis_url = server.url();
        let redis = Proxy::start(redis_url.trim_start_matches("redis://").trim_end_matches('/')).await.unwrap();
        let world = World::with(|mut options| {
            let through = format!("{before}@{}/{name}", database.address);
            options.environment.push(("DATABASE_URL".to_owned(), through));
            options.environment.push(("REDIS_URL".to_owned(), format!("redis://{}/", redis.address)));
            options
        })
        .await;
        Self { world, database, redis, _server: server }
    }

    /// The status that a new caller's webhook gets; one that is answered well has somewhere to send audio.
    async fn ring(&self) -> u16 {
        let carrier = &self.world.carrier;
        let began = Instant::now();
        let answer = carrier.post(&carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER))).await.unwrap();
        assert!(began.elapsed() < SENDERS_PATIENCE, "{:?}", began.elapsed());
        let streams = document(&answer).ok().and_then(|verbs| parse_stream(verbs).ok()).is_some();
        assert_eq!(answer.status == 200, streams, "{}", answer.text());
        answer.status
    }

    async fn status(&self, path: &str) -> u16 {
        self.world.api.get(path).await.unwrap().status
    }

    async fn is_back(&self) {
        let until = Instant::now() + Duration::from_secs(15);
        while self.status("/readyz").await != 200 || self.ring().await != 200 {
            assert!(Instant::now() < until, "it does not come back: {}", self.world.host.output());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_redis_keeps_nobody_waiting_past_the_sender_and_no_audio() {
    let apart = Apart::new().await;
    let (leg, mut stream) = apart.world.call_in().await;
    for delay in [500, 1_000, 1_500] {
        apart.redis.delay(Duration::from_millis(delay));
        // Together they wait for one another's answers, too.
        let spoken = frames(40);
        let (one, other, ()) = tokio::join!(apart.ring(), apart.ring(), speak_and_hear(&mut stream, &spoken));
        assert!([one, other].iter().all(|status| matches!(status, 200 | 503)), "{one} {other}");
    }
    apart.redis.delay(Duration::ZERO);
    apart.is_back().await;
    stream.hang_up();
    apart.world.call_when(&leg, "the end", ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_neither_database_nor_redis_a_host_lives_is_not_ready_and_does_not_spin() {
    let apart = Apart::new().await;
    let (leg, mut stream) = apart.world.call_in().await;
    apart.database.down(true);
    apart.redis.down(true);
    assert_eq!(apart.ring().await, 503);
    assert_eq!((apart.status("/readyz").await, apart.status("/healthz").await), (503, 200));
    speak_and_hear(&mut stream, &frames(20)).await;
    let (away, before) = (Duration::from_secs(4), apart.world.host.cpu().unwrap());
    tokio::time::sleep(away).await;
    let used = apart.world.host.cpu().unwrap().saturating_sub(before);
    assert!(used < away / 10, "{used:?} of CPU time in {away:?}");
    apart.database.down(false);
    apart.redis.down(false);
    apart.is_back().await;
    speak_and_hear(&mut stream, &frames(10)).await;
    stream.hang_up();
    apart.world.call_when(&leg, "the end", ended).await;
}
