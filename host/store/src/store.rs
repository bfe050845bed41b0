//! The durable store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor, Row};
use tokio::sync::{Mutex, watch};

use crate::directory::Directory;
use crate::error::StoreError;
use crate::keyring::{Keyring, KeyringError};
use crate::names;
use crate::writer::{Places, Writer};

/// The durable store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) pool: AnyPool,
    pub(crate) keyring: Keyring,
    pub(crate) writer: Writer,
    backend: Backend,
    directory: Arc<ArcSwap<Directory>>,
    /// Held while the directory is read: what was read earlier must not take the place of what was read later.
    reading: Arc<Mutex<()>>,
    /// How often what several nodes share was changed, as of the last look.
    revision: Arc<AtomicI64>,
    changed: watch::Sender<u64>,
}

/// Where the canary lies, and what it says: it opens only under the right key.
const CANARY: &str = "keyring-canary";
/// Written to find out whether anything can be.
const TOUCHED: &str = "touched";
/// Counts changes that every node has to know of.
const REVISION: &str = "revision";

/// Which database it is. The SQL is the same for both; how a connection begins is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Sqlite,
    Postgres,
}

/// A connection may take so long to be had; then the caller hears that the database cannot be used.
const ACQUIRE: Duration = Duration::from_secs(1);

/// For each connection to SQLite. A crash of the process leaves it whole; a power cut may cost the last moments, never
/// consistency. The log is copied back seldom, and stays below 32 MB.
const SQLITE: [&str; 5] = [
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 8000",
    "PRAGMA busy_timeout = 4000",
];
/// And for each of those that read: there are several, and what each keeps of the file the system keeps as well.
const SQLITE_READERS: &str = "PRAGMA cache_size = -512";
/// The one that writes comes back to the same pages again and again, anywhere among the names that providers gave. KiB.
const SQLITE_WRITER: &str = "PRAGMA cache_size = -4096";
/// For each connection to PostgreSQL: whoever asks has stopped waiting by then.
const POSTGRES: [&str; 2] = ["SET statement_timeout = '4s'", "SET idle_in_transaction_session_timeout = '10s'"];
/// For the one that makes tables: they take as long as they are large, and so does another host that makes them meanwhile.
const POSTGRES_PATIENT: &str = "SET statement_timeout = 0";
/// The migrations say BLOB, which PostgreSQL calls `bytea`.
const POSTGRES_BLOB: &str = "DO $$ BEGIN CREATE DOMAIN blob AS bytea; \
                             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";

impl Backend {
    fn of(url: &str) -> Self {
        if url.starts_with("sqlite:") { Self::Sqlite } else { Self::Postgres }
    }

    /// Creates the file of a SQLite database that is not there.
    fn dialled(self, url: &str) -> String {
        match self {
            Self::Sqlite if !url.contains('?') => format!("{url}?mode=rwc"),
            _ => url.to_owned(),
        }
    }

    fn places(self) -> Places {
        match self {
            Self::Sqlite => Places::InOrder,
            Self::Postgres => Places::Numbered,
        }
    }

    /// Brings the tables up to date.
    async fn migrate(self, pool: &AnyPool) -> Result<(), StoreError> {
        let mut connection = pool.acquire().await?;
        if self == Self::Postgres {
            connection.execute(POSTGRES_BLOB).await?;
            connection.execute(POSTGRES_PATIENT).await?;
        }
        // A newer host may have been here: what it added is no concern of this one.
        let migrated = sqlx::migrate!("../../migrations").set_ignore_missing(true).run(&mut *connection).await;
        migrated.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        // The one in its place is as hurried as the others.
        connection.close().await?;
        Ok(())
    }

    /// A connection over a network may be gone when it is next needed, and is asked first; the one that writes finds out by
    /// what it writes, and tries that again.
    fn pool(self, connections: u32) -> AnyPoolOptions {
        let greeting = match self {
            Self::Sqlite if connections > 1 => [&SQLITE[..], &[SQLITE_READERS]].concat(),
            Self::Sqlite => [&SQLITE[..], &[SQLITE_WRITER]].concat(),
            Self::Postgres => POSTGRES.to_vec(),
        };
        let options = match self {
            // To a file of this machine they never go stale.
            Self::Sqlite => AnyPoolOptions::new().idle_timeout(None).max_lifetime(None),
            Self::Postgres => AnyPoolOptions::new(),
        };
        options
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(self == Self::Postgres && connections > 1)
            .after_connect(move |connection, _| {
                let greeting = greeting.clone();
                Box::pin(async move {
                    for statement in greeting {
                        connection.execute(statement).await?;
                    }
                    Ok(())
                })
            })
    }
}

/// As many all the time are as many descriptors all the time, which tells a leak from a busy hour.
async fn open_all(pool: &AnyPool, connections: u32) -> Result<(), StoreError> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(pool.acquire().await?);
    }
    Ok(())
}

