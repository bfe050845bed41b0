//! One guest at work: a store, and the exports of one interface as plain calls.
//!
//! A store that gave any error is spent and refuses further calls: after a trap wasmtime would too, after a fault in
//! lifting a result it would not.

use std::sync::Arc;

use wasmtime::{Engine, Store, UpdateDeadline};

use crate::bindings::{
    carries_media::CarriesMedia, chats::Chats, controls_calls::ControlsCalls, controls_desks::ControlsDesks,
    keeps_socket::KeepsSocket, reads_webhooks::ReadsWebhooks,
};
use crate::fault::GuestError;
use crate::generation::Generation;
use crate::limits::{GuestLimits, GuestState};
use crate::outbound::Outbound;
use crate::trace::Tape;
use crate::types::{
    Account, Action, Binding, Call, ChatMessage, DeskCall, Disproof, Endpoint, Event, Fault, HistoryEntry, Identity,
    Inspection, MediaCommand, MediaEvent, Message, NumberPage, Order, PlaceRequest, Placed, Proof, Request, Response,
    StreamSetup, TransferProgress, TransferStep,
};

/// Makes a store with its limits set. The deadline is armed for instantiation.
pub(crate) fn store(engine: &Engine, limits: &GuestLimits, state: GuestState) -> Store<GuestState> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.store);
    store.set_hostcall_fuel(limits.result);
    if limits.counted {
        // An engine that counts is made from the same limits.
        store.set_fuel(u64::MAX).ok();
    }
    store.epoch_deadline_callback(|mut store| -> wasmtime::Result<UpdateDeadline> { store.data_mut().budget.look() });
    store
}

/// Sets the clock for one call.
pub(crate) fn arm(store: &mut Store<GuestState>) {
    let ticks = store.data_mut().budget.start();
    store.set_epoch_deadline(ticks);
}

/// Adds what the store ran since it was made or counted, and notes its memory.
pub(crate) fn count(generation: &Generation, store: &mut Store<GuestState>) {
    generation.had_memory(store.data().store.memory);
    if generation.limits.counted {
        generation.ran(u64::MAX - store.get_fuel().unwrap_or(u64::MAX));
        store.set_fuel(u64::MAX).ok();
    }
}

/// Counts and sorts what went wrong, and marks the store as spent.
fn settle<T>(
    generation: &Generation,
    store: &mut Store<GuestState>,
    spent: &mut bool,
    export: &'static str,
    result: wasmtime::Result<T>,
) -> Result<T, GuestError> {
    count(generation, store);
    result.map_err(|error| {
        *spent = true;
        let error = GuestError::classify(export, &error);
        generation.count(&error);
        error
    })
}

/// Arguments by their names, for a trace.
macro_rules! given {
    ($($argument:ident),*) => {
        serde_json::Map::from_iter([
            $((stringify!($argument).to_owned(), serde_json::to_value(&$argument).unwrap_or_default())),*
        ])
    };
}

pub(crate) use given;

/// Calls an export of a synchronous guest.
macro_rules! export {
    ($self:ident, $interface:ident . $call:ident ( $($argument:ident),* ), $name:literal) => {{
        if $self.spent {
            return Err(GuestError::Result { export: $name, reason: "its store is spent".to_owned() });
        }
        arm(&mut $self.store);
        let result = $self.exports.$interface().$call(&mut $self.store, $($argument),*);
        let result = settle(&$self.generation, &mut $self.store, &mut $self.spent, $name, result);
        if let Some(tape) = $self.tape.as_ref().filter(|tape| tape.runs()) {
            tape.write($name, given!($($argument),*), Vec::new(), &result);
        }
        result
    }};
}

