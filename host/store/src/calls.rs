//! Calls and their histories.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::ids::id_bound;
use crate::model::{Call, CallChange, CallEvent, CallFilter, Inserted, NewCall, NewEvent, Page};
use crate::names::name_key;
use crate::store::Store;

pub(crate) const COLUMNS: &str = "id, organization_id, owner, epoch, direction, status, provider, generation, configuration_id, agent_id, from_address, \
                       to_address, provider_call_id, memo, created_at, answered_at, ended_at, duration_s, \
                       cost_amount, cost_currency, end_reason, recording";

/// Rows that one page may look at.
const STRETCH: u32 = 50_000;

impl CallFilter {
    fn columns(&self) -> [(&'static str, Option<&str>); 6] {
        [
            ("status", self.status.as_deref()),
            ("direction", self.direction.as_deref()),
            ("configuration_id", self.configuration_id.as_deref()),
            ("agent_id", self.agent_id.as_deref()),
            ("from_address", self.from.as_deref()),
            ("to_address", self.to.as_deref()),
        ]
    }
}

impl Store {
    /// Stores a new call, unless the provider's id or the order's key is known: then the call it names is returned.
    ///
    /// # Errors
    /// When the database does not answer or keep up.
    pub async fn create_call(&self, new: impl Into<Box<NewCall>>) -> Result<Inserted, StoreError> {
        let (new, is_new) = self.writer.create(new.into()).await?;
        if is_new {
            return Ok(Inserted::New(Box::new(fresh(*new))));
        }
        let known = match (&new.order_key, &new.provider_call_id) {
            (Some(key), _) => self.call_by_order(key).await?,
            (None, provider_id) => {
                let provider_id = provider_id.as_deref().unwrap_or_default();
                self.call_by_provider_id(&new.configuration_id, provider_id).await?
            }
        };
        known.map(|call| Inserted::Existing(Box::new(call))).ok_or(StoreError::Damaged("call"))
    }

    /// Changes a call and adds to its history, in one transaction. False when there is no such call.
    ///
    /// # Errors
    /// `Conflict` when another call has the provider's id.
    pub async fn change_call(
        &self,
        id: &str,
        change: CallChange,
        events: Vec<NewEvent>,
        at: i64,
    ) -> Result<bool, StoreError> {
        self.writer.change(id.to_owned(), change, events, at).await
    }

    /// The call with that id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call(&self, id: &str) -> Result<Option<Call>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM calls WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        row.as_ref().map(call).transpose()
    }

