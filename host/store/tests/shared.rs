//! Claims about short-lived state. Each is held against this process's own, a Redis and a Cluster.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use jackfield_store::{Admission, CallLimit, MediaGrant, NewMediaGrant, Secret, Shared, SignInFlow, Word, new_id};

const MINUTE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(150);

async fn redis_of(name: &str) -> Shared {
    let url = std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: `cargo xtask services up` prints one"));
    Shared::redis(&url, &new_id("node")).await.unwrap()
}

macro_rules! on_each {
    ($($claim:ident)*) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::Shared::default()).await;
            })*
        }
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::redis_of("JACKFIELD_TEST_REDIS_URL").await).await;
            })*
        }
        mod on_a_cluster {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                super::$claim(super::redis_of("JACKFIELD_TEST_CLUSTER_URL").await).await;
            })*
        }
    };
}

on_each! {
    a_token_is_taken_once_however_many_come_with_it
    a_token_that_is_too_old_or_made_up_grants_nothing
    a_key_is_seen_first_once_until_it_is_forgotten
    people_on_their_way_are_counted_found_once_and_forgotten
    calls_are_counted_under_all_limits_or_none
    a_call_that_is_admitted_has_its_audio_granted_and_no_other
    only_so_many_calls_begin_in_a_second
    calls_of_a_host_that_died_free_their_places
    no_more_calls_are_let_in_at_once_than_may_be
    a_call_is_in_one_transfer_and_context_and_index_go_together
    a_lease_has_one_holder_until_it_ends
    a_node_is_alive_while_it_says_so
    words_reach_all_who_listen
}

fn token() -> [u8; 32] {
    let mut token = [0; 32];
    token.copy_from_slice(&new_id("t").as_bytes()[..32]);
    token
}

async fn a_token_is_taken_once_however_many_come_with_it(shared: Shared) {
    let token = token();
    shared.put_media_grant(token, MediaGrant { call_id: "call".into() }, MINUTE).await.unwrap();
    let takers: Vec<_> = (0..64)
        .map(|_| {
            let shared = shared.clone();
            tokio::spawn(async move { shared.take_media_grant(token).await.unwrap() })
        })
        .collect();
    let mut taken = Vec::new();
    for taker in takers {
        taken.extend(taker.await.unwrap());
    }
    assert_eq!(taken, [MediaGrant { call_id: "call".into() }]);
}

async fn a_token_that_is_too_old_or_made_up_grants_nothing(shared: Shared) {
    let old = token();
    shared.put_media_grant(old, MediaGrant { call_id: "call".into() }, Duration::from_millis(1)).await.unwrap();
    tokio::time::sleep(SOON).await;
    assert_eq!(shared.take_media_grant(old).await.unwrap(), None);
    assert_eq!(shared.take_media_grant(token()).await.unwrap(), None);
}

async fn a_key_is_seen_first_once_until_it_is_forgotten(shared: Shared) {
    let key = new_id("key");
    assert!(shared.first_seen(&key, MINUTE).await.unwrap());
    assert!(!shared.first_seen(&key, MINUTE).await.unwrap());
    shared.forget(&key).await.unwrap();
    assert!(shared.first_seen(&key, SOON).await.unwrap());
    tokio::time::sleep(SOON * 2).await;
    assert!(shared.first_seen(&key, MINUTE).await.unwrap());
}

async fn people_on_their_way_are_counted_found_once_and_forgotten(shared: Shared) {
    let configuration = new_id("cfg");
    let flow = |person: &str| SignInFlow {
        configuration_id: configuration.clone(),
        person: person.to_owned(),
        verifier: Some(Secret::from("verifier".to_owned())),
    };
    let (one, two) = (token(), token());
    shared.put_sign_in_flow(one, flow("one"), MINUTE).await.unwrap();
    shared.put_sign_in_flow(two, flow("two"), MINUTE).await.unwrap();
    assert_eq!(shared.sign_in_flows(&configuration).await.unwrap(), 2);
    assert_eq!(shared.take_sign_in_flow(one).await.unwrap(), Some(flow("one")));
    assert_eq!(shared.take_sign_in_flow(one).await.unwrap(), None);
    assert_eq!(shared.clear_sign_in_flows(&configuration).await.unwrap(), 1);
    assert_eq!(shared.take_sign_in_flow(two).await.unwrap(), None);
    assert_eq!(shared.sign_in_flows(&configuration).await.unwrap(), 0);
}

