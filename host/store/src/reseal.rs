//! Seals anew what is sealed with an older key, while hosts serve. What was done stays done, however it is interrupted.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::secret::Secret;
use crate::store::Store;
use crate::{agents, configurations, sign_ins};

/// Rows that are read at once.
const BATCH: i64 = 200;

impl Store {
    /// One walk over all rows. Says how many were sealed anew; none means that no older key is in use.
    ///
    /// # Errors
    /// When the database does not answer, or a secret does not open.
    pub async fn reseal(&self) -> Result<u64, StoreError> {
        let mut count = self.reseal_canary().await?;
        count += self.reseal_configurations().await?;
        count += self.reseal_agents().await?;
        count += self.reseal_sign_ins().await?;
        Ok(count)
    }

    fn anew(&self, place: &str, sealed: &str) -> Result<String, StoreError> {
        let secret: Secret = self.keyring.open(place, sealed)?;
        Ok(self.keyring.seal(place, secret.expose())?)
    }

    async fn reseal_configurations(&self) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, String::new());
        loop {
            let sql = "SELECT id, provider, secrets, previous FROM configurations WHERE id > $1 ORDER BY id LIMIT $2";
            let rows = sqlx::query(sql).bind(&after).bind(BATCH).fetch_all(&self.pool).await?;
            let Some(last) = rows.last() else { return Ok(count) };
            after = last.try_get(0)?;
            for row in &rows {
                let (id, provider): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                let (secrets, previous): (String, String) = (row.try_get(2)?, row.try_get(3)?);
                let damaged = |_| StoreError::Damaged("configuration");
                let mut current: BTreeMap<String, String> = serde_json::from_str(&secrets).map_err(damaged)?;
                let mut older: BTreeMap<String, (String, i64)> = serde_json::from_str(&previous).map_err(damaged)?;
                let all = current.iter_mut().chain(older.iter_mut().map(|(field, (sealed, _))| (field, sealed)));
                let mut changed = false;
                for (field, sealed) in all.filter(|(_, sealed)| self.keyring.is_old(sealed)) {
                    *sealed = self.anew(&configurations::place(&id, &provider, field), sealed)?;
                    changed = true;
                }
                if changed {
                    // Only what is still as it was read: a newer value was sealed by whoever wrote it.
                    let sql = "UPDATE configurations SET secrets = $4, previous = $5 \
                               WHERE id = $1 AND secrets = $2 AND previous = $3";
                    let text = |map: serde_json::Value| map.to_string();
                    let query = sqlx::query(sql).bind(&id).bind(&secrets).bind(&previous);
                    let query = query.bind(text(serde_json::json!(current))).bind(text(serde_json::json!(older)));
                    query.execute(&self.pool).await?;
                    count += 1;
                }
            }
        }
    }

    async fn reseal_agents(&self) -> Result<u64, StoreError> {
        let sql = "SELECT id, secret FROM agents WHERE secret IS NOT NULL AND id > $1 ORDER BY id LIMIT $2";
        let update = "UPDATE agents SET secret = $3 WHERE id = $1 AND secret = $2";
        self.reseal_each(sql, update, |row| Ok(agents::place(row.try_get(0)?))).await
    }

    async fn reseal_sign_ins(&self) -> Result<u64, StoreError> {
        let sql = "SELECT id, tokens, configuration_id, person FROM sign_ins WHERE id > $1 ORDER BY id LIMIT $2";
        let update = "UPDATE sign_ins SET tokens = $3 WHERE id = $1 AND tokens = $2";
        self.reseal_each(sql, update, |row| Ok(sign_ins::place(row.try_get(2)?, row.try_get(3)?))).await
    }

    /// Rows whose first columns are their id and one sealed text. `place` is what the text is bound to.
    async fn reseal_each(
        &self,
        sql: &'static str,
        update: &'static str,
        place: impl Fn(&AnyRow) -> Result<String, sqlx::Error>,
    ) -> Result<u64, StoreError> {
        let (mut count, mut after) = (0, String::new());
        loop {
            let rows = sqlx::query(sql).bind(&after).bind(BATCH).fetch_all(&self.pool).await?;
            let Some(last) = rows.last() else { return Ok(count) };
            after = last.try_get(0)?;
            for row in &rows {
                let (id, sealed): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                if self.keyring.is_old(&sealed) {
                    let anew = self.anew(&place(row)?, &sealed)?;
                    sqlx::query(update).bind(&id).bind(&sealed).bind(anew).execute(&self.pool).await?;
                    count += 1;
                }
            }
        }
    }
}