/// Calls an export that may wait for IO, within its wall time.
macro_rules! export_io {
    ($self:ident, $interface:ident . $call:ident ( $($argument:ident),* ), $name:literal) => {{
        arm(&mut $self.store);
        let wall = $self.generation.limits.calls_wall;
        let exports = $self.exports.$interface();
        let call = exports.$call(&mut $self.store, $($argument),*);
        let result = match tokio::time::timeout(wall, call).await {
            Ok(result) => settle(&$self.generation, &mut $self.store, &mut $self.spent, $name, result),
            Err(_) => {
                let error = GuestError::Deadline { export: $name };
                $self.generation.count(&error);
                Err(error)
            }
        };
        if let Some(tape) = $self.tape.as_ref().filter(|tape| tape.runs()) {
            let exchanges = $self.store.data_mut().exchanges.take().unwrap_or_default();
            tape.write($name, given!($($argument),*), exchanges, &result);
        }
        result
    }};
}

/// Reads webhooks and writes answers. One is made for each webhook.
pub struct WebhookGuest {
    generation: Arc<Generation>,
    store: Store<GuestState>,
    exports: ReadsWebhooks,
    spent: bool,
    tape: Option<Tape>,
}

impl WebhookGuest {
    pub(crate) fn new(
        generation: Arc<Generation>,
        store: Store<GuestState>,
        exports: ReadsWebhooks,
        tape: Option<Tape>,
    ) -> Self {
        Self { generation, store, exports, spent: false, tape }
    }

    /// The generation this guest is an instance of.
    pub fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// `webhooks.identify`.
    pub fn identify(&mut self, request: &Request) -> Result<Option<Identity>, GuestError> {
        export!(self, jackfield_provider_webhooks.call_identify(request), "identify")
    }

    /// `webhooks.authenticate`; `now` in Unix milliseconds.
    pub fn authenticate(
        &mut self,
        account: &Account,
        request: &Request,
        now: u64,
    ) -> Result<Result<Proof, Disproof>, GuestError> {
        export!(self, jackfield_provider_webhooks.call_authenticate(account, request, now), "authenticate")
    }

    /// `webhooks.read`.
    pub fn read(
        &mut self,
        account: &Account,
        request: &Request,
        hook: &str,
    ) -> Result<Result<Vec<Event>, Fault>, GuestError> {
        export!(self, jackfield_provider_webhooks.call_read(account, request, hook), "read")
    }

    /// `webhooks.reply`.
    pub fn reply(
        &mut self,
        account: &Account,
        call: Option<&Call>,
        action: &Action,
    ) -> Result<Result<Response, Fault>, GuestError> {
        export!(self, jackfield_provider_webhooks.call_reply(account, call, action), "reply")
    }
}

/// Translates one media stream for as long as it lasts.
pub struct MediaGuest {
    generation: Arc<Generation>,
    store: Store<GuestState>,
    exports: CarriesMedia,
    spent: bool,
    tape: Option<Tape>,
}

impl MediaGuest {
    pub(crate) fn new(
        generation: Arc<Generation>,
        store: Store<GuestState>,
        exports: CarriesMedia,
        tape: Option<Tape>,
    ) -> Self {
        Self { generation, store, exports, spent: false, tape }
    }

    /// `media.open`.
    pub fn open(&mut self, account: &Account, call: &Call) -> Result<Result<StreamSetup, Fault>, GuestError> {
        export!(self, jackfield_provider_media.call_open(account, call), "open")
    }

    /// `media.decode`.
    pub fn decode(&mut self, message: &Message) -> Result<Result<Vec<MediaEvent>, Fault>, GuestError> {
        export!(self, jackfield_provider_media.call_decode(message), "decode")
    }

    /// `media.encode`.
    pub fn encode(&mut self, command: &MediaCommand) -> Result<Result<Vec<Message>, Fault>, GuestError> {
        export!(self, jackfield_provider_media.call_encode(command), "encode")
    }
}

