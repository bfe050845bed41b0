//! The same adapters as components and compiled in, on the same messages, one after the other on one thread.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use jackfield_plugins::{Generation, GuestLimits, PluginHost, Pooling};
use tokio_tungstenite::tungstenite;

use super::table::{Limit, Table};
use crate::carrier::dialects::{self, Dialect, RUN, Webhook};
use crate::place;

const WEBHOOKS: u32 = 10_000;
const FRAMES: u32 = 50_000;
const STREAM_URL: &str = "wss://gw.example.net/api/v1/telephony/ws/00112233445566778899aabbccddeeff";
/// What a provider may cost, in times of Twilio's.
const DEARER: f64 = 1.5;

/// The two sides have types of their own from one contract; what is asked of them is the same.
macro_rules! questions {
    ($side:ident, $($types:ident)::+) => {
        mod $side {
            use super::{Dialect, RUN, STREAM_URL, Webhook, tungstenite};
            use $($types)::+::{
                Account, Action, Call, Direction, MediaCommand, Message, Provider, Request, StreamAction,
            };

            pub(super) fn account(of: &Dialect, provider: &Provider) -> Account {
                let value = |name: &str| of.fields[name].as_str().map(|value| (name.to_owned(), value.to_owned()));
                let named = |secret: bool| {
                    let fields = provider.fields.iter().filter(move |field| field.secret == secret);
                    fields.filter_map(|field| value(&field.name))
                };
                let secrets = named(true).map(|(name, _)| name).collect();
                Account { id: "cfg_1".to_owned(), fields: named(false).collect(), secrets }
            }

            pub(super) fn request(webhook: &Webhook) -> Request {
                let headers = webhook.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                Request {
                    method: "POST".to_owned(),
                    url: RUN.to_owned(),
                    headers: headers.collect(),
                    body: webhook.body.clone().into_bytes(),
                }
            }

            /// Its provider's name for it is known only when the stream begins.
            pub(super) fn call() -> Call {
                Call {
                    id: "call_1".to_owned(),
                    provider_id: String::new(),
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

            pub(super) fn message(message: &tungstenite::Message) -> Message {
                match message.to_text() {
                    Ok(text) if message.is_text() => Message::Text(text.to_owned()),
                    _ => Message::Binary(message.clone().into_data().to_vec()),
                }
            }

            pub(super) fn frame(bytes: usize) -> MediaCommand {
                MediaCommand::Audio(vec![0x55; bytes])
            }
        }
    };
}
questions!(inside, jackfield_plugins::types);
questions!(compiled_in, jackfield_sdk::types);

/// A round of work, in microseconds: recognise, authenticate, read and answer an inbound call; a frame in and one out.
struct Native {
    webhook: MeasureNative,
    frame: MeasureNative,
}

macro_rules! natives {
    ($($name:literal: $package:ident::$plugin:ident;)+) => {
        fn native(provider: &str) -> Result<Native> {
            match provider {
                $($name => Ok(Native {
                    webhook: native_webhook::<$package::$plugin>,
                    frame: native_frame::<$package::$plugin>,
                }),)+
                other => anyhow::bail!("{other} is not compiled into the bench"),
            }
        }
    };
}
natives! {
    "twilio": plugin_twilio::Twilio;
    "plivo": plugin_plivo::Plivo;
    "vobiz": plugin_vobiz::Vobiz;
    "vonage": plugin_vonage::Vonage;
    "cloudonix": plugin_cloudonix::Cloudonix;
}

fn native_webhook<P: jackfield_sdk::Manifest + jackfield_sdk::Webhooks>(dialect: &Dialect) -> Result<f64> {
    let (account, webhook) = (compiled_in::account(dialect, &P::describe()), (dialect.webhook)());
    micros(WEBHOOKS, || {
        let request = compiled_in::request(&webhook);
        ensure!(P::identify(&request).is_some(), "the adapter does not know its own webhook");
        P::authenticate(&account, &request, 0).map_err(|_| anyhow::anyhow!("the adapter found no proof"))?;
        let events = P::read(&account, &request, "inbound");
        let answer = P::reply(&account, Some(&compiled_in::call()), &compiled_in::stream());
        ensure!(events.is_ok() && answer.is_ok(), "the adapter did not answer");
        Ok(())
    })
}

fn native_frame<P: jackfield_sdk::Manifest + jackfield_sdk::Media + Default>(dialect: &Dialect) -> Result<f64> {
    let account = compiled_in::account(dialect, &P::describe());
    let mut stream = P::default();
    ensure!(stream.open(&account, &compiled_in::call()).is_ok(), "the adapter opened no stream");
    for start in (dialect.start)() {
        ensure!(stream.decode(compiled_in::message(&start)).is_ok(), "the adapter did not take the start");
    }
    let (bytes, spoken) = spoken(dialect)?;
    micros(FRAMES, || {
        let heard = stream.decode(compiled_in::message(&spoken));
        let said = stream.encode(compiled_in::frame(bytes));
        ensure!(heard.is_ok() && said.is_ok(), "the adapter dropped a frame");
        Ok(())
    })
}

fn webhook(generation: &Arc<Generation>, dialect: &Dialect) -> Result<f64> {
    let (account, webhook) = (inside::account(dialect, generation.describe()), (dialect.webhook)());
    micros(WEBHOOKS, || {
        let request = inside::request(&webhook);
        let mut guest = generation.webhooks()?;
        ensure!(guest.identify(&request)?.is_some(), "the component does not know its own webhook");
        guest.authenticate(&account, &request, 0)?.map_err(|_| anyhow::anyhow!("the component found no proof"))?;
        let events = guest.read(&account, &request, "inbound")?;
        let answer = guest.reply(&account, Some(&inside::call()), &inside::stream())?;
        ensure!(events.is_ok() && answer.is_ok(), "the component did not answer");
        Ok(())
    })
}

fn frame(generation: &Arc<Generation>, dialect: &Dialect) -> Result<f64> {
    let mut guest = generation.media()?;
    let account = inside::account(dialect, generation.describe());
    ensure!(guest.open(&account, &inside::call())?.is_ok(), "the component opened no stream");
    for start in (dialect.start)() {
        ensure!(guest.decode(&inside::message(&start))?.is_ok(), "the component did not take the start");
    }
    let (bytes, spoken) = spoken(dialect)?;
    micros(FRAMES, || {
        let heard = guest.decode(&inside::message(&spoken))?;
        let said = guest.encode(&inside::frame(bytes))?;
        ensure!(heard.is_ok() && said.is_ok(), "the component dropped a frame");
        Ok(())
    })
}

/// A frame of the wire's length, and the message that carries it here.
fn spoken(dialect: &Dialect) -> Result<(usize, tungstenite::Message)> {
    let frame = (dialect.frames)().into_iter().next().context("no speech was made")?;
    Ok((frame.len(), (dialect.speak)(1, &frame)))
}

/// Every provider's webhook.
pub(super) async fn webhooks(table: &mut Table) -> Result<()> {
    each(table, "a webhook", webhook, |native| native.webhook).await
}

/// Every provider's frame in and frame out.
pub(super) async fn media(table: &mut Table) -> Result<()> {
    each(table, "a frame in and out", frame, |native| native.frame).await
}

type Measure = fn(&Arc<Generation>, &Dialect) -> Result<f64>;
type MeasureNative = fn(&Dialect) -> Result<f64>;

async fn each(
    table: &mut Table,
    what: &str,
    measure: Measure,
    compiled_in: fn(&Native) -> MeasureNative,
) -> Result<()> {
    let mut twilios = None;
    for dialect in dialects::all() {
        let provider = dialect.provider;
        let component = measure(&serving(provider).await?, &dialect)?;
        let native = compiled_in(&native(provider)?)(&dialect)?;
        table.told(&format!("{provider}: {what}, by the component"), component, "us");
        table.told(&format!("{provider}: {what}, compiled in"), native, "us");
        table.told(&format!("{provider}: {what}, component to compiled in"), component / native.max(1e-9), "times");
        // Twilio is the first of them.
        let twilios = *twilios.get_or_insert(component);
        if provider != "twilio" {
            table.held(
                &format!("{provider}: {what}, to Twilio's"),
                component / twilios,
                "times",
                Limit::AtMost(DEARER),
            );
        }
    }
    Ok(())
}

async fn serving(name: &str) -> Result<Arc<Generation>> {
    let host = PluginHost::new(GuestLimits::default(), Pooling::Auto, None);
    let host = host.map_err(|error| anyhow::anyhow!("no plugin host: {error:#}"))?;
    host.promote(host.check(name, place::plugin(name)?, "bench", 0).await?);
    host.current(name).context("the plugin was promoted and does not serve")
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
