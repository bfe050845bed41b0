//! Reads JSON as providers write it: numbers as text, nothing as an empty string.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, Visitor};
use serde_json::Value;

/// Text that is there and not empty.
pub fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// A whole number, written as one or as text.
pub fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Whole seconds, written as a number or as text.
pub fn seconds(value: &Value) -> Option<u32> {
    number(value).and_then(|seconds| u32::try_from(seconds).ok())
}

/// The fields of these names that are text and say something, as the provider wrote them.
pub fn told(object: &Value, names: &[&str]) -> Vec<(String, String)> {
    let says = |name: &&str| text(&object[*name]).map(|value| ((*name).to_owned(), value.to_owned()));
    names.iter().filter_map(says).collect()
}

/// A decimal as it was written, number or text; nothing if it is no decimal. Never through a float's arithmetic.
pub fn decimal(value: &Value) -> Option<String> {
    let written = match value {
        Value::Number(number) => number.to_string(),
        other => other.as_str()?.to_owned(),
    };
    let digits = written.strip_prefix(['-', '+']).unwrap_or(&written);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits(whole) && all_digits(fraction)).then_some(written)
}

/// For serde's `deserialize_with`: a number, or text that is one. Other text, and `null`, are nothing.
///
/// # Errors
/// When it is neither a number nor text.
pub fn lenient<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    struct Lenient;

    impl Visitor<'_> for Lenient {
        type Value = Option<u64>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a number, or text that is one")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.parse().ok())
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Lenient)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_may_be_text() {
        assert_eq!(number(&json!("42")), Some(42));
        assert_eq!(number(&json!(42)), Some(42));
        for other in [json!(null), json!("4x"), json!(-1), json!([]), json!("")] {
            assert_eq!(number(&other), None, "{other}");
        }
        for (written, meant) in [("7", Some(7)), ("\"7\"", Some(7)), ("\"x\"", None), ("null", None)] {
            let mut reader = serde_json::Deserializer::from_str(written);
            assert_eq!(lenient(&mut reader).unwrap(), meant, "{written}");
        }
        assert!(lenient(&mut serde_json::Deserializer::from_str("[]")).is_err());
    }

    #[test]
    fn a_decimal_stays_as_it_was_written() {
        assert_eq!(decimal(&json!("-0.01300")).as_deref(), Some("-0.01300"));
        assert_eq!(decimal(&json!(0.5)).as_deref(), Some("0.5"));
        assert_eq!(decimal(&json!("3")).as_deref(), Some("3"));
        for other in [json!("inf"), json!("NaN"), json!("1e5"), json!("."), json!(""), json!(null), json!("1.2.3")] {
            assert_eq!(decimal(&other), None, "{other}");
        }
    }
}
