//! Writes account fields shortly.

use crate::types::{Field, FieldKind};

/// A line of text that is shown as it is, and may be left out.
pub fn text(name: &str, label: &str, help: &str) -> Field {
    Field {
        name: name.to_owned(),
        label: label.to_owned(),
        kind: FieldKind::Text,
        secret: false,
        masked: false,
        required: false,
        help: help.to_owned(),
        placeholder: String::new(),
        options: Vec::new(),
        default: None,
    }
}

/// A secret: sealed by the host, never seen by the plugin.
pub fn secret(name: &str, label: &str, help: &str) -> Field {
    Field { kind: FieldKind::Password, secret: true, masked: true, ..text(name, label, help) }
}

/// The same field, without which nothing works.
#[must_use]
pub fn required(field: Field) -> Field {
    Field { required: true, ..field }
}

/// What a caller's webhook is answered with when the plugin itself cannot answer any more: a document that is legal for the
/// provider and ends the call. For [`Provider::extra`](crate::types::Provider).
pub fn fallback(content_type: &str, body: &str) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![pair("fallback-type", content_type), pair("fallback-body", body)]
}
