//! Who vouches for a build. A signature travels in the build itself, as its last section, so that no copy of it, in a
//! folder or a database, can lose it; and the digest of a build names its signature with it.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use crate::contract::{Surface, Unfit};
use crate::sections;

/// The custom section with the signature: a byte that says how it was made, the signer's key, the signature.
const SECTION: &str = "jackfield:signature";
const VERSION: u8 = 1;
const KEY: usize = 32;
const SIGNATURE: usize = 64;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Characters of a line of PEM.
const LINE: usize = 64;

/// An Ed25519 public key. It is shown in base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignerKey([u8; KEY]);

/// Whose signatures count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signers(Vec<SignerKey>);

/// An Ed25519 private key. It cannot be shown.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    /// PKCS#8 in DER.
    document: Zeroizing<Vec<u8>>,
}

/// Why a text is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the 32 bytes of an Ed25519 public key, in base64 or hexadecimal digits")]
pub struct NotASignerKey;

/// Why there is no private key.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("it holds no Ed25519 private key in PEM (PKCS#8). `jackfield plugin keygen` makes one.")]
    NotAKey,
    #[error("the system gives no random numbers, so no key can be made")]
    NoRandomness,
}

/// Why a signature does not count.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Distrust {
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error(
        "the build carries no signature, and `plugins.signers` demands one. Have it signed by one of them, with \
         `jackfield plugin sign`."
    )]
    Unsigned,
    #[error("the build carries {0} signatures. Sign it anew: `jackfield plugin sign` leaves one.")]
    Several(usize),
    #[error(
        "something was put behind the build's signature, which does not cover it. Sign the build last of all: \
         `jackfield plugin sign` does it anew."
    )]
    NotLast,
    #[error(
        "the build's signature is damaged, or was made by a tool that this host does not know. Sign it anew with \
         `jackfield plugin sign`."
    )]
    Damaged,
    #[error(
        "the build is signed with {0}, which is not among `plugins.signers`. Add the key if you trust whoever has it, \
         or do not take this build."
    )]
    Stranger(SignerKey),
    #[error("the build is not what {0} signed: it was changed or damaged since. Get it anew from whoever signed it.")]
    Changed(SignerKey),
}

impl Signers {
    /// These keys; none: no signature is demanded.
    pub fn new(keys: Vec<SignerKey>) -> Self {
        Self(keys)
    }

    /// May a build with these bytes serve? Says why.
    pub(crate) fn allow(&self, bytes: &[u8], is_stock: bool) -> Result<String, String> {
        match (self.0.is_empty(), is_stock) {
            (true, _) => Ok("none demanded".to_owned()),
            // Whoever runs this binary trusts what is in it.
            (false, true) => Ok("none demanded of what comes with the binary".to_owned()),
            (false, false) => match self.signer_of(bytes) {
                Ok(key) => Ok(format!("signed with {key}")),
                Err(distrust) => Err(distrust.to_string()),
            },
        }
    }

    fn signer_of(&self, bytes: &[u8]) -> Result<SignerKey, Distrust> {
        let sections = sections::custom(bytes, SECTION)?;
        let section = match &sections[..] {
            [] => return Err(Distrust::Unsigned),
            [section] => section,
            several => return Err(Distrust::Several(several.len())),
        };
        if section.range.end != bytes.len() {
            return Err(Distrust::NotLast);
        }
        let Some((&[VERSION], rest)) = section.content.split_first_chunk::<1>() else { return Err(Distrust::Damaged) };
        let Some((key, signature)) = rest.split_first_chunk::<KEY>() else { return Err(Distrust::Damaged) };
        if signature.len() != SIGNATURE {
            return Err(Distrust::Damaged);
        }
        let signer = SignerKey(*key);
        if !self.0.contains(&signer) {
            return Err(Distrust::Stranger(signer));
        }
        let signed = message(&bytes[..section.range.start]);
        let genuine = UnparsedPublicKey::new(&ED25519, key).verify(&signed, signature);
        genuine.map(|()| signer).map_err(|_| Distrust::Changed(signer))
    }
}

