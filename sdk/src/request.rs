//! Reads a webhook's headers.

use crate::types::{Disproof, Request};

/// Every header of that name (lower case), in wire order.
pub fn headers<'a>(request: &'a Request, name: &str) -> impl Iterator<Item = &'a str> {
    request.headers.iter().filter(move |(header, _)| header == name).map(|(_, value)| value.as_str())
}

/// The first header of that name (lower case).
pub fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    headers(request, name).next()
}

/// A header that decides whether a request is genuine: exactly one, and not empty.
///
/// # Errors
/// `unsigned` when it is absent, `malformed` when it is empty or there twice.
pub fn security_header<'a>(request: &'a Request, name: &str) -> Result<&'a str, Disproof> {
    optional_security_header(request, name)?.ok_or(Disproof::Unsigned)
}

/// The same for a header that may be absent.
///
/// # Errors
/// `malformed` when it is empty or there twice.
pub fn optional_security_header<'a>(request: &'a Request, name: &str) -> Result<Option<&'a str>, Disproof> {
    let mut values = headers(request, name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Disproof::Malformed(format!("{name} is there twice"))),
        (Some(""), None) => Err(Disproof::Malformed(format!("{name} is empty"))),
        (value, None) => Ok(value),
    }
}

/// The media type, without parameters, in lower case.
pub fn media_type(request: &Request) -> String {
    let value = header(request, "content-type").unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { method: "POST".to_owned(), url: "https://a/".to_owned(), headers, body: Vec::new() }
    }

    #[test]
    fn a_security_header_counts_only_when_it_is_there_once() {
        assert_eq!(security_header(&request(&[("sig", "a")]), "sig"), Ok("a"));
        assert_eq!(security_header(&request(&[("other", "a")]), "sig"), Err(Disproof::Unsigned));
        for wrong in [&[("sig", "a"), ("sig", "a")][..], &[("sig", "")], &[("sig", ""), ("sig", "a")]] {
            assert!(matches!(security_header(&request(wrong), "sig"), Err(Disproof::Malformed(_))), "{wrong:?}");
        }
        assert_eq!(optional_security_header(&request(&[]), "sig"), Ok(None));
    }

    #[test]
    fn a_media_type_has_no_parameters_and_one_case() {
        let typed = |value| media_type(&request(&[("content-type", value)]));
        assert_eq!(typed("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), "application/x-www-form-urlencoded");
        assert_eq!(media_type(&request(&[])), "");
    }
}
