//! `jackfield serve`: settings, wiring, serving, signals, drain.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jackfield_egress::{Egress, ObjectStore};
use jackfield_plugins::{CompiledCache, CompilerProcess, PluginHost};
use jackfield_server::{
    Admin, App, CallService, Drain, DrainSettings, MediaPool, Metrics, Node, Parts, Rollout, ServerSettings,
    Switchboard,
};
use jackfield_store::Shared;
use rustix::process::{Resource, Rlimit};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::config::{self, Settings};
use crate::doors::Doors;
use crate::ending::Ending;
use crate::home::{self, Home, refuse};
use crate::logs::{self, Dropped, Logs};
use crate::reload::Reload;
use crate::stock::STOCK;
use crate::threads;

/// After their time is up, calls are hung up, and the providers' answers are waited for so long.
const GOODBYE: Duration = Duration::from_secs(10);
const GLANCE: Duration = Duration::from_millis(20);

/// Serves until a signal, and says how it ended.
pub(crate) fn run(file: Option<&Path>) -> Ending {
    let (written, settings) = match config::load_written(file, config::variables()) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error.to_string()),
    };
    let Logs { dropped, set_level, rest: _rest } = match logs::start(&settings.log) {
        Ok(logs) => logs,
        Err(sentence) => return refuse(&sentence),
    };
    // TLS towards providers and agents. A provider that is installed already is this one.
    rustls::crypto::ring::default_provider().install_default().ok();
    // A host takes memory piece by piece as calls come: to have two megabytes cleared for some of them costs a webhook a tenth more.
    rustix::thread::disable_transparent_huge_pages(true).ok();
    // A core would hold the key that seals secrets. Where it cannot be forbidden, the system's own rule holds.
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).ok();
    let runtime = match threads::network(settings.network_threads()) {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("the system gives no threads: {error}")),
    };
    let guests = match threads::guests(settings.guest_threads()) {
        Ok(guests) => guests,
        Err(error) => return refuse(&format!("the system gives no threads: {error}")),
    };
    let reload = Reload::new(file.map(Path::to_owned), written, &settings, set_level);
    let serving = serve(&settings, reload, guests.handle().clone(), dropped);
    let ending = runtime.block_on(serving).unwrap_or_else(|sentence| refuse(&sentence));
    // What still runs is either of no consequence or was given up on.
    guests.shutdown_background();
    runtime.shutdown_background();
    ending
}

async fn serve(settings: &Settings, reload: Reload, guests: Handle, dropped: Dropped) -> Result<Ending, String> {
    let unheard = |error| format!("signals cannot be waited for: {error}");
    let mut signals = Signals::new().map_err(unheard)?;
    let live = reload.live();
    tokio::spawn(reload.at_each(signal(SignalKind::hangup()).map_err(unheard)?));
    let doors = Doors::open(settings).await?;
    let address = doors.address;
    let Home { keyring, store, admin, fresh_token } = home::open(settings).await?;
    jackfield_server::set_clock(&store).await.map_err(|error| error.to_string())?;
    let mut server = settings.server(address);
    let plugins = plugins(settings, &keyring)?;
    let egress = Egress::new(settings.egress()).map_err(|error| format!("the way out cannot be opened: {error}"))?;
    let recordings = recordings(settings, &egress, &mut server)?;
    let id = Node::fresh_id();
    let shared = match settings.redis_url() {
        None => Shared::default(),
        Some(url) => {
            Shared::redis(url, &id).await.map_err(|error| format!("{error}. Check `redis_url` (REDIS_URL)."))?
        }
    };
    let node = Node::new(id, shared.clone());
    let parts = wire(
        settings,
        Wires { shared, node, store, plugins, egress, server: Arc::new(server), admin, recordings, guests },
    )?;
    if settings.redis_url().is_none() {
        parts.rollout.end_interrupted().await.map_err(|error| error.to_string())?;
    }
    parts.rollout.restore(STOCK).await.map_err(|error| error.to_string())?;
    parts.plugins.started();
    let recovered = parts.calls.recover().await.map_err(|error| error.to_string())?;
    tokio::spawn(jackfield_server::watch(parts.rollout.clone(), settings.plugin_dir.clone()));
    warn(settings, &parts, recovered);
    parts.metrics.watch_log(dropped);
    let app = App::new(parts);
    tokio::spawn(jackfield_server::keep_together(app.clone()));
    tokio::spawn(jackfield_server::keep_bills(app.clone()));
    tokio::spawn(jackfield_server::keep_backlog(app.clone()));
    tokio::spawn(jackfield_server::keep_young(app.clone()));
    tokio::spawn(jackfield_server::forget_old_calls(app.clone(), live.call_days));
    tokio::spawn(jackfield_server::keep_transfers(app.clone()));
    app.guests.spawn(jackfield_server::keep_sockets(app.clone()));
    tokio::spawn(jackfield_server::keep_watch(app.clone()));
    doors.announce(fresh_token.as_deref());
    let serving = tokio::spawn(doors.serve(app.clone()));
    signals.next().await;
    tracing::info!(calls = app.calls.active(), "draining; a second signal ends at once");
    let ending = tokio::select! {
        ending = drain(&app, &live.drain, serving) => ending,
        () = signals.next() => Ending::NotDrained,
    };
    tracing::info!(?ending, "the host ends");
    Ok(ending)
}

