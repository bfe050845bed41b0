//! The same adapter as a component and compiled in, on the same messages, one after the other on one thread.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jackfield_plugins::{Generation, GuestLimits, PluginHost, Pooling};
use jackfield_sdk::{Media as _, Webhooks as _};
use plugin_twilio::Twilio;

use super::table::Table;
use crate::carrier::{Account, signature};
use crate::place;

const WEBHOOKS: u32 = 20_000;
const FRAMES: u32 = 100_000;
const URL: &str = "https://gw.example.net/api/v1/telephony/inbound/run";
const STREAM_URL: &str = "wss://gw.example.net/api/v1/telephony/ws/00112233445566778899aabbccddeeff";

/// The two sides have types of their own from one contract; what is asked of them is the same.
macro_rules! questions {
    ($side:ident, $($types:ident)::+) => {
        mod $side {
            use super::{Account, STREAM_URL, URL};
            use $($types)::+::{self as types, Action, Call, Direction, MediaCommand, Message, Request, StreamAction};

            pub(super) fn account(of: &Account) -> types::Account {
                let fields = vec![("account_sid".to_owned(), of.sid.clone())];
                types::Account { id: "cfg_1".to_owned(), fields, secrets: vec!["auth_token".to_owned()] }
            }

            pub(super) fn request(headers: &[(String, String)], body: &str) -> Request {
                let (method, url) = ("POST".to_owned(), URL.to_owned());
                Request { method, url, headers: headers.to_vec(), body: body.as_bytes().to_vec() }
            }

            pub(super) fn call() -> Call {
                Call {
                    id: "call_1".to_owned(),
                    provider_id: "CA11223344556677889900aabbccddeeff".to_owned(),
                    direction: Direction::Inbound,
                    from: "+14155550123".to_owned(),
                    to: "+12065550188".to_owned(),
                    memo: Vec::new(),
                    extra: Vec::new(),
                }
            }

            pub(super) fn stream() -> Action {
                let hooks = "https://gw.example.net/api/v1/telephony/twilio/{hook}/call_1".to_owned();
                Action::Stream(StreamAction { url: STREAM_URL.to_owned(), hooks, parameters: Vec::new() })
            }

            pub(super) fn text(text: &str) -> Message {
                Message::Text(text.to_owned())
            }

            pub(super) fn frame() -> MediaCommand {
                MediaCommand::Audio(vec![0x55; 160])
            }
        }
    };
}
questions!(inside, jackfield_plugins::types);
questions!(compiled_in, jackfield_sdk::types);

/// Recognise, authenticate, read and answer an inbound call.
pub(super) async fn webhooks(table: &mut Table) -> Result<()> {
    let generation = component().await?;
    let (account, headers, body) = inbound();
    let component = micros(WEBHOOKS, || {
        let (account, request) = (inside::account(&account), inside::request(&headers, &body));
        let mut guest = generation.webhooks()?;
        ensure!(guest.identify(&request)?.is_some(), "the component does not know its own webhook");
        guest.authenticate(&account, &request, 0)?.map_err(|_| anyhow::anyhow!("the component found no proof"))?;
        let events = guest.read(&account, &request, "inbound")?;
        let answer = guest.reply(&account, Some(&inside::call()), &inside::stream())?;
        ensure!(events.is_ok() && answer.is_ok(), "the component did not answer");
        Ok(())
    })?;
    let native = micros(WEBHOOKS, || {
        let (account, request) = (compiled_in::account(&account), compiled_in::request(&headers, &body));
        ensure!(Twilio::identify(&request).is_some(), "the adapter does not know its own webhook");
        Twilio::authenticate(&account, &request, 0).map_err(|_| anyhow::anyhow!("the adapter found no proof"))?;
        let events = Twilio::read(&account, &request, "inbound");
        let answer = Twilio::reply(&account, Some(&compiled_in::call()), &compiled_in::stream());
        ensure!(events.is_ok() && answer.is_ok(), "the adapter did not answer");
        Ok(())
    })?;
    compare(table, "a webhook", component, native);
    Ok(())
}

