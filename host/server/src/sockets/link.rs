//! One configuration's event socket: dialled, read, and dialled again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, SinkExt, StreamExt};
use jackfield_egress::{EgressError, Socket};
use jackfield_plugins::types::{Account, Endpoint, Fault};
use jackfield_plugins::{Generation, SocketGuest};
use jackfield_store::Configuration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::backoff::Backoff;
use super::standing::{Standing, State};
use crate::App;
use crate::account::account_of;
use crate::answering::patiently;
use crate::clock::now_for_guests;
use crate::metrics::SocketMessage;
use crate::outbound::AccountOutbound;
use crate::retries::dice;
use crate::webhooks::told;

/// Bytes of a message. Events are a few hundred.
const MESSAGE: usize = 256 << 10;
/// For a ping to leave.
const WRITE: Duration = Duration::from_secs(5);

/// What a socket is kept with.
pub(super) struct Link {
    pub(super) app: App,
    pub(super) configuration: Arc<Configuration>,
    pub(super) standing: Arc<Standing>,
}

/// Why a socket is not, or no longer, open.
enum End {
    /// Another attempt may do better.
    Failed(String),
    /// Another attempt would hear the same, until somebody changes something.
    Refused(String),
    /// Nothing is at that address. A wrong path says so for ever, and a service that has just been started for a moment.
    Absent(String),
}

impl Link {
    /// For ever: whoever keeps it stops it by dropping it.
    pub(super) async fn keep(&self) {
        let settings = &self.app.settings.sockets;
        let mut backoff = Backoff::new(settings.retry(), settings.retry_max());
        loop {
            let mut opened = None;
            let end = match self.open().await {
                Ok(socket) => {
                    opened = Some(Instant::now());
                    self.opened();
                    self.read(socket).await
                }
                Err(end) => end,
            };
            let (state, reason, wait) = match end {
                End::Failed(reason) => {
                    (State::Waiting, reason, backoff.after(opened.map(|opened| opened.elapsed()), dice()))
                }
                End::Refused(reason) => (State::Refused, reason, backoff.after_refusal(dice())),
                End::Absent(reason) => (State::Refused, reason, backoff.after(None, dice())),
            };
            if self.standing.failed(state, &reason) {
                let (configuration, seconds) = (&self.configuration.id, wait.as_secs());
                tracing::warn!(configuration, reason, seconds, "an event socket is not open; it is tried again");
            }
            sleep(wait).await;
        }
    }

    async fn open(&self) -> Result<Socket, End> {
        let generation = self.generation()?;
        let endpoint = self.endpoint(&generation)?;
        let (way, configuration) = (self.app.calls.way_out(), Arc::clone(&self.configuration));
        let outbound = AccountOutbound::new(way, configuration, generation.describe());
        outbound.dial(endpoint, MESSAGE).await.map_err(|error| match error {
            EgressError::Denied(_) | EgressError::NotGranted(_) => End::Refused(error.to_string()),
            EgressError::Refused(401 | 403) => End::Refused(format!("{error}: the provider refuses the credentials")),
            EgressError::Refused(404) => End::Absent(format!("{error}: there is no event socket at that address")),
            error => End::Failed(error.to_string()),
        })
    }

    /// The generation that serves now: a swap needs no new connection.
    fn generation(&self) -> Result<Arc<Generation>, End> {
        let serving = self.app.plugins.current(&self.configuration.provider);
        serving.ok_or_else(|| End::Failed("its plugin is not loaded".to_owned()))
    }

    fn endpoint(&self, generation: &Arc<Generation>) -> Result<Endpoint, End> {
        let failed = |error: &dyn std::fmt::Display| End::Failed(error.to_string());
        let mut guest = generation.socket().map_err(|error| failed(&error))?;
        let located = guest.locate(&account_of(&self.configuration)).map_err(|error| failed(&error))?;
        located.map_err(|fault| End::Refused(told(&fault)))
    }

    /// What was missed while the socket was not open is put in order, beside what comes in now.
    fn opened(&self) {
        self.standing.open();
        tracing::info!(configuration = self.configuration.id, "an event socket is open");
        let (app, configuration) = (self.app.clone(), Arc::clone(&self.configuration));
        tokio::spawn(async move {
            let Some(generation) = app.plugins.current(&configuration.provider) else { return };
            app.calls.inspect_all(&configuration.id).await;
            let provider = app.calls.provider_of(generation, Arc::clone(&configuration));
            if let Err(why) = patiently(&provider, || provider.proceed(None, "opened")).await {
                tracing::warn!(configuration = configuration.id, why, "what was missed could not be put in order");
            }
        });
    }

    async fn read(&self, mut socket: Socket) -> End {
        let settings = &self.app.settings.sockets;
        let mut ping_at = Instant::now() + settings.ping();
        let mut pong_by = None;
        let account = account_of(&self.configuration);
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                () = sleep_until(pong_by.unwrap_or(ping_at)) => {
                    if pong_by.is_some() {
                        return End::Failed("the provider does not answer pings".to_owned());
                    }
                    if let Err(end) = ping(&mut socket).await {
                        return end;
                    }
                    pong_by = Some(Instant::now() + settings.pong());
                    continue;
                }
            };
            // Whoever speaks is alive.
            if pong_by.take().is_some() {
                ping_at = Instant::now() + settings.ping();
            }
            if let Err(end) = self.all_that_wait(&account, &mut socket, message) {
                return end;
            }
        }
    }

    /// Reads a message, and those that came with it, with one guest.
    fn all_that_wait(
        &self,
        account: &Account,
        socket: &mut Socket,
        first: Option<Result<Message, Error>>,
    ) -> Result<(), End> {
        let (mut guest, mut next) = (None, Some(first));
        while let Some(message) = next {
            match message {
                Some(Ok(Message::Text(text))) => self.message(account, &mut guest, &text)?,
                Some(Ok(Message::Binary(_))) => self.app.metrics.socket_message(SocketMessage::Malformed),
                Some(Ok(Message::Close(_))) | None => return Err(End::Failed("the provider closed it".to_owned())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(End::Failed(error.to_string())),
            }
            next = socket.next().now_or_never();
        }
        Ok(())
    }

    fn message(&self, account: &Account, guest: &mut Option<SocketGuest>, text: &str) -> Result<(), End> {
        let metrics = &self.app.metrics;
        if guest.is_none() {
            *guest = self.generation()?.socket().ok();
        }
        let read = guest.as_mut().map(|guest| guest.read(account, text, now_for_guests()));
        match read {
            Some(Ok(Ok(events))) => {
                metrics.socket_message(SocketMessage::Read);
                for event in events {
                    self.app.sockets().happened(&self.app, &self.configuration, event);
                }
            }
            Some(Ok(Err(Fault::Refused(refusal)))) => return Err(End::Refused(refusal.message)),
            Some(Ok(Err(_))) => metrics.socket_message(SocketMessage::Malformed),
            // A guest that failed is spent.
            Some(Err(_)) | None => {
                *guest = None;
                metrics.socket_message(SocketMessage::Failed);
            }
        }
        Ok(())
    }
}

async fn ping(socket: &mut Socket) -> Result<(), End> {
    let sent = timeout(WRITE, socket.send(Message::Ping(Vec::new().into()))).await;
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Failed(error.to_string())),
        Err(_) => Err(End::Failed("the provider takes no more data".to_owned())),
    }
}
