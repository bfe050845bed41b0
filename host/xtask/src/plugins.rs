//! Builds every folder in `plugins/` into a component.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use jackfield_component as component;
use jackfield_vectors::{Bundle, SECTION};

use crate::{root, run, target, wasm_target};

pub(crate) fn build_all() -> Result<()> {
    wasm_target::ensure()?;
    let names = names()?;
    run::step(&format!("building plugins: {}", names.join(", ")));
    let mut cargo = run::cargo_command();
    cargo.args(["build", "--profile", "plugin", "--target", wasm_target::TRIPLE]);
    for name in &names {
        cargo.args(["--package", &format!("plugin-{name}")]);
    }
    run::checked(cargo.env("CARGO_ENCODED_RUSTFLAGS", flags().join("\x1f")))?;
    let modules = target().join(wasm_target::TRIPLE).join("plugin");
    for name in &names {
        let module = modules.join(format!("plugin_{}.wasm", name.replace('-', "_")));
        let module = fs::read(&module).with_context(|| module.display().to_string())?;
        let component = component::encode(&module).with_context(|| format!("plugin `{name}`"))?;
        let component = with_vectors(&component, &root().join("plugins").join(name).join("vectors"))?;
        write(name, &component)?;
        // For the demo and the tests: another build of the same plugin.
        write(&format!("{name}-next"), &component::with_note(&component, "next"))?;
    }
    Ok(())
}

/// The vectors go where the plugin goes: hosts hold it to them before it serves.
fn with_vectors(component: &[u8], folder: &Path) -> Result<Vec<u8>> {
    let section = Bundle::read(folder).and_then(|bundle| bundle.to_section()).map_err(anyhow::Error::msg)?;
    Ok(component::with_section(component, SECTION, &section))
}

/// What the compiler is told for plugins. The bytes are the same wherever the repository and the crates it uses lie.
pub(crate) fn flags() -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo"))).unwrap_or_default();
    let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut registries: Vec<PathBuf> = registries.collect();
    registries.sort();
    let folders = registries.into_iter().map(|folder| (folder, "/crates")).chain([(root(), "/jackfield")]);
    let remap = |(folder, name): (PathBuf, &str)| format!("--remap-path-prefix={}={name}", folder.display());
    component::LINKER.map(str::to_owned).into_iter().chain(folders.map(remap)).collect()
}

pub(crate) fn names() -> Result<Vec<String>> {
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
