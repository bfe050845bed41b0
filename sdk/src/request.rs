//! Reads a webhook's headers.

use crate::types::{Disproof, Request};

/// The first header of that name (lower case).
pub fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
}

/// A header that decides whether a request is genuine: exactly one, and not empty.
///
/// # Errors
/// `unsigned` when it is absent, `malformed` when it is empty or there twice.
pub fn security_header<'a>(request: &'a Request, name: &str) -> Result<&'a str, Disproof> {
    let mut values = request.headers.iter().filter(|(header, _)| header == name);
    match (values.next(), values.next()) {
        (None, _) => Err(Disproof::Unsigned),
        (Some(_), Some(_)) => Err(Disproof::Malformed(format!("{name} is there twice"))),
        (Some((_, value)), None) if value.is_empty() => Err(Disproof::Malformed(format!("{name} is empty"))),
        (Some((_, value)), None) => Ok(value),
    }
}

/// The media type, without parameters, in lower case.
pub fn media_type(request: &Request) -> String {
    let value = header(request, "content-type").unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
