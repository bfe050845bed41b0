//! The server: provider-facing webhooks and media sockets, the REST API for operators, health and metrics.
//!
//! Promises: every request passes [`http`]'s limits before anything looks at it; every route is in the one table of
//! [`api`], with the access it needs; a webhook is answered in time or with 503; a panic ends one request and nothing
//! else; a draining server takes no new calls and finishes what it has begun.

mod account;
mod answering;
pub mod api;
mod bills;
mod bot;
mod call_service;
mod clock;
mod cluster;
mod drain;
pub mod http;
mod live;
mod media;
mod metrics;
mod outbound;
mod owners;
mod placing;
mod retention;
mod retries;
mod rollout;
mod seats;
mod settings;
mod sign_ins;
mod sockets;
mod survival;
#[cfg(test)]
mod testing;
mod token;
mod transfers;
mod webhooks;

use std::ops::Deref;
use std::sync::Arc;

use jackfield_egress::Egress;
use jackfield_plugins::PluginHost;
use jackfield_store::{Shared, Store};
use tokio::runtime::Handle;

pub use api::{Admin, Audience};
pub use bills::keep_bills;
pub use bot::keep_watch;
pub use call_service::{AvailableNumber, CallProblem, CallService, Switchboard};
pub use clock::set_clock;
pub use cluster::{Node, keep_together};
pub use drain::{Drain, Phase};
pub use http::{TrustedProxies, serve};
pub use media::{MediaPool, keep_recordings};
pub use metrics::Metrics;
pub use placing::PlaceOrder;
pub use retention::forget_old_calls;
pub use rollout::{Begun, Origin, Plan, Rollout, RolloutError, keep_young, watch};
pub use settings::{DrainSettings, Limits, MediaSettings, RolloutSettings, ServerSettings, SocketSettings};
pub use sockets::keep_sockets;
pub use transfers::{TransferOrder, keep_transfers};
pub use webhooks::keep_backlog;

/// What every handler shares. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: Parts,
    answered: api::Answered,
    sockets: sockets::Sockets,
    bot: bot::Bot,
    backlog: webhooks::Backlog,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// Durable state.
    pub store: Store,
    /// Short-lived state.
    pub shared: Shared,
    /// The plugins that serve.
    pub plugins: PluginHost,
    /// How plugins come in and go back.
    pub rollout: Rollout,
    /// The way out.
    pub egress: Egress,
    /// Limits and addresses.
    pub settings: Arc<ServerSettings>,
    /// Counters.
    pub metrics: Metrics,
    /// Whether this server takes new work.
    pub drain: Drain,
    /// Calls.
    pub calls: CallService,
    /// Who may use the REST API.
    pub admin: Admin,
    /// This host among others.
    pub node: Node,
    /// Threads on which plugins look at webhooks.
    pub guests: Handle,
}

impl App {
    /// Over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            answered: api::Answered::default(),
            sockets: sockets::Sockets::default(),
            bot: bot::Bot::default(),
            backlog: webhooks::Backlog::default(),
        }))
    }

    /// Answers that an `Idempotency-Key` may ask for again.
    pub(crate) fn answered(&self) -> &api::Answered {
        &self.0.answered
    }

    /// Callbacks that wait for a build that can read them.
    pub(crate) fn backlog(&self) -> &webhooks::Backlog {
        &self.0.backlog
    }

    /// The bot.
    pub(crate) fn bot(&self) -> &bot::Bot {
        &self.0.bot
    }

    /// Event sockets.
    pub(crate) fn sockets(&self) -> &sockets::Sockets {
        &self.0.sockets
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("drain", &self.drain).field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("drain", &self.drain).finish_non_exhaustive()
    }
}
