//! Counters. Every label's values are known here, so that no stranger can make series.

mod exposition;
mod labels;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jackfield_media::Stats;
use jackfield_plugins::GenerationSummary;

use crate::App;
use crate::clock::ahead_ms;
use crate::http::Doors;
use exposition::Exposition;
use labels::{DIRECTIONS, HUNDREDS, REASONS, STATUSES, index_of};

pub(crate) use labels::{Class, DrainedBy, SocketMessage, WebhookOutcome};

/// Upper bounds of the answer times that are told apart, in microseconds.
const BOUNDS: [u64; 8] = [500, 1_000, 5_000, 20_000, 100_000, 500_000, 1_000_000, 4_000_000];

/// The server's counters. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    webhooks: [AtomicU64; WebhookOutcome::ALL.len()],
    signature_failures: [AtomicU64; REASONS.len()],
    requests: [[AtomicU64; HUNDREDS.len()]; Class::ALL.len()],
    answers: Histogram,
    connections: Mutex<Vec<Doors>>,
    refused_connections: AtomicU64,
    refused_media: AtomicU64,
    refused_tokens: AtomicU64,
    refused_sign_ins: AtomicU64,
    refused_retries: AtomicU64,
    refused_hosts: AtomicU64,
    panics: AtomicU64,
    task_panics: AtomicU64,
    log: OnceLock<Log>,
    began: [AtomicU64; DIRECTIONS.len()],
    ended: [AtomicU64; STATUSES.len()],
    streams: Streams,
    socket_messages: [AtomicU64; SocketMessage::ALL.len()],
    drained: [AtomicU64; DrainedBy::ALL.len()],
}

/// Where dropped log lines are counted.
struct Log(Box<dyn Fn() -> u64 + Send + Sync>);

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

/// How long webhooks waited for their answers.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

/// What became of audio, over all streams that are over.
#[derive(Debug, Default)]
struct Streams {
    ended: AtomicU64,
    frames_in: AtomicU64,
    frames_out: AtomicU64,
    bad: AtomicU64,
    dropped: AtomicU64,
    underruns: AtomicU64,
    late: AtomicU64,
    flushes: AtomicU64,
    concealed: AtomicU64,
    filled: AtomicU64,
    beats: AtomicU64,
    late_beats: AtomicU64,
}

impl Metrics {
    /// A webhook was answered.
    pub(crate) fn webhook(&self, outcome: WebhookOutcome) {
        add(&self.0.webhooks, outcome as usize);
    }

    /// A webhook was not shown to be genuine.
    pub(crate) fn signature_failure(&self, reason: &str) {
        add(&self.0.signature_failures, index_of(&REASONS, reason));
    }

    /// A request was answered.
    pub(crate) fn request(&self, class: Class, status: StatusCode, took: Duration) {
        let hundred = usize::from(status.as_u16() / 100).clamp(1, HUNDREDS.len()) - 1;
        if let Some(row) = self.0.requests.get(class as usize) {
            add(row, hundred);
        }
        if class == Class::Webhook {
            self.0.answers.observe(took);
        }
    }

    /// Where a listener's open connections are counted.
    pub(crate) fn watch_connections(&self, doors: Doors) {
        self.0.connections.lock().unwrap_or_else(PoisonError::into_inner).push(doors);
    }

    /// Where log lines that nobody took are counted.
    pub fn watch_log(&self, dropped: Box<dyn Fn() -> u64 + Send + Sync>) {
        self.0.log.set(Log(dropped)).ok();
    }

    /// A connection found no place.
    pub(crate) fn connection_refused(&self) {
        one(&self.0.refused_connections);
    }

    /// A media token was made up, used or too old.
    pub(crate) fn media_refused(&self) {
        one(&self.0.refused_media);
    }

    /// An admin token was wrong.
    pub(crate) fn token_refused(&self) {
        one(&self.0.refused_tokens);
    }

