//! Ids that cannot be guessed.

/// A prefix and 128 random bits in hex: `cfg_0f3a…`.
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}_{}", hex::encode(random()))
}

/// The same behind the time, in Unix milliseconds: such ids sort by age, so that a table's index grows at one end only.
pub fn new_id_at(prefix: &str, at: i64) -> String {
    format!("{prefix}_{at:012x}{}", hex::encode(random()))
}

/// A new call's.
pub fn new_call_id(created_at: i64) -> String {
    new_id_at("call", created_at)
}

/// The least id of that time: what is older sorts below it.
pub(crate) fn id_bound(prefix: &str, at: i64) -> String {
    format!("{prefix}_{:012x}", at.max(0))
}

fn random() -> [u8; 16] {
    let mut random = [0u8; 16];
    // Without the system's randomness nothing here is safe; the process must not go on.
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "the system gives no random bytes");
        std::process::abort();
    }
    random
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

    #[test]
    fn ids_with_a_time_sort_by_it() {
        let (earlier, later) = (new_id_at("call", 1_795_226_400_000), new_id_at("call", 1_795_226_400_001));
        assert!(earlier < later);
        assert_eq!(later.len(), "call_".len() + 12 + 32);
    }
}
