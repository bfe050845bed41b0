//! Seals secrets at rest: XChaCha20-Poly1305, a fresh nonce each time, the key's id in the ciphertext.
//!
//! What a value is sealed for (configuration, provider, field) is bound to it: a sealed value that is moved to another
//! row does not open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::secret::Secret;

const NONCE: usize = 24;

/// Keys by id: the first seals, all open. Clones share their keys, and see new ones.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<ArcSwap<Vec<Key>>>,
    source: Source,
}

/// Where keys come from, and may be read anew.
#[derive(Clone)]
enum Source {
    /// Given once.
    Fixed,
    File(PathBuf),
    Command(String),
}

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
        "the key in {0} is damaged: each line should hold an id and 64 hexadecimal digits. Restore it from your backup."
    )]
    Damaged(String),
    /// A command that should have printed keys did not.
    #[error("the command that prints the key failed: {0}")]
    Command(String),
    /// Keys that do not lie in a file are changed where they lie.
    #[error("the key is not in a file of this host: change it where it comes from, and reload")]
    NotInFile,
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
        Self::of(vec![Key { id: id.to_owned(), bytes }], Source::Fixed)
    }

    fn of(keys: Vec<Key>, source: Source) -> Self {
        Self { keys: Arc::new(ArcSwap::from_pointee(keys)), source }
    }

    /// With an older key, that opens what it sealed.
    #[must_use]
    pub fn and_older(self, id: &str, bytes: [u8; 32]) -> Self {
        let mut keys = Vec::clone(&self.keys.load());
        keys.push(Key { id: id.to_owned(), bytes });
        Self::of(keys, self.source)
    }

    /// From a text as it lies in a key file: a line for each key, the newest first.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_text(text: &str) -> Result<Self, KeyringError> {
        let keys = parse(text).ok_or_else(|| KeyringError::Damaged("keys.value".to_owned()))?;
        Ok(Self::of(keys, Source::Fixed))
    }

    /// From what a command of the shell prints, such as that of a vault. It runs again when a key is met that is not known.
    ///
    /// # Errors
    /// When it fails, or prints no key.
    pub fn from_command(command: &str) -> Result<Self, KeyringError> {
        let keys = printed(command)?;
        Ok(Self::of(keys, Source::Command(command.to_owned())))
    }

    /// The key in a file that only its owner can read; made at the first start.
    ///
    /// # Errors
    /// When the file is damaged, or cannot be read or made.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyringError> {
        let shown = path.display().to_string();
        let failed = |error| KeyringError::File { path: shown.clone(), error };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let keys = parse(&text).ok_or(KeyringError::Damaged(shown))?;
                Ok(Self::of(keys, Source::File(path.to_owned())))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = Key::new().map_err(failed)?;
                write_private(path, &written(std::slice::from_ref(&key))).map_err(failed)?;
                Ok(Self::of(vec![key], Source::File(path.to_owned())))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Reads the keys anew, from where they came.
    ///
    /// # Errors
    /// When they cannot be read; then the old ones stay.
    pub fn reload(&self) -> Result<(), KeyringError> {
        let keys = match &self.source {
            Source::Fixed => return Ok(()),
            Source::Command(command) => printed(command)?,
            Source::File(path) => read(path)?,
        };
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// Makes a key that seals from now on; the older ones go on opening. Returns its id.
    ///
    /// # Errors
    /// When the keys are not in a file, or it cannot be written.
    pub fn add_key(&self) -> Result<String, KeyringError> {
        let Source::File(path) = &self.source else { return Err(KeyringError::NotInFile) };
        let failed = |error| KeyringError::File { path: path.display().to_string(), error };
        let mut keys = read(path)?;
        keys.insert(0, Key::new().map_err(failed)?);
        replace_private(path, &written(&keys)).map_err(failed)?;
        self.keys.store(Arc::new(keys));
        Ok(self.current().unwrap_or_default())
    }

    /// Forgets every key but the one that seals. Returns how many.
    ///
    /// # Errors
    /// When the keys are not in a file, or it cannot be written.
    pub fn forget_older(&self) -> Result<usize, KeyringError> {
        let Source::File(path) = &self.source else { return Err(KeyringError::NotInFile) };
        let mut keys = read(path)?;
        let older = keys.len().saturating_sub(1);
        keys.truncate(1);
        let failed = |error| KeyringError::File { path: path.display().to_string(), error };
        replace_private(path, &written(&keys)).map_err(failed)?;
        self.keys.store(Arc::new(keys));
        Ok(older)
    }

    /// The id of the key that seals.
    pub fn current(&self) -> Option<String> {
        self.keys.load().first().map(|key| key.id.clone())
    }

    /// The ids of all keys, the one that seals first.
    pub fn ids(&self) -> Vec<String> {
        self.keys.load().iter().map(|key| key.id.clone()).collect()
    }

    /// Is it sealed with an older key than the one that seals?
    pub(crate) fn is_old(&self, sealed: &str) -> bool {
        sealed.split_once(':').is_none_or(|(id, _)| self.current().as_deref() != Some(id))
    }

    /// A key for another purpose, which tells nothing about this one.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = ring::hmac::Key::new(
            ring::hmac::HMAC_SHA256,
            &self.keys.load().first().map(|key| key.bytes).unwrap_or_default(),
        );
        let mut derived = [0; 32];
        derived.copy_from_slice(ring::hmac::sign(&key, purpose.as_bytes()).as_ref());
        derived
    }

    /// Seals a value for one place.
    pub(crate) fn seal(&self, place: &str, value: &str) -> Result<String, KeyringError> {
        let keys = self.keys.load();
        let key = keys.first().ok_or_else(|| KeyringError::UnknownKey(String::new()))?;
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| KeyringError::Tampered)?;
        let payload = Payload { msg: value.as_bytes(), aad: place.as_bytes() };
        let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).map_err(|_| KeyringError::Tampered)?;
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Ok(format!("{}:{}", key.id, STANDARD_NO_PAD.encode(bytes)))
    }

    /// Opens what was sealed for that place. A key that another process made meanwhile is looked for once.
    pub(crate) fn open(&self, place: &str, sealed: &str) -> Result<Secret, KeyringError> {
        match self.open_with_known(place, sealed) {
            Err(KeyringError::UnknownKey(_)) if self.reload().is_ok() => self.open_with_known(place, sealed),
            outcome => outcome,
        }
    }

    fn open_with_known(&self, place: &str, sealed: &str) -> Result<Secret, KeyringError> {
        let (id, text) = sealed.split_once(':').ok_or(KeyringError::Tampered)?;
        let keys = self.keys.load();
        let known = keys.iter().find(|key| key.id == id);
        let key = known.ok_or_else(|| KeyringError::UnknownKey(id.to_owned()))?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| KeyringError::Tampered)?;
        let (nonce, body) = bytes.split_first_chunk::<NONCE>().ok_or(KeyringError::Tampered)?;
        let payload = Payload { msg: body, aad: place.as_bytes() };
        let opened = cipher(key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| KeyringError::Tampered)?;
        String::from_utf8(opened).map(Secret::from).map_err(|_| KeyringError::Tampered)
    }
}