/// A frame in and a frame out.
pub(super) async fn media(table: &mut Table) -> Result<()> {
    let generation = component().await?;
    let (account, ..) = inbound();
    let [start, frame] = stream_messages(&account);
    let mut guest = generation.media()?;
    ensure!(guest.open(&inside::account(&account), &inside::call())?.is_ok(), "the component opened no stream");
    ensure!(guest.decode(&inside::text(&start))?.is_ok(), "the component did not take the start");
    let message = inside::text(&frame);
    let component = micros(FRAMES, || {
        let heard = guest.decode(&message)?;
        let said = guest.encode(&inside::frame())?;
        ensure!(heard.is_ok() && said.is_ok(), "the component dropped a frame");
        Ok(())
    })?;
    let mut stream = Twilio::default();
    let opened = stream.open(&compiled_in::account(&account), &compiled_in::call());
    ensure!(opened.is_ok() && stream.decode(compiled_in::text(&start)).is_ok(), "the adapter opened no stream");
    let native = micros(FRAMES, || {
        let heard = stream.decode(compiled_in::text(&frame));
        let said = stream.encode(compiled_in::frame());
        ensure!(heard.is_ok() && said.is_ok(), "the adapter dropped a frame");
        Ok(())
    })?;
    compare(table, "a frame in and out", component, native);
    Ok(())
}

fn compare(table: &mut Table, what: &str, component: f64, native: f64) {
    table.told(&format!("{what}, by the component"), component, "us");
    table.told(&format!("{what}, by the adapter compiled in"), native, "us");
    table.told(&format!("{what}, component to compiled in"), component / native.max(1e-9), "times");
}

async fn component() -> Result<Arc<Generation>> {
    let host = PluginHost::new(GuestLimits::default(), Pooling::Auto, None);
    let host = host.map_err(|error| anyhow::anyhow!("no plugin host: {error:#}"))?;
    host.promote(host.check("twilio", place::plugin("twilio")?, "bench", 0).await?);
    host.current("twilio").context("the plugin was promoted and does not serve")
}

fn inbound() -> (Account, Vec<(String, String)>, String) {
    let account = Account::fresh();
    let fields: Vec<(String, String)> = [
        ("CallSid", "CA11223344556677889900aabbccddeeff"),
        ("AccountSid", &account.sid),
        ("From", "+14155550123"),
        ("To", "+12065550188"),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("ApiVersion", "2010-04-01"),
        ("FromCity", "SAN FRANCISCO"),
        ("ToCountry", "US"),
        ("StirVerstat", "TN-Validation-Passed-A"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=UTF-8".to_owned()),
        ("user-agent", "TwilioProxy/1.1".to_owned()),
        ("x-twilio-signature", signature(&account.token, URL, &fields)),
    ];
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    (account, headers.map(|(name, value)| (name.to_owned(), value)).to_vec(), body)
}

/// A `start` and a `media` as they come from Twilio.
fn stream_messages(account: &Account) -> [String; 2] {
    let (sid, stream) = (&account.sid, "MZ00112233445566778899aabbccddeeff");
    let payload = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [0x55; 160]);
    let start = serde_json::json!({
        "event": "start", "sequenceNumber": "1", "streamSid": stream,
        "start": {
            "streamSid": stream, "accountSid": sid, "callSid": "CA11223344556677889900aabbccddeeff",
            "tracks": ["inbound"], "customParameters": {},
            "mediaFormat": { "encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1 },
        },
    });
    let media = serde_json::json!({
        "event": "media", "sequenceNumber": "3", "streamSid": stream,
        "media": { "track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload },
    });
    [start.to_string(), media.to_string()]
}

/// Microseconds a round, after a tenth of the rounds to warm up.
fn micros(rounds: u32, mut round: impl FnMut() -> Result<()>) -> Result<f64> {
    for _ in 0..rounds / 10 {
        round()?;
    }
    let began = Instant::now();
    for _ in 0..rounds {
        round()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(rounds))
}
