//! One call for each provider, over real sockets and in its own wire format: speech in, echo out.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::{SinkExt, StreamExt};
use jackfield_tests::echo::{Passed, compare};
use jackfield_tests::host_process::HostOptions;
use jackfield_tests::speech;
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const CALLER: &str = "+14155550123";
const NUMBER: &str = "+12065550188";
const RUN: &str = "https://gw.example.net/api/v1/telephony/inbound/run";
const CALL: &str = "b1d3c0de-1111-4222-8333-0123456789ab";
const STREAM: &str = "7f3c0000-2222-4333-8444-556677889900";
const FRAMES: usize = 60;

/// A webhook as a provider sends it.
struct Webhook {
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// How one provider talks.
struct Dialect {
    provider: &'static str,
    fields: Value,
    webhook: fn() -> Webhook,
    /// What a stream begins with.
    start: fn() -> Vec<Message>,
    speak: fn(&[u8]) -> Message,
    hear: fn(&Message) -> Option<Vec<u8>>,
    /// Frames of 20 ms in the wire's format.
    frames: fn() -> Vec<Vec<u8>>,
}

fn hmac_sha256(key: &str, message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), message.as_bytes()).as_ref().to_vec()
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn ulaw() -> Vec<Vec<u8>> {
    speech::hello_frames().unwrap().into_iter().skip(10).take(FRAMES).collect()
}

/// 16 kHz linear, little endian.
fn linear() -> Vec<Vec<u8>> {
    let wide = |frame: &Vec<u8>| {
        let samples = frame.iter().flat_map(|byte| [speech::from_ulaw(*byte); 2]);
        samples.flat_map(i16::to_le_bytes).collect()
    };
    ulaw().iter().map(wide).collect()
}

fn event(message: &Message) -> Value {
    message.to_text().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn decoded(payload: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(payload.as_str()?).ok()
}

/// Plivo's stream messages, which Vobiz has taken over.
fn play_audio_start() -> Vec<Message> {
    let start = json!({
        "sequenceNumber": 1, "event": "start",
        "start": {
            "callId": CALL, "streamId": STREAM, "accountId": "500123", "tracks": ["inbound"],
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000 },
        },
        "extra_headers": "{}",
    });
    vec![Message::text(start.to_string())]
}

fn play_audio_speak(frame: &[u8]) -> Message {
    let media =
        json!({ "track": "inbound", "timestamp": "1768471200123", "chunk": 1, "payload": STANDARD.encode(frame) });
    Message::text(json!({ "sequenceNumber": 2, "event": "media", "streamId": STREAM, "media": media }).to_string())
}

fn play_audio_hear(message: &Message) -> Option<Vec<u8>> {
    let said = event(message);
    (said["event"] == "playAudio").then(|| decoded(&said["media"]["payload"])).flatten()
}

fn plivo() -> Dialect {
    const TOKEN: &str = "NzRhYjM0ZGU1NmZhNzhiYzkwMTIzNDU2Nzg5MGFi";
    const ACCOUNT: &str = "MAOGQ4Y2M0MGE4ZTI1N2";
    Dialect {
        provider: "plivo",
        fields: json!({ "auth_id": ACCOUNT, "auth_token": TOKEN }),
        webhook: || {
            let mut pairs = [
                ("CallUUID", CALL),
                ("From", "14155550123"),
                ("To", "12065550188"),
                ("Direction", "inbound"),
                ("CallStatus", "ringing"),
                ("Event", "StartApp"),
                ("ParentAuthID", ACCOUNT),
            ];
            pairs.sort_unstable();
            let nonce = "17254816301948273650";
            let signed: String = pairs.iter().map(|(name, value)| format!("{name}{value}")).collect();
            let signature = STANDARD.encode(hmac_sha256(TOKEN, &format!("{RUN}?{signed}.{nonce}")));
            Webhook {
                headers: vec![
                    ("content-type", "application/x-www-form-urlencoded".to_owned()),
                    ("x-plivo-signature-v3", signature),
                    ("x-plivo-signature-v3-nonce", nonce.to_owned()),
                ],
                body: form(&pairs),
            }
        },
        start: play_audio_start,
        speak: play_audio_speak,
        hear: play_audio_hear,
        frames: ulaw,
    }
}

