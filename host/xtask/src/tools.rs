//! Programs of others that are built once, in a pinned version, into `target/tools`.

use std::path::PathBuf;

use anyhow::Result;

use crate::{run, target};

/// A tool that cargo installs, under its own name.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    let tools = target().join("tools");
    let program = tools.join("bin").join(name);
    if !program.exists() {
        run::step(&format!("building {name} (once, a minute or two)"));
        let mut cargo = run::cargo_command();
        cargo.args(["install", name, "--quiet", "--locked", "--version", version, "--root"]).arg(&tools);
        run::checked(&mut cargo)?;
    }
    Ok(program)
}
