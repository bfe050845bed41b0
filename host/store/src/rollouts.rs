//! The record of rollouts.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::model::RolloutRecord;
use crate::store::Store;

const COLUMNS: &str = "id, plugin, digest, previous, source, who, state, reason, stages, figures, began_at, updated_at";

impl Store {
    /// Writes down how a rollout stands.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_rollout(&self, known: &RolloutRecord) -> Result<(), StoreError> {
        let sql = "INSERT INTO rollouts (id, plugin, digest, previous, source, who, state, reason, stages, figures, \
                   began_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                   ON CONFLICT (id) DO UPDATE SET state = excluded.state, reason = excluded.reason, \
                   stages = excluded.stages, figures = excluded.figures, updated_at = excluded.updated_at";
        sqlx::query(sql)
            .bind(&known.id)
            .bind(&known.plugin)
            .bind(&known.digest)
            .bind(&known.previous)
            .bind(&known.source)
            .bind(&known.who)
            .bind(&known.state)
            .bind(&known.reason)
            .bind(known.stages.to_string())
            .bind(known.figures.to_string())
            .bind(known.began_at)
            .bind(known.updated_at)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Ends the records of rollouts that a host was at when it ended. `at` in Unix milliseconds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_interrupted_rollouts(&self, at: i64) -> Result<(), StoreError> {
        for (state, reason, left) in [
            ("serving", "the host ended before its bake was over", "'baking'"),
            ("aborted", "the host ended before it was through", "'checking', 'shadow', 'canary'"),
        ] {
            let sql = format!("UPDATE rollouts SET state = $1, reason = $2, updated_at = $3 WHERE state IN ({left})");
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(state).bind(reason).bind(at).execute(&self.pool).await?;
        }
        Ok(())
    }

    /// A plugin's rollouts, newest first; at most a hundred.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rollouts(&self, plugin: &str) -> Result<Vec<RolloutRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM rollouts WHERE plugin = $1 ORDER BY id DESC LIMIT 100");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(plugin).fetch_all(&self.pool).await?;
        rows.iter().map(record).collect()
    }
}

fn record(row: &AnyRow) -> Result<RolloutRecord, StoreError> {
    let json = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::Damaged("rollout"));
    Ok(RolloutRecord {
        id: row.try_get("id")?,
        plugin: row.try_get("plugin")?,
        digest: row.try_get("digest")?,
        previous: row.try_get("previous")?,
        source: row.try_get("source")?,
        who: row.try_get("who")?,
        state: row.try_get("state")?,
        reason: row.try_get("reason")?,
        stages: json(row.try_get("stages")?)?,
        figures: json(row.try_get("figures")?)?,
        began_at: row.try_get("began_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
