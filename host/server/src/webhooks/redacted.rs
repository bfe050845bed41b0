//! What a webhook looked like, without what it said: names and shapes, for whoever has to find out why a plugin failed at it.

use jackfield_plugins::types::Request;
use serde_json::{Map, Value, json};

/// Fields of a form, an object or the headers that are shown, and items of a list.
const FIELDS: usize = 60;
const ITEMS: usize = 4;
/// Characters of a text that are shown.
const LONGEST: usize = 80;
/// Digits in a row that a name may have: more are a number that somebody put there.
const DIGITS: usize = 4;

/// Digits are shown as `0`, letters as `a`, `A` or `\u{e4}`, control characters by their pictures.
pub(crate) fn redacted(request: &Request) -> Value {
    let headers = request.headers.iter().take(FIELDS).map(|(name, value)| (named(name), json!(masked(value))));
    json!({
        "method": request.method,
        "url": url(&request.url),
        "headers": headers.collect::<Map<_, _>>(),
        "bytes": request.body.len(),
        "body": body(request),
    })
}

/// The words of a path stay; what names a call, an account or a person does not.
fn url(url: &str) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = path.split_once("/api/").map_or(path, |(_, path)| path);
    let word = |part: &str| match part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
        true => part.to_owned(),
        false => masked(part),
    };
    let path: Vec<String> = path.split('/').map(word).collect();
    let query: Vec<String> = form_urlencoded::parse(query.as_bytes()).take(FIELDS).map(pair).collect();
    format!("{}{}{}", path.join("/"), if query.is_empty() { "" } else { "?" }, query.join("&"))
}

fn pair((name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)) -> String {
    format!("{}={}", named(&name), masked(&value))
}

fn body(request: &Request) -> Value {
    if let Ok(value) = serde_json::from_slice::<Value>(&request.body) {
        return shape(&value);
    }
    // A field that is there twice is shown twice: that may be what is wrong.
    let fields = form_urlencoded::parse(&request.body).take(FIELDS);
    fields.map(|field| json!(pair(field))).collect::<Vec<_>>().into()
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().take(FIELDS).map(|(name, value)| (named(name), shape(value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => {
            let more = items.len().checked_sub(ITEMS).filter(|more| *more > 0);
            let more = more.map(|more| json!(format!("and {more} more")));
            items.iter().take(ITEMS).map(shape).chain(more).collect::<Vec<_>>().into()
        }
        Value::String(text) => json!(masked(text)),
        Value::Number(number) => json!(format!("number {}", masked(&number.to_string()))),
        Value::Bool(_) | Value::Null => value.clone(),
    }
}

/// Names come from protocols, unless somebody made them up.
fn named(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
    let digits = name.chars().filter(char::is_ascii_digit).count();
    if name.chars().all(plain) && digits <= DIGITS && name.len() <= LONGEST { name.to_owned() } else { masked(name) }
}

fn masked(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST).map(class).collect();
    let length = text.chars().count();
    if length > LONGEST {
        shown.push_str(&format!("\u{2026} ({length} characters)"));
    }
    shown
}

fn class(c: char) -> char {
    match c {
        '0'..='9' => '0',
        'a'..='z' => 'a',
        'A'..='Z' => 'A',
        ' '..='~' => c,
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{25a1}'),
        c if c.is_alphabetic() => '\u{e4}',
        _ => '\u{25a1}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str, body: &str) -> Value {
        let headers = vec![("x-signature".to_owned(), "q9Z=".to_owned())];
        redacted(&Request { method: "POST".to_owned(), url: url.to_owned(), headers, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn shapes_are_shown_and_nothing_that_was_said() {
        let form = shown(
            "https://gw.example.net/api/v1/telephony/twilio/status/call_0a9F?To=%2B14155550123",
            "CallSid=CA12ab&CallSid=&From=%2B14155550123&Name=J%C3%B6rg%00%F0%9F%98%80",
        );
        assert_eq!(form["url"], "a0/telephony/twilio/status/aaaa_0a0A?To=+00000000000");
        assert_eq!(form["headers"], json!({ "x-signature": "a0A=" }));
        assert_eq!(
            form["body"],
            json!(["CallSid=AA00aa", "CallSid=", "From=+00000000000", "Name=A\u{e4}aa\u{2400}\u{25a1}"])
        );
        let json = shown("/", r#"{"to": "+1415", "legs": [1, 2, 3, 4, 5, 6], "14155550123": null, "ok": true}"#);
        let legs = ["number 0", "number 0", "number 0", "number 0", "and 2 more"];
        assert_eq!(json["body"], json!({ "to": "+0000", "legs": legs, "00000000000": null, "ok": true }));
    }

    #[test]
    fn what_is_long_is_cut() {
        let long = shown("/", &format!("a={}", "9".repeat(60_000)));
        let text = long.to_string();
        assert!(text.len() < 500 && text.contains("(60000 characters)"), "{text}");
        let many = shown("/", &"a=1&".repeat(9_999));
        assert_eq!(many["body"].as_array().map(Vec::len), Some(FIELDS));
    }
}
