//! The carrier against a host of a few lines: what it would let pass, the end-to-end tests would let pass.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use super::*;

const PUBLIC: &str = "https://gw.example.net";

async fn carrier_towards(listener: &TcpListener) -> Carrier {
    let gateway = Gateway { public_url: PUBLIC.to_owned(), address: listener.local_addr().unwrap() };
    Carrier::new(gateway, Account::fresh()).unwrap()
}

#[tokio::test]
async fn a_webhook_arrives_signed_under_the_public_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let carrier = carrier_towards(&listener).await;
    let token = carrier.account.token.clone();
    let handler = move |headers: HeaderMap, body: String| async move {
        let fields: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let url = format!("https://{}/api/v1/telephony/inbound/run", headers["host"].to_str().unwrap());
        let genuine = headers["x-twilio-signature"] == signature(&token, &url, &fields).as_str();
        let verb =
            if genuine { r#"<Connect><Stream url="wss://gw.example.net/ws/1"/></Connect>"# } else { "<Hangup/>" };
        ([("content-type", "text/xml")], format!("<Response>{verb}</Response>"))
    };
    let app = Router::new().route("/api/v1/telephony/inbound/run", post(handler));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let leg = Leg::inbound("+14155550123", "+12065550188");
    assert_eq!(carrier.ring_through(&leg).await.unwrap().url, "wss://gw.example.net/ws/1");
    let forged = carrier.inbound_webhook(&leg).signed(Signature::OtherToken);
    assert_eq!(document(&carrier.post(&forged).await.unwrap()).unwrap(), [Verb::Hangup]);
}

/// Answers every media message with these, and keeps what else it is told.
async fn host_that_says(answers: fn(&str) -> Vec<Value>) -> (Carrier, tokio::sync::mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let carrier = carrier_towards(&listener).await;
    let (told, tales) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(socket).await.unwrap();
        while let Some(Ok(Message::Text(text))) = socket.next().await {
            let said: Value = serde_json::from_str(&text).unwrap();
            if said["event"] == "media" {
                for answer in answers(said["streamSid"].as_str().unwrap()) {
                    socket.send(Message::text(answer.to_string())).await.unwrap();
                }
            }
            told.send(said).ok();
        }
    });
    (carrier, tales)
}

async fn stream_to(carrier: &Carrier) -> MediaStream {
    let verb = StreamVerb { url: "wss://gw.example.net/ws/1".to_owned(), ..StreamVerb::default() };
    carrier.open_stream(&Leg::inbound("+14155550123", "+12065550188"), &verb).await.unwrap()
}

async fn next_mark(tales: &mut tokio::sync::mpsc::UnboundedReceiver<Value>) -> Value {
    loop {
        let said = tokio::time::timeout(Duration::from_secs(5), tales.recv()).await.unwrap().unwrap();
        if said["event"] == "mark" {
            return said["mark"]["name"].clone();
        }
    }
}

#[tokio::test]
async fn a_stream_begins_and_numbers_its_messages_as_twilio_does() {
    let (carrier, mut tales) = host_that_says(|_| vec![]).await;
    let mut stream = stream_to(&carrier).await;
    stream.frame(&[0xFF; 160]);
    stream.dtmf("5");
    stream.hang_up();
    let mut events = Vec::new();
    while let Some(said) = tales.recv().await {
        events.push((said["event"].as_str().unwrap().to_owned(), said["sequenceNumber"].clone()));
    }
    let expected = [
        ("connected", Value::Null),
        ("start", json!("1")),
        ("media", json!("2")),
        ("dtmf", json!("3")),
        ("stop", json!("4")),
    ];
    assert_eq!(events, expected.map(|(event, number)| (event.to_owned(), number)));
}

#[tokio::test]
async fn a_mark_comes_back_after_the_audio_before_it_and_a_clear_cuts_that_short() {
    fn second_of_audio(sid: &str) -> Vec<Value> {
        let payload = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [0x55; 80_000]);
        vec![
            json!({ "event": "media", "streamSid": sid, "media": { "payload": payload } }),
            json!({ "event": "mark", "streamSid": sid, "mark": { "name": "after ten seconds" } }),
            json!({ "event": "clear", "streamSid": sid }),
        ]
    }
    let (carrier, mut tales) = host_that_says(second_of_audio).await;
    let mut stream = stream_to(&carrier).await;
    stream.frame(&[0xFF; 160]);
    assert_eq!(next_mark(&mut tales).await, "after ten seconds");
    let heard = stream.heard();
    assert_eq!((heard.bytes(), heard.clears.len(), heard.illegal.len()), (80_000, 1, 0));
    assert_eq!(heard.most_ahead, Duration::from_secs(10));
}

#[tokio::test]
async fn a_message_that_twilio_would_refuse_ends_the_stream() {
    let (carrier, _tales) = host_that_says(|_| vec![json!({ "event": "clear", "streamSid": "somebody else's" })]).await;
    let mut stream = stream_to(&carrier).await;
    stream.frame(&[0xFF; 160]);
    let heard = stream.until("the refusal", |heard| heard.closed.is_some()).await.unwrap();
    assert_eq!(heard.illegal.len(), 1);
}

#[tokio::test]
async fn a_refused_upgrade_tells_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let carrier = carrier_towards(&listener).await;
    tokio::spawn(async move { axum::serve(listener, Router::new()).await });
    let refused = carrier.dial_stream(&Leg::inbound("a", "b"), "wss://gw.example.net/ws/1").await.unwrap_err();
    assert_eq!(refused.downcast_ref(), Some(&UpgradeRefused(404)));
}
