//! A plugin in Python: `tests/python`, made into a component by the Bytecode Alliance's `componentize-py`, with all of the
//! interpreter in it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::python_peer::PythonPeer;

pub const NAME: &str = "twilio-py";
/// What `componentize-py` is told in the repository's root, but for where the source is and where the component goes.
pub const ARGUMENTS: &str =
    "--wit-path wit --wit-path tests/python/world.wit --world acme:plugin/plugin componentize plugin --stub-wasi";

/// Builds it, which takes some seconds.
pub fn build() -> Result<Vec<u8>> {
    let python = PythonPeer::python().context("there is no Python: `cargo xtask test` makes one")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // Python leaves what it compiled beside what it read.
    let folder = tempfile::tempdir()?;
    std::fs::copy(root.join("tests/python/plugin.py"), folder.path().join("plugin.py"))?;
    let output = folder.path().join("plugin.wasm");
    let mut command = Command::new(python.with_file_name("componentize-py"));
    command.args(ARGUMENTS.split(' ')).arg("--python-path").arg(folder.path()).arg("--output").arg(&output);
    let made = command.current_dir(root).output().context("componentize-py")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(std::fs::read(output)?)
}
