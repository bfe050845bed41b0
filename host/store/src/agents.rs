//! Agents.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::model::{Agent, Page};
use crate::secret::Secret;
use crate::store::Store;

const COLUMNS: &str = "id, organization_id, name, connector, url, settings, secret, created_at, updated_at";
const NAME_TAKEN: &str = "another agent has this name; choose another";

impl Store {
    /// Stores a new agent.
    ///
    /// # Errors
    /// `Conflict` when the name is taken.
    pub async fn create_agent(&self, new: &Agent) -> Result<(), StoreError> {
        let sql = "INSERT INTO agents (id, organization_id, name, connector, url, settings, secret, created_at, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let written = sqlx::query(sql)
            .bind(&new.id)
            .bind(&new.organization_id)
            .bind(&new.name)
            .bind(&new.connector)
            .bind(&new.url)
            .bind(new.settings.to_string())
            .bind(self.seal_agent(new)?)
            .bind(new.created_at)
            .bind(new.updated_at)
            .execute(&self.pool)
            .await;
        written.map_err(|error| StoreError::conflict(error, NAME_TAKEN))?;
        self.refresh().await
    }

    /// Replaces everything but the id and the time of creation.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when the name is taken.
    pub async fn update_agent(&self, changed: &Agent) -> Result<(), StoreError> {
        let sql = "UPDATE agents SET name = $2, connector = $3, url = $4, settings = $5, secret = $6, updated_at = $7 \
                   WHERE id = $1 AND organization_id = $8";
        let written = sqlx::query(sql)
            .bind(&changed.id)
            .bind(&changed.name)
            .bind(&changed.connector)
            .bind(&changed.url)
            .bind(changed.settings.to_string())
            .bind(self.seal_agent(changed)?)
            .bind(changed.updated_at)
            .bind(&changed.organization_id)
            .execute(&self.pool)
            .await
            .map_err(|error| StoreError::conflict(error, NAME_TAKEN))?;
        found(written.rows_affected(), &changed.id)?;
        self.refresh().await
    }

    /// An organization's agent with that id.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn get_agent(&self, organization: &str, id: &str) -> Result<Agent, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM agents WHERE id = $1 AND organization_id = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(organization).fetch_optional(&self.pool).await?;
        self.agent(&row.ok_or_else(|| missing(id))?)
    }

    /// In order of id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_agents(
        &self,
        organization: &str,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Agent>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM agents WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(organization).bind(cursor.unwrap_or_default());
        let rows = query.bind(i64::from(limit) + 1).fetch_all(&self.pool).await?;
        let items = rows.iter().map(|row| self.agent(row)).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, limit, |known: &Agent| known.id.clone()))
    }

    /// Removes an agent that no number uses.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` while a number uses it.
    pub async fn delete_agent(&self, organization: &str, id: &str) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM agents WHERE id = $1 AND organization_id = $2");
        let removed = query.bind(id).bind(organization).execute(&self.pool).await;
        let sentence = "the agent answers numbers; give those another agent first";
        let removed = removed.map_err(|error| StoreError::conflict(error, sentence))?;
        found(removed.rows_affected(), id)?;
        self.refresh().await
    }

    pub(crate) async fn all_agents(&self) -> Result<Vec<Agent>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM agents");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        let open = |row: &AnyRow| match self.agent(row) {
            // One agent whose secret does not open must not take the others down.
            Err(StoreError::Sealed(error)) => {
                tracing::error!(%error, "an agent is left out: its secret does not open");
                None
            }
            other => Some(other),
        };
        rows.iter().filter_map(open).collect()
    }

    fn agent(&self, row: &AnyRow) -> Result<Agent, StoreError> {
        let (id, settings): (String, String) = (row.try_get("id")?, row.try_get("settings")?);
        let sealed: Option<String> = row.try_get("secret")?;
        Ok(Agent {
            organization_id: row.try_get("organization_id")?,
            name: row.try_get("name")?,
            connector: row.try_get("connector")?,
            url: row.try_get("url")?,
            settings: serde_json::from_str(&settings).map_err(|_| StoreError::Damaged("agent"))?,
            secret: sealed.map(|sealed| self.keyring.open(&place(&id), &sealed)).transpose()?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            id,
        })
    }

    fn seal_agent(&self, of: &Agent) -> Result<Option<String>, StoreError> {
        let seal = |secret: &Secret| self.keyring.seal(&place(&of.id), secret.expose());
        Ok(of.secret.as_ref().map(seal).transpose()?)
    }
}

/// What a secret is bound to.
pub(crate) fn place(id: &str) -> String {
    format!("{id}/agent/secret")
}

fn missing(id: &str) -> StoreError {
    StoreError::NotFound { what: "agent", id: id.to_owned() }
}

fn found(rows: u64, id: &str) -> Result<(), StoreError> {
    if rows == 0 { Err(missing(id)) } else { Ok(()) }
}