fn vobiz() -> Dialect {
    const TOKEN: &str = "6d1f0c2b9a8e47f3b5d6c7e8f9012345";
    Dialect {
        provider: "vobiz",
        fields: json!({ "auth_id": "MA_SYQ0TEST", "auth_token": TOKEN }),
        webhook: || {
            let nonce = "48213907561294837560";
            let signature = STANDARD.encode(hmac_sha256(TOKEN, &format!("{RUN}.{nonce}")));
            let pairs = [
                ("CallUUID", CALL),
                ("From", "14155550123"),
                ("To", "12065550188"),
                ("Direction", "inbound"),
                ("CallStatus", "ringing"),
                ("Event", "StartApp"),
                ("ParentAuthID", "MA_SYQ0TEST"),
            ];
            Webhook {
                headers: vec![
                    ("user-agent", "Vobiz/1.0".to_owned()),
                    ("content-type", "application/x-www-form-urlencoded".to_owned()),
                    ("x-vobiz-signature-v3", signature),
                    ("x-vobiz-signature-v3-nonce", nonce.to_owned()),
                ],
                body: form(&pairs),
            }
        },
        start: play_audio_start,
        speak: play_audio_speak,
        hear: play_audio_hear,
        frames: ulaw,
    }
}

fn vonage() -> Dialect {
    const SECRET: &str = "Zx9Lq2mV7tRb4KpW8sYd";
    const APPLICATION: &str = "11111111-2222-4333-8444-555555555555";
    Dialect {
        provider: "vonage",
        fields: json!({
            "application_id": APPLICATION, "api_key": "a1b2c3d4", "api_secret": "an api secret",
            "private_key": "-----BEGIN PRIVATE KEY-----\nbm90IG9uZQ==\n-----END PRIVATE KEY-----\n", "signature_secret": SECRET,
        }),
        webhook: || {
            let body = json!({
                "from": "14155550123", "to": "12065550188", "uuid": CALL,
                "conversation_uuid": "CON-11112222-3333-4444-8555-666677778888",
            });
            let body = body.to_string();
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            let hash = hex::encode(ring::digest::digest(&ring::digest::SHA256, body.as_bytes()));
            let claims = json!({
                "iat": now, "jti": format!("jti-{now}"), "iss": "Vonage", "payload_hash": hash,
                "api_key": "a1b2c3d4", "application_id": APPLICATION,
            });
            let part = |value: &str| URL_SAFE_NO_PAD.encode(value);
            let signed = format!("{}.{}", part(r#"{"alg":"HS256","typ":"JWT"}"#), part(&claims.to_string()));
            let signature = URL_SAFE_NO_PAD.encode(hmac_sha256(SECRET, &signed));
            Webhook {
                headers: vec![
                    ("content-type", "application/json".to_owned()),
                    ("authorization", format!("Bearer {signed}.{signature}")),
                ],
                body,
            }
        },
        start: || {
            let connected = json!({ "event": "websocket:connected", "content-type": "audio/l16;rate=16000" });
            vec![Message::text(connected.to_string())]
        },
        speak: |frame| Message::binary(frame.to_vec()),
        hear: |message| message.is_binary().then(|| message.clone().into_data().to_vec()),
        frames: linear,
    }
}

fn cloudonix() -> Dialect {
    const KEY: &str = "gw-wh-7f2b9d0c4e1a";
    const SESSION: &str = "4f1e2d3c4b5a69788796a5b4c3d2e1f0";
    const DOMAIN: &str = "acme.cloudonix.net";
    Dialect {
        provider: "cloudonix",
        fields: json!({
            "bearer_token": "XI00112233445566778899AABBCCDDEEFF", "domain_id": DOMAIN, "webhook_api_key": KEY,
        }),
        webhook: || {
            let body = json!({
                "CallSid": SESSION, "Session": SESSION, "From": "14155550123", "To": NUMBER, "Direction": "inbound",
                "CallStatus": "in-progress", "ApiVersion": "1", "Domain": DOMAIN, "AccountSid": DOMAIN,
            });
            Webhook {
                headers: vec![
                    ("user-agent", "Cloudonix APP.Core/5.2".to_owned()),
                    ("content-type", "application/json".to_owned()),
                    ("authorization", format!("Bearer {KEY}")),
                    ("x-cx-domain", DOMAIN.to_owned()),
                ],
                body: body.to_string(),
            }
        },
        start: || {
            let start = json!({
                "event": "start", "sequenceNumber": "1", "streamSid": "MZcx01",
                "start": {
                    "streamSid": "MZcx01", "callSid": "CAcx01", "accountSid": DOMAIN, "session": SESSION,
                    "tracks": ["inbound"], "customParameters": {},
                    "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
                },
            });
            vec![Message::text(json!({ "event": "connected" }).to_string()), Message::text(start.to_string())]
        },
        speak: |frame| {
            let media =
                json!({ "track": "inbound", "chunk": "1", "timestamp": "5", "payload": STANDARD.encode(frame) });
            Message::text(json!({ "event": "media", "streamSid": "MZcx01", "media": media }).to_string())
        },
        hear: |message| {
            let said = event(message);
            (said["event"] == "media").then(|| decoded(&said["media"]["payload"])).flatten()
        },
        frames: ulaw,
    }
}

/// The URL of the stream in an answer of any form.
fn stream_url(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once("wss://gw.example.net")?;
    let end = rest.find(['"', '<', '\'']).unwrap_or(rest.len());
    rest.get(..end)
}

async fn converse(dialect: &Dialect) {
    let host = HostOptions::new().unwrap().recording().start().unwrap();
    let api = host.api().unwrap();
    let account = json!({ "name": "main", "provider": dialect.provider, "fields": dialect.fields });
    let configuration = api.create("telephony/configurations", &account).await.unwrap();
    let agent = api.add_agent("echo", None).await.unwrap();
    api.add_number(NUMBER, &configuration, Some(&agent)).await.unwrap();
    let address = host.gateway().address;
    let answer = ring(address, &(dialect.webhook)()).await;
    assert_eq!(answer.0, 200, "{}\n{}", answer.1, host.output());
    let path = stream_url(&answer.1).unwrap_or_else(|| panic!("no stream in {}", answer.1));
    let sent = speak_and_hear(dialect, address, path).await;
    let report = compare(&in_chunks(&sent.0), &in_chunks(&sent.1));
    assert!(report.whole(), "{}: {report:?}\n{}", dialect.provider, host.output());
    let call = api.calls().await.unwrap().remove(0);
    assert_eq!((&call["from"], &call["to"]), (&json!(CALLER), &json!(NUMBER)));
    assert_eq!(call["provider"], dialect.provider);
}

/// The comparison works on frames of 160 bytes; wider ones are cut into such.
fn in_chunks(passed: &[Passed]) -> Vec<Passed> {
    let cut = |one: &Passed| {
        let at = one.at;
        one.bytes.chunks(speech::FRAME).map(move |part| Passed { at, bytes: part.to_vec() }).collect::<Vec<_>>()
    };
    passed.iter().flat_map(cut).collect()
}

async fn ring(address: std::net::SocketAddr, webhook: &Webhook) -> (u16, String) {
    let client = reqwest::Client::builder().build().unwrap();
    let mut request =
        client.post(format!("http://{address}/api/v1/telephony/inbound/run")).header("host", "gw.example.net");
    for (name, value) in &webhook.headers {
        request = request.header(*name, value);
    }
    let answer = request.body(webhook.body.clone()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn speak_and_hear(dialect: &Dialect, address: std::net::SocketAddr, path: &str) -> (Vec<Passed>, Vec<Passed>) {
    let socket = TcpStream::connect(address).await.unwrap();
    let url = format!("ws://gw.example.net{path}");
    let (socket, _) = tokio_tungstenite::client_async(url, socket).await.unwrap();
    let (mut out, mut back) = socket.split();
    for message in (dialect.start)() {
        out.send(message).await.unwrap();
    }
    let frames = (dialect.frames)();
    let total: usize = frames.iter().map(Vec::len).sum();
    let (mut sent, mut heard, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    let mut frames = frames.into_iter();
    let deadline = tokio::time::sleep(Duration::from_secs(10));
    tokio::pin!(deadline);
    while bytes < total {
        tokio::select! {
            _ = beat.tick(), if sent.len() < FRAMES => {
                let frame = frames.next().unwrap_or_default();
                out.send((dialect.speak)(&frame)).await.unwrap();
                sent.push(Passed { at: Instant::now(), bytes: frame });
            }
            message = back.next() => {
                let message = message.expect("the host cut the stream").unwrap();
                if let Some(audio) = (dialect.hear)(&message) {
                    bytes += audio.len();
                    heard.push(Passed { at: Instant::now(), bytes: audio });
                }
            }
            () = &mut deadline => break,
        }
    }
    (sent, heard)
}

#[tokio::test]
async fn plivo_carries_a_call_in_its_own_words() {
    converse(&plivo()).await;
}

#[tokio::test]
async fn vobiz_carries_a_call_in_its_own_words() {
    converse(&vobiz()).await;
}

#[tokio::test]
async fn vonage_carries_a_call_in_its_own_words() {
    converse(&vonage()).await;
}

#[tokio::test]
async fn cloudonix_carries_a_call_in_its_own_words() {
    converse(&cloudonix()).await;
}
