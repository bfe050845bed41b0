//! Form bodies and queries: pairs in wire order, repeated names kept.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use crate::types::Request;

/// Decoded pairs, in wire order. A clone shares them.
#[derive(Debug, Clone, Default)]
pub struct Form(Rc<Pairs>);

#[derive(Debug, Default)]
struct Pairs {
    /// What they were read from. Nothing where that is no text at all.
    wire: Option<String>,
    pairs: Vec<(Part, Part)>,
}

/// A name or a value.
#[derive(Debug)]
enum Part {
    /// Nothing was to be decoded: from this place of the wire's text to that.
    Plain(usize, usize),
    Decoded(String),
}

thread_local! {
    /// The last request's. A plugin hears of the same request up to three times, and to read it costs as much as all else.
    static LAST: RefCell<Form> = RefCell::default();
}

impl Form {
    /// Reads `application/x-www-form-urlencoded` bytes.
    pub fn parse(bytes: &[u8]) -> Self {
        let wire = str::from_utf8(bytes).ok().map(str::to_owned);
        // Room at once: in a guest, to grow costs as much as to read.
        let mut pairs = Vec::with_capacity(bytes.iter().filter(|byte| **byte == b'&').count() + 1);
        let read = form_urlencoded::parse(wire.as_ref().map_or(bytes, String::as_bytes));
        pairs.extend(read.map(|(name, value)| (Part::of(name, wire.as_deref()), Part::of(value, wire.as_deref()))));
        Self(Rc::new(Pairs { wire, pairs }))
    }

    /// The body of a POST, else the query: where providers put their parameters.
    pub fn of(request: &Request) -> Self {
        let bytes = match request.method.as_str() {
            "GET" => query(&request.url).unwrap_or_default().as_bytes(),
            _ => &request.body,
        };
        LAST.with_borrow_mut(|last| {
            if last.0.wire.as_ref().is_none_or(|wire| wire.as_bytes() != bytes) {
                *last = Self::parse(bytes);
            }
            last.clone()
        })
    }

    /// The first value of that name; nothing if it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.pairs().find(|(field, _)| *field == name);
        value.map(|(_, value)| value).filter(|value| !value.is_empty())
    }

    /// All pairs, each a name and its value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let wire = self.0.wire.as_deref().unwrap_or_default();
        self.0.pairs.iter().map(move |(name, value)| (name.text(wire), value.text(wire)))
    }

    /// The fields of these names that say something, as the provider wrote them.
    pub fn told(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let says = |(name, value): &(&str, &str)| wanted(name) && !value.is_empty();
        self.pairs().filter(says).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl Part {
    fn of(read: Cow<'_, str>, wire: Option<&str>) -> Self {
        let place = match &read {
            Cow::Borrowed(text) => wire.and_then(|wire| place(text, wire)),
            Cow::Owned(_) => None,
        };
        place.map_or_else(|| Self::Decoded(read.into_owned()), |(from, to)| Self::Plain(from, to))
    }

    fn text<'a>(&'a self, wire: &'a str) -> &'a str {
        match self {
            Self::Plain(from, to) => &wire[*from..*to],
            Self::Decoded(text) => text,
        }
    }
}

/// Where a text stands that was cut out of this one; what is missing on the wire was not.
fn place(text: &str, wire: &str) -> Option<(usize, usize)> {
    let from = text.as_ptr().addr().checked_sub(wire.as_ptr().addr())?;
    let to = from.checked_add(text.len()).filter(|to| *to <= wire.len())?;
    Some((from, to))
}

/// The raw query of a URL.
pub fn query(url: &str) -> Option<&str> {
    url.split_once('?').map(|(_, query)| query)
}

/// Writes a form body.
pub fn encode<K: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (K, V)>) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes()
}

/// Percent-encodes one part of a URL's path or query.
pub fn component(text: &str) -> String {
    // URLs are read so that these, encoded or not, climb out of their place in a path. Encoded twice they name nothing.
    if matches!(text, "." | "..") {
        return text.replace('.', "%252E");
    }
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_empty_values_are_kept_in_order() {
        let form = Form::parse(b"a=2&b=&a=1&plus=%2B1+x&caf%C3%A9=t%C3%A9");
        let pairs: Vec<(&str, &str)> = form.pairs().collect();
        assert_eq!(pairs, [("a", "2"), ("b", ""), ("a", "1"), ("plus", "+1 x"), ("café", "té")]);
        assert_eq!(form.get("b"), None);
        assert_eq!(form.get("a"), Some("2"));
    }

    #[test]
    fn bytes_that_are_no_text_are_read_as_far_as_they_go() {
        let form = Form::parse(b"a=\xFF&plain=1&b=%FF&=&c");
        let pairs: Vec<(&str, &str)> = form.pairs().collect();
        assert_eq!(pairs, [("a", "\u{FFFD}"), ("plain", "1"), ("b", "\u{FFFD}"), ("", ""), ("c", "")]);
    }

    #[test]
    fn each_request_has_its_own_form() {
        let of = |method: &str, url: &str, body: &[u8]| {
            let (method, url) = (method.to_owned(), url.to_owned());
            let form = Form::of(&Request { method, url, headers: Vec::new(), body: body.to_vec() });
            form.get("a").map(str::to_owned)
        };
        for body in [&b"a=1"[..], b"a=1", b"a=2", b"", b"a=\xFF", b"a=\xFE", b"", b"a=1"] {
            assert_eq!(of("POST", "https://h/?a=9", body), Form::parse(body).get("a").map(str::to_owned));
        }
        assert_eq!(of("GET", "https://h/?a=9", b"a=1").as_deref(), Some("9"));
        assert_eq!(of("GET", "https://h/", b"a=1"), None);
    }

    #[test]
    fn a_plus_in_a_number_survives_the_way_out() {
        assert_eq!(encode([("To", "+14155550123")]), b"To=%2B14155550123");
        assert_eq!(component("+1 2"), "%2B1%202");
    }

    #[test]
    fn no_name_climbs_out_of_its_place_in_a_path() {
        assert_eq!([component("."), component("..")], ["%252E", "%252E%252E"]);
        assert_eq!([component("%2e%2e"), component("...")], ["%252e%252e", "..."]);
    }
}
