//! Tokens, and the digests that are kept in their place.

/// 256 random bits, in hex: for media sockets, and for people on their way through a sign-in.
///
/// # Errors
/// When the system gives no randomness.
pub(crate) fn fresh() -> Result<String, String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(hex::encode(bytes))
}

/// Kept in the place of a token, so that whoever reads the shared state cannot use it.
pub(crate) fn digest(token: impl AsRef<[u8]>) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.as_ref());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}