impl Key {
    fn new() -> std::io::Result<Self> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self { id: crate::new_id("key"), bytes })
    }
}

/// A line for each key.
fn parse(text: &str) -> Option<Vec<Key>> {
    let key = |line: &str| {
        let (id, digits) = line.trim().split_once(' ')?;
        let bytes: [u8; 32] = hex::decode(digits.trim()).ok()?.try_into().ok()?;
        Some(Key { id: id.to_owned(), bytes })
    };
    let keys: Vec<Key> = text.lines().filter(|line| !line.trim().is_empty()).map(key).collect::<Option<_>>()?;
    (!keys.is_empty()).then_some(keys)
}

fn written(keys: &[Key]) -> String {
    keys.iter().map(|key| format!("{} {}\n", key.id, hex::encode(key.bytes))).collect()
}

fn read(path: &Path) -> Result<Vec<Key>, KeyringError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| KeyringError::File { path: shown.clone(), error })?;
    parse(&text).ok_or(KeyringError::Damaged(shown))
}

fn printed(command: &str) -> Result<Vec<Key>, KeyringError> {
    let failed = |why: String| KeyringError::Command(why);
    let output = std::process::Command::new("sh").args(["-c", command]).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("it ended with {}", output.status)));
    }
    parse(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| failed("it printed no key".to_owned()))
}

/// In one step: whoever reads sees the old keys or the new ones.
fn replace_private(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    if fresh.exists() {
        std::fs::remove_file(&fresh)?;
    }
    write_private(&fresh, text)?;
    std::fs::rename(&fresh, path)
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.load().iter().map(|key| &key.id)).finish()
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
    fn keys_come_from_a_text_or_from_what_a_command_prints() {
        let line = format!("k1 {}\n", "07".repeat(32));
        let sealed = Keyring::from_text(&line).unwrap().seal("p", "secret").unwrap();
        let printed = Keyring::from_command(&format!("echo {}", line.trim())).unwrap();
        assert_eq!(printed.open("p", &sealed).unwrap().expose(), "secret");
        assert!(matches!(Keyring::from_command("exit 3"), Err(KeyringError::Command(_))));
        assert!(matches!(Keyring::from_command("echo"), Err(KeyringError::Command(_))));
        assert!(matches!(Keyring::from_text("k1 07").map(drop), Err(KeyringError::Damaged(_))));
    }

    #[test]
    fn a_key_file_is_made_once_and_read_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let sealed = Keyring::load_or_create(&path).unwrap().seal("p", "secret").unwrap();
        assert_eq!(Keyring::load_or_create(&path).unwrap().open("p", &sealed).unwrap().expose(), "secret");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let other = Keyring::load_or_create(&path).unwrap();
        let keyring = Keyring::load_or_create(&path).unwrap();
        let id = keyring.add_key().unwrap();
        let newer = keyring.seal("p", "secret").unwrap();
        assert!(newer.starts_with(&id) && keyring.is_old(&sealed) && !keyring.is_old(&newer));
        assert_eq!(other.open("p", &newer).unwrap().expose(), "secret", "another process finds the new key");
        assert_eq!(keyring.forget_older().unwrap(), 1);
        assert!(matches!(keyring.open("p", &sealed), Err(KeyringError::UnknownKey(_))));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "rubbish").unwrap();
        assert!(matches!(Keyring::load_or_create(&path), Err(KeyringError::Damaged(_))));
    }
}