fn limit(whose: &str, calls: Option<u64>, per_second: Option<u64>) -> CallLimit {
    CallLimit { whose: whose.to_owned(), calls, per_second }
}

async fn calls_are_counted_under_all_limits_or_none(shared: Shared) {
    let (wide, narrow) = (new_id("org"), new_id("cfg"));
    let limits = [limit(&wide, Some(5), None), limit(&narrow, Some(1), None)];
    assert_eq!(shared.admit("a", &limits, MINUTE, None).await.unwrap(), Admission::Admitted);
    assert_eq!(shared.admit("b", &limits, MINUTE, None).await.unwrap(), Admission::Full(1));
    assert_eq!(shared.admit("a", &limits, MINUTE, None).await.unwrap(), Admission::Admitted, "it is in already");
    assert_eq!(shared.calls_counted(&wide).await.unwrap(), 1, "a refused call is counted nowhere");
    shared.release_call("a", &[wide.clone(), narrow.clone()]).await.unwrap();
    shared.release_call("a", &[wide.clone(), narrow.clone()]).await.unwrap();
    assert_eq!(shared.calls_counted(&wide).await.unwrap(), 0);
    assert_eq!(shared.admit("b", &limits, MINUTE, None).await.unwrap(), Admission::Admitted);
    assert_eq!(shared.admit("c", &[], MINUTE, None).await.unwrap(), Admission::Admitted);
}

async fn a_call_that_is_admitted_has_its_audio_granted_and_no_other(shared: Shared) {
    let limits = [limit(&new_id("cfg"), Some(1), None)];
    let audio =
        |token: [u8; 32]| NewMediaGrant { token, grant: MediaGrant { call_id: "call".into() }, lasting: MINUTE };
    let (first, second, again) = (token(), token(), token());
    assert_eq!(shared.admit("a", &limits, MINUTE, Some(audio(first))).await.unwrap(), Admission::Admitted);
    assert_eq!(shared.admit("b", &limits, MINUTE, Some(audio(second))).await.unwrap(), Admission::Full(0));
    assert_eq!(shared.admit("a", &limits, MINUTE, Some(audio(again))).await.unwrap(), Admission::Admitted);
    let granted = Some(MediaGrant { call_id: "call".into() });
    assert_eq!(shared.take_media_grant(first).await.unwrap(), granted);
    assert_eq!(shared.take_media_grant(first).await.unwrap(), None, "once");
    assert_eq!(shared.take_media_grant(second).await.unwrap(), None);
    assert_eq!(shared.take_media_grant(again).await.unwrap(), granted);
}

async fn only_so_many_calls_begin_in_a_second(shared: Shared) {
    let limits = [limit(&new_id("org"), None, Some(3))];
    let mut outcomes = Vec::new();
    for call in 0..8 {
        outcomes.push(shared.admit(&call.to_string(), &limits, MINUTE, None).await.unwrap());
    }
    let admitted = outcomes.iter().filter(|outcome| **outcome == Admission::Admitted).count();
    // The second may have turned in between.
    assert!((3..=6).contains(&admitted) && outcomes.contains(&Admission::TooFast(0)), "{outcomes:?}");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(shared.admit("later", &limits, MINUTE, None).await.unwrap(), Admission::Admitted);
}

