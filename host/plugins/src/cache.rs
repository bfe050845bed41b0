//! Compiled plugins on disk.
//!
//! Deserialising trusts its bytes completely, so a file counts only with a keyed MAC over the plugin's digest, the
//! engine's compatibility hash and the code. Anything else is compiled again, and said so.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use ring::hmac;
use wasmtime::Engine;

const TAG: usize = 32;

/// A folder that only this host writes, and the key that makes that true.
#[derive(Debug, Clone)]
pub struct CompiledCache {
    folder: PathBuf,
    key: hmac::Key,
}

impl CompiledCache {
    /// `key` should be derived from the host's master key: 32 secret bytes.
    pub fn new(folder: PathBuf, key: &[u8; 32]) -> Self {
        Self { folder, key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The compiled code for these wasm bytes on this engine, if a genuine copy is here.
    pub(crate) fn load(&self, engine: &Engine, digest: &str) -> Option<Vec<u8>> {
        let compatibility = compatibility(engine);
        let mut file = std::fs::read(self.path(digest, compatibility)).ok()?;
        if file.len() < TAG {
            return None;
        }
        let code = file.split_off(TAG);
        let genuine = hmac::verify(&self.key, &self.message(digest, compatibility, &code), &file).is_ok();
        if !genuine {
            tracing::warn!(digest, "a compiled plugin in the cache was not written by this host; compiling again");
        }
        genuine.then_some(code)
    }

    /// Keeps compiled code: whole or not at all, by a rename.
    pub(crate) fn keep(&self, engine: &Engine, digest: &str, code: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let compatibility = compatibility(engine);
        let tag = hmac::sign(&self.key, &self.message(digest, compatibility, code));
        let path = self.path(digest, compatibility);
        let fresh = path.with_extension(format!("{}.part", std::process::id()));
        let mut file = std::fs::File::create(&fresh)?;
        file.write_all(tag.as_ref())?;
        file.write_all(code)?;
        file.sync_all()?;
        std::fs::rename(fresh, path)
    }

    fn path(&self, digest: &str, compatibility: u64) -> PathBuf {
        Path::new(&self.folder).join(format!("{digest}-{compatibility:016x}.cwasm"))
    }

    /// Fixed-length parts first, so that no two triples make one message.
    fn message(&self, digest: &str, compatibility: u64, code: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(code.len() + 80);
        message.extend_from_slice(&u64::try_from(digest.len()).unwrap_or(u64::MAX).to_be_bytes());
        message.extend_from_slice(digest.as_bytes());
        message.extend_from_slice(&compatibility.to_be_bytes());
        message.extend_from_slice(code);
        message
    }
}

fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}