impl Store {
    /// Opens `sqlite:PATH` or `postgres://…` with up to so many connections, brings its tables up to date, and checks that
    /// the keyring is the right one.
    ///
    /// # Errors
    /// When the database cannot be opened, or its secrets are sealed with another key.
    pub async fn open(url: &str, connections: u32, keyring: Keyring) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let backend = Backend::of(url);
        let url = backend.dialled(url);
        // A first connection may have to create the database's file.
        let pool = backend.pool(connections).acquire_timeout(Duration::from_secs(5)).connect(&url).await?;
        backend.migrate(&pool).await?;
        if backend == Backend::Sqlite {
            open_all(&pool, connections).await?;
        }
        names::key_all(&pool).await?;
        let writer = Writer::start(backend.pool(1).connect(&url).await?, backend.places());
        let store = Self {
            pool,
            keyring,
            writer,
            backend,
            directory: Arc::default(),
            reading: Arc::default(),
            revision: Arc::default(),
            changed: watch::Sender::default(),
        };
        store.check_keyring().await?;
        store.revision.store(store.stored_revision().await?, Ordering::Release);
        store.reread().await?;
        Ok(store)
    }

    /// Does the database take what is written?
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.meta_set(TOUCHED, "").await
    }

    /// What time it is for the database, in Unix milliseconds; none for one that has no clock but this machine's.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn clock(&self) -> Result<Option<i64>, StoreError> {
        if self.backend == Backend::Sqlite {
            return Ok(None);
        }
        let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        Ok(Some(sqlx::query(sql).fetch_one(&self.pool).await?.try_get(0)?))
    }

    /// The snapshot that webhooks are answered from.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.load_full()
    }

    /// A small remembered text.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn meta_get(&self, key: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT value FROM meta WHERE key = $1").bind(key).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Remembers a small text.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn meta_set(&self, key: &str, value: &str) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        sqlx::query(sql).bind(key).bind(value).execute(&self.pool).await?;
        Ok(())
    }

    /// Tells of changes of the snapshot, or of what gives it meaning.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Lets whoever follows [`Store::changes`] look again.
    pub fn announce(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Reads the snapshot anew, as another process may have changed the database.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reread(&self) -> Result<(), StoreError> {
        if let Err(error) = self.keyring.reload() {
            tracing::warn!(%error, "the keys cannot be read anew; the known ones go on");
        }
        self.look().await
    }

    /// Looks whether another node has changed something, and reads it anew if so.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn follow(&self) -> Result<bool, StoreError> {
        let revision = self.stored_revision().await?;
        if self.revision.load(Ordering::Acquire) == revision {
            return Ok(false);
        }
        self.reread().await?;
        self.revision.store(revision, Ordering::Release);
        Ok(true)
    }

    async fn stored_revision(&self) -> Result<i64, StoreError> {
        Ok(self.meta_get(REVISION).await?.and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Lets the other nodes know that something has changed.
    pub(crate) async fn bump(&self) -> Result<(), StoreError> {
        let sql = "INSERT INTO meta (key, value) VALUES ($1, '1') ON CONFLICT (key) DO UPDATE \
                   SET value = CAST(CAST(meta.value AS BIGINT) + 1 AS TEXT)";
        sqlx::query(sql).bind(REVISION).execute(&self.pool).await?;
        Ok(())
    }

    /// Reads the snapshot anew. Called after each change to what it holds.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        self.bump().await?;
        self.look().await
    }

    async fn look(&self) -> Result<(), StoreError> {
        let _reading = self.reading.lock().await;
        let configurations = self.all_configurations().await?;
        let numbers = self.all_numbers().await?;
        let agents = self.all_agents().await?;
        let (organizations, tokens) = (self.all_organizations().await?, self.live_tokens().await?);
        let directory = Directory::new(configurations, numbers, agents).of(organizations, tokens);
        self.directory.store(Arc::new(directory));
        self.announce();
        Ok(())
    }

    /// The canary is sealed anew as everything else is.
    pub(crate) async fn reseal_canary(&self) -> Result<u64, StoreError> {
        let sealed = self.meta_get(CANARY).await?.unwrap_or_default();
        if !self.keyring.is_old(&sealed) {
            return Ok(0);
        }
        self.meta_set(CANARY, &self.keyring.seal(CANARY, CANARY)?).await.map(|()| 1)
    }

    async fn check_keyring(&self) -> Result<(), StoreError> {
        match self.meta_get(CANARY).await? {
            None => self.meta_set(CANARY, &self.keyring.seal(CANARY, CANARY)?).await,
            Some(sealed) => match self.keyring.open(CANARY, &sealed)?.expose() == CANARY {
                true => Ok(()),
                false => Err(KeyringError::Tampered.into()),
            },
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}
