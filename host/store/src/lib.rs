//! State: what must last is in a database, what is short-lived in shared memory.
//!
//! Promises: secrets are sealed from the first row; a webhook that comes twice makes one call; what a webhook asks is
//! answered from a snapshot in memory, so that only writes go to the database while a caller waits.

mod agents;
mod bills;
mod calls;
mod configurations;
mod directory;
mod error;
mod generations;
mod ids;
mod keyring;
pub mod mask;
mod model;
mod names;
mod numbers;
mod organizations;
mod reseal;
mod rollouts;
mod secret;
mod shared;
mod sign_ins;
mod store;
mod writer;

pub use bills::DueBill;
pub use directory::{ANY_NUMBER, Directory};
pub use error::StoreError;
pub use ids::{new_call_id, new_id, new_id_at};
pub use keyring::{Keyring, KeyringError};
pub use model::{
    Agent, ApiToken, Call, CallChange, CallEvent, CallFilter, Configuration, DEFAULT_ORGANIZATION, Generation,
    Inserted, NewCall, NewEvent, Organization, Page, PhoneNumber, RolloutRecord, SignIn,
};
pub use secret::Secret;
pub use shared::{Admission, CallLimit, MediaGrant, NewMediaGrant, Shared, SignInFlow, Word};
pub use store::Store;
