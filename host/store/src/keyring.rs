//! Seals secrets at rest: XChaCha20-Poly1305, a fresh nonce each time, the key's id in the ciphertext.
//!
//! What a value is sealed for (configuration, provider, field) is bound to it: a sealed value that is moved to another
//! row does not open.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::secret::Secret;

const NONCE: usize = 24;

/// Keys by id: the first seals, all open.
#[derive(Clone)]
pub struct Keyring(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: String,
    bytes: [u8; 32],
}

/// Why a key or a sealed value is of no use.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file is not what this host writes.
    #[error(
        "the key file {0} is damaged: it should hold an id and 64 hexadecimal digits. Restore it from your backup."
    )]
    Damaged(String),
    /// The file could not be read or written.
    #[error("the key file {path} cannot be used: {error}")]
    File {
        /// Where it should be.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Sealed under a key that is not here.
    #[error("a secret is sealed with key `{0}`, which this host does not have. Restore that key file.")]
    UnknownKey(String),
    /// Not what was sealed, or not for this place.
    #[error("a sealed secret does not open: it was changed or moved")]
    Tampered,
}

impl Keyring {
    /// One key.
    pub fn from_bytes(id: &str, bytes: [u8; 32]) -> Self {
        Self(vec![Key { id: id.to_owned(), bytes }])
    }

    /// With an older key, that opens what it sealed.
    #[must_use]
    pub fn and_older(mut self, id: &str, bytes: [u8; 32]) -> Self {
        self.0.push(Key { id: id.to_owned(), bytes });
        self
    }

    /// The key in a file that only its owner can read; made at the first start.
    ///
    /// # Errors
    /// When the file is damaged, or cannot be read or made.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyringError> {
        let shown = path.display().to_string();
        let failed = |error| KeyringError::File { path: shown.clone(), error };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).ok_or(KeyringError::Damaged(shown)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let id = crate::new_id("key");
                let mut bytes = [0u8; 32];
                getrandom::fill(&mut bytes).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
                write_private(path, &format!("{id} {}\n", hex::encode(bytes))).map_err(failed)?;
                Ok(Self::from_bytes(&id, bytes))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// A key for another purpose, which tells nothing about this one.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let key =
            ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.0.first().map(|key| key.bytes).unwrap_or_default());
        let mut derived = [0; 32];
        derived.copy_from_slice(ring::hmac::sign(&key, purpose.as_bytes()).as_ref());
        derived
    }

    /// Seals a value for one place.
    pub(crate) fn seal(&self, place: &str, value: &str) -> Result<String, KeyringError> {
        let key = self.0.first().ok_or_else(|| KeyringError::UnknownKey(String::new()))?;
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| KeyringError::Tampered)?;
        let payload = Payload { msg: value.as_bytes(), aad: place.as_bytes() };
        let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| KeyringError::Tampered)?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(format!("{}:{}", key.id, STANDARD_NO_PAD.encode(bytes)))
    }

    /// Opens what was sealed for that place.
    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<Secret, KeyringError> {
        let (id, text) = sealed.split_once(':').ok_or(KeyringError::Tampered)?;
        let known = self.0.iter().find(|key| key.id == id);
        let key = known.ok_or_else(|| KeyringError::UnknownKey(id.to_owned()))?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| KeyringError::Tampered)?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE>().ok_or(KeyringError::Tampered)?;
        let payload = Payload { msg: body, aad: place.as_bytes() };
        let opened = cipher(key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeyringError::Tampered)?;
        String::from_utf8(opened).map(Secret::from).map_err(|_| KeyringError::Tampered)
    }

    fn parse(text: &str) -> Option<Self> {
        let (id, digits) = text.trim().split_once(' ')?;
        let bytes: [u8; 32] = hex::decode(digits).ok()?.try_into().ok()?;
        Some(Self::from_bytes(id, bytes))
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&key.bytes.into())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_same_value_is_never_sealed_to_the_same_text() {
        let keyring = Keyring::from_bytes("k1", [1; 32]);
        let (one, two) = (keyring.seal("p", "secret").unwrap(), keyring.seal("p", "secret").unwrap());
        assert_ne!(one, two);
        assert!(!one.contains("secret"));
        assert_eq!(keyring.open("p", &one).unwrap().expose(), "secret");
    }

    #[test]
    fn a_value_opens_only_in_its_place_and_unchanged() {
        let keyring = Keyring::from_bytes("k1", [1; 32]);
        let sealed = keyring.seal("cfg_1/twilio/auth_token", "secret").unwrap();
        assert!(matches!(keyring.open("cfg_2/twilio/auth_token", &sealed), Err(KeyringError::Tampered)));
        let mut changed = sealed;
        changed.pop();
        assert!(keyring.open("cfg_1/twilio/auth_token", &changed).is_err());
    }

    #[test]
    fn an_older_key_opens_what_it_sealed_and_a_missing_one_is_named() {
        let old = Keyring::from_bytes("old", [1; 32]).seal("p", "secret").unwrap();
        let new = Keyring::from_bytes("new", [2; 32]);
        assert!(matches!(new.open("p", &old), Err(KeyringError::UnknownKey(id)) if id == "old"));
        assert_eq!(new.and_older("old", [1; 32]).open("p", &old).unwrap().expose(), "secret");
    }

    #[test]
    fn a_key_file_is_made_once_and_read_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let sealed = Keyring::load_or_create(&path).unwrap().seal("p", "secret").unwrap();
        assert_eq!(Keyring::load_or_create(&path).unwrap().open("p", &sealed).unwrap().expose(), "secret");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "rubbish").unwrap();
        assert!(matches!(Keyring::load_or_create(&path), Err(KeyringError::Damaged(_))));
    }
}