struct Wires {
    shared: Shared,
    node: Node,
    store: jackfield_store::Store,
    plugins: PluginHost,
    egress: Egress,
    server: Arc<ServerSettings>,
    admin: [u8; 32],
    /// Who is told of finished recordings.
    recordings: Option<UnboundedSender<PathBuf>>,
    guests: Handle,
}

/// Starts to bring recordings to the object store, where there is one.
fn recordings(
    settings: &Settings,
    egress: &Egress,
    server: &mut ServerSettings,
) -> Result<Option<UnboundedSender<PathBuf>>, String> {
    let Some(named) = settings.object_store().map_err(|error| error.to_string())? else { return Ok(None) };
    let store = ObjectStore::new(egress, named).map_err(|error| error.to_string())?;
    server.media.kept_at = Some(store.address(""));
    let (finished, inbox) = unbounded_channel();
    tokio::spawn(jackfield_server::keep_recordings(store, server.media.recordings.clone(), inbox));
    Ok(Some(finished))
}

/// Ties the parts together.
fn wire(settings: &Settings, wires: Wires) -> Result<Parts, String> {
    let Wires { shared, node, store, plugins, egress, server, admin, recordings, guests } = wires;
    let (metrics, drain) = (Metrics::default(), Drain::default());
    let first = threads::audio(settings.realtime_audio());
    let media = MediaPool::start(settings.media_workers(), metrics.clone(), recordings, first);
    let media = media.map_err(|error| format!("the audio threads cannot be started: {error}"))?;
    let rollout = Rollout::new(plugins.clone(), store.clone(), server.rollout.clone());
    let calls = CallService::new(Switchboard {
        store: store.clone(),
        shared: shared.clone(),
        plugins: plugins.clone(),
        rollout: rollout.clone(),
        egress: egress.clone(),
        settings: Arc::clone(&server),
        metrics: metrics.clone(),
        media,
        drain: drain.clone(),
        node: node.clone(),
        network: Handle::current(),
        guests: guests.clone(),
    });
    let admin = Admin::new(admin, &server.limits);
    Ok(Parts { store, shared, plugins, rollout, egress, settings: server, metrics, drain, calls, admin, node, guests })
}

fn plugins(settings: &Settings, keyring: &jackfield_store::Keyring) -> Result<PluginHost, String> {
    let (limits, pooling) = settings.guests();
    let cache = CompiledCache::new(settings.data.join("cache"), &keyring.derive("compiled plugins"));
    let make = || PluginHost::new(limits, pooling, Some(cache));
    let host = threads::before_audio(settings.realtime_audio(), make).map_err(|error| {
        format!("plugins cannot run here: {error:#}. With plugins.pooling = \"off\" they need less address space.")
    })?;
    // The program as it was started, also when its file was replaced meanwhile.
    let program = PathBuf::from("/proc/self/exe");
    let program =
        if program.exists() { program } else { std::env::current_exe().map_err(|error| error.to_string())? };
    let signers = settings.signers().map_err(|error| error.to_string())?;
    let host = host.granting(settings.grants()).trusting(signers).stocked(STOCK);
    Ok(host.compiled_by(CompilerProcess::new(program, vec!["compile-plugin".to_owned()]).starting()))
}

fn warn(settings: &Settings, parts: &Parts, recovered: usize) {
    if parts.plugins.names().is_empty() {
        let folder = settings.plugin_dir.display();
        tracing::warn!(%folder, "no plugin is loaded; put one into the plugin folder, or upload it");
    }
    if !settings.has_public_url() {
        tracing::warn!("public_url is not set: no provider can reach this host");
    }
    if recovered > 0 {
        tracing::info!(calls = recovered, "calls of an earlier run are being settled");
    }
}

/// Calls first, then requests: what a call needs is served to its end.
async fn drain(app: &App, limits: &watch::Receiver<DrainSettings>, serving: JoinHandle<()>) -> Ending {
    app.drain.begin();
    let limits = limits.borrow().clone();
    if !quiet(app, Duration::from_secs(limits.calls_seconds)).await {
        tracing::warn!(calls = app.calls.active(), "calls are hung up");
        // A database that does not answer keeps nobody from the end.
        timeout(GOODBYE, app.calls.hang_up_all()).await.ok();
        quiet(app, GOODBYE).await;
    }
    app.drain.close();
    let answered = timeout(Duration::from_secs(limits.webhooks_seconds), serving).await.is_ok();
    // A webhook that was under way may have let one more call in.
    if app.calls.active() > 0 {
        timeout(GOODBYE, app.calls.hang_up_all()).await.ok();
    }
    if answered && quiet(app, GOODBYE).await { Ending::Done } else { Ending::NotDrained }
}

/// Waits until no call is up, for so long.
async fn quiet(app: &App, most: Duration) -> bool {
    let until = Instant::now() + most;
    while app.calls.active() > 0 {
        if Instant::now() >= until {
            return false;
        }
        sleep(GLANCE).await;
    }
    true
}

/// SIGTERM and SIGINT, which mean the same.
struct Signals(Signal, Signal);

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}
