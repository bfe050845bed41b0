//! Base64 and digests.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The same, behind what is in `text` already: one allocation for a whole message.
pub fn push_base64(text: &mut String, bytes: &[u8]) {
    STANDARD.encode_string(bytes, text);
}

/// Reads standard base64 with padding; nothing if it is anything else.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads the base64 of JSON Web Tokens: for URLs, without padding.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Bytes from hexadecimal digits in either case; nothing for anything else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok()
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = Sha256::digest(bytes).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_only_when_it_is_whole() {
        assert_eq!(from_base64("/+8="), Some(vec![0xff, 0xef]));
        for broken in ["/+8", "/+8=\n", "_-8=", "a", "====", "/+9="] {
            assert_eq!(from_base64(broken), None, "{broken:?}");
        }
        let mut text = "x:".to_owned();
        push_base64(&mut text, &[0xff, 0xef]);
        assert_eq!(text, format!("x:{}", base64(&[0xff, 0xef])));
    }

    #[test]
    fn a_digest_is_written_in_lower_case_hexadecimal() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
