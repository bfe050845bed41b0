//! Providers' names of calls, as the database knows them: by one number, whose index is a fifth of that of the names themselves.

use ring::digest::{Context, SHA256};
use sqlx::{AnyConnection, AnyPool, Row};

use crate::error::StoreError;

/// Calls that are given their keys in one transaction.
const SOME: usize = 500;

/// The first 64 bits of SHA-256 of an account's id and a provider's name of a call. Among ten million calls two would share one
/// once in 400,000 such databases.
pub(crate) fn name_key(configuration: &str, provider_call_id: &str) -> i64 {
    let mut context = Context::new(&SHA256);
    context.update(configuration.as_bytes());
    // No id has it, so that nobody's name reads as another account's.
    context.update(&[0]);
    context.update(provider_call_id.as_bytes());
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().map(i64::from_be_bytes).unwrap_or_default()
}

/// Gives a call the key of the name that it learned.
pub(crate) async fn key_one(connection: &mut AnyConnection, id: &str, name: &str) -> Result<(), sqlx::Error> {
    let sql = "SELECT configuration_id FROM calls WHERE id = $1";
    let configuration: String = sqlx::query_scalar(sql).bind(id).fetch_one(&mut *connection).await?;
    let sql = "UPDATE calls SET name_key = $2 WHERE id = $1";
    sqlx::query(sql).bind(id).bind(name_key(&configuration, name)).execute(connection).await?;
    Ok(())
}

/// Gives their keys to calls that a host stored which knew of none.
pub(crate) async fn key_all(pool: &AnyPool) -> Result<(), StoreError> {
    let mut last = String::new();
    loop {
        let sql = format!(
            "SELECT id, configuration_id, provider_call_id FROM calls \
             WHERE name_key IS NULL AND provider_call_id IS NOT NULL AND id > $1 ORDER BY id LIMIT {SOME}"
        );
        let mut transaction = pool.begin().await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&last).fetch_all(&mut *transaction).await?;
        for row in &rows {
            let (id, configuration, name): (String, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            // Another host may do the same, or have had the same webhook, at this moment.
            let sql =
                "UPDATE calls SET name_key = $2 WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM calls WHERE name_key = $2)";
            sqlx::query(sql).bind(&id).bind(name_key(&configuration, &name)).execute(&mut *transaction).await?;
            last = id;
        }
        transaction.commit().await?;
        if rows.len() < SOME {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_on_every_host_and_another_for_every_account() {
        // `printf 'cfg_1\0CA1' | sha256sum`
        assert_eq!(name_key("cfg_1", "CA1"), i64::from_be_bytes(0x7e127f7b5b498582_u64.to_be_bytes()));
        assert_ne!(name_key("cfg_1", "CA1"), name_key("cfg_2", "CA1"));
        assert_ne!(name_key("cfg_1", "CA1"), name_key("cfg_1C", "A1"));
    }
}
