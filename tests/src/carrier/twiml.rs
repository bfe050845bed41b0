//! Reads TwiML as Twilio would: well-formed, one `Response`, verbs in order.

use anyhow::{Context, Result, bail, ensure};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// What a document asks for, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    Stream(StreamVerb),
    Say(String),
    Hangup,
    Reject(String),
    Other(String),
}

/// `<Connect><Stream>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamVerb {
    pub url: String,
    pub status_callback: Option<String>,
    pub parameters: Vec<(String, String)>,
}

/// The verbs of a document.
pub fn parse(document: &str) -> Result<Vec<Verb>> {
    ensure!(document.len() <= 64 << 10, "TwiML may have 64 KiB, and this has {} bytes", document.len());
    let mut reader = Reader::from_str(document);
    let (mut verbs, mut open, mut said) = (Vec::new(), Vec::new(), String::new());
    loop {
        match reader.read_event().context("the document is not well-formed XML")? {
            Event::Start(element) => {
                begin(&element, &open, &mut verbs)?;
                open.push(name_of(&element));
            }
            Event::Empty(element) => begin(&element, &open, &mut verbs)?,
            Event::End(_) => {
                let closed = open.pop();
                if closed.as_deref() == Some("Say") {
                    verbs.push(Verb::Say(std::mem::take(&mut said)));
                }
            }
            Event::Text(text) if open.last().is_some_and(|name| name == "Say") => said.push_str(&text.decode()?),
            Event::GeneralRef(name) if open.last().is_some_and(|name| name == "Say") => {
                said.push(resolve(&name.decode()?)?);
            }
            Event::DocType(_) => bail!("TwiML has no document type"),
            Event::Eof if open.is_empty() => return Ok(verbs),
            Event::Eof => bail!("the document ends within {open:?}"),
            _ => {}
        }
    }
}

fn begin(element: &BytesStart<'_>, open: &[String], verbs: &mut Vec<Verb>) -> Result<()> {
    let (name, attributes) = (name_of(element), attributes_of(element)?);
    let of = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    match (open.last().map(String::as_str), name.as_str()) {
        (None, "Response") | (Some("Response"), "Say" | "Connect") => {}
        (None, other) => bail!("the root must be Response, and is {other}"),
        (Some("Response"), "Hangup") => verbs.push(Verb::Hangup),
        (Some("Response"), "Reject") => verbs.push(Verb::Reject(of("reason").unwrap_or_default())),
        (Some("Connect"), "Stream") => {
            let url = of("url").context("Stream needs a url")?;
            ensure!(url.starts_with("wss://"), "Stream takes wss only, and this is {url}");
            ensure!(!url.contains('?'), "a Stream URL has no query, and this is {url}");
            verbs.push(Verb::Stream(StreamVerb { url, status_callback: of("statusCallback"), parameters: Vec::new() }));
        }
        (Some("Stream"), "Parameter") => match verbs.last_mut() {
            Some(Verb::Stream(stream)) => {
                let name = of("name").context("Parameter needs a name")?;
                stream.parameters.push((name, of("value").unwrap_or_default()));
            }
            _ => bail!("a Parameter outside a Stream"),
        },
        (Some(_), other) => verbs.push(Verb::Other(other.to_owned())),
    }
    Ok(())
}

fn name_of(element: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(element.name().as_ref()).into_owned()
}

fn attributes_of(element: &BytesStart<'_>) -> Result<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    for attribute in element.attributes() {
        let attribute = attribute.context("a damaged attribute")?;
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        attributes.push((name, unescape(std::str::from_utf8(&attribute.value)?)?));
    }
    Ok(attributes)
}

fn unescape(text: &str) -> Result<String> {
    quick_xml::escape::unescape(text).map(std::borrow::Cow::into_owned).context("an entity XML does not have")
}

fn resolve(entity: &str) -> Result<char> {
    unescape(&format!("&{entity};"))?.chars().next().context("an empty entity")
}

/// The stream that a document asks for first.
pub fn stream_of(verbs: Vec<Verb>) -> Result<StreamVerb> {
    match verbs.into_iter().next() {
        Some(Verb::Stream(stream)) => Ok(stream),
        other => bail!("the document asks for {other:?} where a stream was expected"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_stream_comes_with_its_parameters_unescaped() {
        let verbs = parse(
            r#"<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url="wss://a/b" statusCallback="https://a/?x=1&amp;y=2"><Parameter name="run" value="&lt;7&gt;"/></Stream></Connect></Response>"#,
        );
        let stream = stream_of(verbs.unwrap()).unwrap();
        assert_eq!(stream.status_callback.as_deref(), Some("https://a/?x=1&y=2"));
        assert_eq!(stream.parameters, [("run".to_owned(), "<7>".to_owned())]);
    }

    #[test]
    fn a_sentence_is_heard_with_its_entities() {
        let verbs = parse("<Response><Say>Fish &amp; chips &#33;</Say><Hangup/></Response>").unwrap();
        assert_eq!(verbs, [Verb::Say("Fish & chips !".to_owned()), Verb::Hangup]);
    }

    #[test]
    fn what_twilio_would_refuse_is_refused() {
        let bad = [
            "",
            "not xml",
            "<Response>",
            "<Reply/>",
            "<!DOCTYPE x><Response/>",
            r#"<Response><Connect><Stream url="ws://a/b"/></Connect></Response>"#,
            r#"<Response><Connect><Stream url="wss://a/b?c=d"/></Connect></Response>"#,
            r#"<Response><Say>&bogus;</Say></Response>"#,
        ];
        for document in bad.iter().skip(2) {
            assert!(parse(document).is_err(), "{document}");
        }
        // Nothing at all asks for nothing: the call ends there.
        assert!(bad.iter().take(2).all(|document| parse(document).unwrap().is_empty()));
    }
}
