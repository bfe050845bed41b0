//! The same adapter as a component and compiled in.

use anyhow::Result;

use super::table::Table;

pub(super) async fn webhooks(_table: &mut Table) -> Result<()> {
    Ok(())
}
pub(super) async fn media(_table: &mut Table) -> Result<()> {
    Ok(())
}
