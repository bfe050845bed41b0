//! Form bodies and queries: pairs in wire order, repeated names kept.

use std::borrow::Cow;

use crate::types::Request;

/// A name and its value, decoded. Where there was nothing to decode they are the request's own text.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Decoded pairs, in wire order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form<'a>(Vec<Pair<'a>>);

impl<'a> Form<'a> {
    /// Reads `application/x-www-form-urlencoded` bytes.
    pub fn parse(bytes: &'a [u8]) -> Self {
        // Room at once: in a guest, to grow costs as much as to read.
        let mut pairs = Vec::with_capacity(bytes.iter().filter(|byte| **byte == b'&').count() + 1);
        pairs.extend(form_urlencoded::parse(bytes));
        Self(pairs)
    }

    /// The body of a POST, else the query: where providers put their parameters.
    pub fn of(request: &'a Request) -> Self {
        if request.method == "GET" {
            Self::parse(query(&request.url).unwrap_or_default().as_bytes())
        } else {
            Self::parse(&request.body)
        }
    }

    /// The first value of that name; nothing if it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(field, _)| field == name);
        value.map(|(_, value)| value.as_ref()).filter(|value| !value.is_empty())
    }

    /// All pairs.
    pub fn pairs(&self) -> &[Pair<'a>] {
        &self.0
    }

    /// The fields of these names that say something, as the provider wrote them.
    pub fn told(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let says = |(name, value): &&Pair<'_>| wanted(name) && !value.is_empty();
        self.0.iter().filter(says).map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }
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
        let pairs: Vec<(&str, &str)> =
            form.pairs().iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        assert_eq!(pairs, [("a", "2"), ("b", ""), ("a", "1"), ("plus", "+1 x"), ("café", "té")]);
        assert_eq!(form.get("b"), None);
        assert_eq!(form.get("a"), Some("2"));
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
