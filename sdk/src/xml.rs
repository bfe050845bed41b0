//! Writes XML answers: everything that goes in is escaped, nothing is built from strings.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

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
        self.attributes.push((name, legal(value)));
        self
    }

    /// With text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text = legal(text);
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
        let mut writer = Writer::new(Vec::new());
        // Writing to memory does not fail.
        let written = writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        let written = written.and_then(|()| self.write(&mut writer));
        debug_assert!(written.is_ok(), "memory took it");
        writer.into_inner()
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(self.name);
        start.extend_attributes(self.attributes.iter().map(|(name, value)| (*name, value.as_str())));
        if self.text.is_empty() && self.children.is_empty() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        if !self.text.is_empty() {
            writer.write_event(Event::Text(BytesText::new(&self.text)))?;
        }
        self.children.iter().try_for_each(|child| child.write(writer))?;
        writer.write_event(Event::End(BytesEnd::new(self.name)))
    }
}

/// Without the characters that XML 1.0 forbids even as references.
fn legal(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    text.chars().filter(allowed).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use quick_xml::Reader;

    fn read(document: &[u8]) -> (String, String, usize) {
        let mut reader = Reader::from_reader(document);
        let (mut attribute, mut text, mut elements) = (String::new(), String::new(), 0);
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) | Event::Empty(start) => {
                    elements += 1;
                    for found in start.attributes() {
                        let raw = String::from_utf8(found.unwrap().value.into_owned()).unwrap();
                        attribute = quick_xml::escape::unescape(&raw).unwrap().into_owned();
                    }
                }
                Event::Text(part) => text.push_str(&quick_xml::escape::unescape(std::str::from_utf8(&part).unwrap()).unwrap()),
                Event::GeneralRef(name) => {
                    let entity = format!("&{};", std::str::from_utf8(&name).unwrap());
                    text.push_str(&quick_xml::escape::unescape(&entity).unwrap());
                }
                Event::Eof => return (attribute, text, elements),
                _ => {}
            }
        }
    }

    #[test]
    fn whatever_goes_in_is_what_is_read_back() {
        for hostile in ["\"<>&'", "]]><!-- --><?x?>", "</Say><Hangup/>", "a&amp;b", "caf\u{e9} \u{1F600}", "&#0;"] {
            let document = Element::new("Response").attribute("url", hostile).child(Element::new("Say").text(hostile)).document();
            assert_eq!(read(&document), (hostile.to_owned(), hostile.to_owned(), 2), "{hostile:?}");
        }
    }

    #[test]
    fn characters_that_xml_forbids_are_left_out() {
        let document = Element::new("Say").text("a\u{0}\u{8}\u{b}\u{1f}\u{fffe}b").document();
        assert_eq!(read(&document).1, "ab");
    }
}
