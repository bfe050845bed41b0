//! Who is up: the way from a call's id to its task.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue, header};
use jackfield_calls::{Input, TransferInput};
use jackfield_plugins::{Generation, Pin};
use jackfield_store::{Call, Configuration, NewEvent};
use tokio::sync::{mpsc, oneshot};

use crate::media::{Figures, StreamNews};

/// What a call's task can be told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Something happened. Answered once it is stored.
    Happened(Input, oneshot::Sender<Result<(), String>>),
    /// The media stream has news.
    Stream(StreamNews),
    /// For its history.
    Note(NewEvent),
    /// Another node has the call now.
    LetGo,
}

/// The outside of a call's task. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle(Arc<Outside>);

/// What a call's task hears.
pub(crate) type Orders = mpsc::UnboundedReceiver<Box<Order>>;

/// What a [`Handle`] leads to.
pub(crate) struct Outside {
    /// Boxed: a channel sets aside room for many orders, and most calls get few.
    inbox: mpsc::UnboundedSender<Box<Order>>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) configuration: Arc<Configuration>,
    /// The stored row as it is now.
    pub(crate) row: Mutex<Call>,
    /// Set while a stream is open: there is one at a time.
    pub(crate) streaming: AtomicBool,
    pub(crate) ending: AtomicBool,
    /// Tells the stream to end. Looked at with every beat: to wait for it would cost each frame.
    pub(crate) stream_ends: AtomicBool,
    /// What becomes of its audio.
    pub(crate) figures: Figures,
    /// What the stream is told between beats.
    pub(crate) whispers: Whispers,
    /// The transfer that the call is in.
    transfer: Mutex<Option<mpsc::UnboundedSender<TransferInput>>>,
}

impl Deref for Handle {
    type Target = Outside;

    fn deref(&self) -> &Outside {
        &self.0
    }
}

/// What a call's stream is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Whisper {
    /// The caller waits for somebody else; or not any more.
    Hold(bool),
    /// For the agent.
    Transfer { state: &'static str, reason: Option<String> },
}

/// Words for a stream, looked at with every beat: to wait for them would cost each frame.
#[derive(Debug, Default)]
pub(crate) struct Whispers {
    some: AtomicBool,
    words: Mutex<Vec<Whisper>>,
}

impl Whispers {
    fn say(&self, word: Whisper) {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).push(word);
        self.some.store(true, Ordering::Release);
    }

    /// What was said since the last time.
    pub(crate) fn take(&self) -> Vec<Whisper> {
        if !self.some.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut *self.words.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A media socket that may be opened: the claim on its call, given back if nothing comes of it.
pub(crate) struct TakenStream {
    pub(crate) call: Call,
    pub(crate) handle: Handle,
}

/// All calls that are up.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    calls: Arc<Mutex<HashMap<String, Handle>>>,
    /// Calls that are not over; those that only listen for what comes late do not count.
    up: Arc<AtomicUsize>,
}

impl Registry {
    pub(crate) fn get(&self, call: &str) -> Option<Handle> {
        self.calls().get(call).cloned()
    }

