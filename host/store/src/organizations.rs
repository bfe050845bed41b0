//! Organizations and their API tokens.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::model::{ApiToken, Organization};
use crate::store::Store;

const COLUMNS: &str = "id, name, max_calls, calls_per_second, minutes_per_month, created_at, updated_at";
const TOKEN_COLUMNS: &str = "id, organization_id, name, digest, scopes, created_at, revoked_at";
const NAME_TAKEN: &str = "another organization has this name; choose another";

impl Store {
    /// Stores a new organization.
    ///
    /// # Errors
    /// `Conflict` when the name is taken.
    pub async fn create_organization(&self, new: &Organization) -> Result<(), StoreError> {
        let sql = "INSERT INTO organizations (id, name, max_calls, calls_per_second, minutes_per_month, created_at, \
                   updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let written = sqlx::query(sql)
            .bind(&new.id)
            .bind(&new.name)
            .bind(new.max_calls)
            .bind(new.calls_per_second)
            .bind(new.minutes_per_month)
            .bind(new.created_at)
            .bind(new.updated_at)
            .execute(&self.pool)
            .await;
        written.map_err(|error| StoreError::conflict(error, NAME_TAKEN))?;
        self.refresh().await
    }

    /// Replaces name and limits.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when the name is taken.
    pub async fn update_organization(&self, changed: &Organization) -> Result<(), StoreError> {
        let sql = "UPDATE organizations SET name = $2, max_calls = $3, calls_per_second = $4, minutes_per_month = $5, \
                   updated_at = $6 WHERE id = $1";
        let written = sqlx::query(sql)
            .bind(&changed.id)
            .bind(&changed.name)
            .bind(changed.max_calls)
            .bind(changed.calls_per_second)
            .bind(changed.minutes_per_month)
            .bind(changed.updated_at)
            .execute(&self.pool)
            .await
            .map_err(|error| StoreError::conflict(error, NAME_TAKEN))?;
        if written.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "organization", id: changed.id.clone() });
        }
        self.refresh().await
    }

    /// Stores a new token.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn create_token(&self, new: &ApiToken) -> Result<(), StoreError> {
        let sql = "INSERT INTO api_tokens (id, organization_id, name, digest, scopes, created_at) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let written = sqlx::query(sql)
            .bind(&new.id)
            .bind(&new.organization_id)
            .bind(&new.name)
            .bind(&new.digest)
            .bind(new.scopes.join(" "))
            .bind(new.created_at)
            .execute(&self.pool)
            .await;
        written.map_err(|error| StoreError::conflict(error, "there is no such organization"))?;
        self.refresh().await
    }

    /// An organization's tokens, in order of id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tokens(&self, organization: &str) -> Result<Vec<ApiToken>, StoreError> {
        let sql = format!("SELECT {TOKEN_COLUMNS} FROM api_tokens WHERE organization_id = $1 ORDER BY id LIMIT 1000");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(organization).fetch_all(&self.pool).await?;
        rows.iter().map(token).collect()
    }

    /// A token lets nobody in any more.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke_token(&self, organization: &str, id: &str, at: i64) -> Result<(), StoreError> {
        let sql = "UPDATE api_tokens SET revoked_at = COALESCE(revoked_at, $3) WHERE id = $1 AND organization_id = $2";
        let written = sqlx::query(sql).bind(id).bind(organization).bind(at).execute(&self.pool).await?;
        if written.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "token", id: id.to_owned() });
        }
        self.refresh().await
    }

    pub(crate) async fn all_organizations(&self) -> Result<Vec<Organization>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM organizations");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(organization).collect()
    }

    pub(crate) async fn live_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        let sql = format!("SELECT {TOKEN_COLUMNS} FROM api_tokens WHERE revoked_at IS NULL");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        rows.iter().map(token).collect()
    }
}

fn organization(row: &AnyRow) -> Result<Organization, StoreError> {
    Ok(Organization {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        max_calls: row.try_get("max_calls")?,
        calls_per_second: row.try_get("calls_per_second")?,
        minutes_per_month: row.try_get("minutes_per_month")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn token(row: &AnyRow) -> Result<ApiToken, StoreError> {
    let scopes: String = row.try_get("scopes")?;
    Ok(ApiToken {
        id: row.try_get("id")?,
        organization_id: row.try_get("organization_id")?,
        name: row.try_get("name")?,
        digest: row.try_get("digest")?,
        scopes: scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        created_at: row.try_get("created_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}
