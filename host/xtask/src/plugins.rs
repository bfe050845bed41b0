//! Builds every folder in `plugins/` into a component.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{component, root, run, target, wasm_target};

/// Guests need little stack, and each media stream has one.
const STACK: &str = "-Clink-arg=-zstack-size=65536";

pub(crate) fn build_all() -> Result<()> {
    wasm_target::ensure()?;
    let names = names()?;
    run::step(&format!("building plugins: {}", names.join(", ")));
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--profile", "plugin", "--target", wasm_target::TRIPLE]).current_dir(root());
    for name in &names {
        cargo.args(["--package", &format!("plugin-{name}")]);
    }
    // The same bytes wherever they are built.
    let remap = format!("--remap-path-prefix={}=/jackfield {STACK}", root().display());
    run::checked(cargo.env("RUSTFLAGS", remap))?;
    let modules = target().join(wasm_target::TRIPLE).join("plugin");
    for name in &names {
        let module = modules.join(format!("plugin_{}.wasm", name.replace('-', "_")));
        let module = fs::read(&module).with_context(|| module.display().to_string())?;
        let component = component::encode(&module).with_context(|| format!("plugin `{name}`"))?;
        write(name, &component)?;
        // For the demo and the tests: another build of the same plugin.
        write(&format!("{name}-next"), &component::with_note(&component, "next"))?;
    }
    Ok(())
}

fn names() -> Result<Vec<String>> {
    let folder = root().join("plugins");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// Only when the bytes changed, so that the host is not built again for nothing.
fn write(name: &str, component: &[u8]) -> Result<()> {
    let folder = target().join("plugins");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.wasm"));
    if fs::read(&path).is_ok_and(|old| old == component) {
        return Ok(());
    }
    let fresh: &Path = &path.with_extension("part");
    fs::write(fresh, component)?;
    Ok(fs::rename(fresh, path)?)
}
