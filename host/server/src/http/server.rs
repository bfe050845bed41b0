//! The accept loop, and one task for each connection.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::doors::{Doors, Place};
use super::framing::{Followed, Framings};
use super::guard;
use crate::api::Audience;
use crate::drain::Phase;
use crate::{App, api};

/// When the process has no descriptors left, trying at once again only burns CPU.
const BREATHER: Duration = Duration::from_millis(50);

/// What every connection shares.
pub(crate) struct Front {
    pub(crate) app: App,
    pub(crate) router: Router,
    builder: http1::Builder,
}

/// Serves these there until the drain has come to its last phase and every request that had begun is answered. Each listener
/// has connections of its own: whoever takes all of one keeps nobody from the other.
pub async fn serve(listener: TcpListener, app: App, audience: Audience) {
    let router = api::router(&app, audience);
    serve_routes(listener, app, router).await;
}

pub(super) async fn serve_routes(listener: TcpListener, app: App, router: Router) {
    let limits = &app.settings.limits;
    let doors = Doors::new(limits.connections, limits.connections_per_address, app.settings.trusted_proxies.clone());
    app.metrics.watch_connections(doors.clone());
    let mut phase = app.drain.watch();
    let front = Arc::new(Front { router, builder: builder(&app), app });
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase == Phase::Closing) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => match doors.enter(peer.ip()) {
                Some(place) => drop(connections.spawn(carry(Arc::clone(&front), socket, peer, place))),
                None => front.app.metrics.connection_refused(),
            },
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn builder(app: &App) -> http1::Builder {
    let limits = &app.settings.limits;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(limits.header_seconds))
        .max_headers(limits.headers)
        .max_header_size(limits.header_bytes)
        // hyper wants no less than 8 KiB.
        .max_buf_size(limits.header_bytes.max(8 << 10));
    builder
}

/// One connection to its end. The place is given back when the connection closes, or becomes a media socket.
async fn carry(front: Arc<Front>, socket: TcpStream, peer: SocketAddr, place: Place) {
    // Without it answers in two writes wait for an acknowledgement; a socket that refuses is about to fail anyway.
    socket.set_nodelay(true).ok();
    let asked = Arc::new(AtomicBool::new(false));
    let mut phase = front.app.drain.watch();
    // A connection that comes while the server drains is served as well: health checks and callbacks go on.
    let begun = *phase.borrow();
    let framings = Framings::default();
    let socket = Followed::new(socket, framings.clone());
    let service = {
        let (front, asked, peer): (_, _, IpAddr) = (Arc::clone(&front), Arc::clone(&asked), peer.ip());
        service_fn(move |request| {
            asked.store(true, Ordering::Relaxed);
            let (front, framing) = (Arc::clone(&front), framings.next());
            async move { Ok::<_, Infallible>(guard::answer(&front, peer, framing, request).await) }
        })
    };
    let connection = front.builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
    tokio::pin!(connection);
    tokio::select! {
        // A peer that breaks off or breaks the protocol is nothing to report.
        _ = connection.as_mut() => return,
        _ = phase.wait_for(|phase| *phase > begun || *phase == Phase::Closing) => {}
    }
    // From here on idle connections close, and each request is the last of its connection.
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => {}
    }
    if asked.load(Ordering::Relaxed) {
        connection.await.ok();
    }
    drop(place);
}
