//! What a guest may use. Each figure is a setting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::outbound::Outbound;
use crate::trace::Exchange;
use crate::trial;
use crate::wasi::Denied;

/// Bounds on guests and on the files they come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuestLimits {
    /// Bytes of linear memory an instance may grow to.
    pub memory: usize,
    /// CPU time of one webhook or manifest export, and of one stretch of a `calls` export between requests.
    pub webhook_cpu: Duration,
    /// CPU time of one media message.
    pub media_cpu: Duration,
    /// Wall time of an export that does no IO; a machine that is busy elsewhere does not use it up as fast as CPU time.
    pub wall: Duration,
    /// Wall time of a `calls` export, its requests included.
    pub calls_wall: Duration,
    /// Bytes an export's result may make the host allocate.
    pub result: usize,
    /// Bytes of a plugin file.
    pub upload: usize,
    /// Instances alive at once, over all plugins: each media stream is one.
    pub instances: u32,
    /// Generations of one plugin that are kept for rollback, beside those that calls still use.
    pub generations: usize,
    /// Requests that one `calls` export may send.
    pub requests: u32,
    /// Guests of one build that read webhooks at the same time, and webhooks that may wait for their turn.
    pub at_once: usize,
    pub queue: usize,
    /// Count instructions: for looking at a plugin, since it makes every one of them dearer.
    pub counted: bool,
}

impl Default for GuestLimits {
    fn default() -> Self {
        Self {
            memory: 32 << 20,
            webhook_cpu: Duration::from_millis(50),
            media_cpu: Duration::from_millis(5),
            wall: Duration::from_secs(1),
            calls_wall: Duration::from_secs(15),
            result: 256 << 10,
            upload: 32 << 20,
            instances: 2_500,
            generations: 8,
            requests: 32,
            at_once: 2,
            queue: 256,
            counted: false,
        }
    }
}

/// What a component may be made of: its core modules, their tables, and the functions in each. Python's has 38 modules and
/// 6,000 functions.
pub(crate) const INSTANCES: u32 = 64;
pub(crate) const TABLES: u32 = 16;
pub(crate) const TABLE_ELEMENTS: usize = 8_192;

/// How often the epoch moves. Deadlines are counted in it.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// The first tick may come at once; after the second the call has had at least one whole.
const FIRST_LOOK: u64 = 2;

/// What a store carries: its memory bound, its time, and for `calls` the way out.
pub(crate) struct GuestState {
    pub(crate) store: Bound,
    pub(crate) budget: Budget,
    pub(crate) outbound: Option<Box<dyn Outbound>>,
    pub(crate) requests_left: u32,
    /// Where the guest is recorded: what it sent.
    pub(crate) exchanges: Option<Vec<Exchange>>,
    /// Of the second tier alone. Never locked: what is in there may not be shared, and a lock says that it is not.
    pub(crate) wasi: Option<Box<Mutex<Denied>>>,
    /// While it is there, the guest counts among those of its generation.
    pub(crate) alive: Option<Alive>,
}

/// One of so many guests.
pub(crate) struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub(crate) fn among(guests: &Arc<AtomicUsize>) -> Self {
        guests.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(guests))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for GuestState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestState").field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl GuestState {
    pub(crate) fn new(limits: &GuestLimits, cpu: Duration, outbound: Option<Box<dyn Outbound>>) -> Self {
        let limits_of_store = StoreLimitsBuilder::new()
            .memory_size(limits.memory)
            .memories(1)
            .tables(TABLES as usize)
            .instances(INSTANCES as usize)
            .table_elements(TABLE_ELEMENTS)
            .build();
        let store = Bound { limits: limits_of_store, memory: 0 };
        Self {
            store,
            budget: Budget::new(cpu, limits.wall),
            outbound,
            requests_left: limits.requests,
            exchanges: None,
            wasi: None,
            alive: None,
        }
    }
}

