//! What makes a webhook genuine, in the host's terms.

use crate::encoding::from_base64;
use crate::types::{Check, Disproof, Hash, HmacCheck};

/// A signature, or what belongs to it, is not what the provider writes.
pub fn malformed(what: &str) -> Disproof {
    Disproof::Malformed(what.to_owned())
}

/// What the checks of one proof may hold together. The host takes 256 KiB of an answer, and more than it takes is a fault of
/// the plugin: nobody who sends nonsense may cause one.
const LONGEST: usize = 192 << 10;

/// So many checks, each with so many bytes of message and digest, make a proof that the host takes. To be asked before
/// they are made.
///
/// # Errors
/// `malformed` when they do not: no provider sends as much.
pub fn fits(checks: usize, bytes: usize) -> Result<(), Disproof> {
    if checks.saturating_mul(bytes) > LONGEST {
        return Err(malformed("the request is too long for so many signatures"));
    }
    Ok(())
}

/// HMAC-SHA256 of the message with a secret of the account is the digest.
pub fn hmac_sha256(secret: &str, message: impl Into<Vec<u8>>, digest: Vec<u8>) -> Check {
    Check::Hmac(HmacCheck { secret: secret.to_owned(), hash: Hash::Sha256, message: message.into(), digest })
}

/// The 32 bytes of a digest that a header holds in base64.
///
/// # Errors
/// `malformed` when it holds anything else.
pub fn base64_digest(text: &str) -> Result<Vec<u8>, Disproof> {
    let digest = from_base64(text.trim()).filter(|digest| digest.len() == 32);
    digest.ok_or_else(|| malformed("a signature is not base64 of 32 bytes"))
}
