//! Reads an account.

use crate::types::{Account, Fault, FieldProblem};

/// The value of a non-secret field; nothing if it is absent or empty.
pub fn field<'a>(account: &'a Account, name: &str) -> Option<&'a str> {
    let value = account.fields.iter().find(|(field, _)| field == name);
    value.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// The value of a field without which nothing works.
///
/// # Errors
/// Names the field.
pub fn required<'a>(account: &'a Account, name: &str) -> Result<&'a str, Fault> {
    field(account, name).ok_or_else(|| Fault::Account(format!("fill in the field `{name}`")))
}

/// Is a switch on?
pub fn is_on(account: &Account, name: &str) -> bool {
    field(account, name).is_some_and(|value| matches!(value, "true" | "1" | "yes" | "on"))
}

/// Does a secret field hold a value?
pub fn has_secret(account: &Account, name: &str) -> bool {
    account.secrets.iter().any(|secret| secret == name)
}

/// What is wrong with a field, and what to put there.
pub fn problem(field: &str, message: &str) -> FieldProblem {
    FieldProblem { field: field.to_owned(), message: message.to_owned() }
}
