//! Compiled plugins on disk.
//!
//! Deserialising trusts its bytes completely, so a file counts only with a keyed MAC over what it was compiled for and the
//! code. Anything else is compiled again, and said so.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};

use ring::{digest, hmac};
use serde_json::{Value, json};
use wasmtime::Engine;

use crate::grants::PluginGrants;
use crate::limits::GuestLimits;

const TAG: usize = 32;

/// A folder that only this host writes, and the key that makes that true.
#[derive(Debug, Clone)]
pub struct CompiledCache {
    folder: PathBuf,
    key: hmac::Key,
}

/// What code was compiled for: a build, under these grants, on this engine with these settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CacheKey(String);

impl CacheKey {
    pub(crate) fn new(build: &str, grants: &PluginGrants, limits: &GuestLimits, engine: &Engine) -> Self {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self::of(&json!({ "build": build, "grants": grants, "limits": limits, "engine": hasher.finish() }))
    }

    /// All that is in there counts.
    fn of(all: &Value) -> Self {
        Self(hex::encode(digest::digest(&digest::SHA256, all.to_string().as_bytes())))
    }
}

impl CompiledCache {
    /// `key` should be derived from the host's master key: 32 secret bytes.
    pub fn new(folder: PathBuf, key: &[u8; 32]) -> Self {
        Self { folder, key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The compiled code of that key, if a genuine copy is here.
    pub(crate) fn load(&self, key: &CacheKey) -> Option<Vec<u8>> {
        let mut file = std::fs::read(self.path(key)).ok()?;
        if file.len() < TAG {
            return None;
        }
        let code = file.split_off(TAG);
        let genuine = hmac::verify(&self.key, &message(key, &code), &file).is_ok();
        if !genuine {
            tracing::warn!(key = key.0, "a compiled plugin in the cache was not written by this host; compiling again");
        }
        genuine.then_some(code)
    }

    /// Keeps compiled code: whole or not at all, by a rename.
    pub(crate) fn keep(&self, key: &CacheKey, code: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let tag = hmac::sign(&self.key, &message(key, code));
        let path = self.path(key);
        let fresh = path.with_extension(format!("{}.part", std::process::id()));
        let mut file = std::fs::File::create(&fresh)?;
        file.write_all(tag.as_ref())?;
        file.write_all(code)?;
        file.sync_all()?;
        std::fs::rename(fresh, path)
    }

    fn path(&self, key: &CacheKey) -> PathBuf {
        Path::new(&self.folder).join(format!("{}.cwasm", key.0))
    }
}

/// The key has always the same length, so that no two pairs make one message.
fn message(key: &CacheKey, code: &[u8]) -> Vec<u8> {
    [key.0.as_bytes(), code].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;

    /// With something in every field; the compiler sees to it that none is left out.
    fn everything() -> (PluginGrants, GuestLimits) {
        let grants = PluginGrants {
            hosts: Some(vec!["api.example.com".to_owned()]),
            secrets: Some(vec!["token".to_owned()]),
            media: Some(true),
            wasi: Some(false),
            memory_bytes: Some(1),
            webhook_cpu_ms: Some(2),
            media_cpu_ms: Some(3),
            requests: Some(4),
        };
        let limits = GuestLimits {
            memory: 1,
            webhook_cpu: Duration::from_millis(1),
            media_cpu: Duration::from_millis(2),
            wall: Duration::from_millis(3),
            calls_wall: Duration::from_millis(4),
            result: 2,
            upload: 3,
            instances: 4,
            generations: 5,
            requests: 6,
            at_once: 7,
            queue: 8,
            counted: false,
        };
        (grants, limits)
    }

    /// Every value in there that has no others in it, changed one at a time.
    fn variants(all: &Value, make: &mut dyn FnMut(Value)) {
        match all {
            Value::Object(fields) => {
                for (name, value) in fields {
                    variants(value, &mut |changed| {
                        let mut fields = fields.clone();
                        fields.insert(name.clone(), changed);
                        make(Value::Object(fields));
                    });
                }
            }
            Value::Array(items) => make(json!([items, "one more"])),
            Value::Bool(known) => make(json!(!known)),
            Value::Number(number) => make(json!(number.as_u64().unwrap_or_default() + 1)),
            known => make(json!([known])),
        }
    }

    #[test]
    fn every_field_of_grants_and_settings_makes_another_key() {
        let (grants, limits) = everything();
        let all = json!({ "build": "b", "grants": grants, "limits": limits, "engine": 9 });
        assert_eq!(all["grants"].as_object().map(serde_json::Map::len), Some(8), "none is left out of the text");
        let (mut keys, mut made) = (HashSet::from([CacheKey::of(&all).0]), 1);
        variants(&all, &mut |changed| {
            keys.insert(CacheKey::of(&changed).0);
            made += 1;
        });
        // A time has two numbers.
        assert_eq!((made, keys.len()), (1 + 2 + 8 + 13 + 4, made));
        assert_eq!(CacheKey::of(&all), CacheKey::of(&all.clone()));
    }

    #[test]
    fn a_key_is_made_of_the_build_its_grants_the_limits_and_the_engine() -> wasmtime::Result<()> {
        let ((grants, limits), engine) = (everything(), Engine::default());
        let other = Engine::new(wasmtime::Config::new().epoch_interruption(true))?;
        let (no_grants, usual) = (PluginGrants::default(), GuestLimits::default());
        let keys = HashSet::from([
            CacheKey::new("b", &grants, &limits, &engine).0,
            CacheKey::new("c", &grants, &limits, &engine).0,
            CacheKey::new("b", &no_grants, &limits, &engine).0,
            CacheKey::new("b", &grants, &usual, &engine).0,
            CacheKey::new("b", &grants, &limits, &other).0,
        ]);
        assert_eq!(keys.len(), 5);
        Ok(())
    }
}
