//! People who signed in with a provider. Tokens are sealed.

use serde_json::{Value, json};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::ids::new_id;
use crate::model::SignIn;
use crate::secret::Secret;
use crate::store::Store;

const COLUMNS: &str = "configuration_id, person, tokens, expires_at, refresh_expires_at, scope, revoked, monitored";

impl Store {
    /// Stores who signed in, in the place of an earlier sign-in of the same person. `now` in Unix milliseconds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_sign_in(&self, known: &SignIn, now: i64) -> Result<(), StoreError> {
        let tokens = json!({ "access": known.access.expose(), "refresh": known.refresh.as_ref().map(Secret::expose) });
        let sealed = self.keyring.seal(&place(&known.configuration_id, &known.person), &tokens.to_string())?;
        let sql = "INSERT INTO sign_ins (id, configuration_id, person, tokens, expires_at, refresh_expires_at, scope, \
                   revoked, monitored, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) \
                   ON CONFLICT (configuration_id, person) DO UPDATE SET tokens = excluded.tokens, \
                   expires_at = excluded.expires_at, refresh_expires_at = excluded.refresh_expires_at, \
                   scope = excluded.scope, revoked = excluded.revoked, updated_at = excluded.updated_at";
        sqlx::query(sql)
            .bind(new_id("sin"))
            .bind(&known.configuration_id)
            .bind(&known.person)
            .bind(sealed)
            .bind(known.expires_at)
            .bind(known.refresh_expires_at)
            .bind(&known.scope)
            .bind(i64::from(known.revoked))
            .bind(i64::from(known.monitored))
            .bind(now)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// One person's sign-in.
    ///
    /// # Errors
    /// When the database does not answer, or the tokens do not open.
    pub async fn sign_in(&self, configuration: &str, person: &str) -> Result<Option<SignIn>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM sign_ins WHERE configuration_id = $1 AND person = $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(configuration).bind(person);
        query.fetch_optional(&self.pool).await?.map(|row| self.opened(&row)).transpose()
    }

    /// Everybody's, for a configuration, or those of all configurations.
    ///
    /// # Errors
    /// When the database does not answer, or tokens do not open.
    pub async fn sign_ins(&self, configuration: Option<&str>) -> Result<Vec<SignIn>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM sign_ins WHERE $1 IS NULL OR configuration_id = $1 ORDER BY person");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(configuration).fetch_all(&self.pool).await?;
        rows.iter().map(|row| self.opened(row)).collect()
    }

    /// The provider has taken a sign-in back.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revoke_sign_in(&self, configuration: &str, person: &str) -> Result<(), StoreError> {
        let sql = "UPDATE sign_ins SET revoked = 1 WHERE configuration_id = $1 AND person = $2";
        sqlx::query(sql).bind(configuration).bind(person).execute(&self.pool).await?;
        Ok(())
    }

    /// Whether the person's calls are to be told to them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn monitor_sign_in(&self, configuration: &str, person: &str, on: bool) -> Result<(), StoreError> {
        let sql = "UPDATE sign_ins SET monitored = $3 WHERE configuration_id = $1 AND person = $2";
        sqlx::query(sql).bind(configuration).bind(person).bind(i64::from(on)).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets one person's sign-in, or all of a configuration. Says how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete_sign_ins(&self, configuration: &str, person: Option<&str>) -> Result<u64, StoreError> {
        let sql = "DELETE FROM sign_ins WHERE configuration_id = $1 AND ($2 IS NULL OR person = $2)";
        Ok(sqlx::query(sql).bind(configuration).bind(person).execute(&self.pool).await?.rows_affected())
    }

    fn opened(&self, row: &AnyRow) -> Result<SignIn, StoreError> {
        let (configuration_id, person): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let sealed: String = row.try_get(2)?;
        let tokens = self.keyring.open(&place(&configuration_id, &person), &sealed)?;
        let tokens: Value = serde_json::from_str(tokens.expose()).unwrap_or_default();
        let token = |name: &str| tokens[name].as_str().map(|token| Secret::from(token.to_owned()));
        Ok(SignIn {
            access: token("access").unwrap_or_else(|| Secret::from(String::new())),
            refresh: token("refresh"),
            expires_at: row.try_get(3)?,
            refresh_expires_at: row.try_get(4)?,
            scope: row.try_get(5)?,
            revoked: row.try_get::<i64, _>(6)? != 0,
            monitored: row.try_get::<i64, _>(7)? != 0,
            configuration_id,
            person,
        })
    }
}

/// What tokens are bound to.
pub(crate) fn place(configuration: &str, person: &str) -> String {
    format!("{configuration}/sign-in/{person}/tokens")
}
