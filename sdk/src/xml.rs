//! Writes XML answers: everything that goes in is escaped, nothing is built from strings.

/// One element: a name, attributes, and text or children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Self>,
}

impl Element {
    /// An empty element.
    pub fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// With an attribute.
    #[must_use]
    pub fn attribute(mut self, name: &'static str, value: &str) -> Self {
        self.attributes.push((name, escaped(value)));
        self
    }

    /// With text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = escaped(text);
        self
    }

    /// With a child behind the others.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// The document with this element as its root, in UTF-8.
    pub fn document(&self) -> Vec<u8> {
        let mut out = String::with_capacity(512);
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
        self.write(&mut out);
        out.into_bytes()
    }

    fn write(&self, out: &mut String) {
        push(out, &["<", self.name]);
        self.attributes.iter().for_each(|(name, value)| push(out, &[" ", name, "=\"", value, "\""]));
        if self.text.is_empty() && self.children.is_empty() {
            return out.push_str("/>");
        }
        push(out, &[">", &self.text]);
        self.children.iter().for_each(|child| child.write(out));
        push(out, &["</", self.name, ">"]);
    }
}

fn push(out: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| out.push_str(part));
}

/// Safe in text and between double quotes, and read back as it was: a reader turns bare line ends and tabs in an
/// attribute into spaces. The characters that XML 1.0 forbids even as references are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Most text is plain and goes in as it is.
    while let Some((at, c, written)) = rest.char_indices().find_map(|(at, c)| Some((at, c, instead_of(c)?))) {
        push(&mut out, &[&rest[..at], written]);
        rest = &rest[at + c.len_utf8()..];
    }
    out.push_str(rest);
    out
}

/// What is written for a character that cannot stand for itself.
fn instead_of(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\t' => "&#9;",
        '\n' => "&#10;",
        '\r' => "&#13;",
        '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    /// What a reader makes of a document: each element's last attribute, all text, the number of elements.
    fn read(document: &[u8]) -> (String, String, usize) {
        let mut reader = Reader::from_reader(document);
        reader.config_mut().check_end_names = true;
        let (mut attribute, mut text, mut elements) = (String::new(), String::new(), 0);
        let unescaped =
            |raw: &[u8]| quick_xml::escape::unescape(std::str::from_utf8(raw).unwrap()).unwrap().into_owned();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) | Event::Empty(start) => {
                    elements += 1;
                    start.attributes().for_each(|found| attribute = unescaped(&found.unwrap().value));
                }
                Event::Text(part) => text.push_str(&unescaped(&part)),
                Event::GeneralRef(name) => text.push_str(&unescaped(&[b"&", name.as_ref(), b";"].concat())),
                Event::Eof => return (attribute, text, elements),
                _ => {}
            }
        }
    }

    fn document(value: &str) -> Vec<u8> {
        Element::new("Response").attribute("url", value).child(Element::new("Say").text(value)).document()
    }

    #[test]
    fn markup_in_a_value_stays_a_value() {
        for hostile in ["\"<>&'", "]]><!-- --><?x?>", "</Say><Hangup/>", "a&amp;b", "&#0;", "a\r\n\tb"] {
            assert_eq!(read(&document(hostile)), (hostile.to_owned(), hostile.to_owned(), 2), "{hostile:?}");
        }
    }

    #[test]
    fn line_ends_and_tabs_are_references_so_that_no_reader_folds_them() {
        let written = String::from_utf8(document("\r\n\t")).unwrap();
        assert!(!written.contains(['\r', '\n', '\t']), "{written}");
    }

    #[test]
    fn characters_that_xml_forbids_are_left_out() {
        assert_eq!(read(&document("a\u{0}\u{8}\u{b}\u{1f}\u{fffe}\u{ffff}b")).1, "ab");
    }

    proptest! {
        #[test]
        fn whatever_goes_in_is_what_is_read_back(value in any::<String>()) {
            let legal: String = value.chars().filter(|c| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')).collect();
            prop_assert_eq!(read(&document(&value)), (legal.clone(), legal, 2));
        }
    }
}
