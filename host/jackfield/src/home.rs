//! The data folder: what is in it, what is made at the first start, and what must not be lost.

use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use jackfield_server::api::digest_of_token;
use jackfield_store::{Keyring, Store};

use crate::config::{Database, Settings};
use crate::ending::Ending;

const TOKEN_DIGEST: &str = "admin-token-sha256";

/// What is in the data folder.
pub(crate) struct Home {
    pub(crate) keyring: Keyring,
    pub(crate) store: Store,
    /// SHA-256 of the admin token.
    pub(crate) admin: [u8; 32],
    /// The token, if it was made just now: to be printed once.
    pub(crate) fresh_token: Option<String>,
}

/// Opens the data folder, and makes what is missing.
///
/// # Errors
/// A sentence that says what to mend.
pub(crate) async fn open(settings: &Settings) -> Result<Home, String> {
    let folder = &settings.data;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| format!("the data folder {} cannot be made: {error}", folder.display()))?;
    let database = settings.database().map_err(|error| error.to_string())?;
    let keyring = keyring(settings, &database)?;
    let store =
        Store::open(&database.url, settings.connections(), keyring.clone()).await.map_err(|error| error.to_string())?;
    let (admin, fresh_token) = admin(settings, &store).await?;
    Ok(Home { keyring, store, admin, fresh_token })
}

/// From where the settings say.
pub(crate) fn keyring(settings: &Settings, database: &Database) -> Result<Keyring, String> {
    let (value, command) = (&settings.keys.value, &settings.keys.command);
    if !value.is_empty() {
        return Keyring::from_text(&value.replace(',', "\n")).map_err(|error| error.to_string());
    }
    if !command.is_empty() {
        return Keyring::from_command(command).map_err(|error| error.to_string());
    }
    in_file(&settings.key_file(), database)
}

/// A new key for an old database would only make its secrets look damaged.
fn in_file(path: &Path, database: &Database) -> Result<Keyring, String> {
    let used = database.file.as_ref().is_some_and(|file| file.exists());
    if used && !path.exists() {
        return Err(format!(
            "the database is here and its key file {} is not: restore it from your backup, or move the database away",
            path.display()
        ));
    }
    Keyring::load_or_create(path).map_err(|error| error.to_string())
}

/// Why there is no start, in a sentence; logs may not be up yet.
pub(crate) fn refuse(sentence: &str) -> Ending {
    writeln!(std::io::stderr(), "jackfield: {sentence}").ok();
    Ending::Config
}

/// The token of the settings, else the one of the first start, else a new one.
async fn admin(settings: &Settings, store: &Store) -> Result<([u8; 32], Option<String>), String> {
    if !settings.admin_token.is_empty() {
        return Ok((digest_of_token(&settings.admin_token), None));
    }
    let said = |error: jackfield_store::StoreError| error.to_string();
    if let Some(kept) = store.meta_get(TOKEN_DIGEST).await.map_err(said)? {
        let digest = hex::decode(kept).ok().and_then(|bytes| bytes.try_into().ok());
        let damaged = || "the admin token in the database is damaged: set JACKFIELD_ADMIN_TOKEN".to_owned();
        return Ok((digest.ok_or_else(damaged)?, None));
    }
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    let token = hex::encode(secret);
    let digest = digest_of_token(&token);
    store.meta_set(TOKEN_DIGEST, &hex::encode(digest)).await.map_err(said)?;
    Ok((digest, Some(token)))
}
