//! Telephony configurations. Secrets are sealed here, and opened only for the directory.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::error::StoreError;
use crate::model::{Configuration, Page};
use crate::secret::Secret;
use crate::store::Store;

const COLUMNS: &str = "id, organization_id, name, provider, fields, secrets, previous, is_default, max_calls, \
                       calls_per_second, created_at, updated_at";
const NAME_TAKEN: &str = "another configuration has this name; choose another";

impl Store {
    /// Stores a new configuration.
    ///
    /// # Errors
    /// `Conflict` when the name is taken.
    pub async fn create_configuration(&self, new: &Configuration) -> Result<(), StoreError> {
        let sql = "INSERT INTO configurations (id, organization_id, name, provider, fields, secrets, previous, is_default, \
                   max_calls, calls_per_second, created_at, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let mut transaction = self.pool.begin().await?;
        self.only_default(&mut transaction, new).await?;
        let written = sqlx::query(sql)
            .bind(&new.id)
            .bind(&new.organization_id)
            .bind(&new.name)
            .bind(&new.provider)
            .bind(json(&new.fields))
            .bind(self.seal_all(new)?)
            .bind(self.seal_previous(new)?)
            .bind(i64::from(new.is_default))
            .bind(new.max_calls)
            .bind(new.calls_per_second)
            .bind(new.created_at)
            .bind(new.updated_at)
            .execute(&mut *transaction)
            .await;
        written.map_err(|error| StoreError::conflict(error, NAME_TAKEN))?;
        transaction.commit().await?;
        self.refresh().await
    }

    /// A new default takes the place of the one before.
    async fn only_default(&self, connection: &mut AnyConnection, new: &Configuration) -> Result<(), StoreError> {
        if new.is_default {
            let sql = "UPDATE configurations SET is_default = 0 WHERE organization_id = $1 AND id <> $2";
            sqlx::query(sql).bind(&new.organization_id).bind(&new.id).execute(connection).await?;
        }
        Ok(())
    }

    /// Replaces everything but provider, organization and the time of creation.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when the name is taken.
    pub async fn update_configuration(&self, changed: &Configuration) -> Result<(), StoreError> {
        let sql = "UPDATE configurations SET name = $3, fields = $4, secrets = $5, previous = $6, is_default = $7, \
                   max_calls = $8, calls_per_second = $9, updated_at = $10 WHERE id = $1 AND organization_id = $2";
        let mut transaction = self.pool.begin().await?;
        self.only_default(&mut transaction, changed).await?;
        let written = sqlx::query(sql)
            .bind(&changed.id)
            .bind(&changed.organization_id)
            .bind(&changed.name)
            .bind(json(&changed.fields))
            .bind(self.seal_all(changed)?)
            .bind(self.seal_previous(changed)?)
            .bind(i64::from(changed.is_default))
            .bind(changed.max_calls)
            .bind(changed.calls_per_second)
            .bind(changed.updated_at)
            .execute(&mut *transaction)
            .await
            .map_err(|error| StoreError::conflict(error, NAME_TAKEN))?;
        found(written.rows_affected(), &changed.id)?;
        transaction.commit().await?;
        self.refresh().await
    }

    /// An organization's configuration with that id.
    ///
    /// # Errors
    /// `NotFound`, or `Sealed` when its secrets do not open.
    pub async fn get_configuration(&self, organization: &str, id: &str) -> Result<Configuration, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM configurations WHERE id = $1 AND organization_id = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).bind(organization).fetch_optional(&self.pool).await?;
        let row = row.ok_or_else(|| missing(id))?;
        self.configuration(&row)
    }

    /// In order of id.
    ///
    /// # Errors
    /// When the database does not answer, or a secret does not open.
    pub async fn list_configurations(
        &self,
        organization: &str,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<Configuration>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM configurations WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(organization).bind(cursor.unwrap_or_default());
        let rows = query.bind(i64::from(limit) + 1).fetch_all(&self.pool).await?;
        let items = rows.iter().map(|row| self.configuration(row)).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, limit, |known| known.id.clone()))
    }

    /// Removes a configuration without numbers.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` while it has numbers.
    pub async fn delete_configuration(&self, organization: &str, id: &str) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM configurations WHERE id = $1 AND organization_id = $2");
        let removed = query.bind(id).bind(organization).execute(&self.pool).await;
        let removed = removed
            .map_err(|error| StoreError::conflict(error, "the configuration has numbers; delete those first"))?;
        found(removed.rows_affected(), id)?;
        self.refresh().await
    }

    pub(crate) async fn all_configurations(&self) -> Result<Vec<Configuration>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM configurations");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
        let open = |row: &AnyRow| match self.configuration(row) {
            // One account whose secrets do not open must not take the others down.
            Err(StoreError::Sealed(error)) => {
                tracing::error!(%error, "a configuration is left out: its secrets do not open");
                None
            }
            other => Some(other),
        };
        rows.iter().filter_map(open).collect()
    }

    fn configuration(&self, row: &AnyRow) -> Result<Configuration, StoreError> {
        let (id, provider): (String, String) = (row.try_get("id")?, row.try_get("provider")?);
        let sealed: BTreeMap<String, String> = parse(row.try_get("secrets")?)?;
        let previous: String = row.try_get("previous")?;
        let previous: BTreeMap<String, (String, i64)> =
            serde_json::from_str(&previous).map_err(|_| StoreError::Damaged("configuration"))?;
        let open_previous = |(field, (sealed, until)): (String, (String, i64))| {
            let secret = self.keyring.open(&place(&id, &provider, &field), &sealed)?;
            Ok::<_, StoreError>((field, (secret, until)))
        };
        let open = |(field, sealed): (String, String)| {
            let secret = self.keyring.open(&place(&id, &provider, &field), &sealed)?;
            Ok::<(String, Secret), StoreError>((field, secret))
        };
        Ok(Configuration {
            name: row.try_get("name")?,
            fields: parse(row.try_get("fields")?)?,
            secrets: sealed.into_iter().map(open).collect::<Result<_, _>>()?,
            previous: previous.into_iter().map(open_previous).collect::<Result<_, _>>()?,
            organization_id: row.try_get("organization_id")?,
            is_default: row.try_get::<i64, _>("is_default")? != 0,
            max_calls: row.try_get("max_calls")?,
            calls_per_second: row.try_get("calls_per_second")?,
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

impl Store {
    fn seal_previous(&self, of: &Configuration) -> Result<String, StoreError> {
        let mut sealed = BTreeMap::new();
        for (field, (secret, until)) in &of.previous {
            let text = self.keyring.seal(&place(&of.id, &of.provider, field), secret.expose())?;
            sealed.insert(field, (text, until));
        }
        Ok(serde_json::to_value(sealed).unwrap_or_default().to_string())
    }
}

/// What a secret is bound to.
pub(crate) fn place(id: &str, provider: &str, field: &str) -> String {
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

fn parse(text: String) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(&text).map_err(|_| StoreError::Damaged("configuration"))
}
