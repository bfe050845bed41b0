//! Builds of plugins that were promoted, so that a restart and another node have them.

use sqlx::Row;

use crate::error::StoreError;
use crate::model::Generation;
use crate::store::Store;

impl Store {
    /// Keeps a generation's bytes. The same bytes again change nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_generation(&self, new: Generation) -> Result<(), StoreError> {
        let sql = "INSERT INTO generations (plugin, digest, version, source, bytes, admitted_at) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (plugin, digest) DO NOTHING";
        sqlx::query(sql)
            .bind(&new.plugin)
            .bind(&new.digest)
            .bind(&new.version)
            .bind(&new.source)
            .bind(&new.bytes)
            .bind(new.admitted_at)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The bytes of a generation that was promoted once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn generation_bytes(&self, plugin: &str, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT bytes FROM generations WHERE plugin = $1 AND digest = $2";
        let row = sqlx::query(sql).bind(plugin).bind(digest).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Where the bytes of a generation came from first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn generation_source(&self, plugin: &str, digest: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT source FROM generations WHERE plugin = $1 AND digest = $2";
        let row = sqlx::query(sql).bind(plugin).bind(digest).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Keeps what a plugin was granted, by its mark.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_grants(&self, plugin: &str, mark: &str, grants: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO grants (plugin, mark, grants) VALUES ($1, $2, $3) ON CONFLICT (plugin, mark) DO NOTHING";
        sqlx::query(sql).bind(plugin).bind(mark).bind(grants).execute(&self.pool).await?;
        Ok(())
    }

    /// What a plugin was granted under that mark, as JSON.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn grants(&self, plugin: &str, mark: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT grants FROM grants WHERE plugin = $1 AND mark = $2";
        let row = sqlx::query(sql).bind(plugin).bind(mark).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Which generation a restart comes back on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_current(&self, plugin: &str, digest: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO current_generations (plugin, digest) VALUES ($1, $2) \
                   ON CONFLICT (plugin) DO UPDATE SET digest = excluded.digest";
        sqlx::query(sql).bind(plugin).bind(digest).execute(&self.pool).await?;
        self.bump().await
    }

    /// Plugin and name of the generation of each.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn current_generations(&self) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT plugin, digest FROM current_generations ORDER BY plugin";
        let rows = sqlx::query(sql).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}
