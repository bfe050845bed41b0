//! Numbers and addresses that operators type.

use jackfield_store::ANY_NUMBER;

use super::Problem;

/// What calls come in by: a number, an address, or `*` for all the others.
pub(crate) fn called(field: &str, typed: &str) -> Result<String, Problem> {
    if typed.trim() == ANY_NUMBER { Ok(ANY_NUMBER.to_owned()) } else { canonical(field, typed) }
}

/// One form for each number: E.164 with `+`, or a SIP address or extension as it is.
pub(crate) fn canonical(field: &str, typed: &str) -> Result<String, Problem> {
    let typed = typed.trim();
    let refuse = |why: &str| Err(Problem::invalid(format!("`{field}`: {why}")));
    if typed.len() > 256 || typed.chars().any(|c| c.is_control() || c.is_whitespace() && typed.contains([':', '@'])) {
        return refuse("an address has at most 256 characters, and no spaces or control characters");
    }
    if let Some(number) = typed.strip_prefix("tel:") {
        return canonical(field, number);
    }
    if typed.contains([':', '@']) {
        return Ok(typed.to_owned());
    }
    let plain: String = typed.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let (plus, digits) = match plain.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, plain.as_str()),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return refuse("write a number with its country code, such as +14155550123, or a SIP address");
    }
    match digits.len() {
        // No country's code begins with 0.
        8..=15 if !digits.starts_with('0') => Ok(format!("+{digits}")),
        2..=7 if !plus => Ok(digits.to_owned()),
        _ => refuse("write the whole number with its country code, such as +442079460123"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn what_people_type_gets_one_form() {
        for (typed, canonical_form) in [
            ("+14155550123", "+14155550123"),
            ("14155550123", "+14155550123"),
            (" +1 (415) 555-0123 ", "+14155550123"),
            ("tel:+14155550123", "+14155550123"),
            ("sip:ann@example.net", "sip:ann@example.net"),
            ("client:ann", "client:ann"),
            ("8000", "8000"),
        ] {
            assert_eq!(canonical("number", typed).unwrap(), canonical_form);
        }
    }

    #[test]
    fn a_star_is_every_number_and_cannot_be_called() {
        assert_eq!(called("number", " * ").unwrap(), "*");
        assert_eq!(called("number", "8000").unwrap(), "8000");
        assert!(canonical("to", "*").is_err());
    }

    #[test]
    fn what_cannot_be_called_is_refused() {
        for typed in ["", "ann", "+", "1", "+1415x", "020 7946 0123", "+0000000000", "1234567890123456", "sip:a b@c"] {
            assert!(canonical("number", typed).is_err(), "{typed}");
        }
    }
}
