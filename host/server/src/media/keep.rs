//! Brings finished recordings to the object store. Until one is there, its file stays: nothing is lost to an outage.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jackfield_egress::ObjectStore;
use tokio::sync::mpsc;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Uploads what comes, and first what an earlier run left in `folder`; deletes each file once it is there. Ends with the host.
pub async fn keep_recordings(store: ObjectStore, folder: PathBuf, mut finished: mpsc::UnboundedReceiver<PathBuf>) {
    for path in left_behind(&folder) {
        keep(&store, &path).await;
    }
    while let Some(path) = finished.recv().await {
        keep(&store, &path).await;
    }
}

/// Recordings that no call of this run writes.
fn left_behind(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wav"));
    paths.sort();
    paths
}

/// Tries until it is there. The ones behind it wait: a store that takes one takes the next.
async fn keep(store: &ObjectStore, path: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    let mut pause = FIRST_PAUSE;
    while let Err(error) = store.put_file(name, "audio/wav", path).await {
        if !path.exists() {
            return tracing::warn!(name, "a recording is gone from the folder before it was kept");
        }
        tracing::error!(name, %error, "a recording is not in the object store yet; check object_store. Its file stays");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if let Err(error) = tokio::fs::remove_file(path).await {
        tracing::warn!(name, %error, "a recording is kept, and its file cannot be removed");
    }
}
