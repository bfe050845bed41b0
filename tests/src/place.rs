//! Where the built things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The host's binary: `JACKFIELD_BIN`, or beside the running program.
pub fn host_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("JACKFIELD_BIN") {
        return Ok(PathBuf::from(path));
    }
    found("jackfield")
}

/// A built plugin, `NAME.wasm`: from `JACKFIELD_PLUGINS_DIR`, or from `target/plugins`.
pub fn plugin(name: &str) -> Result<Vec<u8>> {
    let file = format!("{name}.wasm");
    let path = match std::env::var_os("JACKFIELD_PLUGINS_DIR") {
        Some(folder) => Path::new(&folder).join(file),
        None => found(&format!("../plugins/{file}"))?,
    };
    std::fs::read(&path).with_context(|| format!("{} cannot be read. Run `cargo xtask build`.", path.display()))
}

/// The repository's target folder.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target")
}

/// Programs are in `target/release`, tests in `target/release/deps`.
fn found(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("the running program has no path")?;
    let near = own.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    match near.into_iter().find(|path| path.exists()) {
        Some(path) => Ok(path),
        None => bail!("no {name} near {}. Run `cargo xtask build` first.", own.display()),
    }
}
