//! HTTP ingress: connections and requests within limits, before any handler sees them.
//!
//! Promises: slow or endless heads and bodies are cut off; one address cannot take all connections; forwarded headers
//! count only from listed proxies; every request gets an answer, also when a handler panics. hyper parses: a request
//! with both a length and a transfer encoding is read by the encoding and its connection closed, so that nothing can
//! be smuggled behind it; lengths that differ or are no plain number are refused.

mod body;
mod doors;
mod guard;
mod proxies;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use body::{BodyRefusal, read_body, read_within};
pub(crate) use doors::{Doors, bucket};
pub(crate) use guard::Client;
pub use proxies::TrustedProxies;
pub use server::serve;
