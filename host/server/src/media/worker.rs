//! The threads of the audio loop: each with a runtime, a clock and the streams that were given to it.
//!
//! Every stream beats at its own place within the 20 ms, on absolute deadlines of its worker's clock: frames of many
//! calls that fell due in one instant would wait for each other.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::recorder::Recorder;
use super::rest;
use super::stream::{self, StreamOrder};
use crate::metrics::Metrics;

/// Audio frames last 20 ms, and so does a beat.
pub(crate) const BEAT: Duration = Duration::from_millis(20);
/// Places for streams within a beat. More would spread the load further, and cost a wake-up of the worker each.
const PLACES: u32 = 4;

/// All media threads. Cheap to clone.
#[derive(Clone)]
pub struct MediaPool(Arc<Vec<Worker>>);

struct Worker {
    orders: mpsc::UnboundedSender<StreamOrder>,
    streams: Arc<AtomicUsize>,
}

/// What every stream of a worker shares.
pub(crate) struct Desk {
    pub(crate) began: Instant,
    /// Where in the beat the next stream has its place.
    next_place: AtomicU32,
    pub(crate) metrics: Metrics,
    pub(crate) recorder: Recorder,
}

impl Desk {
    /// The beat of one more stream.
    pub(crate) fn beat(&self) -> Interval {
        let place = self.next_place.fetch_add(1, Ordering::Relaxed) % PLACES;
        let passed = u32::try_from(self.began.elapsed().as_millis() / BEAT.as_millis()).unwrap_or(u32::MAX);
        let first = self.began + BEAT * passed.saturating_add(1) + BEAT * place / PLACES;
        let mut beat = tokio::time::interval_at(first, BEAT);
        // After a stall the next beat comes at its own place; sessions catch up by the time they are told.
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        beat
    }
}

impl MediaPool {
    /// Starts `workers` threads; 0 stands for one a core. `finished` is told of each recording that is whole; `first` is what
    /// each thread does before it takes streams.
    pub fn start(
        workers: usize,
        metrics: Metrics,
        finished: Option<mpsc::UnboundedSender<PathBuf>>,
        first: fn(),
    ) -> std::io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let count = if workers == 0 { cores } else { workers };
        let recorder = Recorder::start(finished)?;
        let workers = (0..count).map(|index| Worker::start(index, metrics.clone(), recorder.clone(), first));
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
    fn start(index: usize, metrics: Metrics, recorder: Recorder, first: fn()) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let streams = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&streams);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_park(rest::before_wait)
            .on_thread_unpark(rest::after_wait)
            .build()?;
        let work = move || {
            first();
            runtime.block_on(serve(inbox, count, metrics, recorder));
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
    let desk = Arc::new(Desk { began: Instant::now(), next_place: AtomicU32::new(0), metrics, recorder });
    while let Some(order) = inbox.recv().await {
        let (desk, streams) = (Arc::clone(&desk), Arc::clone(&streams));
        streams.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            stream::run(order, &desk).await;
            streams.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
