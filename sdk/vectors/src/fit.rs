//! Compares what came out with what was expected.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Everything that came out must be as expected; what is expected nowhere must be empty.
pub(super) fn whole(expected: &Value, actual: &Value) -> Result<(), String> {
    differs("", expected, actual).map_or(Ok(()), Err)
}

/// Only the listed answers are looked at, and there is at least one.
pub(super) fn listed(expected: &Value, actual: &Value) -> Result<(), String> {
    let wanted = expected.as_object().filter(|wanted| !wanted.is_empty()).ok_or("expect.json lists nothing")?;
    for (name, expected) in wanted {
        let actual = actual.get(name).ok_or_else(|| format!("there is no answer `{name}`"))?;
        differs(name, expected, actual).map_or(Ok(()), Err)?;
    }
    Ok(())
}

fn differs(path: &str, expected: &Value, actual: &Value) -> Option<String> {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(found)) => {
            let missing = Value::Null;
            let listed = wanted.iter().find_map(|(name, expected)| {
                differs(&format!("{path}/{name}"), expected, found.get(name).unwrap_or(&missing))
            });
            let left_out = || found.iter().find(|(name, value)| !wanted.contains_key(*name) && !is_empty(value));
            listed.or_else(|| left_out().map(|(name, value)| format!("{path}/{name}: unexpected {value}")))
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            let mut pairs = wanted.iter().zip(found).enumerate();
            pairs.find_map(|(index, (expected, actual))| differs(&format!("{path}/{index}"), expected, actual))
        }
        // A case of a variant, whatever its text says.
        (Value::String(name), Value::Object(found)) if found.len() == 1 && found.contains_key(name) => None,
        // A message in JSON, whatever its spaces and order.
        (Value::Object(_), Value::String(text)) => match serde_json::from_str::<Value>(text) {
            Ok(found) if found == *expected => None,
            _ => Some(format!("{path}: expected {expected}, found {actual}")),
        },
        _ => (expected != actual).then(|| format!("{path}: expected {expected}, found {actual}")),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Lists of bytes become text, or `base64:…`.
pub(super) fn readable(value: Value) -> Value {
    match value {
        Value::Array(items) => match bytes(&items) {
            Some(bytes) => Value::String(text_of(bytes)),
            None => Value::Array(items.into_iter().map(readable).collect()),
        },
        Value::Object(entries) => entries.into_iter().map(|(name, value)| (name, readable(value))).collect(),
        other => other,
    }
}

/// `base64:…` becomes a list of bytes.
pub(super) fn raw(value: &Value) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix("base64:") {
            Some(encoded) => STANDARD.decode(encoded).map_err(|_| format!("`{text}` is not base64"))?.into(),
            None => value.clone(),
        },
        Value::Array(items) => items.iter().map(raw).collect::<Result<_, _>>()?,
        Value::Object(entries) => {
            entries.iter().map(|(name, value)| Ok((name.clone(), raw(value)?))).collect::<Result<_, String>>()?
        }
        other => other.clone(),
    })
}

fn bytes(items: &[Value]) -> Option<Vec<u8>> {
    let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
    if items.is_empty() { None } else { items.iter().map(byte).collect() }
}

fn text_of(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => text,
        Ok(text) => format!("base64:{}", STANDARD.encode(text)),
        Err(wrong) => format!("base64:{}", STANDARD.encode(wrong.as_bytes())),
    }
}

/// A form body as pairs.
pub(super) fn form(body: &[u8]) -> Value {
    form_urlencoded::parse(body).map(|(name, value)| Value::from(vec![name.as_ref(), value.as_ref()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_out_must_be_empty() {
        assert_eq!(whole(&json!({"a": 1}), &json!({"a": 1, "b": null, "c": [], "d": ""})), Ok(()));
        assert!(whole(&json!({"a": 1}), &json!({"a": 1, "b": 0})).is_err());
        assert!(whole(&json!({"a": 1, "b": 2}), &json!({"a": 1})).is_err());
        assert!(whole(&json!([1]), &json!([1, 2])).is_err());
    }

    #[test]
    fn a_word_stands_for_a_case_with_any_text() {
        assert_eq!(whole(&json!({"Err": "Malformed"}), &json!({"Err": {"Malformed": "no CallSid"}})), Ok(()));
        assert!(whole(&json!({"Err": "Malformed"}), &json!({"Err": {"Refused": "no"}})).is_err());
        assert!(whole(&json!({"Err": {"Malformed": "x"}}), &json!({"Err": {"Malformed": "y"}})).is_err());
    }

    #[test]
    fn of_a_webhook_only_the_listed_answers_count_and_one_is_needed() {
        assert_eq!(listed(&json!({"proof": "holds"}), &json!({"proof": "holds", "read": {"Err": 1}})), Ok(()));
        assert!(listed(&json!({}), &json!({"proof": "holds"})).is_err());
        assert!(listed(&json!({"prof": "holds"}), &json!({"proof": "holds"})).is_err());
        assert!(listed(&json!({"proof": "holds"}), &json!({"proof": "fails"})).is_err());
    }

    #[test]
    fn bytes_are_shown_as_text_or_base64_and_read_back() {
        assert_eq!(readable(json!({"body": [104, 105], "n": [1, 300]})), json!({"body": "hi", "n": [1, 300]}));
        assert_eq!(readable(json!([255, 0])), json!("base64:/wA="));
        assert_eq!(raw(&json!({"a": ["base64:/wA="]})), Ok(json!({"a": [[255, 0]]})));
        assert!(raw(&json!("base64:!")).is_err());
    }
}
