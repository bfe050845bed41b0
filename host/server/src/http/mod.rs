//! HTTP ingress: connections and requests within limits, before any handler sees them.
//!
//! Promises: slow or endless heads and bodies are cut off; one address cannot take all connections; forwarded headers
//! count only from listed proxies; every request gets an answer, also when a handler panics. hyper parses; lengths that
//! differ or are no plain number it refuses itself. What it would settle silently, a length beside a transfer encoding or the
//! same length twice, is refused too, and the connection closed, so that nothing can be smuggled behind it.

mod body;
mod doors;
mod framing;
mod guard;
mod proxies;
mod server;
#[cfg(test)]
mod tests;

pub(crate) use body::{BodyRefusal, read_body, read_within};
pub(crate) use doors::{Doors, bucket};
pub(crate) use framing::Followed;
pub(crate) use guard::Client;
pub use proxies::TrustedProxies;
pub use server::serve;
