//! Telephony configurations. Secrets are sealed here, and opened only for the directory.

use std::collections::BTreeMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::StoreError;
use crate::model::{Configuration, Page};
use crate::secret::Secret;
use crate::store::Store;

const COLUMNS: &str = "id, name, provider, fields, secrets, created_at, updated_at";
const NAME_TAKEN: &str = "another configuration has this name; choose another";

impl Store {
    /// Stores a new configuration.
    ///
    /// # Errors
    /// `Conflict` when the name is taken.
    pub async fn create_configuration(&self, new: &Configuration) -> Result<(), StoreError> {
        let sql = "INSERT INTO configurations (id, name, provider, fields, secrets, created_at, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let written = sqlx::query(sql)
            .bind(&new.id)
            .bind(&new.name)
            .bind(&new.provider)
            .bind(json(&new.fields))
            .bind(self.seal_all(new)?)
            .bind(new.created_at)
            .bind(new.updated_at)
            .execute(&self.pool)
            .await;
        written.map_err(|error| StoreError::conflict(error, NAME_TAKEN))?;
        self.refresh().await
    }

    /// Replaces name, fields and secrets.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when the name is taken.
    pub async fn update_configuration(&self, changed: &Configuration) -> Result<(), StoreError> {
        let sql = "UPDATE configurations SET name = $2, fields = $3, secrets = $4, updated_at = $5 WHERE id = $1";
        let written = sqlx::query(sql)
            .bind(&changed.id)
            .bind(&changed.name)
            .bind(json(&changed.fields))
            .bind(self.seal_all(changed)?)
            .bind(changed.updated_at)
            .execute(&self.pool)
            .await
            .map_err(|error| StoreError::conflict(error, NAME_TAKEN))?;
        found(written.rows_affected(), &changed.id)?;
        self.refresh().await
    }

    /// The configuration with that id.
    ///
    /// # Errors
    /// `NotFound`, or `Sealed` when its secrets do not open.
    pub async fn get_configuration(&self, id: &str) -> Result<Configuration, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM configurations WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        let row = row.ok_or_else(|| missing(id))?;
        self.configuration(&row)
    }

    /// In order of id.
    ///
    /// # Errors
    /// When the database does not answer, or a secret does not open.
    pub async fn list_configurations(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Configuration>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM configurations WHERE id > $1 ORDER BY id LIMIT $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(cursor.unwrap_or_default());
        let rows = query.bind(i64::from(limit) + 1).fetch_all(&self.pool).await?;
        let items = rows.iter().map(|row| self.configuration(row)).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, limit, |known| known.id.clone()))
    }

    /// Removes a configuration without numbers.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` while it has numbers.
    pub async fn delete_configuration(&self, id: &str) -> Result<(), StoreError> {
        let removed = sqlx::query("DELETE FROM configurations WHERE id = $1").bind(id).execute(&self.pool).await;
        let removed = removed
            .map_err(|error| StoreError::conflict(error, "the configuration has numbers; delete those first"))?;
        found(removed.rows_affected(), id)?;
        self.refresh().await
    }

    pub(crate) async fn all_configurations(&self) -> Result<Vec<Configuration>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM configurations");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        let open = |row: &SqliteRow| match self.configuration(row) {
            // One account whose secrets do not open must not take the others down.
            Err(StoreError::Sealed(error)) => {
                tracing::error!(%error, "a configuration is left out: its secrets do not open");
                None
            }
            other => Some(other),
        };
        rows.iter().filter_map(open).collect()
    }

    fn configuration(&self, row: &SqliteRow) -> Result<Configuration, StoreError> {
        let (id, provider): (String, String) = (row.try_get("id")?, row.try_get("provider")?);
        let sealed: BTreeMap<String, String> = parse(row.try_get("secrets")?)?;
        let open = |(field, sealed): (String, String)| {
            let secret = self.keyring.open(&place(&id, &provider, &field), &sealed)?;
            Ok::<(String, Secret), StoreError>((field, secret))
        };
        Ok(Configuration {
            name: row.try_get("name")?,
            fields: parse(row.try_get("fields")?)?,
            secrets: sealed.into_iter().map(open).collect::<Result<_, _>>()?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
            id,
            provider,
        })
    }

    fn seal_all(&self, of: &Configuration) -> Result<String, StoreError> {
        let seal = |(field, secret): (&String, &Secret)| {
            let sealed = self.keyring.seal(&place(&of.id, &of.provider, field), secret.expose())?;
            Ok::<(String, String), StoreError>((field.clone(), sealed))
        };
        Ok(json(&of.secrets.iter().map(seal).collect::<Result<BTreeMap<_, _>, _>>()?))
    }
}

/// What a secret is bound to.
fn place(id: &str, provider: &str, field: &str) -> String {
    format!("{id}/{provider}/{field}")
}

fn missing(id: &str) -> StoreError {
    StoreError::NotFound { what: "configuration", id: id.to_owned() }
}

fn found(rows: u64, id: &str) -> Result<(), StoreError> {
    if rows == 0 { Err(missing(id)) } else { Ok(()) }
}

fn json(map: &BTreeMap<String, String>) -> String {
    serde_json::to_value(map).unwrap_or_default().to_string()
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Damaged("configuration"))
}