/// Reads an account's event stream. One is made whenever messages wait, and dropped when none does.
pub struct SocketGuest {
    generation: Arc<Generation>,
    store: Store<GuestState>,
    exports: KeepsSocket,
    spent: bool,
    tape: Option<Tape>,
}

impl SocketGuest {
    pub(crate) fn new(
        generation: Arc<Generation>,
        store: Store<GuestState>,
        exports: KeepsSocket,
        tape: Option<Tape>,
    ) -> Self {
        Self { generation, store, exports, spent: false, tape }
    }

    /// `socket.locate`.
    pub fn locate(&mut self, account: &Account) -> Result<Result<Endpoint, Fault>, GuestError> {
        export!(self, jackfield_provider_socket.call_locate(account), "locate")
    }

    /// `socket.read`; `now` in Unix milliseconds.
    pub fn read(
        &mut self,
        account: &Account,
        message: &str,
        now: u64,
    ) -> Result<Result<Vec<Event>, Fault>, GuestError> {
        export!(self, jackfield_provider_socket.call_read(account, message, now), "read")
    }
}

/// Makes the provider's REST calls through the host. One is made for each order.
pub struct CallsGuest {
    generation: Arc<Generation>,
    store: Store<GuestState>,
    exports: ControlsCalls,
    spent: bool,
    tape: Option<Tape>,
}

impl CallsGuest {
    pub(crate) fn new(
        generation: Arc<Generation>,
        store: Store<GuestState>,
        exports: ControlsCalls,
        tape: Option<Tape>,
    ) -> Self {
        Self { generation, store, exports, spent: false, tape }
    }

    /// `calls.probe`.
    pub async fn probe(mut self, account: &Account) -> Result<Result<(), Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_probe(account), "probe")
    }

    /// `calls.place`; `now` in Unix milliseconds.
    pub async fn place(
        mut self,
        account: &Account,
        request: &PlaceRequest,
        now: u64,
    ) -> Result<Result<Placed, Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_place(account, request, now), "place")
    }

    /// `calls.find-placed`; `since` in Unix milliseconds.
    pub async fn find_placed(
        mut self,
        account: &Account,
        request: &PlaceRequest,
        since: u64,
    ) -> Result<Result<Option<Placed>, Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_find_placed(account, request, since), "find-placed")
    }

    /// `calls.answer`.
    pub async fn answer(
        mut self,
        account: &Account,
        call: &Call,
        action: &Action,
    ) -> Result<Result<(), Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_answer(account, call, action), "answer")
    }

    /// `calls.proceed`.
    pub async fn proceed(
        mut self,
        account: &Account,
        call: Option<&Call>,
        step: &str,
    ) -> Result<Result<(), Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_proceed(account, call, step), "proceed")
    }

    /// `calls.hang-up`.
    pub async fn hang_up(mut self, account: &Account, call: &Call) -> Result<Result<(), Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_hang_up(account, call), "hang-up")
    }

    /// `calls.inspect`.
    pub async fn inspect(mut self, account: &Account, call: &Call) -> Result<Result<Inspection, Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_inspect(account, call), "inspect")
    }

    /// `calls.transfer`.
    pub async fn transfer(
        mut self,
        account: &Account,
        call: &Call,
        step: &TransferStep,
    ) -> Result<Result<TransferProgress, Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_transfer(account, call, step), "transfer")
    }

    /// `calls.bind-number`; no webhook points the number away.
    pub async fn bind_number(
        mut self,
        account: &Account,
        number: &str,
        webhook: Option<&str>,
    ) -> Result<Result<Binding, Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_bind_number(account, number, webhook), "bind-number")
    }

    /// `calls.list-numbers`.
    pub async fn list_numbers(
        mut self,
        account: &Account,
        cursor: Option<&str>,
    ) -> Result<Result<NumberPage, Fault>, GuestError> {
        export_io!(self, jackfield_provider_calls.call_list_numbers(account, cursor), "list-numbers")
    }
}