/// The same build, signed with this key in the place of whoever signed it before.
///
/// # Errors
/// When the bytes are no component.
pub fn sign(bytes: &[u8], key: &SigningKey) -> Result<Vec<u8>, Unfit> {
    Surface::read(bytes)?;
    let (mut signed, mut kept) = (Vec::with_capacity(bytes.len()), 0);
    for section in sections::custom(bytes, SECTION)? {
        signed.extend_from_slice(&bytes[kept..section.range.start]);
        kept = section.range.end;
    }
    signed.extend_from_slice(&bytes[kept..]);
    let signature = key.pair.sign(&message(&signed));
    let content = [&[VERSION], key.pair.public_key().as_ref(), signature.as_ref()].concat();
    let name = [&short(SECTION.len())[..], SECTION.as_bytes()].concat();
    // The id of a custom section, its length, and what it is.
    signed.push(0);
    signed.extend_from_slice(&short(name.len() + content.len()));
    signed.extend_from_slice(&name);
    signed.extend_from_slice(&content);
    Ok(signed)
}

/// A length below 128 as WebAssembly writes it; that of a signature is always one.
fn short(length: usize) -> [u8; 1] {
    [u8::try_from(length).unwrap_or_default() & 0x7f]
}

/// What is signed: it says what for, so that no signature made for something else counts here.
fn message(bytes: &[u8]) -> Vec<u8> {
    [SECTION.as_bytes(), &[VERSION], digest(&SHA256, bytes).as_ref()].concat()
}

impl FromStr for SignerKey {
    type Err = NotASignerKey;

    fn from_str(text: &str) -> Result<Self, NotASignerKey> {
        let text = text.trim();
        let bytes = if text.len() == 2 * KEY { hex::decode(text).ok() } else { STANDARD.decode(text).ok() };
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(NotASignerKey)
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, SigningKeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new());
        let document = document.map_err(|_| SigningKeyError::NoRandomness)?;
        Self::from_document(Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The key in a file that holds it in PEM.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, SigningKeyError> {
        let text = Zeroizing::new(std::fs::read(path)?);
        let text = std::str::from_utf8(&text).map_err(|_| SigningKeyError::NotAKey)?;
        let (_, text) = text.split_once(BEGIN).ok_or(SigningKeyError::NotAKey)?;
        let (text, _) = text.split_once(END).ok_or(SigningKeyError::NotAKey)?;
        let text = Zeroizing::new(text.split_whitespace().collect::<String>());
        let document = STANDARD.decode(text.as_bytes()).map_err(|_| SigningKeyError::NotAKey)?;
        Self::from_document(Zeroizing::new(document))
    }

    /// Writes it in PEM into a new file that only its owner can read.
    ///
    /// # Errors
    /// When there is such a file already: no key is ever overwritten. And when it cannot be written.
    pub fn write_new(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let encoded = Zeroizing::new(STANDARD.encode(&self.document));
        let mut text = Zeroizing::new(String::from(BEGIN));
        for (index, letter) in encoded.chars().enumerate() {
            if index % LINE == 0 {
                text.push('\n');
            }
            text.push(letter);
        }
        text.push('\n');
        text.push_str(END);
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// What is told to those who are to trust its signatures.
    pub fn public(&self) -> SignerKey {
        SignerKey(self.pair.public_key().as_ref().try_into().unwrap_or_default())
    }

    /// Other tools leave the public key out of the document.
    fn from_document(document: Zeroizing<Vec<u8>>) -> Result<Self, SigningKeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document).map_err(|_| SigningKeyError::NotAKey)?;
        Ok(Self { pair, document })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// A component without anything, and one with a section of somebody else's.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    const NOTED: &[u8] = b"\0asm\x0d\0\x01\0\0\x04\x01aXY";

    fn distrust(signers: &Signers, bytes: &[u8]) -> Distrust {
        signers.signer_of(bytes).unwrap_err()
    }

    #[test]
    fn a_build_signed_with_a_listed_key_is_allowed_and_any_changed_byte_is_noticed() {
        let key = SigningKey::generate().unwrap();
        let signers = Signers::new(vec![SigningKey::generate().unwrap().public(), key.public()]);
        let signed = sign(NOTED, &key).unwrap();
        assert!(signed.starts_with(NOTED));
        assert_eq!(signers.signer_of(&signed), Ok(key.public()));
        for index in 0..signed.len() {
            let mut changed = signed.clone();
            changed[index] ^= 1;
            assert!(signers.signer_of(&changed).is_err(), "byte {index}");
            assert!(signers.signer_of(&signed[..index]).is_err(), "cut at {index}");
        }
        let mut changed = signed;
        changed[12] ^= 1;
        assert_eq!(distrust(&signers, &changed), Distrust::Changed(key.public()));
    }

    #[test]
    fn what_does_not_count_is_told_apart() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let signers = Signers::new(vec![key.public()]);
        let signed = sign(EMPTY, &key).unwrap();
        let section = &signed[EMPTY.len()..];
        assert_eq!(distrust(&signers, NOTED), Distrust::Unsigned);
        assert_eq!(distrust(&signers, &[&signed, section].concat()), Distrust::Several(2));
        assert_eq!(distrust(&signers, &[&signed[..], b"\0\x02\x01a"].concat()), Distrust::NotLast);
        assert_eq!(distrust(&signers, &sign(EMPTY, &other).unwrap()), Distrust::Stranger(other.public()));
        let with = |content: &[u8]| {
            let name = [&short(SECTION.len())[..], SECTION.as_bytes()].concat();
            [EMPTY, &[0], &short(name.len() + content.len()), &name, content].concat()
        };
        for odd in [&b""[..], b"\x01", &[VERSION; KEY], &[VERSION; 96], &[VERSION; 98], &[2; 97]] {
            assert_eq!(distrust(&signers, &with(odd)), Distrust::Damaged, "{odd:?}");
        }
    }

