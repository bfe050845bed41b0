//! Settings as the host reads them. Every one is in `defaults.toml`; none has a default here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jackfield_egress::{EgressSettings, Networks, ObjectStoreSettings};
use jackfield_plugins::{Grants, GuestLimits, PluginGrants, Pooling, Signers};
use jackfield_server::{
    DrainSettings, Limits, MediaSettings, RolloutSettings, ServerSettings, SocketSettings, TrustedProxies,
};
use serde::Deserialize;
use url::Url;

use super::ConfigError;

/// A token shorter than this can be guessed.
const SHORTEST_TOKEN: usize = 16;
/// How the URL of a Redis begins, of one that Sentinels watch, and of a Cluster.
const REDIS: [&str; 6] =
    ["redis://", "rediss://", "redis+sentinel://", "rediss+sentinel://", "redis+cluster://", "rediss+cluster://"];

/// All settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    #[serde(deserialize_with = "address_or_none")]
    pub(crate) admin_listen: Option<SocketAddr>,
    public_url: String,
    pub(crate) admin_token: String,
    pub(crate) data: PathBuf,
    pub(crate) plugin_dir: PathBuf,
    database_url: String,
    database_connections: u32,
    redis_url: String,
    trusted_proxies: TrustedProxies,
    network_threads: usize,
    pub(crate) log: LogSettings,
    pub(crate) keys: Keys,
    limits: Limits,
    pub(crate) retention: Retention,
    drain: DrainSettings,
    media: MediaSettings,
    object_store: ObjectStoreSetting,
    sockets: SocketSettings,
    rollout: RolloutSettings,
    egress: Egress,
    plugins: Plugins,
}

/// What is logged, and how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSettings {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// For whom logs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Human,
    Json,
}

/// What is forgotten, and when.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    pub(crate) call_days: u32,
}