/// Bounds a store, and notes how much memory it had at most.
pub(crate) struct Bound {
    limits: StoreLimits,
    /// Bytes.
    pub(crate) memory: usize,
}

impl ResourceLimiter for Bound {
    fn memory_growing(&mut self, now: usize, wanted: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        let granted = self.limits.memory_growing(now, wanted, most)?;
        if granted {
            self.memory = self.memory.max(wanted);
        }
        Ok(granted)
    }

    fn table_growing(&mut self, now: usize, wanted: usize, most: Option<usize>) -> wasmtime::Result<bool> {
        self.limits.table_growing(now, wanted, most)
    }

    fn instances(&self) -> usize {
        self.limits.instances()
    }

    fn tables(&self) -> usize {
        self.limits.tables()
    }

    fn memories(&self) -> usize {
        self.limits.memories()
    }
}

/// CPU time measured on the thread that runs the guest, so that a busy machine does not look like a busy guest. A guest that
/// waits for IO may wake on another thread: its time is started afresh there, so that it is never measured across two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    cpu: Duration,
    /// Of it, for the call that runs: on trial it has less.
    granted: Duration,
    wall: Duration,
    /// Epochs passed since the call began; wall time at the resolution of [`TICK`].
    epochs: u64,
    /// CPU time of the thread when the budget was first looked at. Nearly every call is over before that, and asking
    /// the kernel at its start would cost as much as the call.
    first_look: Option<Duration>,
}

impl Budget {
    fn new(cpu: Duration, wall: Duration) -> Self {
        Self { cpu, granted: cpu, wall, epochs: 0, first_look: None }
    }

    /// Starts the clock for one call and says when to look again, in epochs from now.
    pub(crate) fn start(&mut self) -> u64 {
        self.first_look = None;
        self.granted = trial::granted(self.cpu);
        self.epochs = FIRST_LOOK;
        self.epochs
    }

    /// The deadline has come: is the budget really used up?
    pub(crate) fn look(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let used = self.used();
        let wall_left = ticks(self.wall).saturating_sub(self.epochs);
        if used >= self.granted || wall_left == 0 {
            trial::run_over();
            return Err(wasmtime::Error::from(wasmtime::Trap::Interrupt));
        }
        // Rounded down: it is better to look once more than to come too late.
        let more = (ticks(self.granted - used) - 1).min(wall_left).max(1);
        self.epochs += more;
        Ok(UpdateDeadline::Continue(more))
    }

    /// CPU time since the first look. What was used before it, less than two ticks, is not billed.
    fn used(&mut self) -> Duration {
        let now = thread_cpu();
        now.saturating_sub(*self.first_look.get_or_insert(now))
    }
}

fn ticks(duration: Duration) -> u64 {
    let ticks = duration.as_millis() / TICK.as_millis().max(1);
    u64::try_from(ticks).unwrap_or(u64::MAX / 2) + 1
}

/// What the thread that asks has run so far.
pub(crate) fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on a machine with too much to do: the epochs pass, and the guest's thread does not run.
    #[test]
    fn a_guest_that_does_not_get_to_run_has_not_used_up_its_time() {
        let cpu = Duration::from_millis(20);
        let mut budget = Budget::new(cpu, Duration::from_mins(1));
        let mut passed = budget.start();
        while passed < 4 * ticks(cpu) {
            std::thread::sleep(Duration::from_millis(10));
            match budget.look() {
                Ok(UpdateDeadline::Continue(more)) => passed += more,
                other => panic!("{:?} after {passed} epochs", other.err()),
            }
        }
    }

    #[test]
    fn a_guest_that_runs_without_end_is_stopped_by_its_own_time_or_the_clock() {
        for (cpu, wall) in [(5, 60_000), (60_000, 20)] {
            let mut budget = Budget::new(Duration::from_millis(cpu), Duration::from_millis(wall));
            budget.start();
            while budget.look().is_ok() {}
            assert!(budget.epochs <= ticks(Duration::from_millis(wall)) + 1, "{budget:?}");
        }
    }
}
