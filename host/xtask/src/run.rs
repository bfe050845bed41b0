//! Runs other programs, and says so.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root;

/// Progress for people.
pub(crate) fn step(what: &str) {
    eprintln!("── {what}");
}

pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    checked(&mut command)
}

/// A program that was built here.
pub(crate) fn program(path: &Path, arguments: &[String], environment: &[(&str, std::path::PathBuf)]) -> Result<()> {
    let mut command = Command::new(path);
    command.args(arguments).current_dir(root());
    for (name, value) in environment {
        command.env(name, value);
    }
    checked(&mut command)
}

/// Runs a command with its output shown, and fails if it does.
pub(crate) fn checked(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("`{shown}` could not be started"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command without showing anything; its standard output if it succeeds.
pub(crate) fn quietly(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("`{shown}` could not be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed: {}", said.lines().last().unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().take(4).map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}