async fn calls_of_a_host_that_died_free_their_places(shared: Shared) {
    let org = new_id("org");
    let limits = [limit(&org, Some(2), None)];
    shared.admit("dead", &limits, SOON, None).await.unwrap();
    shared.admit("alive", &limits, SOON, None).await.unwrap();
    assert_eq!(shared.admit("new", &limits, MINUTE, None).await.unwrap(), Admission::Full(0));
    shared.renew_calls(&[("alive".to_owned(), vec![org.clone()])], MINUTE).await.unwrap();
    tokio::time::sleep(SOON * 2).await;
    assert_eq!(shared.calls_counted(&org).await.unwrap(), 1);
    assert_eq!(shared.admit("new", &limits, MINUTE, None).await.unwrap(), Admission::Admitted);
}

async fn no_more_calls_are_let_in_at_once_than_may_be(shared: Shared) {
    let limits = [limit(&new_id("org"), Some(7), None)];
    let asking: Vec<_> = (0..100)
        .map(|call| {
            let (shared, limits) = (shared.clone(), limits.clone());
            tokio::spawn(async move { shared.admit(&call.to_string(), &limits, MINUTE, None).await.unwrap() })
        })
        .collect();
    let mut admitted = 0;
    for outcome in asking {
        admitted += usize::from(outcome.await.unwrap() == Admission::Admitted);
    }
    assert_eq!(admitted, 7);
}

async fn a_call_is_in_one_transfer_and_context_and_index_go_together(shared: Shared) {
    let (id, other, call) = (new_id("tr"), new_id("tr"), new_id("CA"));
    assert!(shared.begin_transfer(&id, &call, "{}", MINUTE).await.unwrap());
    assert!(!shared.begin_transfer(&other, &call, "{}", MINUTE).await.unwrap());
    assert_eq!(shared.transfer(&other).await.unwrap(), None);
    shared.put_transfer(&id, &call, "{\"state\":1}", MINUTE).await.unwrap();
    assert_eq!(shared.transfer(&id).await.unwrap().as_deref(), Some("{\"state\":1}"));
    assert_eq!(shared.transfer_of_call(&call).await.unwrap(), Some(id.clone()));
    shared.clear_transfer(&id, &call).await.unwrap();
    assert_eq!(shared.transfer(&id).await.unwrap(), None);
    assert_eq!(shared.transfer_of_call(&call).await.unwrap(), None);
    assert!(shared.begin_transfer(&other, &call, "{}", SOON).await.unwrap());
    tokio::time::sleep(SOON * 2).await;
    assert!(shared.begin_transfer(&id, &call, "{}", MINUTE).await.unwrap(), "a transfer has an end");
}

async fn a_lease_has_one_holder_until_it_ends(shared: Shared) {
    let name = new_id("lease");
    assert!(shared.lease(&name, "one", SOON).await.unwrap());
    assert!(!shared.lease(&name, "two", MINUTE).await.unwrap());
    assert!(shared.lease(&name, "one", SOON).await.unwrap(), "who has it keeps it");
    tokio::time::sleep(SOON * 2).await;
    assert!(shared.lease(&name, "two", MINUTE).await.unwrap());
    shared.release_lease(&name, "one").await.unwrap();
    assert!(!shared.lease(&name, "one", MINUTE).await.unwrap());
    shared.release_lease(&name, "two").await.unwrap();
    assert!(shared.lease(&name, "one", MINUTE).await.unwrap());
}

async fn a_node_is_alive_while_it_says_so(shared: Shared) {
    let node = new_id("node");
    assert!(!shared.is_alive(&node).await.unwrap());
    shared.alive(&node, SOON).await.unwrap();
    assert!(shared.is_alive(&node).await.unwrap());
    tokio::time::sleep(SOON * 2).await;
    assert!(!shared.is_alive(&node).await.unwrap());
}

async fn words_reach_all_who_listen(shared: Shared) {
    let mut words = shared.listen();
    let text = new_id("word");
    for _ in 0..50 {
        shared.say(Word { to: None, text: text.clone() }).await.unwrap();
        // A subscription to Redis takes a moment to stand.
        let heard = tokio::time::timeout(SOON, async {
            while let Ok(word) = words.recv().await {
                if word.text == text {
                    return true;
                }
            }
            false
        });
        if heard.await.unwrap_or(false) {
            return;
        }
    }
    panic!("nothing was heard");
}
