//! Form bodies and queries: pairs in wire order, repeated names kept.

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

/// Room at once for as many pairs as most have: in a guest, to grow costs as much as to read.
const ROOM: usize = 32;

thread_local! {
    /// The last request's. A plugin hears of the same request up to three times, and to read it costs as much as all else.
    static LAST: RefCell<Form> = RefCell::default();
}

impl Form {
    /// Reads `application/x-www-form-urlencoded` bytes.
    pub fn parse(bytes: &[u8]) -> Self {
        let wire = str::from_utf8(bytes).ok().map(str::to_owned);
        let (mut pairs, mut from) = (Vec::with_capacity(ROOM), 0);
        for pair in bytes.split(|byte| *byte == b'&') {
            pairs.extend(wire.as_ref().and_then(|_| plain(pair, from)).or_else(|| decoded(pair)));
            from += pair.len() + 1;
        }
        Self(Rc::new(Pairs { wire, pairs }))
    }

    /// The body of a POST, else the query: where providers put their parameters.
    pub fn of(request: &Request) -> Self {
        let bytes = match request.method.as_str() {
            "GET" => query(&request.url).unwrap_or_default().as_bytes(),
            _ => &request.body,
        };
        LAST.with_borrow_mut(|last| {
            if !last.0.wire.as_ref().is_some_and(|wire| same(wire.as_bytes(), bytes)) {
                *last = Self::parse(bytes);
            }
            last.clone()
        })
    }

    /// The first value of that name; nothing if it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let wire = self.0.wire.as_deref().unwrap_or_default();
        let pair = self.0.pairs.iter().find(|(field, _)| field.is(name, wire));
        pair.map(|(_, value)| value.text(wire)).filter(|value| !value.is_empty())
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
    fn is(&self, text: &str, wire: &str) -> bool {
        match self {
            Self::Plain(from, to) => to - from == text.len() && wire.as_bytes()[*from..*to] == *text.as_bytes(),
            Self::Decoded(decoded) => decoded == text,
        }
    }

    fn text<'a>(&'a self, wire: &'a str) -> &'a str {
        match self {
            Self::Plain(from, to) => &wire[*from..*to],
            Self::Decoded(text) => text,
        }
    }
}

/// A pair that has nothing to decode, as most have not, and stands at this place of the wire's text.
fn plain(pair: &[u8], from: usize) -> Option<(Part, Part)> {
    let mut equals = None;
    for (at, byte) in pair.iter().enumerate() {
        match byte {
            b'%' | b'+' => return None,
            b'=' if equals.is_none() => equals = Some(at),
            _ => {}
        }
    }
    let (name, to) = (from + equals.unwrap_or(pair.len()), from + pair.len());
    (!pair.is_empty()).then(|| (Part::Plain(from, name), Part::Plain(to.min(name + 1), to)))
}

/// Any other, as the standard has it; nothing where nothing is said.
fn decoded(pair: &[u8]) -> Option<(Part, Part)> {
    let (name, value) = form_urlencoded::parse(pair).next()?;
    Some((Part::Decoded(name.into_owned()), Part::Decoded(value.into_owned())))
}

/// The same bytes? Eight at a time: compared one by one, as guests do it, a body takes as long as to be read.
fn same(one: &[u8], other: &[u8]) -> bool {
    let (words, rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    let same = |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
    one.len() == other.len() && words.iter().zip(other_words).all(same) && rest == other_rest
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
    use proptest::prelude::*;

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
        let form = Form::parse(b"a=\xFF&plain=1&b=%FF");
        let pairs: Vec<(&str, &str)> = form.pairs().collect();
        assert_eq!(pairs, [("a", "\u{FFFD}"), ("plain", "1"), ("b", "\u{FFFD}")]);
    }

    #[test]
    fn odd_pairs_are_read_as_the_standard_has_it() {
        for odd in
            ["", "&", "&&a=1&", "=", "a", "a&b", "=a", "a=b=c", "a==", "%", "%4", "a%3Db=c%26d", "+=+", "é=ü", "a=1&&é"]
        {
            let form = Form::parse(odd.as_bytes());
            let standard: Vec<_> = form_urlencoded::parse(odd.as_bytes()).into_owned().collect();
            let pairs: Vec<(String, String)> =
                form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(pairs, standard, "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_the_standard_has_it(bytes in prop::collection::vec(prop::sample::select(&b"ab=&%+4F\xC3\xA9\xFF"[..]), 0..40)) {
            let standard: Vec<_> = form_urlencoded::parse(&bytes).into_owned().collect();
            let form = Form::parse(&bytes);
            let pairs: Vec<(String, String)> = form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(pairs, standard);
        }

        #[test]
        fn the_same_bytes_are_told_from_others(bytes in prop::collection::vec(0..2u8, 0..40), at in 0..40usize) {
            let mut other = bytes.clone();
            prop_assert!(same(&bytes, &other));
            if let Some(byte) = other.get_mut(at) {
                *byte ^= 1;
                prop_assert!(!same(&bytes, &other));
            }
            other.push(0);
            prop_assert!(!same(&bytes, &other));
        }
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
