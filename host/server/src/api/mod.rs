//! The REST API for operators, and the one table of all routes.
//!
//! Promises: every route is in [`routes`] with the access it needs, and in `openapi.json`; a listener that is not for
//! operators answers theirs as if they were not there; a request that says more
//! than is asked for is refused; every refusal is a problem document with a stable type and what to do; secrets leave
//! masked or not at all.

mod account_form;
mod address;
mod agents;
mod auth;
mod calls;
mod configurations;
mod idempotency;
mod json;
mod limiter;
mod numbers;
mod organizations;
mod page;
mod plugins;
mod probes;
mod problem;
mod providers;
mod routes;
mod sign_ins;
#[cfg(test)]
mod tests;
mod tokens;
mod transfers;

pub(crate) use address::canonical;
pub(crate) use auth::Caller;
pub use auth::{Admin, digest_of_token};
pub(crate) use idempotency::Answered;
pub(crate) use problem::{Kind, Problem};
pub use routes::Audience;
pub(crate) use routes::router;

/// A name that people gave something: one line, not too long.
fn name(field: &str, typed: &str) -> Result<String, Problem> {
    let typed = typed.trim();
    let fits = (1..=100).contains(&typed.chars().count()) && !typed.chars().any(char::is_control);
    if fits {
        Ok(typed.to_owned())
    } else {
        Err(Problem::invalid(format!("`{field}` has 1 to 100 characters in one line")))
    }
}