    async fn call_by_order(&self, key: &str) -> Result<Option<Call>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM calls WHERE order_key = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(key).fetch_optional(&self.pool).await?;
        row.as_ref().map(call).transpose()
    }

    /// The call that a provider knows by that id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call_by_provider_id(&self, configuration: &str, id: &str) -> Result<Option<Call>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM calls WHERE name_key = $3 AND configuration_id = $1 AND provider_call_id = $2"
        );
        let query =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(configuration).bind(id).bind(name_key(configuration, id));
        let row = query.fetch_optional(&self.pool).await?;
        row.as_ref().map(call).transpose()
    }

    /// An organization's calls, newest first. A page holds what is found in a bounded stretch of them: it may be short, or
    /// empty, while there is more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_calls(
        &self,
        organization: &str,
        filter: &CallFilter,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Call>, StoreError> {
        let newest = filter.created_before.map_or_else(|| "call_~".to_owned(), |at| id_bound("call", at));
        let below = cursor.filter(|cursor| **cursor < *newest).unwrap_or(&newest);
        let end = self.end_of_stretch(organization, below).await?;
        let oldest = filter.created_from.map_or_else(String::new, |at| id_bound("call", at));
        let least = end.as_deref().filter(|end| **end > *oldest).unwrap_or(&oldest);
        let (mut sql, mut values) =
            (format!("SELECT {COLUMNS} FROM calls WHERE organization_id = $1 AND id < $2 AND id >= $3"), Vec::new());
        for (column, wanted) in filter.columns() {
            let Some(wanted) = wanted else { continue };
            values.push(wanted);
            sql.push_str(&format!(" AND {column} = ${}", 3 + values.len()));
        }
        sql.push_str(&format!(" ORDER BY id DESC LIMIT {}", u64::from(limit) + 1));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(organization).bind(below).bind(least);
        for value in values {
            query = query.bind(value);
        }
        let rows = query.fetch_all(&self.pool).await?;
        let items = rows.iter().map(call).collect::<Result<_, _>>()?;
        let mut page = Page::cut(items, limit, |known: &Call| known.id.clone());
        // The stretch ended before the calls did.
        page.next = page.next.or_else(|| end.filter(|end| **end > *oldest));
        Ok(page)
    }

    /// The id that a page's stretch ends with; none where all the rest is within it.
    async fn end_of_stretch(&self, organization: &str, below: &str) -> Result<Option<String>, StoreError> {
        let sql = format!(
            "SELECT id FROM calls WHERE organization_id = $1 AND id < $2 ORDER BY id DESC LIMIT 1 OFFSET {STRETCH}"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(organization).bind(below);
        let row = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Takes a call over, if nobody else has done so since it was read. Who had it before writes nothing any more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_call(&self, call: &Call, owner: &str) -> Result<Option<Call>, StoreError> {
        let sql = "UPDATE calls SET owner = $3, epoch = epoch + 1 WHERE id = $1 AND epoch = $2";
        let taken = sqlx::query(sql).bind(&call.id).bind(call.epoch).bind(owner).execute(&self.pool).await?;
        if taken.rows_affected() == 0 {
            return Ok(None);
        }
        self.call(&call.id).await
    }

    /// Seconds of calls in the month of `at`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn seconds_used(&self, organization: &str, at: i64) -> Result<i64, StoreError> {
        let sql = "SELECT seconds FROM call_seconds WHERE organization_id = $1 AND month = $2";
        let query = sqlx::query(sql).bind(organization).bind(crate::writer::month(at));
        let row = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
    }

    /// Forgets calls that ended before then, with their histories; at most so many. Says how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_calls(&self, before: i64, most: u32) -> Result<u64, StoreError> {
        let old = format!(
            "SELECT id FROM calls WHERE id < $1 AND ended_at IS NOT NULL AND ended_at < $2 ORDER BY id LIMIT {most}"
        );
        let bound = id_bound("call", before);
        let mut transaction = self.pool.begin().await?;
        for (table, column) in [("call_events", "call_id"), ("calls", "id")] {
            let sql = format!("DELETE FROM {table} WHERE {column} IN ({old})");
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&bound).bind(before);
            let removed = query.execute(&mut *transaction).await?.rows_affected();
            if table == "calls" {
                transaction.commit().await?;
                return Ok(removed);
            }
        }
        Ok(0)
    }

    /// A call's history, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call_events(&self, id: &str) -> Result<Vec<CallEvent>, StoreError> {
        let sql = "SELECT seq, at, kind, data FROM call_events WHERE call_id = $1 ORDER BY seq LIMIT 10000";
        let rows = sqlx::query(sql).bind(id).fetch_all(&self.pool).await?;
        rows.iter().map(event).collect()
    }

    /// Calls without an end, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unfinished_calls(&self) -> Result<Vec<Call>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM calls WHERE ended_at IS NULL");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        // Put in order here: asked for it, SQLite goes through all calls there ever were.
        let mut calls = rows.iter().map(call).collect::<Result<Vec<_>, _>>()?;
        calls.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(calls)
    }

    /// Owners of calls without an end, but for `node`. Costs as much as others have such calls, and not more the more `node` has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn other_owners(&self, node: &str) -> Result<Vec<String>, StoreError> {
        // Two ranges of the index: with `<>` all of it would be read.
        let sql = "SELECT owner FROM calls WHERE ended_at IS NULL AND owner < $1 \
                   UNION SELECT owner FROM calls WHERE ended_at IS NULL AND owner > $1";
        Ok(sqlx::query_scalar(sql).bind(node).fetch_all(&self.pool).await?)
    }

    /// One owner's calls without an end, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unfinished_calls_of(&self, owner: &str) -> Result<Vec<Call>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM calls WHERE ended_at IS NULL AND owner = $1 ORDER BY id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(owner).fetch_all(&self.pool).await?;
        rows.iter().map(call).collect()
    }
}

fn fresh(new: NewCall) -> Call {
    Call {
        id: new.id,
        organization_id: new.organization_id,
        owner: new.owner,
        epoch: 0,
        direction: new.direction,
        status: new.status,
        provider: new.provider,
        generation: new.generation,
        configuration_id: new.configuration_id,
        agent_id: new.agent_id,
        from: new.from,
        to: new.to,
        provider_call_id: new.provider_call_id,
        memo: new.memo,
        created_at: new.created_at,
        answered_at: None,
        ended_at: None,
        duration_s: None,
        cost_amount: None,
        cost_currency: None,
        end_reason: None,
        recording: None,
    }
}

pub(crate) fn call(row: &AnyRow) -> Result<Call, StoreError> {
    let memo: String = row.try_get("memo")?;
    Ok(Call {
        id: row.try_get("id")?,
        organization_id: row.try_get("organization_id")?,
        owner: row.try_get("owner")?,
        epoch: row.try_get("epoch")?,
        direction: row.try_get("direction")?,
        status: row.try_get("status")?,
        provider: row.try_get("provider")?,
        generation: row.try_get("generation")?,
        configuration_id: row.try_get("configuration_id")?,
        agent_id: row.try_get("agent_id")?,
        from: row.try_get("from_address")?,
        to: row.try_get("to_address")?,
        provider_call_id: row.try_get("provider_call_id")?,
        memo: hex::decode(memo).map_err(|_| StoreError::Damaged("call"))?,
        created_at: row.try_get("created_at")?,
        answered_at: row.try_get("answered_at")?,
        ended_at: row.try_get("ended_at")?,
        duration_s: row.try_get("duration_s")?,
        cost_amount: row.try_get("cost_amount")?,
        cost_currency: row.try_get("cost_currency")?,
        end_reason: row.try_get("end_reason")?,
        recording: row.try_get("recording")?,
    })
}

fn event(row: &AnyRow) -> Result<CallEvent, StoreError> {
    let data: String = row.try_get("data")?;
    Ok(CallEvent {
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        data: serde_json::from_str(&data).map_err(|_| StoreError::Damaged("call event"))?,
    })
}
