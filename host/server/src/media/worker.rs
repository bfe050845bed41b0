//! The threads of the audio loop: each with a runtime, a clock and the streams that were given to it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::recorder::Recorder;
use super::stream::{self, StreamOrder};
use crate::metrics::Metrics;

/// Audio frames last 20 ms, and so does a beat.
pub(crate) const BEAT: Duration = Duration::from_millis(20);

/// All media threads. Cheap to clone.
#[derive(Clone)]
pub struct MediaPool(Arc<Vec<Worker>>);

struct Worker {
    orders: mpsc::UnboundedSender<StreamOrder>,
    streams: Arc<AtomicUsize>,
}

/// What every stream of a worker shares.
pub(crate) struct Desk {
    /// Time of the latest beat since the worker began; moved by one clock.
    pub(crate) beats: watch::Receiver<Duration>,
    pub(crate) began: Instant,
    pub(crate) metrics: Metrics,
    pub(crate) recorder: Recorder,
}

impl MediaPool {
    /// Starts `workers` threads; 0 stands for one a core.
    pub fn start(workers: usize, metrics: Metrics) -> std::io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let count = if workers == 0 { cores } else { workers };
        let recorder = Recorder::start()?;
        let workers = (0..count).map(|index| Worker::start(index, metrics.clone(), recorder.clone()));
        Ok(Self(Arc::new(workers.collect::<std::io::Result<_>>()?)))
    }

    /// Gives a stream to the worker with the fewest.
    pub(crate) fn take(&self, order: StreamOrder) {
        let idlest = self.0.iter().min_by_key(|worker| worker.streams.load(Ordering::Relaxed));
        if let Some(worker) = idlest {
            // A worker ends only with the process; an order that reaches no worker is dropped with its socket.
            let _ = worker.orders.send(order);
        }
    }

    /// Streams that are up now.
    pub fn streams(&self) -> usize {
        self.0.iter().map(|worker| worker.streams.load(Ordering::Relaxed)).sum()
    }
}

impl std::fmt::Debug for MediaPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaPool").field("workers", &self.0.len()).field("streams", &self.streams()).finish()
    }
}

impl Worker {
    fn start(index: usize, metrics: Metrics, recorder: Recorder) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let streams = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&streams);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, serve(inbox, count, metrics, recorder));
        };
        thread::Builder::new().name(format!("media-{index}")).spawn(work)?;
        Ok(Self { orders, streams })
    }
}

async fn serve(
    mut inbox: mpsc::UnboundedReceiver<StreamOrder>,
    streams: Arc<AtomicUsize>,
    metrics: Metrics,
    recorder: Recorder,
) {
    let began = Instant::now();
    let (beat, beats) = watch::channel(Duration::ZERO);
    tokio::task::spawn_local(keep_beat(began, beat));
    let desk = Rc::new(Desk { beats, began, metrics, recorder });
    while let Some(order) = inbox.recv().await {
        let (desk, streams) = (Rc::clone(&desk), Arc::clone(&streams));
        streams.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_local(async move {
            stream::run(order, &desk).await;
            streams.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// One clock for all streams of the worker, on absolute deadlines.
async fn keep_beat(began: Instant, beat: watch::Sender<Duration>) {
    let mut interval = tokio::time::interval_at(began + BEAT, BEAT);
    // After a stall the next beat comes at its own place; sessions catch up by the time they are told.
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        if beat.send(began.elapsed()).is_err() {
            return;
        }
    }
}