    /// Enters a call unless it is there already. One that is over, and was only told something late, does not count.
    pub(crate) fn enter(&self, call: &str, handle: Handle, up: bool) -> bool {
        match self.calls().entry(call.to_owned()) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(handle);
                self.up.fetch_add(usize::from(up), Ordering::Relaxed);
                true
            }
        }
    }

    /// The call's task ended. One that was started after it stays.
    pub(crate) fn leave(&self, call: &str, task: &Handle) {
        let mut calls = self.calls();
        if calls.get(call).is_some_and(|entered| Arc::ptr_eq(&entered.0, &task.0)) {
            calls.remove(call);
        }
    }

    /// A call that was up is over.
    pub(crate) fn over(&self) {
        self.up.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many calls are not over.
    pub(crate) fn up(&self) -> usize {
        self.up.load(Ordering::Relaxed)
    }

    /// Calls that are not over.
    pub(crate) fn active(&self) -> Vec<Handle> {
        self.calls().values().filter(|handle| handle.call().ended_at.is_none()).cloned().collect()
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<String, Handle>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// Of a call that begins here, and where its task hears of it.
    pub(crate) fn new(pin: &Pin, configuration: Arc<Configuration>, call: Call) -> (Self, Orders) {
        let (inbox, orders) = mpsc::unbounded_channel();
        let outside = Outside {
            inbox,
            generation: Arc::clone(pin.generation()),
            configuration,
            row: Mutex::new(call),
            streaming: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            stream_ends: AtomicBool::new(false),
            figures: Figures::default(),
            whispers: Whispers::default(),
            transfer: Mutex::default(),
        };
        (Self(Arc::new(outside)), orders)
    }

    /// Tells the call's task; says whether there is one still.
    fn send(&self, order: Order) -> bool {
        self.inbox.send(Box::new(order)).is_ok()
    }

    /// Its media stream has news. The call may be gone already; then nobody needs them.
    pub(crate) fn news(&self, news: StreamNews) {
        self.send(Order::Stream(news));
    }

    /// Something happened that nobody waits for. A task that ended needs to hear of nothing.
    pub(crate) fn hears(&self, input: Input) {
        self.send(Order::Happened(input, oneshot::channel().0));
    }

    /// Tells the call what happened, and waits until it is stored.
    pub(crate) async fn tell(&self, input: Input) -> Result<(), String> {
        self.tell_task(input).await.unwrap_or_else(|| Err("the call is over".to_owned()))
    }

    /// The same; none where the call's task ended before it took notice.
    pub(crate) async fn tell_task(&self, input: Input) -> Option<Result<(), String>> {
        let (done, stored) = oneshot::channel();
        if !self.send(Order::Happened(input, done)) {
            return None;
        }
        stored.await.ok()
    }

    /// Tells the call's stream something.
    pub(crate) fn whisper(&self, word: Whisper) {
        self.whispers.say(word);
    }

    /// The call's audio is not needed any more.
    pub(crate) fn close_stream(&self) {
        self.stream_ends.store(true, Ordering::Release);
    }

    /// Adds to the call's history.
    pub(crate) fn note(&self, event: NewEvent) {
        // A task that ended writes no history.
        self.send(Order::Note(event));
    }

    /// Who is told when the call ends.
    pub(crate) fn transfer_begins(&self, news: mpsc::UnboundedSender<TransferInput>) {
        *self.transfer.lock().unwrap_or_else(PoisonError::into_inner) = Some(news);
    }

    pub(crate) fn transfer_ends(&self) {
        *self.transfer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Tells the transfer that the call is in, if it is in one, that it is over.
    pub(crate) fn caller_ended(&self) {
        let transfer = self.transfer.lock().unwrap_or_else(PoisonError::into_inner).take();
        transfer.map(|transfer| transfer.send(TransferInput::CallerEnded));
    }

    /// Another node has the call now: its task here ends without a word.
    pub(crate) fn let_go(&self) {
        // A task that ended has let go already.
        self.send(Order::LetGo);
    }

    pub(crate) fn call(&self) -> Call {
        self.row.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Claims the right to carry the call's one stream.
    pub(crate) fn claim_stream(&self) -> Option<TakenStream> {
        if self.ending.load(Ordering::Acquire) || self.streaming.swap(true, Ordering::AcqRel) {
            return None;
        }
        Some(TakenStream { call: self.call(), handle: self.clone() })
    }
}

impl TakenStream {
    /// The subprotocol to agree to: the first that the provider offers (`media`, for Asterisk).
    pub(crate) fn subprotocol(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
        let first = offered.split(',').next()?.trim();
        HeaderValue::from_str(first).ok()
    }

    pub(crate) fn give_back(&self) {
        self.handle.streaming.store(false, Ordering::Release);
    }
}
