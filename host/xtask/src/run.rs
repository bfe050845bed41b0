//! Runs other programs, and says so.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::root;

/// Progress for people.
pub(crate) fn step(what: &str) {
    eprintln!("── {what}");
}

pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    checked(cargo_command().args(arguments))
}

/// Cargo in the repository, with the environment as it was before `cargo run` added this package's own variables: some
/// build scripts watch those, and would run again whenever a build is started from here.
pub(crate) fn cargo_command() -> Command {
    of_cargo(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The same for a program that starts cargo itself.
pub(crate) fn of_cargo(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_cargo_run) {
            command.env_remove(name);
        }
    }
    command.current_dir(root());
    command
}

fn is_of_cargo_run(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || matches!(variable, "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH")
}

/// A program that is ended after so many seconds.
pub(crate) fn limited(seconds: u32, program: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args([&seconds.to_string(), program]);
    command
}

/// Turns this process into a program that was built here, so that it gets the terminal's and the caller's signals itself.
pub(crate) fn become_program(path: &Path, arguments: &[String], environment: &[(&str, PathBuf)]) -> Result<()> {
    let mut command = Command::new(path);
    command.args(arguments).current_dir(root()).envs(environment.iter().map(|(name, value)| (name, value)));
    let error = command.exec();
    Err(error).with_context(|| format!("`{}` could not be started", shown(&command)))
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
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        bail!("`{shown}` failed ({}): {}", output.status, last.unwrap_or("it said nothing"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As one would type it, without the folders before the program and without its later arguments.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words: Vec<_> = std::iter::once(name).chain(command.get_args().take(7)).map(OsStr::to_string_lossy).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_failure_is_told_by_the_last_line_that_was_written() {
        let error = quietly(Command::new("sh").args(["-c", "echo first >&2; echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().ends_with("(exit status: 3): why"), "{error}");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let error = quietly(limited(1, "sleep").arg("600")).unwrap_err();
        assert!(error.to_string().starts_with("`timeout 1 sleep 600` failed"), "{error}");
    }

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        assert_eq!(shown(Command::new("/opt/rust/bin/cargo").args(["fmt", "--check"])), "cargo fmt --check");
    }
}