    /// Somebody came back from a sign-in that did not come about.
    pub(crate) fn sign_in_failed(&self) {
        one(&self.0.refused_sign_ins);
    }

    /// A provider was not asked again, for want of a retry.
    pub(crate) fn retry_refused(&self) {
        one(&self.0.refused_retries);
    }

    /// A plugin asked for a host that it is not granted.
    pub(crate) fn host_refused(&self) {
        one(&self.0.refused_hosts);
    }

    /// A handler panicked.
    pub(crate) fn panicked(&self) {
        one(&self.0.panics);
    }

    /// A task of a call or a webhook panicked.
    pub(crate) fn task_panicked(&self) {
        one(&self.0.task_panics);
    }

    /// A call came up.
    pub(crate) fn call_began(&self, direction: &str) {
        add(&self.0.began, index_of(&DIRECTIONS, direction));
    }

    /// Calls on earlier builds were told to end.
    pub(crate) fn drained(&self, by: DrainedBy, calls: usize) {
        if let Some(counter) = self.0.drained.get(by as usize) {
            counter.fetch_add(count(calls), Ordering::Relaxed);
        }
    }

    /// A call is over.
    pub(crate) fn call_ended(&self, status: &str) {
        add(&self.0.ended, index_of(&STATUSES, status));
    }

