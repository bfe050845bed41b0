//! Phone numbers.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::model::{Page, PhoneNumber};
use crate::store::Store;

const COLUMNS: &str = "id, organization_id, number, configuration_id, agent_id, label, created_at, updated_at";
const CONFLICT: &str = "this configuration has the number already, or the configuration or agent is gone";

impl Store {
    /// Stores a new number.
    ///
    /// # Errors
    /// `Conflict` when the configuration has it already, or does not exist.
    pub async fn create_number(&self, new: &PhoneNumber) -> Result<(), StoreError> {
        let sql = "INSERT INTO phone_numbers (id, organization_id, number, configuration_id, agent_id, label, \
                   created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let written = sqlx::query(sql)
            .bind(&new.id)
            .bind(&new.organization_id)
            .bind(&new.number)
            .bind(&new.configuration_id)
            .bind(&new.agent_id)
            .bind(&new.label)
            .bind(new.created_at)
            .bind(new.updated_at)
            .execute(&self.pool)
            .await;
        written.map_err(|error| StoreError::conflict(error, CONFLICT))?;
        self.refresh().await
    }

    /// Replaces everything but the id and the time of creation.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` as for a new one.
    pub async fn update_number(&self, changed: &PhoneNumber) -> Result<(), StoreError> {
        let sql = "UPDATE phone_numbers SET number = $2, configuration_id = $3, agent_id = $4, label = $5, \
                   updated_at = $6 WHERE id = $1 AND organization_id = $7";
        let written = sqlx::query(sql)
            .bind(&changed.id)
            .bind(&changed.number)
            .bind(&changed.configuration_id)
            .bind(&changed.agent_id)
            .bind(&changed.label)
            .bind(changed.updated_at)
            .bind(&changed.organization_id)
            .execute(&self.pool)
            .await
            .map_err(|error| StoreError::conflict(error, CONFLICT))?;
        found(written.rows_affected(), &changed.id)?;
        self.refresh().await
    }

    /// An organization's number with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_number(&self, organization: &str, id: &str) -> Result<PhoneNumber, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM phone_numbers WHERE id = $1 AND organization_id = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(organization).fetch_optional(&self.pool).await?;
        number(&row.ok_or_else(|| missing(id))?)
    }

    /// In order of id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_numbers(
        &self,
        organization: &str,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<PhoneNumber>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM phone_numbers WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(organization).bind(cursor.unwrap_or_default());
        let rows = query.bind(i64::from(limit) + 1).fetch_all(&self.pool).await?;
        let items = rows.iter().map(number).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, limit, |known: &PhoneNumber| known.id.clone()))
    }

    /// Removes a number.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_number(&self, organization: &str, id: &str) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM phone_numbers WHERE id = $1 AND organization_id = $2");
        let removed = query.bind(id).bind(organization).execute(&self.pool).await?;
        found(removed.rows_affected(), id)?;
        self.refresh().await
    }

    pub(crate) async fn all_numbers(&self) -> Result<Vec<PhoneNumber>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM phone_numbers");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(number).collect()
    }
}

fn missing(id: &str) -> StoreError {
    StoreError::NotFound { what: "number", id: id.to_owned() }
}

fn found(rows: u64, id: &str) -> Result<(), StoreError> {
    if rows == 0 { Err(missing(id)) } else { Ok(()) }
}

fn number(row: &AnyRow) -> Result<PhoneNumber, StoreError> {
    Ok(PhoneNumber {
        id: row.try_get("id")?,
        organization_id: row.try_get("organization_id")?,
        number: row.try_get("number")?,
        configuration_id: row.try_get("configuration_id")?,
        agent_id: row.try_get("agent_id")?,
        label: row.try_get("label")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