    #[test]
    fn signing_again_leaves_one_signature_the_last() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let once = sign(NOTED, &key).unwrap();
        assert_eq!(sign(&once, &key).unwrap(), once, "Ed25519 signs the same bytes the same way");
        let by_other = sign(&[&once, &once[NOTED.len()..]].concat(), &other).unwrap();
        assert_eq!(by_other, sign(NOTED, &other).unwrap());
        assert_eq!(sign(b"\0asm\x01\0\0\0", &key), Err(Unfit::CoreModule));
        assert!(sign(b"hello", &key).is_err());
    }

    #[test]
    fn without_signers_or_for_stock_builds_no_signature_is_demanded() {
        let signers = Signers::new(vec![SigningKey::generate().unwrap().public()]);
        assert_eq!(Signers::default().allow(EMPTY, false), Ok("none demanded".to_owned()));
        assert!(signers.allow(EMPTY, true).unwrap().contains("comes with the binary"));
        assert!(signers.allow(EMPTY, false).unwrap_err().contains("jackfield plugin sign"));
    }

    #[test]
    fn keys_are_read_in_both_spellings_and_nothing_else_is() {
        let key = SigningKey::generate().unwrap().public();
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(hex::encode(key.0).parse(), Ok(key));
        assert_eq!(hex::encode_upper(key.0).parse(), Ok(key));
        for odd in ["", "hello", &key.to_string()[1..], &hex::encode(&key.0[1..]), &"z".repeat(64)] {
            assert_eq!(odd.parse::<SignerKey>(), Err(NotASignerKey), "{odd}");
        }
    }

    #[test]
    fn a_key_is_written_once_for_its_owner_alone_and_read_back() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signer.pem");
        let key = SigningKey::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
        assert!(SigningKey::generate().unwrap().write_new(&path).is_err());
        assert_eq!(SigningKey::read(&path).unwrap().public(), key.public());
        assert!(!format!("{key:?}").contains(&STANDARD.encode(&key.document[16..48])));
        for odd in ["", "hello", "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n"] {
            std::fs::write(&path, odd).unwrap();
            assert!(matches!(SigningKey::read(&path), Err(SigningKeyError::NotAKey)), "{odd}");
        }
        assert!(matches!(SigningKey::read(&folder.path().join("none")), Err(SigningKeyError::File(_))));
    }

    /// `openssl genpkey -algorithm ed25519` leaves the public key out (PKCS#8 version 1).
    #[test]
    fn a_key_without_its_public_half_is_read_too() {
        let mut document = hex::decode("302e020100300506032b657004220420").unwrap();
        document.extend_from_slice(&[7; 32]);
        assert!(SigningKey::from_document(Zeroizing::new(document)).is_ok());
    }
}
