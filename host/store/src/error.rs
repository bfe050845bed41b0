//! What can go wrong with stored state.

use crate::keyring::KeyringError;

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// configuration, number, agent, call.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// Something else has the name, or depends on it.
    #[error("{0}")]
    Conflict(String),
    /// The database did not do it.
    #[error("the database cannot be used: {0}")]
    Unavailable(String),
    /// Redis did not do it.
    #[error("Redis cannot be used: {0}")]
    Shared(String),
    /// A secret does not open.
    #[error("{0}")]
    Sealed(#[from] KeyringError),
    /// A row is not what this host writes.
    #[error("a stored {0} is damaged")]
    Damaged(&'static str),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl StoreError {
    /// A unique constraint as a sentence; anything else as it is.
    pub(crate) fn conflict(error: sqlx::Error, sentence: &str) -> Self {
        if is_conflict(&error) { Self::Conflict(sentence.to_owned()) } else { error.into() }
    }
}

pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    let database = error.as_database_error();
    database.is_some_and(|database| database.is_unique_violation() || database.is_foreign_key_violation())
}
