//! How the providers talk that are answered with a document: their webhooks and their streams, as they come over the wire.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::signature;
use crate::speech;

/// The number that is called in every webhook.
pub const NUMBER: &str = "+12065550188";
/// Where new calls are announced.
pub const RUN: &str = "https://gw.example.net/api/v1/telephony/inbound/run";
const CALL: &str = "b1d3c0de-1111-4222-8333-0123456789ab";
const STREAM: &str = "7f3c0000-2222-4333-8444-556677889900";
/// Frames of 20 ms that are said.
pub const FRAMES: usize = 60;

/// A webhook as a provider sends it.
#[derive(Debug)]
pub struct Webhook {
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// As it goes over the wire.
    pub body: String,
}

/// How one provider talks.
#[derive(Debug)]
pub struct Dialect {
    /// Its plugin's name.
    pub provider: &'static str,
    /// An account, secrets included.
    pub fields: Value,
    /// The webhook of a new inbound call, to [`RUN`].
    pub webhook: fn() -> Webhook,
    /// What a stream begins with.
    pub start: fn() -> Vec<Message>,
    /// A frame as the caller's end sends it.
    pub speak: fn(u64, &[u8]) -> Message,
    /// The audio in what comes back, if it holds any.
    pub hear: fn(&Message) -> Option<Vec<u8>>,
    /// Frames of 20 ms in the wire's format.
    pub frames: fn() -> Vec<Vec<u8>>,
}

/// Every provider that is answered with a document and streams over a socket.
pub fn all() -> [Dialect; 5] {
    [twilio(), plivo(), vobiz(), vonage(), cloudonix()]
}

fn hmac_sha256(key: &str, message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), message.as_bytes()).as_ref().to_vec()
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn ulaw() -> Vec<Vec<u8>> {
    speech::hello_frames().unwrap_or_default().into_iter().skip(10).take(FRAMES).collect()
}

/// 16 kHz linear, little endian.
fn linear() -> Vec<Vec<u8>> {
    let wide = |frame: &Vec<u8>| {
        let samples = frame.iter().flat_map(|byte| [speech::from_ulaw(*byte); 2]);
        samples.flat_map(i16::to_le_bytes).collect()
    };
    ulaw().iter().map(wide).collect()
}

/// The start of a stream in Twilio's messages, which Cloudonix has taken over.
fn media_stream(stream: &str, start: &Value) -> Vec<Message> {
    let start = json!({ "event": "start", "sequenceNumber": "1", "streamSid": stream, "start": start });
    vec![Message::text(json!({ "event": "connected" }).to_string()), Message::text(start.to_string())]
}

fn media_speak(stream: &str, number: u64, frame: &[u8]) -> Message {
    let media = json!({
        "track": "inbound", "chunk": number.to_string(), "timestamp": (number * 20).to_string(),
        "payload": STANDARD.encode(frame),
    });
    let message =
        json!({ "event": "media", "sequenceNumber": (number + 2).to_string(), "streamSid": stream, "media": media });
    Message::text(message.to_string())
}

fn media_hear(message: &Message) -> Option<Vec<u8>> {
    let said = event(message);
    (said["event"] == "media").then(|| decoded(&said["media"]["payload"])).flatten()
}

fn twilio() -> Dialect {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
    const SID: &str = "CA11223344556677889900aabbccddeeff";
    const MEDIA: &str = "MZ00112233445566778899aabbccddeeff";
    Dialect {
        provider: "twilio",
        fields: json!({ "account_sid": ACCOUNT, "auth_token": TOKEN }),
        webhook: || {
            let pairs = [
                ("CallSid", SID),
                ("AccountSid", ACCOUNT),
                ("From", "+14155550123"),
                ("To", NUMBER),
                ("CallStatus", "ringing"),
                ("Direction", "inbound"),
                ("ApiVersion", "2010-04-01"),
                ("FromCity", "SAN FRANCISCO"),
                ("ToCountry", "US"),
                ("StirVerstat", "TN-Validation-Passed-A"),
            ];
            let signed = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Webhook {
                headers: vec![
                    ("content-type", "application/x-www-form-urlencoded; charset=UTF-8".to_owned()),
                    ("user-agent", "TwilioProxy/1.1".to_owned()),
                    ("x-twilio-signature", signature(TOKEN, RUN, &signed)),
                ],
                body: form(&pairs),
            }
        },
        start: || {
            let start = json!({
                "streamSid": MEDIA, "accountSid": ACCOUNT, "callSid": SID, "tracks": ["inbound"], "customParameters": {},
                "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
            });
            media_stream(MEDIA, &start)
        },
        speak: |number, frame| media_speak(MEDIA, number, frame),
        hear: media_hear,
        frames: ulaw,
    }
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

fn play_audio_speak(number: u64, frame: &[u8]) -> Message {
    let media =
        json!({ "track": "inbound", "timestamp": "1768471200123", "chunk": number, "payload": STANDARD.encode(frame) });
    Message::text(
        json!({ "sequenceNumber": number + 1, "event": "media", "streamId": STREAM, "media": media }).to_string(),
    )
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
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
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
        speak: |_, frame| Message::binary(frame.to_vec()),
        hear: |message| message.is_binary().then(|| message.clone().into_data().to_vec()),
        frames: linear,
    }
}

fn cloudonix() -> Dialect {
    const KEY: &str = "gw-wh-7f2b9d0c4e1a";
    const SESSION: &str = "4f1e2d3c4b5a69788796a5b4c3d2e1f0";
    const DOMAIN: &str = "acme.cloudonix.net";
    const STREAM_SID: &str = "MZcx01";
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
                "streamSid": STREAM_SID, "callSid": "CAcx01", "accountSid": DOMAIN, "session": SESSION,
                "tracks": ["inbound"], "customParameters": {},
                "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
            });
            media_stream(STREAM_SID, &start)
        },
        speak: |number, frame| media_speak(STREAM_SID, number, frame),
        hear: media_hear,
        frames: ulaw,
    }
}
