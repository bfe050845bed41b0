//! Ids that cannot be guessed.

/// A prefix and 128 random bits in hex: `call_0f3a…`.
pub fn new_id(prefix: &str) -> String {
    let mut random = [0u8; 16];
    // Without the system's randomness nothing here is safe; the process must not go on.
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "the system gives no random bytes");
        std::process::abort();
    }
    format!("{prefix}_{}", hex::encode(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_distinct_and_carry_128_bits() {
        let ids: std::collections::HashSet<String> = (0..10_000).map(|_| new_id("call")).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == "call_".len() + 32));
    }
}
