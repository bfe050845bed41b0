//! What strangers send.

use std::time::Duration;

use jackfield_tests::carrier::{Account, Carrier, Leg, Signature, UpgradeRefused, Verb, Webhook, document};
use serde_json::json;

use crate::world::{CALLER, NUMBER, World};

#[tokio::test]
async fn a_signature_that_is_wrong_missing_or_doubled_is_refused_and_leaves_no_trace() {
    let world = World::new().await;
    let signatures = [
        Signature::Missing,
        Signature::OtherToken,
        Signature::Twice,
        Signature::Text(String::new()),
        Signature::Text("not base64!".to_owned()),
        Signature::Text("AAAA".repeat(7)),
        Signature::Text("A".repeat(8_000)),
    ];
    let mut bodies = Vec::new();
    for signature in signatures {
        let webhook = world.carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER)).signed(signature.clone());
        let answer = world.carrier.post(&webhook).await.unwrap();
        assert!(matches!(answer.status, 401 | 403), "{signature:?}: {}", answer.status);
        bodies.push(answer.body);
    }
    // An account that nobody has sounds just the same.
    let stranger = Carrier::new(world.host.gateway(), Account::fresh()).unwrap();
    let webhook = stranger.inbound_webhook(&Leg::inbound(CALLER, NUMBER));
    let answer = stranger.post(&webhook).await.unwrap();
    assert!(matches!(answer.status, 401 | 403), "{}", answer.status);
    bodies.push(answer.body);
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "all refusals are alike");
    assert!(world.api.calls().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_body_of_a_kind_that_no_provider_sends_is_refused_before_any_plugin_sees_it() {
    let world = World::new().await;
    let webhook = world.carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER));
    for kind in ["", "text/plain", "multipart/form-data; boundary=x", "application/octet-stream"] {
        let answer = world.carrier.post_body(&webhook, kind, b"AccountSid=AC1".to_vec()).await.unwrap();
        assert_eq!(answer.status, 415, "{kind}");
    }
}

#[tokio::test]
async fn a_changed_field_or_target_breaks_the_signature() {
    let world = World::new().await;
    let genuine = world.carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER));
    let right = jackfield_tests::carrier::signature(&world.carrier.account.token, &genuine.url, &genuine.fields);
    let mut forged = genuine.clone().signed(Signature::Text(right.clone()));
    forged.fields.push(("To".to_owned(), "+19005550000".to_owned()));
    assert!(matches!(world.carrier.post(&forged).await.unwrap().status, 401 | 403));
    let mut moved = genuine.clone().signed(Signature::Text(right.clone()));
    moved.url.push_str("?extra=1");
    assert!(matches!(world.carrier.post(&moved).await.unwrap().status, 401 | 403));
    let untouched = genuine.signed(Signature::Text(right));
    assert_eq!(world.carrier.post(&untouched).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_signed_url_is_the_configured_one_whatever_headers_say() {
    let world = World::new().await;
    let webhook = |sent: fn(Webhook) -> Webhook| sent(world.carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER)));
    let honest = [
        webhook(|webhook| webhook.host("some.other.host")),
        webhook(|webhook| webhook.header("x-forwarded-host", "evil.example").header("x-forwarded-proto", "http")),
        webhook(|webhook| webhook.header("forwarded", "host=evil.example;proto=http")),
    ];
    for webhook in honest {
        let answer = world.carrier.post(&webhook).await.unwrap();
        assert!(
            matches!(document(&answer).unwrap().as_slice(), [Verb::Stream(verb), ..]
            if verb.url.starts_with("wss://gw.example.net/")),
            "{}",
            answer.text()
        );
    }
    // Signed for the URL that the forged header names.
    let leg = Leg::inbound(CALLER, NUMBER);
    let plain = world.carrier.inbound_webhook(&leg);
    let elsewhere = plain.url.replacen("https://gw.example.net", "https://evil.example", 1);
    let forged = jackfield_tests::carrier::signature(&world.carrier.account.token, &elsewhere, &plain.fields);
    let forged = plain.signed(Signature::Text(forged)).host("evil.example").header("x-forwarded-host", "evil.example");
    assert!(matches!(world.carrier.post(&forged).await.unwrap().status, 401 | 403));
}

#[tokio::test]
async fn a_body_one_byte_too_long_is_refused_and_one_byte_less_is_read() {
    let world = World::new().await;
    let webhook = world.carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER));
    let form = "application/x-www-form-urlencoded";
    let long = world.carrier.post_body(&webhook, form, vec![b'a'; (64 << 10) + 1]).await.unwrap();
    assert_eq!(long.status, 413);
    let full = world.carrier.post_body(&webhook, form, vec![b'a'; 64 << 10]).await.unwrap();
    assert!(matches!(full.status, 401 | 403), "{}", full.status);
}

#[tokio::test]
async fn a_media_token_works_once_and_a_made_up_one_never() {
    let world = World::new().await;
    let leg = Leg::inbound(CALLER, NUMBER);
    let verb = world.carrier.ring_through(&leg).await.unwrap();
    let (base, token) = verb.url.rsplit_once('/').unwrap();
    let made_up: String = token.chars().rev().collect();
    for url in [format!("{base}/{made_up}"), format!("{base}/x"), format!("{}0", verb.url)] {
        refused(&world, &leg, &url).await;
    }
    let _stream = world.carrier.open_stream(&leg, &verb).await.unwrap();
    refused(&world, &leg, &verb.url).await;
}

#[tokio::test]
async fn a_media_token_that_is_too_old_is_refused() {
    let world = World::with(|options| options.with_settings("[limits]\nmedia_token_seconds = 1\n")).await;
    let leg = Leg::inbound(CALLER, NUMBER);
    let verb = world.carrier.ring_through(&leg).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    refused(&world, &leg, &verb.url).await;
}

async fn refused(world: &World, leg: &Leg, url: &str) {
    let error = world.carrier.dial_stream(leg, url).await.unwrap_err();
    assert!(error.downcast_ref::<UpgradeRefused>().is_some_and(|refused| refused.0 / 100 == 4), "{error:#}");
}

#[tokio::test]
async fn a_replaced_secret_proves_webhooks_for_as_long_as_was_said_and_the_new_one_at_once() {
    let world = World::new().await;
    let old = world.carrier.clone();
    let account = Account { token: "0123456789abcdef0123456789abcdef".to_owned(), ..old.account.clone() };
    let new = Carrier::new(world.host.gateway(), account).unwrap();
    let ring = async |carrier: &Carrier| {
        carrier.post(&carrier.inbound_webhook(&Leg::inbound(CALLER, NUMBER))).await.unwrap().status
    };
    assert_eq!([ring(&old).await, ring(&new).await], [200, 403]);
    let fields = json!({ "account_sid": new.account.sid, "auth_token": new.account.token });
    let form = json!({ "name": "main", "provider": "twilio", "fields": fields, "overlap_seconds": 3 });
    let path = format!("telephony/configurations/{}", world.configuration);
    world.api.put(&path, &form).await.unwrap().expect(200).unwrap();
    assert_eq!([ring(&old).await, ring(&new).await], [200, 200]);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!([ring(&old).await, ring(&new).await], [403, 200]);
}
