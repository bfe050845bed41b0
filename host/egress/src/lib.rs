//! The only code that opens connections to providers.
//!
//! Promises: only granted hosts, only public addresses, the address that was checked is the one that is dialled, no
//! redirect, no proxy from the environment, and bounds on size and time.

mod authorization;
mod client;
mod dial;
mod networks;
mod object_store;
mod operator;
pub mod policy;
mod reach;
mod shallow;
#[cfg(test)]
mod tests;

pub use authorization::Authorization;
pub use client::{Egress, EgressError, EgressSettings, Request, Response};
pub use dial::{DialRequest, Socket};
pub use networks::Networks;
pub use object_store::{ObjectStore, ObjectStoreSettings};
pub use operator::{delete_at_host, get_from_host, post_to_host, put_to_host};
pub use policy::Grant;
pub use shallow::Shallow;
