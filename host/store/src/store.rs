//! The durable store.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqlitePool};
use tokio::sync::watch;

use crate::directory::Directory;
use crate::error::StoreError;
use crate::keyring::{Keyring, KeyringError};
use crate::writer::Writer;

/// The durable store. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) pool: SqlitePool,
    pub(crate) keyring: Keyring,
    pub(crate) writer: Writer,
    directory: Arc<ArcSwap<Directory>>,
    changed: watch::Sender<u64>,
}

/// Where the canary lies, and what it says: it opens only under the right key.
const CANARY: &str = "keyring-canary";

impl Store {
    /// Opens `sqlite:PATH`, brings its tables up to date, and checks that the keyring is the right one.
    ///
    /// # Errors
    /// When the database cannot be opened, or its secrets are sealed with another key.
    pub async fn open(url: &str, keyring: Keyring) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // Survives a crash of the process whole; a power cut may cost the last moments, never consistency.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            // Pages that change often are then copied back once for many changes; the log stays below 32 MB.
            .pragma("wal_autocheckpoint", "8000")
            .busy_timeout(Duration::from_secs(4))
            .optimize_on_close(false, None);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(1))
            .connect_with(options.clone())
            .await?;
        let migrated = sqlx::migrate!("../../migrations").run(&pool).await;
        migrated.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let writer = Writer::start(options).await?;
        let store = Self { pool, keyring, writer, directory: Arc::default(), changed: watch::Sender::default() };
        store.check_keyring().await?;
        store.refresh().await?;
        Ok(store)
    }

    /// Does the database answer?
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
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
        self.refresh().await
    }

    /// Reads the snapshot anew. Called after each change to what it holds.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let configurations = self.all_configurations().await?;
        let numbers = self.all_numbers().await?;
        let agents = self.all_agents().await?;
        self.directory.store(Arc::new(Directory::new(configurations, numbers, agents)));
        self.announce();
        Ok(())
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
