//! Shared state of several hosts: in Redis. What is asked for in one step there is one command or one script.

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::StreamExt;
use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncCommands, Cmd, ExistenceCheck, FromRedisValue, Msg, Pipeline, RedisFuture, Script, SetExpiry, SetOptions,
    Value,
};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::sentinel::Watched;
use super::{Admission, CallLimit, MediaGrant, NewMediaGrant, SignInFlow, Word};
use crate::error::StoreError;
use crate::secret::Secret;

/// Whoever waits for an answer waits no longer.
pub(super) const ANSWER: Duration = Duration::from_secs(1);
const WORDS: usize = 1_024;
/// What the channel of one node begins with.
const NODE: &str = "jackfield:node:";
/// Before the way to hear others is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(500);

/// How commands get there.
#[derive(Clone)]
enum Way {
    One(ConnectionManager),
    Watched(Watched),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Way {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(connection) => connection.req_packed_command(command),
            Self::Watched(watched) => watched.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Watched(watched) => watched.req_packed_commands(commands, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Watched(watched) => watched.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Where others are heard: one Redis, or the master of the moment.
enum Ear {
    One(Box<redis::Client>),
    Watched(Watched),
}

impl Ear {
    async fn client(&mut self) -> redis::RedisResult<redis::Client> {
        match self {
            Self::One(client) => Ok(client.as_ref().clone()),
            Self::Watched(watched) => watched.client().await,
        }
    }

    /// Waits until it is to be listened elsewhere: a master that is lost may leave its connections open.
    async fn changed(&mut self) {
        match self {
            Self::One(_) => std::future::pending().await,
            Self::Watched(watched) => watched.changed().await,
        }
    }
}

/// A Redis, or several that stand in for each other. Cheap to clone.
#[derive(Clone)]
pub(super) struct Redis {
    connection: Way,
    names: Names,
    words: broadcast::Sender<Word>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

/// As it lies in Redis for a few minutes.
#[derive(Serialize, Deserialize)]
struct StoredFlow {
    configuration: String,
    person: String,
    verifier: Option<String>,
}

/// Looks at all limits, and counts under all of them only if none refuses. Calls whose time has run out are no calls.
/// Whoever is admitted may have its audio granted on the way.
/// KEYS: the grant, then calls and beginnings of each limit. ARGV: the call, for how long, whose audio, for how long or 0, and of each
/// limit the most of both, -1 for any.
const ADMIT: &str = r"
local now = redis.call('TIME')
local second, ms = now[1], now[1] * 1000 + math.floor(now[2] / 1000)
local function admitted()
  if ARGV[4] ~= '0' then redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
  return {0, 0}
end
for i = 2, #KEYS, 2 do
  local limit = i / 2
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', ms)
  if redis.call('ZSCORE', KEYS[i], ARGV[1]) then return admitted() end
  local most, rate = tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  if most >= 0 and redis.call('ZCARD', KEYS[i]) >= most then return {1, limit - 1} end
  if redis.call('HGET', KEYS[i + 1], 's') ~= second then redis.call('HSET', KEYS[i + 1], 's', second, 'n', 0) end
  if rate >= 0 and tonumber(redis.call('HGET', KEYS[i + 1], 'n')) >= rate then return {2, limit - 1} end
end
for i = 2, #KEYS, 2 do
  redis.call('ZADD', KEYS[i], ms + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[i], ARGV[2] * 2)
  redis.call('HINCRBY', KEYS[i + 1], 'n', 1)
  redis.call('PEXPIRE', KEYS[i + 1], 2000)
end
return admitted()
";
/// KEYS: one limit's calls. ARGV: for how long, then calls.
const RENEW: &str = r"
local now = redis.call('TIME')
local ends = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1]
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], ends, ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 2)
";
const COUNT: &str = r"
local now = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now[1] * 1000 + math.floor(now[2] / 1000))
return redis.call('ZCARD', KEYS[1])
";
/// KEYS: the index, the context. ARGV: the id, the context, for how long.
const BEGIN_TRANSFER: &str = r"
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[3]) then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
";
const LEASE: &str = r"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
";

fn failed(error: redis::RedisError) -> StoreError {
    StoreError::Shared(error.to_string())
}

