//! Watches the plugin folder: a file `NAME.wasm` there overrides or adds provider NAME.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jackfield_plugins::digest_of;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::{Origin, Plan, Rollout};

/// Copies come in pieces: a file counts when it has been quiet for so long.
const SETTLE: Duration = Duration::from_millis(300);
/// Looked at this often where the system sends no notice (network file systems).
const AGAIN: Duration = Duration::from_secs(10);

/// Takes in what is in the folder, then what comes into it, for as long as the host runs.
pub async fn watch(rollout: Rollout, folder: PathBuf) {
    let mut seen = HashMap::new();
    scan(&rollout, &folder, &mut seen, true).await;
    let (notice, mut notices) = mpsc::channel(1);
    // A notice that finds one waiting is the same notice.
    let watcher = notify::recommended_watcher(move |_| _ = notice.try_send(()));
    let watcher = watcher.and_then(|mut watcher| watcher.watch(&folder, RecursiveMode::NonRecursive).map(|()| watcher));
    if let Err(error) = &watcher {
        tracing::info!(folder = %folder.display(), %error, "the plugin folder is looked at every 10 s");
    }
    loop {
        match tokio::time::timeout(AGAIN, notices.recv()).await {
            // Without a watcher the channel is closed: only time is left.
            Ok(None) => tokio::time::sleep(AGAIN).await,
            Ok(Some(())) => quiet(&mut notices).await,
            Err(_) => {}
        }
        scan(&rollout, &folder, &mut seen, false).await;
    }
}

async fn quiet(notices: &mut mpsc::Receiver<()>) {
    while let Ok(Some(())) = tokio::time::timeout(SETTLE, notices.recv()).await {}
}

/// Admits each file whose bytes were not tried before. A refused file is reported once, until it changes.
async fn scan(rollout: &Rollout, folder: &Path, seen: &mut HashMap<PathBuf, String>, at_start: bool) {
    for path in components(folder) {
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
        let bytes = match tokio::fs::read(&path).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a plugin file could not be read");
                continue;
            }
        };
        let digest = digest_of(&bytes);
        if seen.insert(path.clone(), digest.clone()).as_ref() == Some(&digest) {
            continue;
        }
        // At a start, a file that was promoted before and then replaced or rolled back is old news.
        if rollout.serves_build(&name, &digest) || (at_start && rollout.knows(&name, &digest).await) {
            continue;
        }
        let origin = Origin { source: "folder", who: String::new() };
        if let Err(error) = rollout.begin(&name, bytes, origin, Plan::default()).await {
            tracing::error!(file = %path.display(), %error, "a plugin file was refused; the old one serves on");
        }
    }
}

fn components(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    files
}
