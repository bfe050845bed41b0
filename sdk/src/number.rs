//! Phone numbers and other addresses in one form.

/// A number in E.164 with `+`; SIP and client addresses, and words such as `anonymous`, stay as they are.
///
/// No country is guessed: a national number can't be told from another country's. One that begins with a zero is left
/// as it is, since no country's code does.
pub fn canonical(raw: &str) -> String {
    let raw = raw.trim();
    // As most are written.
    if raw.strip_prefix('+').is_some_and(is_number) {
        return raw.to_owned();
    }
    if raw.contains([':', '@']) {
        return raw.to_owned();
    }
    let digits: String = raw.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let bare = digits.strip_prefix('+').unwrap_or(&digits);
    if is_number(bare) { format!("+{bare}") } else { raw.to_owned() }
}

fn is_number(bare: &str) -> bool {
    (8..=15).contains(&bare.len()) && !bare.starts_with('0') && bare.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits alone, for providers that write numbers without `+`.
pub fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

/// Who calls, as `canonical` writes it; `anonymous` for a caller who does not show it.
pub fn caller(raw: &str, canonical: impl Fn(&str) -> String) -> String {
    let word = raw.trim().to_ascii_lowercase();
    let withheld = matches!(word.as_str(), "" | "anonymous" | "restricted" | "unknown" | "unavailable" | "private");
    if withheld { "anonymous".to_owned() } else { canonical(raw) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_get_one_form() {
        for raw in ["+14155550123", "14155550123", " +1 (415) 555-0123 ", "+1.415.555.0123"] {
            assert_eq!(canonical(raw), "+14155550123", "{raw:?}");
        }
    }

    #[test]
    fn a_caller_may_hide() {
        for raw in ["", " ", "Anonymous", "RESTRICTED", "unknown", "unavailable", "private"] {
            assert_eq!(caller(raw, canonical), "anonymous", "{raw:?}");
        }
        assert_eq!(caller("14155550123", canonical), "+14155550123");
    }

    #[test]
    fn what_is_no_number_stays() {
        for raw in
            ["anonymous", "sip:ann@example.net", "client:ann", "8000", "", "+1415x", "02079460123", "sips:1@2:5061"]
        {
            assert_eq!(canonical(raw), raw);
        }
    }
}
