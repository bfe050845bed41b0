//! Limits and addresses of the server. The defaults, with a sentence for each, are in the binary's `defaults.toml`.

use std::path::PathBuf;
use std::time::Duration;

use jackfield_egress::Networks;
use serde::Deserialize;

use crate::http::TrustedProxies;

/// What the server is told at its start.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// How the world reaches this server: it is what providers dial and sign.
    pub public_url: String,
    /// Peers whose `X-Forwarded-For` counts.
    pub trusted_proxies: TrustedProxies,
    /// Bounds on everything that comes from outside.
    pub limits: Limits,
    /// The audio loop.
    pub media: MediaSettings,
    /// Where agents may be, beside the public Internet.
    pub agent_networks: Networks,
    /// Event sockets.
    pub sockets: SocketSettings,
    /// The end.
    pub drain: DrainSettings,
    /// When a plugin goes back by itself.
    pub rollout: RolloutSettings,
}

/// Bounds on everything that comes from outside.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Calls that are up at once.
    pub calls: usize,
    /// How long the destination of a transfer may ring.
    pub transfer_ring_seconds: u32,
    /// How long an outbound call may ring.
    pub ring_seconds: u32,
    /// How long a call may last.
    pub call_seconds: u32,
    /// How long a media token is good for.
    pub media_token_seconds: u64,
    /// How far a signed time may be from now.
    pub replay_window_seconds: u64,
    /// How long a processed message is remembered.
    pub replay_memory_seconds: u64,
    /// A webhook is answered within this, or with 503.
    pub webhook_answer_ms: u64,
    /// Bytes of a webhook's body.
    pub webhook_body_bytes: usize,
    /// Bytes of a body to the REST API.
    pub api_body_bytes: usize,
    /// A whole body arrives within this.
    pub body_seconds: u64,
    /// A whole plugin upload arrives within this.
    pub upload_seconds: u64,
    /// Header lines of a request.
    pub headers: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// All headers arrive within this; a connection that is idle for as long is closed.
    pub header_seconds: u64,
    /// Bytes of a request's target.
    pub uri_bytes: usize,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address that is no trusted proxy.
    pub connections_per_address: usize,
    /// Wrong admin tokens a minute from one address.
    pub failed_auth_per_minute: u32,
    /// How long an address is locked out after more than that.
    pub failed_auth_block_seconds: u64,
}

/// The audio loop.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaSettings {
    /// Threads; 0 stands for one a core.
    pub workers: usize,
    /// Whether they go before all that has no deadline.
    pub realtime: bool,
    /// Whether calls are recorded.
    pub record: bool,
    /// Where recordings go.
    pub recordings: PathBuf,
    /// The place of an object store that they go on to, as people write it: a call names its recording by it.
    #[serde(skip)]
    pub kept_at: Option<String>,
    /// How far ahead of the ear audio is sent, where the provider holds it for us.
    pub lead_ms: u32,
    /// How much of an agent's audio is gathered before it is played.
    pub hold_ms: u32,
    /// How much of an agent's audio may wait.
    pub agent_queue_ms: u32,
    /// A stream without audio for so long is over.
    pub no_media_ms: u32,
    /// How long an agent may take to be reached.
    pub agent_connect_ms: u32,
}

/// When a build that was promoted goes back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutSettings {
    /// For how long it is watched.
    pub bake_seconds: u64,
    /// Faults of its guests, in a trial or the bake.
    pub bake_faults: u64,
    /// Refused webhooks of a hundred, where the build before refused fewer.
    pub bake_refused_percent: u64,
    /// By how much longer a webhook may take than with the build before; 0 for any.
    pub bake_slower_percent: u64,
    /// Calls are ended so long after their build left service; 0 for never.
    pub drain_after_seconds: u64,
}

/// Event sockets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocketSettings {
    /// How often the other side is asked whether it is there.
    pub ping_seconds: u64,
    /// How long it may take to say so.
    pub pong_seconds: u64,
    /// The first pause before dialling again; each one doubles.
    pub retry_seconds: u64,
    /// The longest pause.
    pub retry_max_seconds: u64,
    /// How often configurations are read anew.
    pub refresh_seconds: u64,
}

impl SocketSettings {
    /// How often the other side is asked whether it is there.
    pub fn ping(&self) -> Duration {
        Duration::from_secs(self.ping_seconds)
    }

    /// How long it may take to say so.
    pub fn pong(&self) -> Duration {
        Duration::from_secs(self.pong_seconds)
    }

    /// The first pause before dialling again.
    pub fn retry(&self) -> Duration {
        Duration::from_secs(self.retry_seconds)
    }

    /// The longest pause.
    pub fn retry_max(&self) -> Duration {
        Duration::from_secs(self.retry_max_seconds)
    }

    /// How often configurations are read anew.
    pub fn refresh(&self) -> Duration {
        Duration::from_secs(self.refresh_seconds)
    }
}

/// The end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainSettings {
    /// How long calls may go on after the first signal.
    pub calls_seconds: u64,
    /// How long requests may take to finish after the last call.
    pub webhooks_seconds: u64,
}

impl Limits {
    /// How long a media token is good for.
    pub fn media_token(&self) -> Duration {
        Duration::from_secs(self.media_token_seconds)
    }

    /// How far a signed time may be from now.
    pub fn replay_window(&self) -> Duration {
        Duration::from_secs(self.replay_window_seconds)
    }

    /// How long a processed message is remembered.
    pub fn replay_memory(&self) -> Duration {
        Duration::from_secs(self.replay_memory_seconds)
    }

    /// A webhook is answered within this, or with 503.
    pub fn webhook_answer(&self) -> Duration {
        Duration::from_millis(self.webhook_answer_ms)
    }

    /// A whole body arrives within this.
    pub fn whole_body(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    /// A whole plugin upload arrives within this.
    pub fn whole_upload(&self) -> Duration {
        Duration::from_secs(self.upload_seconds)
    }
}

#[cfg(test)]
impl ServerSettings {
    /// The embedded defaults, with an address for the world.
    pub(crate) fn for_tests() -> Self {
        #[derive(Deserialize)]
        struct Defaults {
            limits: Limits,
            media: MediaSettings,
            sockets: SocketSettings,
            drain: DrainSettings,
            rollout: RolloutSettings,
        }
        let defaults = toml::from_str(include_str!("../../jackfield/defaults.toml"));
        let Defaults { limits, media, sockets, drain, rollout } = defaults.unwrap_or_else(|error| panic!("{error}"));
        let public_url = "https://gw.example.net".to_owned();
        Self {
            public_url,
            trusted_proxies: TrustedProxies::default(),
            limits,
            media,
            agent_networks: Networks::any(),
            sockets,
            drain,
            rollout,
        }
    }
}
