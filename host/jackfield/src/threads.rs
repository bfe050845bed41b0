//! Threads with a priority of their own. The network's have the system's.

use std::panic::resume_unwind;
use std::sync::Once;
use std::thread;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::runtime::{Builder, Runtime};

/// Steps below the priority of the network.
const GUESTS_STEP_BACK: i32 = 5;
/// The lowest of the ranks that go before everything that has none.
const AUDIO: u8 = 1;
const BEFORE_AUDIO: u8 = 2;

/// Threads that serve the network. Few: those that find another at work wake and sleep for nothing, which costs as much as a
/// plugin's part of a webhook.
pub(crate) fn network(count: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(count).thread_name("network").enable_all().build()
}

/// Threads on which plugins talk to their providers, and those that are slow look at webhooks: a plugin that takes all its time
/// there keeps the network's threads from nothing. They step back where cores are short: a webhook may wait a moment, and audio
/// may not.
pub(crate) fn guests(count: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(count)
        .thread_name("guest")
        .enable_all()
        .on_thread_start(|| {
            // Where it cannot be lowered, all are equal.
            rustix::process::nice(GUESTS_STEP_BACK).ok();
        })
        .build()
}

/// What the threads of the audio loop do first: they go before all that has no deadline, where the system lets them.
pub(crate) fn audio(realtime: bool) -> fn() {
    if realtime { go_first } else { || () }
}

fn go_first() {
    static SAID: Once = Once::new();
    if let Err(why) = at_realtime(AUDIO) {
        SAID.call_once(|| {
            tracing::info!(
                why,
                "audio shares the cores as all others do: the system lets this user have no real-time threads. \
                 CAP_SYS_NICE or a limit RTPRIO of 1 would; `media.realtime = false` asks for none"
            );
        });
    }
}

/// Makes something whose threads go before the audio's: they inherit the rank of the one that makes it. So does the clock that
/// ends guests' time; an audio thread whose guest loops would keep it from telling.
pub(crate) fn before_audio<T: Send>(realtime: bool, make: impl FnOnce() -> T + Send) -> T {
    if !realtime {
        return make();
    }
    let ranked = || {
        // Where it is refused, audio has no rank either.
        at_realtime(BEFORE_AUDIO).ok();
        make()
    };
    thread::scope(|scope| scope.spawn(ranked).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

/// Threads of equal rank take turns. The kernel leaves others a twentieth of each core, whatever these do.
fn at_realtime(rank: u8) -> Result<(), String> {
    let priority = ThreadPriorityValue::try_from(rank)?;
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), policy)
        .map_err(|error| format!("{error:?}"))
}
