//! Sign-ins that two hosts share.

use std::time::Duration;

use jackfield_tests::clock::Clock;

use crate::webex::{ANN, BOB, Stage, until};

#[tokio::test]
async fn of_many_on_two_hosts_who_need_a_new_token_one_asks_for_it() {
    let stage = Stage::of_two(|options| options).await;
    stage.signs_in(ANN).await;
    stage.webex.spend_tokens();
    // So slow that all of them are there before the first has its token.
    stage.webex.with(|inner| inner.token_pause = Duration::from_secs(1));
    let before = stage.heard(ANN.0).len();
    for turn in 0..40 {
        stage.go_to(turn % 2);
        stage.writes(ANN, "/history").await;
    }
    until("forty answers", async || (stage.heard(ANN.0).len() >= before + 40).then_some(())).await;
    assert!(stage.heard(ANN.0)[before..].iter().all(|answer| answer.contains("missed")), "{:?}", stage.heard(ANN.0));
    assert_eq!(stage.webex.with(|inner| inner.refreshes), 1);
}

#[tokio::test]
async fn one_of_two_hosts_keeps_the_bots_webhooks() {
    let stage = Stage::of_two(|options| options).await;
    let hooks = async || stage.webex.with(|inner| inner.webhooks.clone());
    until("the bot's webhook", async || (!hooks().await.is_empty()).then_some(())).await;
    // Either host hears of a change within the time that the provider takes to say that there is none: two that looked
    // would each register one.
    stage.webex.with(|inner| {
        inner.webhooks.clear();
        inner.registered = 0;
        inner.look_pause = Duration::from_millis(1_300);
    });
    stage.hosts[0].api().unwrap().add_agent("echo", None).await.unwrap();
    until("the webhook to be there again", async || (!hooks().await.is_empty()).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(stage.webex.with(|inner| inner.registered), 1, "{:?}", hooks().await);
}

#[tokio::test]
async fn a_sign_in_ends_when_the_provider_says_on_hosts_an_hour_apart() {
    let clock = Clock::ahead(3_600).unwrap();
    let stage = Stage::of_two(|options| options.with_clock(&clock)).await;
    // Good for ten minutes, whichever host gave it and whichever asks.
    stage.webex.with(|inner| inner.lasts = 600);
    for (host, who) in [(0, ANN), (1, BOB)] {
        stage.go_to(host);
        stage.signs_in(who).await;
    }
    for host in [0, 1] {
        stage.go_to(host);
        for who in [ANN, BOB] {
            assert!(stage.says(who, "/history").await.contains("missed"));
        }
    }
    assert_eq!(stage.webex.with(|inner| inner.refreshes), 0, "none was renewed before its time");
    // Over at once: the host whose clock is behind must not believe in it for an hour, and lose a dial by that.
    stage.webex.with(|inner| inner.lasts = 0);
    stage.go_to(1);
    stage.says(ANN, "/auth clear").await;
    stage.signs_in(ANN).await;
    stage.webex.spend_tokens();
    stage.go_to(0);
    stage.webex.with(|inner| inner.lasts = 600);
    assert!(stage.says(ANN, "/dial 1002").await.contains("Calling"));
    assert_eq!(stage.webex.with(|inner| (inner.dials.len(), inner.refreshes)), (1, 1));
}
