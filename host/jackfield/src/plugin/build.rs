//! `jackfield plugin build`: the crate in a folder as a component.

use std::path::{Path, PathBuf};
use std::process::Command;

use jackfield_vectors::{Bundle, SECTION};
use serde_json::Value;

use super::report;
use crate::ending::Ending;

const TRIPLE: &str = "wasm32-unknown-unknown";

pub(super) fn run(folder: &Path) -> Ending {
    match build(folder) {
        Ok(file) => {
            report::say(&[file.display().to_string()]);
            Ending::Done
        }
        Err(why) => {
            report::complain(&why);
            Ending::Failed
        }
    }
}

/// The path of the component.
fn build(folder: &Path) -> Result<PathBuf, String> {
    let (package, target) = package(folder)?;
    let name = package.strip_prefix("plugin-").unwrap_or(&package);
    let status = Command::new("cargo")
        .args(["build", "--profile", "plugin", "--target", TRIPLE])
        .current_dir(folder)
        .env("CARGO_ENCODED_RUSTFLAGS", jackfield_component::LINKER.join("\x1f"))
        .status()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    if !status.success() {
        return Err(format!("the build failed. If the target is missing: rustup target add {TRIPLE}"));
    }
    let module = target.join(TRIPLE).join("plugin").join(format!("{}.wasm", package.replace('-', "_")));
    let module = std::fs::read(&module).map_err(|error| format!("{}: {error}", module.display()))?;
    let component = jackfield_component::encode(&module).map_err(|error| format!("{error:#}"))?;
    let component = with_vectors(component, &folder.join("vectors"))?;
    let file = target.join(format!("{name}.wasm"));
    std::fs::write(&file, component).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(file)
}

/// The vectors go where the plugin goes: hosts hold it to them before it serves.
fn with_vectors(component: Vec<u8>, folder: &Path) -> Result<Vec<u8>, String> {
    if !folder.exists() {
        return Ok(component);
    }
    let section = Bundle::read(folder)?.to_section()?;
    Ok(jackfield_component::with_section(&component, SECTION, &section))
}

/// The package in the folder, and where its builds go.
fn package(folder: &Path) -> Result<(String, PathBuf), String> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(folder)
        .output()
        .map_err(|error| format!("cargo could not be started in {}: {error}", folder.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))?;
    let name = metadata["packages"][0]["name"].as_str();
    let target = metadata["target_directory"].as_str();
    let found = name.zip(target).map(|(name, target)| (name.to_owned(), PathBuf::from(target)));
    found.ok_or_else(|| format!("{} holds no package", folder.display()))
}
