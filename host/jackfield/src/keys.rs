//! `jackfield keys`: the key that seals secrets, and a new one in its place while hosts serve.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use jackfield_store::{Keyring, Store};

use crate::config::{self, Settings};
use crate::ending::Ending;
use crate::{home, say};

/// Hosts read a new key when they meet it, or within a second; what they sealed with the old one until then is found by
/// another walk.
const SETTLE: Duration = Duration::from_secs(3);

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Print the ids of the keys, the one that seals first.
    List,
    /// Make a new key, and seal everything with it. May be interrupted, and run again; hosts go on serving.
    Rotate,
    /// Seal everything with the newest key, once more: after a rotation that was interrupted, or where keys are no file.
    Reseal,
    /// Forget older keys, once nothing is sealed with them.
    Prune,
}

/// Carries it out.
pub(crate) fn run(command: &KeysCommand, file: Option<&Path>) -> Ending {
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let settings = match config::load(file, variables) {
        Ok(settings) => settings,
        Err(error) => return home::refuse(&error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return home::refuse(&format!("the system gives no threads: {error}")),
    };
    match runtime.block_on(carry_out(command, &settings)) {
        Ok(told) => say(&told),
        Err(sentence) => home::refuse(&sentence),
    }
}

async fn carry_out(command: &KeysCommand, settings: &Settings) -> Result<String, String> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let database = settings.database().map_err(|error| error.to_string())?;
    let keyring = home::keyring(settings, &database)?;
    let said = |error: jackfield_store::KeyringError| error.to_string();
    let open = async || {
        let store = Store::open(&database.url, 2, keyring.clone()).await;
        store.map_err(|error| error.to_string())
    };
    match command {
        KeysCommand::List => Ok(keyring.ids().iter().map(|id| format!("{id}\n")).collect()),
        KeysCommand::Rotate => {
            // Opened first: a key for a database that cannot be read would be one too many.
            let store = open().await?;
            let id = keyring.add_key().map_err(said)?;
            let count = sealed_anew(&store).await?;
            Ok(format!(
                "{id} seals now; {count} rows were sealed anew. `jackfield keys prune` forgets the older keys.\n"
            ))
        }
        KeysCommand::Reseal => Ok(format!("{} rows were sealed anew\n", sealed_anew(&open().await?).await?)),
        KeysCommand::Prune => prune(&open().await?, &keyring).await,
    }
}

/// Until a walk some time after the last finds nothing any more.
async fn sealed_anew(store: &Store) -> Result<u64, String> {
    let mut all = 0;
    loop {
        let count = store.reseal().await.map_err(|error| error.to_string())?;
        all += count;
        tokio::time::sleep(SETTLE).await;
        if count == 0 {
            return Ok(all);
        }
    }
}

async fn prune(store: &Store, keyring: &Keyring) -> Result<String, String> {
    match store.reseal().await.map_err(|error| error.to_string())? {
        0 => {
            let count = keyring.forget_older().map_err(|error| error.to_string())?;
            Ok(format!("{count} older keys are forgotten\n"))
        }
        count => {
            Ok(format!("{count} rows were still sealed with older keys, and are no more: run it again in a moment\n"))
        }
    }
}
