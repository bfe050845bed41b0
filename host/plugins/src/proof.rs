//! Evaluates what a plugin says would make a request genuine. Secrets stay on this side.

use hmac::{Hmac, KeyInit, Mac};
use ring::{hmac as ring_hmac, signature};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use crate::types::{Check, EqualCheck, Hash, HmacCheck, Proof};

/// Looks a secret up by its field's name.
pub type Secrets<'a> = &'a dyn Fn(&str) -> Option<&'a str>;

/// What makes a proof hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// The plugin's word, or a key that it brings itself: as good as the plugin is.
    Plugin,
    /// A secret or a key that the account holds.
    Account,
}

/// Does any of the checks hold, and by what? `own_key` knows the public keys that the account holds. All are evaluated, so that
/// time does not tell which one did.
pub fn basis(proof: &Proof, secrets: Secrets<'_>, own_key: &dyn Fn(&[u8]) -> bool) -> Option<Basis> {
    let of = |check: &Check| match check {
        Check::Hmac(_) | Check::Equal(_) => Basis::Account,
        Check::Ed25519(check) if own_key(&check.public_key) => Basis::Account,
        _ => Basis::Plugin,
    };
    let held = |check: &Check| check_holds(check, secrets).then(|| of(check));
    proof.any_of.iter().fold(None, |best, check| best.max(held(check)))
}

/// Does any of the checks hold?
pub fn holds(proof: &Proof, secrets: Secrets<'_>) -> bool {
    basis(proof, secrets, &|_| false).is_some()
}

fn check_holds(check: &Check, secrets: Secrets<'_>) -> bool {
    match check {
        Check::Hmac(check) => hmac_holds(check, secrets),
        Check::Equal(check) => equal_holds(check, secrets),
        Check::Ed25519(check) => signature::UnparsedPublicKey::new(&signature::ED25519, &check.public_key)
            .verify(&check.message, &check.signature)
            .is_ok(),
        Check::Verified => true,
        Check::Other(_) => false,
    }
}

fn hmac_holds(check: &HmacCheck, secrets: Secrets<'_>) -> bool {
    // An empty key would make a signature that anyone can compute.
    let Some(secret) = secrets(&check.secret).filter(|secret| !secret.is_empty()) else { return false };
    let by_ring = |algorithm| {
        let key = ring_hmac::Key::new(algorithm, secret.as_bytes());
        ring_hmac::verify(&key, &check.message, &check.digest).is_ok()
    };
    match check.hash {
        Hash::Sha1 => sha1_holds(secret, check),
        Hash::Sha256 => by_ring(ring_hmac::HMAC_SHA256),
        Hash::Sha512 => by_ring(ring_hmac::HMAC_SHA512),
    }
}

/// As most providers sign. By the processor's own instructions, which ring has not got for this one.
fn sha1_holds(secret: &str, check: &HmacCheck) -> bool {
    let mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes());
    mac.is_ok_and(|mac| mac.chain_update(&check.message).verify_slice(&check.digest).is_ok())
}

fn equal_holds(check: &EqualCheck, secrets: Secrets<'_>) -> bool {
    let Some(secret) = secrets(&check.secret).filter(|secret| !secret.is_empty()) else { return false };
    // Digests first, so that not even the length shows.
    let digest = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest(secret).as_ref().ct_eq(digest(&check.value).as_ref()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::types::Ed25519Check;

    fn proof(check: Check) -> Proof {
        Proof { any_of: vec![check], signed_at: None, replay_key: None }
    }

    fn sha1(secret: &str, digest: Vec<u8>) -> Check {
        let message = b"message".to_vec();
        Check::Hmac(HmacCheck { secret: secret.to_owned(), hash: Hash::Sha1, message, digest })
    }

    fn signed(key: &str) -> Vec<u8> {
        let key = ring_hmac::Key::new(ring_hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        ring_hmac::sign(&key, b"message").as_ref().to_vec()
    }

    fn secrets(name: &str) -> Option<&'static str> {
        match name {
            "token" => Some("right"),
            "empty" => Some(""),
            _ => None,
        }
    }

    #[test]
    fn an_hmac_holds_only_under_the_named_secret() {
        assert!(holds(&proof(sha1("token", signed("right"))), &secrets));
        assert!(!holds(&proof(sha1("token", signed("wrong"))), &secrets));
        assert!(!holds(&proof(sha1("missing", signed("right"))), &secrets));
    }

    #[test]
    fn an_empty_secret_or_digest_never_holds() {
        assert!(!holds(&proof(sha1("empty", signed(""))), &secrets));
        assert!(!holds(&proof(sha1("token", Vec::new())), &secrets));
    }

    #[test]
    fn equality_is_with_the_whole_value() {
        let equal =
            |value: &str| proof(Check::Equal(EqualCheck { secret: "token".to_owned(), value: value.to_owned() }));
        assert!(holds(&equal("right"), &secrets));
        for wrong in ["", "righ", "right ", "Right"] {
            assert!(!holds(&equal(wrong), &secrets), "{wrong:?}");
        }
    }

    #[test]
    fn a_proof_rests_on_what_the_account_holds_or_on_the_plugin_alone() {
        let pair = signature::Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public_key = signature::KeyPair::public_key(&pair).as_ref().to_vec();
        let signature = pair.sign(b"message").as_ref().to_vec();
        let signed_by_key = proof(Check::Ed25519(Ed25519Check {
            public_key: public_key.clone(),
            message: b"message".to_vec(),
            signature,
        }));
        let known = |key: &[u8]| key == public_key;
        let both = Proof { any_of: vec![Check::Verified, sha1("token", signed("right"))], ..proof(Check::Verified) };
        assert_eq!(basis(&signed_by_key, &secrets, &known), Some(Basis::Account));
        assert_eq!(basis(&signed_by_key, &secrets, &|_| false), Some(Basis::Plugin));
        assert_eq!(basis(&proof(Check::Verified), &secrets, &known), Some(Basis::Plugin));
        assert_eq!(basis(&both, &secrets, &known), Some(Basis::Account));
        assert_eq!(basis(&proof(sha1("token", signed("wrong"))), &secrets, &known), None);
    }

    #[test]
    fn no_check_and_an_unknown_check_are_failures() {
        assert!(!holds(&Proof { any_of: vec![], signed_at: None, replay_key: None }, &secrets));
        assert!(!holds(&proof(Check::Other("later".to_owned())), &secrets));
    }
}
