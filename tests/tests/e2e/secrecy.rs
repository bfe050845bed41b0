//! What must not be found where people look.

use jackfield_tests::carrier::{Leg, Signature};
use serde_json::{Value, json};

use crate::world::{CALLER, NUMBER, World, ended, frames, speak_and_hear};

#[tokio::test]
async fn secrets_and_phone_numbers_are_in_no_log_and_secrets_in_no_answer() {
    let world = World::with(|options| options.with_settings("[log]\nlevel = \"debug\"\n")).await;
    let canary = world.carrier.account.token.clone();
    let leg = Leg::inbound(CALLER, NUMBER);
    let verb = world.carrier.ring_through(&leg).await.unwrap();
    let media_token = verb.url.rsplit('/').next().unwrap().to_owned();
    let mut stream = world.carrier.open_stream(&leg, &verb).await.unwrap();
    speak_and_hear(&mut stream, &frames(5)).await;
    stream.hang_up();
    world.call_when(&leg, "the end", ended).await;
    let order = json!({ "agent": "echo", "to": CALLER, "from": NUMBER, "configuration": world.configuration });
    world.api.post("calls", &order).await.unwrap();
    let forged = world.carrier.inbound_webhook(&leg).signed(Signature::OtherToken);
    world.carrier.post(&forged).await.unwrap();
    let mut answers = String::new();
    for path in ["telephony/configurations", "telephony/numbers", "agents", "calls", "plugins", "/metrics"] {
        answers.push_str(&world.api.get(path).await.unwrap().text());
    }
    answers
        .push_str(&world.api.get(&format!("telephony/configurations/{}", world.configuration)).await.unwrap().text());
    let logs = world.host.output();
    assert!(!logs.is_empty(), "the host logs something");
    assert!(!answers.contains(&canary), "the auth token came back from the API");
    for (what, secret) in [
        ("auth token", canary.as_str()),
        ("admin token", world.host.admin_token()),
        ("media token", &media_token),
        ("caller", CALLER.trim_start_matches('+')),
        ("number", NUMBER.trim_start_matches('+')),
    ] {
        let line = logs.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "the {what} is in the log: {line:?}");
    }
}

#[tokio::test]
async fn a_mask_sent_back_keeps_the_secret_and_a_new_value_replaces_it() {
    let mut world = World::new().await;
    let path = format!("telephony/configurations/{}", world.configuration);
    let shown = world.api.get(&path).await.unwrap().expect(200).unwrap();
    let body = json!({ "name": shown["name"], "provider": "twilio", "fields": shown["fields"] });
    world.api.put(&path, &body).await.unwrap().expect(200).unwrap();
    world.carrier.ring_through(&Leg::inbound(CALLER, NUMBER)).await.unwrap();
    let mut changed = body.clone();
    changed["fields"]["auth_token"] = json!("0123456789abcdef0123456789abcdef");
    // The account's id may be masked as well; what comes back masked stays.
    world.api.put(&path, &changed).await.unwrap().expect(200).unwrap();
    let old = world.carrier.post(&world.carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER))).await.unwrap();
    assert!(matches!(old.status, 401 | 403), "{}", old.status);
    "0123456789abcdef0123456789abcdef".clone_into(&mut world.carrier.account.token);
    world.carrier.ring_through(&Leg::inbound(CALLER, NUMBER)).await.unwrap();
}

#[tokio::test]
async fn the_database_holds_no_secret_in_the_clear() {
    let world = World::new().await;
    let canary = world.carrier.account.token.clone().into_bytes();
    let admin = world.host.admin_token().to_owned().into_bytes();
    let mut files = vec![world.host.folder().to_owned()];
    let mut looked_at = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let Ok(bytes) = std::fs::read(&path) else { continue };
        looked_at += 1;
        for secret in [&canary, &admin] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{}", path.display());
        }
    }
    assert!(looked_at > 0, "the host keeps its data somewhere");
}

#[tokio::test]
async fn admin_routes_want_the_token() {
    let world = World::with(|options| options.with_settings("[limits]\nfailed_auth_per_minute = 1000\n")).await;
    for token in ["", "wrong"] {
        let stranger = world.api.with_token(token);
        for path in
            ["telephony/configurations", "telephony/numbers", "agents", "calls", "plugins", "telephony/providers"]
        {
            let answer = stranger.get(path).await.unwrap();
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        }
        let swap = stranger.put_plugin("twilio", b"anything".to_vec()).await.unwrap();
        assert_eq!(swap.status, 401);
    }
    let unknown = world.api.get("calls/call_nobody").await.unwrap();
    assert_eq!(unknown.header("content-type"), "application/problem+json");
    let problem: Value = unknown.expect(404).unwrap();
    assert!(problem["type"].is_string() && problem["detail"].is_string(), "{problem}");
}

#[tokio::test]
async fn guessing_the_admin_token_locks_the_guesser_out() {
    let world = World::with(|options| options.with_settings("[limits]\nfailed_auth_per_minute = 3\n")).await;
    let stranger = world.api.with_token("guess");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(stranger.get("calls").await.unwrap().status);
    }
    assert_eq!(statuses.first(), Some(&401));
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}
