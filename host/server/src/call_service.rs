//! What the REST API asks of calls: place, hang up, and look at what the provider has.

use jackfield_store::StoreError;

/// An outbound call, as an operator orders it.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    /// Id or name.
    pub agent: String,
    pub to: String,
    /// One of the configuration's numbers; the first of them when absent.
    pub from: Option<String>,
    /// Id or name; found by `from`, or the only one that can place calls, when absent.
    pub configuration: Option<String>,
}

/// A number that the provider says the account has.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AvailableNumber {
    pub number: String,
    pub label: String,
    /// The webhook it has at the provider; empty for none.
    pub webhook: String,
}

/// Why something about a call could not be done, by whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum CallProblem {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The order cannot be carried out as it is.
    #[error("{0}")]
    Invalid(String),
    /// The provider said no.
    #[error("the provider refused ({code}): {message}")]
    Provider { code: String, message: String },
    /// The provider could not be asked, or did not answer.
    #[error("{0}")]
    ProviderUnavailable(String),
    /// The host takes no new calls.
    #[error("the host is draining and takes no new calls; use another node or wait for the restart")]
    Draining,
    /// A limit of this host.
    #[error("{0}")]
    Limit(String),
    /// The plugin failed.
    #[error("{0}")]
    Plugin(String),
    /// The database failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}
