//! The host's reading of what a guest returns: whatever lies in its memory, a value within bounds or an error that
//! names the export comes of it.
//!
//! The first byte of an input says which export is called, and the rest is the guest's memory from address 0 on; its
//! first word is the address of the result. `build.rs` makes the guest.
#![no_main]

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jackfield_plugins::types::{
    Account, Action, Call, Direction, HttpError, HttpRequest, HttpResponse, MediaCommand, Message, Order, PlaceRequest,
    Request, StreamAction, TransferStep,
};
use jackfield_plugins::{Generation, GuestError, GuestLimits, Outbound, PluginHost, Pooling};
use tokio::runtime::Runtime;

const COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.wasm"));
/// Bytes that a result may make the host allocate.
const RESULT: usize = 64 << 10;
/// The guest keeps its own things behind this.
const IMAGE: usize = 60 << 10;

static GUEST: LazyLock<Guest> = LazyLock::new(Guest::load);

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((export, image)) = input.split_first() else { return };
    let image = letters(&image[..image.len().min(IMAGE)]);
    match GUEST.ask(*export, &image) {
        // As it is shown, a value is some times as large as it was.
        Ok(shown) => assert!(shown.len() <= 64 * RESULT, "a result of {} bytes", shown.len()),
        Err(GuestError::Result { reason, .. } | GuestError::Trap { reason, .. }) => assert!(!reason.is_empty()),
        Err(other) => panic!("{other}"),
    }
});

type Answer = Result<String, GuestError>;

struct Guest {
    generation: Arc<Generation>,
    runtime: Runtime,
}

impl Guest {
    /// With so much time that a busy machine does not look like a busy guest.
    fn load() -> Self {
        let (long, wall) = (Duration::from_secs(10), Duration::from_secs(60));
        let limits = GuestLimits {
            webhook_cpu: long,
            media_cpu: long,
            wall,
            calls_wall: wall,
            result: RESULT,
            instances: 16,
            ..GuestLimits::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let host = PluginHost::new(limits, Pooling::Auto, None).expect("an engine");
        let candidate = runtime.block_on(host.examine(COMPONENT.to_vec())).expect("a guest that is admitted");
        Self { generation: candidate.generation().clone(), runtime }
    }

    fn ask(&self, export: u8, image: &str) -> Answer {
        let account = Account { id: image.to_owned(), fields: Vec::new(), secrets: Vec::new() };
        match export {
            b'a'..=b'j' => self.compute(export, image, &account),
            b'k'..=b't' => self.runtime.block_on(self.order(export, &account)),
            _ => self.runtime.block_on(self.serve(export, &account)),
        }
    }

    fn compute(&self, export: u8, image: &str, account: &Account) -> Answer {
        let request = Request { method: image.to_owned(), url: String::new(), headers: Vec::new(), body: Vec::new() };
        let (webhooks, media, socket) =
            (|| self.generation.webhooks(), || self.generation.media(), || self.generation.socket());
        match export {
            b'a' => shown(self.generation.check(account)),
            b'b' => shown(webhooks()?.identify(&request)),
            b'c' => shown(webhooks()?.authenticate(account, &request, 1)),
            b'd' => {
                let mut guest = webhooks()?;
                let read = guest.read(account, &request, "inbound");
                // Wasmtime would let it be called again, with its memory as the fault left it.
                assert!(read.is_ok() || guest.read(account, &request, "inbound").is_err(), "a guest after its end");
                shown(read)
            }
            b'e' => shown(webhooks()?.reply(account, None, &Action::HangUp)),
            b'f' => shown(media()?.open(account, &call())),
            b'g' => shown(media()?.decode(&Message::Text(image.to_owned()))),
            b'h' => shown(media()?.encode(&MediaCommand::Mark(image.to_owned()))),
            b'i' => shown(socket()?.locate(account)),
            _ => shown(socket()?.read(account, "", 1)),
        }
    }

    async fn order(&self, export: u8, account: &Account) -> Answer {
        let guest = self.generation.control(Box::new(Api)).await?;
        let call = call();
        match export {
            b'k' => shown(guest.probe(account).await),
            b'l' => shown(guest.place(account, &place(), 1).await),
            b'm' => shown(guest.find_placed(account, &place(), 1).await),
            b'n' => shown(guest.answer(account, &call, &Action::HangUp).await),
            b'o' => shown(guest.proceed(account, None, "").await),
            b'p' => shown(guest.hang_up(account, &call).await),
            b'q' => shown(guest.inspect(account, &call).await),
            b'r' => shown(guest.transfer(account, &call, &TransferStep::Cancel(String::new())).await),
            b's' => shown(guest.bind_number(account, "", None).await),
            _ => shown(guest.list_numbers(account, None).await),
        }
    }

    async fn serve(&self, export: u8, account: &Account) -> Answer {
        let desk = || self.generation.desk(Box::new(Api));
        let chat = || self.generation.chat(Box::new(Api));
        match export {
            b'u' => shown(desk().await?.calls(account, "").await),
            b'v' => shown(desk().await?.history(account, "").await),
            b'w' => shown(desk().await?.carry_out(account, "", &Order::Dial(String::new())).await),
            b'x' => shown(desk().await?.watch(account, "", None).await),
            b'y' => shown(chat().await?.fetch(account, "").await),
            b'z' => shown(chat().await?.send(account, "", "").await),
            _ => shown(chat().await?.listen(account, "").await),
        }
    }
}

fn shown(answer: Result<impl Debug, GuestError>) -> Answer {
    answer.map(|answer| format!("{answer:?}"))
}

/// Two letters for each byte: any memory as text.
fn letters(image: &[u8]) -> String {
    image.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| char::from(b'a' + half)).collect()
}

fn call() -> Call {
    let [id, provider_id, from, to] = [const { String::new() }; 4];
    let (memo, extra) = (Vec::new(), Vec::new());
    Call { id, provider_id, direction: Direction::Inbound, from, to, memo, extra }
}

fn place() -> PlaceRequest {
    let stream = StreamAction { url: String::new(), hooks: String::new(), parameters: Vec::new() };
    let (hooks, extra) = (String::new(), Vec::new());
    PlaceRequest { call: call(), stream, hooks, ring_timeout: 0, max_duration: 0, extra }
}

/// Answers every request with what was asked, so that it was read.
struct Api;

impl Outbound for Api {
    fn send<'a>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        let HttpRequest { headers, body, .. } = request;
        Box::pin(std::future::ready(Ok(HttpResponse { status: 200, headers, body })))
    }
}
