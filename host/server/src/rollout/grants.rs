//! Other grants for the build that serves: a rollout as any other, of the same bytes.

use jackfield_plugins::{Generation, Granted, RollbackError, parts_of};
use jackfield_store::StoreError;

use super::stages::Offer;
use super::{Begun, Origin, Plan, Rollout, RolloutError};

impl Rollout {
    /// Checks the build that serves under other grants, and has it serve with them at once or by the plan. Calls that are up
    /// keep what they have.
    ///
    /// # Errors
    /// Says what the build asks for and would not have; what served before still does.
    pub async fn regrant(
        &self,
        name: &str,
        granted: Granted,
        origin: Origin,
        plan: Plan,
    ) -> Result<Begun, RolloutError> {
        let serving = self.host.current(name).ok_or_else(|| RollbackError::UnknownPlugin(name.to_owned()))?;
        let bytes = match self.host.stock_bytes(name, serving.build()) {
            Some(bytes) => bytes,
            None => self.store.generation_bytes(name, serving.build()).await?.ok_or(RolloutError::NoBytes)?,
        };
        let offer = Offer { bytes, granted, source: serving.source().to_owned() };
        self.roll_out(name, offer, origin, plan).await
    }

    /// What a generation of that name is granted.
    pub(super) async fn granted(&self, name: &str, digest: &str) -> Result<Granted, StoreError> {
        let (_, Some(mark)) = parts_of(digest) else { return Ok(Granted::BySettings) };
        let known = self.store.grants(name, mark).await?.ok_or(StoreError::Damaged("plugin's grants"))?;
        let grants = serde_json::from_str(&known).map_err(|_| StoreError::Damaged("plugin's grants"))?;
        Ok(Granted::ByOrder(grants))
    }

    pub(super) async fn keep_grants(&self, generation: &Generation) -> Result<(), StoreError> {
        let Some(grants) = generation.order() else { return Ok(()) };
        let text = serde_json::to_string(grants).map_err(|_| StoreError::Damaged("plugin's grants"))?;
        self.store.put_grants(&generation.describe().name, &grants.mark(), &text).await
    }
}