/// Where the key is that seals secrets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    pub(crate) file: PathBuf,
    pub(crate) value: String,
    pub(crate) command: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Egress {
    connect_ms: u64,
    total_ms: u64,
    response_bytes: usize,
    #[serde(deserialize_with = "urls")]
    danger_routes: BTreeMap<String, Url>,
    networks: Vec<ipnet::IpNet>,
    agent_networks: Vec<ipnet::IpNet>,
    danger_allow_private: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectStoreSetting {
    url: String,
    region: String,
    access_key: String,
    secret_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugins {
    pooling: PoolingSetting,
    instances: u32,
    memory_bytes: usize,
    webhook_cpu_ms: u64,
    media_cpu_ms: u64,
    wall_ms: u64,
    calls_wall_ms: u64,
    requests: u32,
    result_bytes: usize,
    upload_bytes: usize,
    generations: usize,
    threads: usize,
    queue: usize,
    grants: BTreeMap<String, PluginGrants>,
    grants_required: bool,
    signers: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PoolingSetting {
    Auto,
    On,
    Off,
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) url: String,
    /// Its file, where it has one.
    pub(crate) file: Option<PathBuf>,
}

impl Settings {
    /// What values mean together, and what types cannot say.
    pub(super) fn check(self) -> Result<Self, ConfigError> {
        let wrong = |sentence: String| Err(ConfigError::Value(sentence));
        if !self.redis_url.is_empty() && !REDIS.iter().any(|scheme| self.redis_url.starts_with(scheme)) {
            return wrong(format!("`redis_url` (REDIS_URL) begins with one of {}", REDIS.join(", ")));
        }
        if !self.keys.value.is_empty() && !self.keys.command.is_empty() {
            return wrong("`keys.value` and `keys.command` are both set: the key comes from one place".to_owned());
        }
        self.database()?;
        self.object_store()?;
        self.signers()?;
        if !self.public_url.is_empty() {
            public_url(&self.public_url)?;
        }
        if !self.admin_token.is_empty() && self.admin_token.len() < SHORTEST_TOKEN {
            return wrong(format!(
                "`admin_token` has fewer than {SHORTEST_TOKEN} characters; take a longer one, or leave it empty and one is made"
            ));
        }
        let least_one = [
            ("limits.calls", self.limits.calls),
            ("limits.headers", self.limits.headers),
            ("limits.connections", self.limits.connections),
            ("limits.connections_per_address", self.limits.connections_per_address),
            ("plugins.generations", self.plugins.generations),
        ];
        if let Some((name, _)) = least_one.iter().find(|(_, value)| *value == 0) {
            return wrong(format!("`{name}` is 0, and nothing would work; it is 1 at least"));
        }
        Ok(self)
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> Result<Database, ConfigError> {
        let url = self.database_url.as_str();
        if url.is_empty() {
            let file = self.data.join("jackfield.db");
            return Ok(Database { url: format!("sqlite:{}", file.display()), file: Some(file) });
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Database { url: url.to_owned(), file: None });
        }
        let Some(path) = url.strip_prefix("sqlite:") else {
            // A URL may hold a password: its scheme must do.
            let scheme = url.split(':').next().unwrap_or_default();
            return Err(ConfigError::Value(format!(
                "`database_url` (DATABASE_URL) is a {scheme} URL, and this host takes postgres://… or sqlite:PATH: change it, or leave it empty"
            )));
        };
        let path = path.split('?').next().unwrap_or_default();
        let path = path.strip_prefix("//").unwrap_or(path);
        let file = (!path.is_empty() && path != ":memory:").then(|| Path::new(path).to_owned());
        Ok(Database { url: url.to_owned(), file })
    }

    /// Connections to the database.
    pub(crate) fn connections(&self) -> u32 {
        self.database_connections
    }

    /// Redis, if there is one.
    pub(crate) fn redis_url(&self) -> Option<&str> {
        Some(self.redis_url.as_str()).filter(|url| !url.is_empty())
    }

    /// Where the key lies that seals secrets.
    pub(crate) fn key_file(&self) -> PathBuf {
        match self.keys.file.as_os_str().is_empty() {
            true => self.data.join("master.key"),
            false => self.keys.file.clone(),
        }
    }

    /// For the server, which listens there.
    pub(crate) fn server(&self, address: SocketAddr) -> ServerSettings {
        let mut media = self.media.clone();
        if media.recordings.as_os_str().is_empty() {
            media.recordings = self.data.join("recordings");
        }
        let public_url = match self.public_url.as_str() {
            "" => format!("http://{address}"),
            url => url.trim_end_matches('/').to_owned(),
        };
        let trusted_proxies = self.trusted_proxies.clone();
        let (limits, sockets, drain) = (self.limits.clone(), self.sockets.clone(), self.drain.clone());
        let rollout = self.rollout.clone();
        let Egress { agent_networks, danger_allow_private, .. } = &self.egress;
        let agent_networks = Networks { own: agent_networks.clone(), any: *danger_allow_private };
        ServerSettings { public_url, trusted_proxies, limits, media, agent_networks, sockets, drain, rollout }
    }

    /// Where finished recordings go on to.
    pub(crate) fn object_store(&self) -> Result<Option<ObjectStoreSettings>, ConfigError> {
        let ObjectStoreSetting { url, region, access_key, secret_key } = &self.object_store;
        if url.is_empty() {
            return Ok(None);
        }
        let url = Url::parse(url).map_err(|error| {
            ConfigError::Value(format!("`object_store.url` is no URL such as https://s3.example.net/bucket: {error}"))
        })?;
        if access_key.is_empty() || secret_key.is_empty() {
            let sentence = "`object_store.url` is set, and `access_key` or `secret_key` is not: the store takes both";
            return Err(ConfigError::Value(sentence.to_owned()));
        }
        let [region, access_key, secret_key] = [region, access_key, secret_key].map(String::clone);
        Ok(Some(ObjectStoreSettings { url, region, access_key, secret_key }))
    }

    /// Do providers have a way to this host?
    pub(crate) fn has_public_url(&self) -> bool {
        !self.public_url.is_empty()
    }

    /// For the end.
    pub(crate) fn drain(&self) -> &DrainSettings {
        &self.drain
    }

    /// For the way out.
    pub(crate) fn egress(&self) -> EgressSettings {
        let Egress { connect_ms, total_ms, response_bytes, networks, danger_routes, danger_allow_private, .. } =
            &self.egress;
        EgressSettings {
            connect_timeout: Duration::from_millis(*connect_ms),
            total_timeout: Duration::from_millis(*total_ms),
            max_body: *response_bytes,
            danger_routes: danger_routes.clone(),
            networks: networks.clone(),
            danger_allow_private: *danger_allow_private,
        }
    }

    /// Threads that serve the network: as many as one plugin has turns at a time.
    pub(crate) fn network_threads(&self) -> usize {
        if self.network_threads == 0 { (cores() / 2).max(1) } else { self.network_threads }
    }

    /// Threads on which plugins talk to their providers.
    pub(crate) fn guest_threads(&self) -> usize {
        if self.plugins.threads == 0 { cores() * 2 } else { self.plugins.threads }
    }

    /// Guests of one plugin that may run at once: whatever it does, others have half of the threads, and of the cores.
    fn guests_at_once(&self) -> usize {
        (self.guest_threads().min(cores()) / 2).max(1)
    }

    /// For guests.
    pub(crate) fn guests(&self) -> (GuestLimits, Pooling) {
        let of = &self.plugins;
        let limits = GuestLimits {
            memory: of.memory_bytes,
            webhook_cpu: Duration::from_millis(of.webhook_cpu_ms),
            media_cpu: Duration::from_millis(of.media_cpu_ms),
            wall: Duration::from_millis(of.wall_ms),
            calls_wall: Duration::from_millis(of.calls_wall_ms),
            result: of.result_bytes,
            upload: of.upload_bytes,
            instances: of.instances,
            generations: of.generations,
            requests: of.requests,
            at_once: self.guests_at_once(),
            queue: of.queue,
            counted: false,
        };
        let pooling = match of.pooling {
            PoolingSetting::Auto => Pooling::Auto,
            PoolingSetting::On => Pooling::On,
            PoolingSetting::Off => Pooling::Off,
        };
        (limits, pooling)
    }

    /// What plugins may have.
    pub(crate) fn grants(&self) -> Grants {
        Grants { plugins: self.plugins.grants.clone(), required: self.plugins.grants_required }
    }

    /// Who may sign plugins.
    pub(crate) fn signers(&self) -> Result<Signers, ConfigError> {
        let key = |text: &String| {
            text.parse().map_err(|error| {
                ConfigError::Value(format!(
                    "`plugins.signers`: `{text}` is no public key: {error}. `jackfield plugin keygen` prints one."
                ))
            })
        };
        self.plugins.signers.iter().map(key).collect::<Result<_, _>>().map(Signers::new)
    }

    /// Media threads; 0 stands for one a core.
    pub(crate) fn media_workers(&self) -> usize {
        self.media.workers
    }

    /// Are they to go before all that has no deadline?
    pub(crate) fn realtime_audio(&self) -> bool {
        self.media.realtime
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Providers sign the URL they dial, so it has to be just that.
fn public_url(text: &str) -> Result<(), ConfigError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let plain = |url: &Url| url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.filter(plain) {
        Some(_) => Ok(()),
        None => Err(ConfigError::Value(
            "`public_url` is not an address such as https://gw.example.net, without query or credentials".to_owned(),
        )),
    }
}

/// An empty text stands for none.
fn address_or_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let written = String::deserialize(deserializer)?;
    if written.is_empty() {
        return Ok(None);
    }
    let odd = |_| serde::de::Error::custom(format!("`{written}` is no socket address such as 127.0.0.1:9090"));
    written.parse().map(Some).map_err(odd)
}

fn urls<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Url>, D::Error> {
    let written = BTreeMap::<String, String>::deserialize(deserializer)?;
    let parse = |(host, text): (String, String)| match Url::parse(&text) {
        Ok(url) => Ok((host, url)),
        Err(error) => Err(serde::de::Error::custom(format!("`{text}` for {host} is no URL: {error}"))),
    };
    written.into_iter().map(parse).collect()
}
