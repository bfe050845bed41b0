//! A provider's API that answers what the input says, and looks at what it is asked.

use std::cell::RefCell;

use jackfield_sdk::http::Http;
use jackfield_sdk::types::{HttpError, HttpRequest, HttpResponse};

use crate::account::authorized;
use crate::exports::About;
use crate::input::{Parts, pairs, text};

/// The host refuses to send more for one order, by its defaults.
const REQUESTS: usize = 32;

/// The answers that are left, and how many were given.
pub(crate) struct Api<'a> {
    about: &'a About,
    state: RefCell<(Parts<'a>, usize)>,
}

impl<'a> Api<'a> {
    pub(crate) fn new(about: &'a About, answers: &Parts<'a>) -> Self {
        Self { about, state: RefCell::new((answers.clone(), 0)) }
    }
}

impl Http for Api<'_> {
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let (answers, sent) = &mut *self.state.borrow_mut();
        *sent += 1;
        assert!(*sent <= 4 * REQUESTS, "a plugin that does not stop asking");
        if *sent > REQUESTS {
            return Err(HttpError::Denied("no more requests".to_owned()));
        }
        proper(self.about, request);
        answers.next().map_or_else(|| Err(HttpError::Unreachable(String::new())), answer)
    }
}

/// A status and headers in lines, an empty line, and the body; or the first letter of an error.
fn answer(part: &[u8]) -> Result<HttpResponse, HttpError> {
    let end = part.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((part, &[][..]), |end| (&part[..end], &part[end + 2..]));
    let head = text(head);
    let (status, headers) = head.split_once('\n').unwrap_or((&head, ""));
    match (status.parse(), status) {
        (Ok(status), _) => Ok(HttpResponse { status, headers: pairs(headers, ": "), body: body.to_vec() }),
        (_, "d") => Err(HttpError::Denied(String::new())),
        (_, "n") => Err(HttpError::NoAnswer(String::new())),
        (_, "t") => Err(HttpError::TooLarge),
        (_, "o") => Err(HttpError::Other(String::new())),
        _ => Err(HttpError::Unreachable(String::new())),
    }
}

/// Whatever is in a call, a number or an earlier answer, a request goes where the plugin said it would go.
fn proper(about: &About, request: &HttpRequest) {
    assert!(matches!(request.method.as_str(), "GET" | "POST" | "PUT" | "PATCH" | "DELETE"), "{}", request.method);
    assert!(request.headers.iter().all(|(name, value)| is_header(name, value)), "{:?}", request.headers);
    authorized(&about.provider, &request.authorization);
    goes_where_it_may(about, &request.url);
}

/// The host is one that is described, and no part of the path climbs.
fn goes_where_it_may(about: &About, url: &str) {
    assert!(url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{url:?} is no URL");
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let fits = |pattern: &String| match pattern.strip_prefix('{').and_then(|field| field.strip_suffix('}')) {
        // An endpoint of the operator's own, with its scheme.
        Some(field) => about.account.fields.iter().any(|(name, value)| {
            name == field && value.trim_end_matches('/').split_once("://") == Some((scheme, host))
        }),
        None => scheme == "https" && is_host(host, pattern),
    };
    assert!(about.provider.hosts.iter().any(fits), "{url} is a host that is not described");
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let climbs = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    assert!(!path.split('/').any(climbs), "{url} climbs");
}

fn is_host(host: &str, pattern: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|own| own.ends_with('.') && is_name(own)),
        None => host == pattern,
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// Nothing in a header's name or value makes two of it.
pub(crate) fn is_header(name: &str, value: &str) -> bool {
    let plain = |byte: u8| !matches!(byte, b'\r' | b'\n' | 0);
    !name.is_empty() && is_name(name) && value.bytes().all(plain)
}