fn ms(lasting: Duration) -> u64 {
    u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// How keys and channels are called: all of them begin with this.
#[derive(Debug, Clone, Copy)]
struct Names(&'static str);

impl Names {
    fn of(self, kind: &str, name: &str) -> String {
        format!("{}jackfield:{kind}:{name}", self.0)
    }

    fn grant(self, token: [u8; 32]) -> String {
        self.of("media", &hex::encode(token))
    }

    fn flow(self, state: &str) -> String {
        self.of("sign-in", state)
    }

    fn flows(self, configuration: &str) -> String {
        self.of("sign-ins", configuration)
    }

    fn calls(self, whose: &str) -> String {
        self.of("calls", whose)
    }

    /// The layout of the original, which other tools read.
    fn transfer(self, part: &str, name: &str) -> String {
        format!("{}transfer:{part}:{name}", self.0)
    }

    fn context(self, id: &str) -> String {
        self.transfer("context", id)
    }

    fn index(self, call_sid: &str) -> String {
        self.transfer("by_call_sid", call_sid)
    }

    fn heard_by(self, node: &str) -> [String; 2] {
        [self.channel(None), self.channel(Some(node))]
    }

    fn channel(self, to: Option<&str>) -> String {
        to.map_or_else(|| format!("{}jackfield:all", self.0), |node| format!("{}{NODE}{node}", self.0))
    }
}

/// A script with its digest, made once.
macro_rules! script {
    ($text:expr) => {{
        static SCRIPT: OnceLock<Script> = OnceLock::new();
        SCRIPT.get_or_init(|| Script::new($text))
    }};
}

impl Redis {
    pub(super) async fn open(url: &str, node: &str) -> Result<Self, StoreError> {
        let (words, _) = broadcast::channel(WORDS);
        let redis = if super::cluster::is_url(url) {
            let names = Names(super::cluster::TAG);
            let cluster = super::cluster::open(url, names.heard_by(node), words.clone()).await?;
            Self { connection: Way::Cluster(cluster), names, words }
        } else {
            let names = Names("");
            let (connection, ear) = single(url).await?;
            tokio::spawn(hear(ear, names.heard_by(node), words.clone()));
            Self { connection, names, words }
        };
        redis.ping().await?;
        Ok(redis)
    }

    /// Of whichever node has our keys.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.connection.clone().exists::<_, bool>(self.names.of("ping", "")).await.map(drop).map_err(failed)
    }

    async fn set(&self, key: &str, value: &str, lasting: Duration) -> Result<(), StoreError> {
        self.connection.clone().pset_ex(key, value, ms(lasting)).await.map_err(failed)
    }

    async fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.connection.clone().get(key).await.map_err(failed)
    }

    async fn take<T: FromRedisValue>(&self, key: &str) -> Result<Option<T>, StoreError> {
        redis::cmd("GETDEL").arg(key).query_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn put_media_grant(
        &self,
        token: [u8; 32],
        grant: MediaGrant,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        self.set(&self.names.grant(token), &grant.call_id, lasting).await
    }

    pub(super) async fn take_media_grant(&self, token: [u8; 32]) -> Result<Option<MediaGrant>, StoreError> {
        Ok(self.take(&self.names.grant(token)).await?.map(|call_id| MediaGrant { call_id }))
    }

    pub(super) async fn put_sign_in_flow(
        &self,
        state: [u8; 32],
        flow: SignInFlow,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        let (state, set) = (hex::encode(state), self.names.flows(&flow.configuration_id));
        let verifier = flow.verifier.map(|verifier| verifier.expose().to_owned());
        let stored = StoredFlow { configuration: flow.configuration_id, person: flow.person, verifier };
        let stored = serde_json::to_string(&stored).map_err(|error| StoreError::Shared(error.to_string()))?;
        let mut pipe = redis::pipe();
        pipe.pset_ex(self.names.flow(&state), stored, ms(lasting)).ignore();
        pipe.sadd(&set, &state).ignore().pexpire(&set, i64::try_from(ms(lasting)).unwrap_or(i64::MAX)).ignore();
        pipe.query_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn take_sign_in_flow(&self, state: [u8; 32]) -> Result<Option<SignInFlow>, StoreError> {
        let state = hex::encode(state);
        let Some(stored) = self.take::<String>(&self.names.flow(&state)).await? else { return Ok(None) };
        let flow: StoredFlow = serde_json::from_str(&stored).map_err(|_| StoreError::Damaged("sign-in"))?;
        let forgotten = self.connection.clone().srem(self.names.flows(&flow.configuration), &state).await;
        forgotten.map_err(failed).map(|()| {
            let verifier = flow.verifier.map(Secret::from);
            Some(SignInFlow { configuration_id: flow.configuration, person: flow.person, verifier })
        })
    }

    /// The keys of those who are on their way, and of those whose time has run out since the set was last made.
    async fn flows(&self, configuration: &str) -> Result<Vec<String>, StoreError> {
        let states: Vec<String> =
            self.connection.clone().smembers(self.names.flows(configuration)).await.map_err(failed)?;
        Ok(states.iter().map(|state| self.names.flow(state)).collect())
    }

    pub(super) async fn sign_in_flows(&self, configuration: &str) -> Result<usize, StoreError> {
        let keys = self.flows(configuration).await?;
        if keys.is_empty() {
            return Ok(0);
        }
        self.connection.clone().exists(keys).await.map_err(failed)
    }

    pub(super) async fn clear_sign_in_flows(&self, configuration: &str) -> Result<usize, StoreError> {
        let keys = self.flows(configuration).await?;
        if keys.is_empty() {
            return Ok(0);
        }
        let gone: usize = self.connection.clone().del(keys).await.map_err(failed)?;
        self.connection.clone().del::<_, ()>(self.names.flows(configuration)).await.map_err(failed)?;
        Ok(gone)
    }

    pub(super) async fn first_seen(&self, key: &str, lasting: Duration) -> Result<bool, StoreError> {
        let options =
            SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::PX(ms(lasting)));
        let set: Option<String> =
            self.connection.clone().set_options(self.names.of("seen", key), 1, options).await.map_err(failed)?;
        Ok(set.is_some())
    }

    pub(super) async fn forget(&self, key: &str) -> Result<(), StoreError> {
        self.connection.clone().del(self.names.of("seen", key)).await.map_err(failed)
    }

    pub(super) async fn admit(
        &self,
        call: &str,
        limits: &[CallLimit],
        lasting: Duration,
        audio: Option<NewMediaGrant>,
    ) -> Result<Admission, StoreError> {
        if limits.is_empty() && audio.is_none() {
            return Ok(Admission::Admitted);
        }
        let most = |limit: Option<u64>| limit.and_then(|most| i64::try_from(most).ok()).unwrap_or(-1);
        let mut admit = script!(ADMIT).prepare_invoke();
        admit.arg(call).arg(ms(lasting));
        match audio {
            Some(NewMediaGrant { token, grant, lasting }) => {
                admit.key(self.names.grant(token)).arg(grant.call_id).arg(ms(lasting))
            }
            None => admit.key(self.names.0).arg("").arg(0),
        };
        for limit in limits {
            admit.key(self.names.calls(&limit.whose)).key(self.names.of("begun", &limit.whose));
            admit.arg(most(limit.calls)).arg(most(limit.per_second));
        }
        let (outcome, index): (u8, usize) = admit.invoke_async(&mut self.connection.clone()).await.map_err(failed)?;
        Ok(match outcome {
            0 => Admission::Admitted,
            1 => Admission::Full(index),
            _ => Admission::TooFast(index),
        })
    }

    pub(super) async fn renew_calls(
        &self,
        calls: &[(String, Vec<String>)],
        lasting: Duration,
    ) -> Result<(), StoreError> {
        let mut by_limit: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
        for (call, whose) in calls {
            whose.iter().for_each(|whose| by_limit.entry(whose).or_default().push(call));
        }
        for (whose, calls) in by_limit {
            let mut renew = script!(RENEW).prepare_invoke();
            renew.key(self.names.calls(whose)).arg(ms(lasting));
            for call in calls {
                renew.arg(call);
            }
            renew.invoke_async::<()>(&mut self.connection.clone()).await.map_err(failed)?;
        }
        Ok(())
    }

    pub(super) async fn release_call(&self, call: &str, whose: &[String]) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        for whose in whose {
            pipe.zrem(self.names.calls(whose), call).ignore();
        }
        if whose.is_empty() {
            return Ok(());
        }
        pipe.query_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn calls_counted(&self, whose: &str) -> Result<u64, StoreError> {
        let script = script!(COUNT);
        script.key(self.names.calls(whose)).invoke_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn begin_transfer(
        &self,
        id: &str,
        call_sid: &str,
        context: &str,
        lasting: Duration,
    ) -> Result<bool, StoreError> {
        let mut begin = script!(BEGIN_TRANSFER).prepare_invoke();
        begin.key(self.names.index(call_sid)).key(self.names.context(id)).arg(id).arg(context).arg(ms(lasting));
        begin.invoke_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn put_transfer(
        &self,
        id: &str,
        call_sid: &str,
        context: &str,
        lasting: Duration,
    ) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        pipe.atomic().pset_ex(self.names.context(id), context, ms(lasting)).ignore();
        pipe.pset_ex(self.names.index(call_sid), id, ms(lasting)).ignore();
        pipe.query_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn transfer(&self, id: &str) -> Result<Option<String>, StoreError> {
        self.get(&self.names.context(id)).await
    }

    pub(super) async fn transfer_of_call(&self, call_sid: &str) -> Result<Option<String>, StoreError> {
        self.get(&self.names.index(call_sid)).await
    }

    pub(super) async fn clear_transfer(&self, id: &str, call_sid: &str) -> Result<(), StoreError> {
        let mut pipe = redis::pipe();
        pipe.atomic().del(self.names.context(id)).ignore().del(self.names.index(call_sid)).ignore();
        pipe.query_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn tell_transfer(&self, id: &str, context: &str) -> Result<(), StoreError> {
        self.connection.clone().publish(self.names.transfer("events", id), context).await.map_err(failed)
    }

    pub(super) async fn lease(&self, name: &str, holder: &str, lasting: Duration) -> Result<bool, StoreError> {
        let mut lease = script!(LEASE).prepare_invoke();
        lease.key(self.names.of("lease", name)).arg(holder).arg(ms(lasting));
        lease.invoke_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn release_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let mut release = script!(RELEASE).prepare_invoke();
        release.key(self.names.of("lease", name)).arg(holder);
        release.invoke_async(&mut self.connection.clone()).await.map_err(failed)
    }

    pub(super) async fn alive(&self, node: &str, lasting: Duration) -> Result<(), StoreError> {
        self.set(&self.names.of("alive", node), "1", lasting).await
    }

    pub(super) async fn is_alive(&self, node: &str) -> Result<bool, StoreError> {
        self.connection.clone().exists(self.names.of("alive", node)).await.map_err(failed)
    }

    pub(super) async fn say(&self, word: Word) -> Result<(), StoreError> {
        self.connection.clone().publish(self.names.channel(word.to.as_deref()), word.text).await.map_err(failed)
    }

    pub(super) fn listen(&self) -> broadcast::Receiver<Word> {
        self.words.subscribe()
    }
}

/// The one Redis there is at a time, and where it is heard.
async fn single(url: &str) -> Result<(Way, Ear), StoreError> {
    if super::sentinel::is_url(url) {
        let watched = Watched::open(url).await?;
        return Ok((Way::Watched(watched.clone()), Ear::Watched(watched)));
    }
    let client = redis::Client::open(url).map_err(failed)?;
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(ANSWER))
        .set_connection_timeout(Some(ANSWER))
        .set_number_of_retries(1);
    let connection = client.get_connection_manager_with_config(config).await.map_err(failed)?;
    Ok((Way::One(connection), Ear::One(Box::new(client))))
}

impl Word {
    /// As it was heard.
    pub(super) fn of(message: &Msg) -> Self {
        let own = message.get_channel_name().split_once(NODE).map(|(_, node)| node.to_owned());
        Self { to: own, text: message.get_payload().unwrap_or_default() }
    }
}

/// Passes on what is said to all and to this node, over and over again, until the process ends.
async fn hear(mut ear: Ear, channels: [String; 2], words: broadcast::Sender<Word>) {
    loop {
        match subscribed(&mut ear, &channels).await {
            Ok(mut said) => {
                let mut said = said.on_message();
                loop {
                    let message = tokio::select! {
                        message = said.next() => message,
                        () = ear.changed() => None,
                    };
                    let Some(message) = message else { break };
                    // Nobody may be listening.
                    let _ = words.send(Word::of(&message));
                }
            }
            Err(error) => tracing::warn!(%error, "other nodes cannot be heard; Redis is tried again"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn subscribed(ear: &mut Ear, channels: &[String; 2]) -> redis::RedisResult<PubSub> {
    let client = ear.client().await?;
    let connecting = tokio::time::timeout(ANSWER * 2, client.get_async_pubsub()).await;
    let mut said =
        connecting.map_err(|_| redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)))??;
    said.subscribe(channels).await?;
    Ok(said)
}
