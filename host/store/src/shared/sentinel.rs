//! A Redis that Sentinels watch over: they are asked for the master at first and whenever the connection to it breaks.
//!
//! A failover may lose what was written last, which nothing in here minds; what is asked for while there is no master fails
//! within a second, as with any Redis that is away.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind,
    TlsMode, Value,
};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::hosts::Hosts;
use super::redis::{AGAIN, ANSWER};
use crate::error::StoreError;

/// How long it may take to find the master, and to find one at the start.
const FIND: Duration = Duration::from_secs(3);
const START: Duration = Duration::from_secs(6);
/// Where Sentinels listen, unless the URL says otherwise.
const PORT: u16 = 26_379;
const FORM: &str =
    "a Redis behind Sentinels is redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]/MASTER[/DB]";

const KIND: &str = "sentinel";

/// Is it the URL of such a Redis?
pub(super) fn is_url(url: &str) -> bool {
    Hosts::read(url, KIND).is_some()
}

/// A master as it was found.
#[derive(Clone)]
struct Master {
    /// Counts the masters that were found.
    number: u64,
    client: Client,
    connection: MultiplexedConnection,
}

/// The way to whichever master there is. Cheap to clone.
#[derive(Clone)]
pub(super) struct Watched {
    master: watch::Receiver<Option<Master>>,
    /// Masters whose connection broke.
    broken: mpsc::UnboundedSender<u64>,
    database: i64,
}

impl Watched {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let (sentinel, database) = sentinels(url)?;
        let sentinel = sentinel.build().map_err(|error| StoreError::Shared(error.to_string()))?;
        let (found, master) = watch::channel(None);
        let (broken, told) = mpsc::unbounded_channel();
        tokio::spawn(keep(sentinel, found, told));
        let mut watched = Self { master, broken, database };
        let is_there = timeout(START, watched.master.wait_for(Option::is_some)).await.is_ok_and(|found| found.is_ok());
        let sentence = "no Sentinel names a master of that name that answers";
        if is_there { Ok(watched) } else { Err(StoreError::Shared(sentence.to_owned())) }
    }

    /// The master there is, or the next one if it comes at once.
    async fn current(&mut self) -> RedisResult<Master> {
        let found = timeout(ANSWER, self.master.wait_for(Option::is_some)).await;
        let master = found.ok().and_then(Result::ok).and_then(|master| master.clone());
        master.ok_or_else(|| RedisError::from((ErrorKind::Io, "no Sentinel names a master that answers")))
    }

    /// Where the master listens.
    pub(super) async fn client(&mut self) -> RedisResult<Client> {
        Ok(self.current().await?.client)
    }

    /// Waits until the master is another than when this was last asked.
    pub(super) async fn changed(&mut self) {
        // Without whoever finds masters there is never another.
        if self.master.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn judge<T>(&self, number: u64, answer: &RedisResult<T>) {
        if answer.as_ref().is_err_and(is_broken) {
            // It looks for another only once, however many say so.
            self.broken.send(number).ok();
        }
    }
}

impl ConnectionLike for Watched {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut master = self.current().await?;
            let answer = master.connection.req_packed_command(command).await;
            self.judge(master.number, &answer);
            answer
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let mut master = self.current().await?;
            let answer = master.connection.req_packed_commands(commands, offset, count).await;
            self.judge(master.number, &answer);
            answer
        })
    }

    fn get_db(&self) -> i64 {
        self.database
    }
}

/// Is it gone, or no master any more?
fn is_broken(error: &RedisError) -> bool {
    let demoted = [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown].map(ErrorKind::Server);
    error.is_io_error() || error.is_unrecoverable_error() || demoted.contains(&error.kind())
}

/// Keeps a connection to the master, for as long as anybody wants one.
async fn keep(
    mut sentinel: SentinelClient,
    found: watch::Sender<Option<Master>>,
    mut broken: mpsc::UnboundedReceiver<u64>,
) {
    let mut number = 0;
    let mut told = false;
    while !found.is_closed() {
        match timeout(FIND, find(&mut sentinel)).await {
            Ok(Ok((client, connection))) => {
                number += 1;
                (told, _) = (false, found.send_replace(Some(Master { number, client, connection })));
                while broken.recv().await.is_some_and(|gone| gone != number) {}
                found.send_replace(None);
                tracing::warn!("the master of Redis is lost; Sentinels are asked for another");
            }
            missed => {
                let why = missed.map_or_else(|_| "no answer in time".to_owned(), |missed| reason(&missed));
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(why, "Sentinels name no master that answers; they are asked again");
                }
                sleep(AGAIN).await;
            }
        }
    }
}

fn reason<T>(missed: &RedisResult<T>) -> String {
    missed.as_ref().err().map(ToString::to_string).unwrap_or_default()
}

async fn find(sentinel: &mut SentinelClient) -> RedisResult<(Client, MultiplexedConnection)> {
    let client = sentinel.async_get_client().await?;
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(ANSWER));
    let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    Ok((client, connection))
}

/// The Sentinels of a URL, which are asked without credentials: those of the URL are Redis's. Also the number of the
/// database.
fn sentinels(url: &str) -> Result<(SentinelClientBuilder, i64), StoreError> {
    let malformed = || StoreError::Shared(FORM.to_owned());
    let named = Hosts::read(url, KIND).ok_or_else(malformed)?;
    let (master, database) = named.path.split_once('/').unwrap_or((named.path, "0"));
    if master.is_empty() {
        return Err(malformed());
    }
    let hosts = named.each(PORT, database).ok_or_else(malformed)?;
    let settings = hosts.first().ok_or_else(malformed)?.redis_settings();
    let addresses = hosts.iter().map(|host| host.addr().clone());
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)
        .map_err(|_| malformed())?
        .set_client_to_redis_db(settings.db());
    if named.is_secure() {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(user) = settings.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    Ok((builder, settings.db()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn urls_are_read_or_refused_without_their_password() {
        let hosts = "10.0.0.1:5000,sentinel.example,[::1]:5001,[::2]";
        let (sentinels, database) = sentinels(&format!("redis+sentinel://ann:hu%40sh@{hosts}/main/3")).unwrap();
        let shown = format!("{sentinels:?}");
        assert_eq!(database, 3);
        for part in ["10.0.0.1", "5000", "sentinel.example", "26379", "5001", "main"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        for scheme in ["redis", "rediss"] {
            let (sentinels, _) = super::sentinels(&format!("{scheme}+sentinel://one,two/main")).unwrap();
            assert!(sentinels.build().is_ok(), "{scheme}");
        }
        for url in [
            "redis+sentinel://:hush@one",
            "redis+sentinel://:hush@one/",
            "redis+sentinel://:hush@one,,two/main",
            "redis+sentinel://:hush@/main",
            "redis+sentinel://:hush@one:port/main",
            "redis+sentinel://:hush@one/main/x",
        ] {
            let error = super::sentinels(url).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("MASTER") && !error.contains("hush"), "{url}: {error}");
        }
    }
}