/// Controls people's telephones through the host. One is made for each order.
pub struct DeskGuest {
    generation: Arc<Generation>,
    store: Store<GuestState>,
    exports: ControlsDesks,
    spent: bool,
    tape: Option<Tape>,
}

impl DeskGuest {
    pub(crate) fn new(
        generation: Arc<Generation>,
        store: Store<GuestState>,
        exports: ControlsDesks,
        tape: Option<Tape>,
    ) -> Self {
        Self { generation, store, exports, spent: false, tape }
    }

    /// `desk.calls`.
    pub async fn calls(mut self, account: &Account, person: &str) -> Result<Result<Vec<DeskCall>, Fault>, GuestError> {
        export_io!(self, jackfield_provider_desk.call_calls(account, person), "calls")
    }

    /// `desk.history`.
    pub async fn history(
        mut self,
        account: &Account,
        person: &str,
    ) -> Result<Result<Vec<HistoryEntry>, Fault>, GuestError> {
        export_io!(self, jackfield_provider_desk.call_history(account, person), "history")
    }

    /// `desk.carry-out`.
    pub async fn carry_out(
        mut self,
        account: &Account,
        person: &str,
        order: &Order,
    ) -> Result<Result<Option<String>, Fault>, GuestError> {
        export_io!(self, jackfield_provider_desk.call_carry_out(account, person, order), "carry-out")
    }

    /// `desk.watch`.
    pub async fn watch(
        mut self,
        account: &Account,
        person: &str,
        url: Option<&str>,
    ) -> Result<Result<(), Fault>, GuestError> {
        export_io!(self, jackfield_provider_desk.call_watch(account, person, url), "watch")
    }
}

/// Reads and writes messages through the host. One is made for each.
pub struct ChatGuest {
    generation: Arc<Generation>,
    store: Store<GuestState>,
    exports: Chats,
    spent: bool,
    tape: Option<Tape>,
}

impl ChatGuest {
    pub(crate) fn new(
        generation: Arc<Generation>,
        store: Store<GuestState>,
        exports: Chats,
        tape: Option<Tape>,
    ) -> Self {
        Self { generation, store, exports, spent: false, tape }
    }

    /// `chat.fetch`.
    pub async fn fetch(
        mut self,
        account: &Account,
        id: &str,
    ) -> Result<Result<Option<ChatMessage>, Fault>, GuestError> {
        export_io!(self, jackfield_provider_chat.call_fetch(account, id), "fetch")
    }

    /// `chat.send`.
    pub async fn send(mut self, account: &Account, person: &str, text: &str) -> Result<Result<(), Fault>, GuestError> {
        export_io!(self, jackfield_provider_chat.call_send(account, person, text), "send")
    }

    /// `chat.listen`.
    pub async fn listen(mut self, account: &Account, url: &str) -> Result<Result<(), Fault>, GuestError> {
        export_io!(self, jackfield_provider_chat.call_listen(account, url), "listen")
    }
}

/// What `http.send` does where a guest has no business sending: webhooks and media.
pub(crate) const NO_WAY_OUT: &str = "requests can be sent from `calls`, `desk` and `chat` alone";

/// The outbound of a store, if it has one.
pub(crate) fn outbound(state: &mut GuestState) -> Result<&dyn Outbound, String> {
    match state.requests_left.checked_sub(1) {
        None => Err("this export has sent as many requests as it may".to_owned()),
        Some(left) => {
            state.requests_left = left;
            state.outbound.as_deref().ok_or_else(|| NO_WAY_OUT.to_owned())
        }
    }
}

macro_rules! opaque_debug {
    ($($guest:ident),*) => {$(
        impl std::fmt::Debug for $guest {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($guest)).field("generation", &self.generation.digest()).finish_non_exhaustive()
            }
        }
    )*};
}
opaque_debug!(WebhookGuest, MediaGuest, SocketGuest, CallsGuest, DeskGuest, ChatGuest);
