//! Calls and their histories.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::StoreError;
use crate::ids::new_id_at;
use crate::model::{Call, CallChange, CallEvent, Inserted, NewCall, NewEvent, Page};
use crate::store::Store;

const COLUMNS: &str = "id, direction, status, provider, generation, configuration_id, agent_id, from_address, \
                       to_address, provider_call_id, memo, created_at, answered_at, ended_at, duration_s, \
                       cost_amount, cost_currency, end_reason, recording";

impl Store {
    /// Stores a new call, unless the provider's id is known: then the call it names is returned.
    ///
    /// # Errors
    /// When the database does not answer or keep up.
    pub async fn create_call(&self, new: NewCall) -> Result<Inserted, StoreError> {
        let id = new_id_at("call", new.created_at);
        if self.writer.create(id.clone(), new.clone()).await? {
            return Ok(Inserted::New(fresh(id, new)));
        }
        let provider_id = new.provider_call_id.unwrap_or_default();
        let known = self.call_by_provider_id(&new.configuration_id, &provider_id).await?;
        known.map(Inserted::Existing).ok_or(StoreError::Damaged("call"))
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

    /// The call that a provider knows by that id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call_by_provider_id(&self, configuration: &str, id: &str) -> Result<Option<Call>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM calls WHERE configuration_id = $1 AND provider_call_id = $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(configuration).bind(id);
        let row = query.fetch_optional(&self.pool).await?;
        row.as_ref().map(call).transpose()
    }

    /// Newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_calls(&self, limit: u32, cursor: Option<&str>) -> Result<Page<Call>, StoreError> {
        // Ids sort by age; `~` stands behind every one of them.
        let sql = format!("SELECT {COLUMNS} FROM calls WHERE id < $1 ORDER BY id DESC LIMIT $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(cursor.unwrap_or("~"));
        let rows = query.bind(i64::from(limit) + 1).fetch_all(&self.pool).await?;
        let items = rows.iter().map(call).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, limit, |known: &Call| known.id.clone()))
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
        let sql = format!("SELECT {COLUMNS} FROM calls WHERE ended_at IS NULL ORDER BY id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(call).collect()
    }
}

fn fresh(id: String, new: NewCall) -> Call {
    Call {
        id,
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

fn call(row: &SqliteRow) -> Result<Call, StoreError> {
    let memo: String = row.try_get("memo")?;
    Ok(Call {
        id: row.try_get("id")?,
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

fn event(row: &SqliteRow) -> Result<CallEvent, StoreError> {
    let data: String = row.try_get("data")?;
    Ok(CallEvent {
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        data: serde_json::from_str(&data).map_err(|_| StoreError::Damaged("call event"))?,
    })
}
