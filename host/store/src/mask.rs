//! What people see of a secret, and what becomes of it when they send it back.

/// Of long secrets the last four characters show; the length never does.
pub fn mask(secret: &str) -> String {
    let characters = secret.chars().count();
    let shown: String = if characters > 12 { secret.chars().skip(characters - 4).collect() } else { String::new() };
    format!("{HIDDEN}{shown}")
}

const HIDDEN: &str = "********";

/// The value to keep when `incoming` was sent for a field that holds `stored`.
///
/// # Errors
/// When `incoming` is a mask, but not of what is stored: it would become the new secret.
pub fn merge<'a>(incoming: &'a str, stored: Option<&'a str>) -> Result<&'a str, NotTheMask> {
    match stored {
        Some(stored) if incoming == mask(stored) => Ok(stored),
        _ if incoming.starts_with(HIDDEN) => Err(NotTheMask),
        _ => Ok(incoming),
    }
}

/// A mask that fits nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is a mask, and not that of the stored value: send the value itself, or the mask as it was shown")]
pub struct NotTheMask;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_neither_length_nor_short_secrets() {
        assert_eq!(mask("9f3c1b7ad24e48d0a5c6e1f2b3a49587"), "********9587");
        assert_eq!(mask("short"), mask("shorter!"));
        assert_eq!(mask("123456789012"), "********");
    }

    #[test]
    fn the_exact_mask_keeps_the_value_and_no_other_mask_is_taken() {
        let stored = "9f3c1b7ad24e48d0a5c6e1f2b3a49587";
        assert_eq!(merge("********9587", Some(stored)), Ok(stored));
        assert_eq!(merge("new", Some(stored)), Ok("new"));
        assert_eq!(merge("********9588", Some(stored)), Err(NotTheMask));
        assert_eq!(merge("********", None), Err(NotTheMask));
    }
}