    /// A media stream is over.
    pub(crate) fn stream_ended(&self, stats: &Stats) {
        let streams = &self.0.streams;
        one(&streams.ended);
        for (counter, more) in [
            (&streams.frames_in, stats.frames_in),
            (&streams.frames_out, stats.frames_out),
            (&streams.bad, stats.bad),
            (&streams.dropped, stats.dropped),
            (&streams.underruns, stats.underruns),
            (&streams.late, stats.late),
            (&streams.flushes, stats.flushes),
            (&streams.concealed, stats.concealed),
            (&streams.filled, stats.filled),
        ] {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// A message came on an event socket.
    pub(crate) fn socket_message(&self, outcome: SocketMessage) {
        add(&self.0.socket_messages, outcome as usize);
    }

    /// A stream heard its 20 ms beat.
    pub(crate) fn beat(&self, late: bool) {
        one(&self.0.streams.beats);
        if late {
            one(&self.0.streams.late_beats);
        }
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn render(&self, app: &App) -> String {
        let mut page = Exposition::default();
        self.render_requests(&mut page);
        self.render_calls(&mut page, app);
        self.render_audio(&mut page);
        self.render_sockets(&mut page, app);
        render_plugins(&mut page, app);
        page.gauge("jackfield_draining", "1 while no new calls are taken.", u64::from(app.drain.draining()));
        let off = ahead_ms().unsigned_abs() / 1_000;
        page.gauge("jackfield_clock_off_seconds", "Between this machine's clock and the database's.", off);
        page.finish()
    }

    fn render_requests(&self, page: &mut Exposition) {
        let counters = &*self.0;
        page.counter("jackfield_http_requests_total", "Requests by kind of route and status.");
        for (class, row) in Class::ALL.iter().zip(&counters.requests) {
            for (status, counter) in HUNDREDS.iter().zip(row) {
                page.sample(&[("route", class.as_str()), ("status", status)], read(counter));
            }
        }
        page.counter("jackfield_webhooks_total", "Webhooks by what became of them.");
        for (outcome, counter) in WebhookOutcome::ALL.iter().zip(&counters.webhooks) {
            page.sample(&[("outcome", outcome.as_str())], read(counter));
        }
        page.family(
            "jackfield_signature_failures_total",
            "Webhooks that were not shown to be genuine.",
            "reason",
            &REASONS,
            &counters.signature_failures.each_ref().map(read),
        );
        counters.answers.render(page);
        let open = counters.connections.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Doors::inside).sum();
        page.gauge("jackfield_http_connections", "Connections that are open.", count(open));
        page.single(
            "jackfield_http_connections_refused_total",
            "Connections that found no place.",
            read(&counters.refused_connections),
        );
        page.single("jackfield_http_panics_total", "Handlers that panicked.", read(&counters.panics));
        let panics = read(&counters.task_panics);
        page.single("jackfield_task_panics_total", "Tasks of calls and webhooks that panicked.", panics);
        let dropped = counters.log.get().map_or(0, |log| (log.0)());
        page.single("jackfield_log_lines_dropped_total", "Log lines that nobody took in time.", dropped);
        page.single("jackfield_admin_tokens_refused_total", "Wrong admin tokens.", read(&counters.refused_tokens));
        page.single(
            "jackfield_sign_ins_refused_total",
            "Sign-ins that did not come about.",
            read(&counters.refused_sign_ins),
        );
        self.render_providers(page);
    }

    fn render_providers(&self, page: &mut Exposition) {
        page.single(
            "jackfield_retries_refused_total",
            "Orders that a provider was not given again, as its account had had its retries.",
            read(&self.0.refused_retries),
        );
        page.single(
            "jackfield_hosts_refused_total",
            "Requests and sockets of plugins to hosts that they are not granted.",
            read(&self.0.refused_hosts),
        );
    }

    fn render_calls(&self, page: &mut Exposition, app: &App) {
        let counters = &*self.0;
        page.gauge("jackfield_calls_active", "Calls that are not over.", count(app.calls.active()));
        let began = counters.began.each_ref().map(read);
        page.family("jackfield_calls_begun_total", "Calls that came up.", "direction", &DIRECTIONS, &began);
        let ended = counters.ended.each_ref().map(read);
        page.family("jackfield_calls_ended_total", "Calls that are over, by status.", "status", &STATUSES, &ended);
    }

    fn render_sockets(&self, page: &mut Exposition, app: &App) {
        page.gauges("jackfield_event_sockets", "Event sockets by how they stand.");
        for (state, known) in app.sockets().count() {
            page.sample(&[("state", state.as_str())], count(known));
        }
        page.counter("jackfield_event_messages_total", "Messages on event sockets by what became of them.");
        for (outcome, counter) in SocketMessage::ALL.iter().zip(&self.0.socket_messages) {
            page.sample(&[("outcome", outcome.as_str())], read(counter));
        }
        page.counter("jackfield_calls_drained_total", "Calls on earlier builds that were told to end, and why.");
        for (by, counter) in DrainedBy::ALL.iter().zip(&self.0.drained) {
            page.sample(&[("by", by.as_str())], read(counter));
        }
    }

    fn render_audio(&self, page: &mut Exposition) {
        let streams = &self.0.streams;
        let Streams { ended, frames_in, frames_out, bad, dropped, underruns, late, flushes, beats, late_beats, .. } =
            streams;
        let refused = &self.0.refused_media;
        for (name, help, counter) in [
            ("sockets_refused_total", "Media sockets with a used, expired or made-up token.", refused),
            ("streams_ended_total", "Media streams that are over.", ended),
            ("frames_in_total", "Frames from callers.", frames_in),
            ("frames_out_total", "Frames to callers.", frames_out),
            ("frames_bad_total", "Messages on media streams that could not be understood.", bad),
            ("frames_dropped_total", "Frames dropped because a queue was full.", dropped),
            ("underruns_total", "Times that an agent's audio ran dry in mid-sentence.", underruns),
            ("frames_late_total", "Frames sent after their time.", late),
            ("flushes_total", "Times that a caller interrupted.", flushes),
            ("frames_concealed_total", "Frames of short holes towards agents.", &streams.concealed),
            ("frames_filled_total", "Frames of silence towards agents, in longer holes.", &streams.filled),
            ("beats_total", "Beats of 20 ms that streams heard.", beats),
            ("beats_late_total", "Beats heard more than 10 ms late.", late_beats),
        ] {
            page.single(&format!("jackfield_media_{name}"), help, read(counter));
        }
    }
}

impl Histogram {
    fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(at) = BOUNDS.iter().position(|bound| micros <= *bound) {
            add(&self.buckets, at);
        }
        one(&self.count);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn render(&self, page: &mut Exposition) {
        let buckets = BOUNDS.into_iter().zip(self.buckets.each_ref().map(read));
        page.histogram(
            "jackfield_webhook_answer_seconds",
            "From a webhook's head to its answer.",
            buckets,
            read(&self.count),
            read(&self.micros),
        );
    }
}

/// Generations in memory are bounded by a setting, and so are their labels.
fn render_plugins(page: &mut Exposition, app: &App) {
    let plugins = app.plugins.list();
    let generations = || plugins.iter().flat_map(|plugin| plugin.generations.iter().map(move |known| (plugin, known)));
    let labels = |plugin: &str, digest: &str| [("plugin", plugin.to_owned()), ("generation", digest.to_owned())];
    let each = |page: &mut Exposition, value: fn(&GenerationSummary) -> u64| {
        for (plugin, known) in generations() {
            page.sample_of(&labels(&plugin.name, &known.digest), value(known));
        }
    };
    page.gauges("jackfield_plugin_info", "Generations in memory; 1 for the one that new calls begin on.");
    each(page, |known| u64::from(known.current));
    page.gauges("jackfield_plugin_calls", "Calls that hold a generation.");
    each(page, |known| count(known.calls));
    page.counter("jackfield_plugin_webhooks_total", "Webhooks that a generation's guests were asked about.");
    for (plugin, known) in generations() {
        for (outcome, value) in [("genuine", known.webhooks), ("refused", known.refused)] {
            let [plugin, generation] = labels(&plugin.name, &known.digest);
            page.sample_of(&[plugin, generation, ("outcome", outcome.to_owned())], value);
        }
    }
    page.counter("jackfield_plugin_webhook_microseconds_total", "Time in a generation's guests, for genuine webhooks.");
    each(page, |known| known.webhook_micros);
    page.gauges("jackfield_plugin_webhooks_waiting", "Webhooks that wait for their turn with a generation.");
    each(page, |known| count(known.waiting));
    page.counter("jackfield_plugin_webhooks_turned_away_total", "Webhooks that found too many waiting.");
    each(page, |known| known.turned_away);
    page.gauges("jackfield_plugin_memory_bytes", "Memory that a guest of a generation had at most.");
    each(page, |known| count(known.memory_bytes));
    page.gauges("jackfield_plugin_instances", "Guests of a generation that are alive now.");
    each(page, |known| count(known.instances));
    page.counter("jackfield_rollouts_total", "Rollouts that came to an end here, and how.");
    for (outcome, value) in app.rollout.outcomes() {
        page.sample_of(&[("outcome", outcome)], value);
    }
    let backlog = app.backlog().stands();
    page.gauge(
        "jackfield_callbacks_waiting",
        "Callbacks that a build failed at, and another one is to read.",
        count(backlog.waiting),
    );
    page.counter(
        "jackfield_callbacks_waited_total",
        "Callbacks that waited for another build, and what became of them.",
    );
    for (outcome, value) in [("read", backlog.read), ("dropped", backlog.dropped)] {
        page.sample(&[("outcome", outcome)], value);
    }
    page.counter("jackfield_plugin_faults_total", "What went wrong in a generation's guests.");
    for (plugin, known) in generations() {
        for (kind, value) in [("trap", known.traps), ("deadline", known.deadlines), ("bad_result", known.bad_results)] {
            let [plugin, generation] = labels(&plugin.name, &known.digest);
            page.sample_of(&[plugin, generation, ("kind", kind.to_owned())], value);
        }
    }
}

fn add(counters: &[AtomicU64], index: usize) {
    if let Some(counter) = counters.get(index) {
        one(counter);
    }
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn count(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
