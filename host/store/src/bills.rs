//! Calls that are over and whose cost is not known yet.

use crate::calls::{COLUMNS, call};
use crate::error::StoreError;
use crate::model::Call;
use crate::store::Store;
use sqlx::Row;

/// A call whose provider is to be asked what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueBill {
    pub call: Call,
    /// How often it was asked already.
    pub tries: u32,
}

impl Store {
    /// Calls whose provider is to be asked by `now` (Unix milliseconds), the longest due first; at most so many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn due_bills(&self, now: i64, most: u32) -> Result<Vec<DueBill>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, bill_tries FROM calls WHERE bill_at IS NOT NULL AND bill_at <= $1 ORDER BY bill_at LIMIT {most}"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now).fetch_all(&self.pool).await?;
        let due = |row| {
            let tries: i64 = sqlx::any::AnyRow::try_get(row, "bill_tries")?;
            Ok(DueBill { call: call(row)?, tries: u32::try_from(tries).unwrap_or(u32::MAX) })
        };
        rows.iter().map(due).collect()
    }

    /// Takes it upon the caller to ask, once, and says when it is to be asked for again; or never. False when another node
    /// was quicker.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn claim_bill(&self, due: &DueBill, next: Option<i64>) -> Result<bool, StoreError> {
        let sql = "UPDATE calls SET bill_at = $3, bill_tries = bill_tries + 1 WHERE id = $1 AND bill_tries = $2";
        let query = sqlx::query(sql).bind(&due.call.id).bind(i64::from(due.tries)).bind(next);
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }
}
