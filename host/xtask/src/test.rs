//! Every check and every test, in the order in which they fail fastest.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::{EVERYTHING, build, environment, root, run, target};

/// Twilio's own library: an oracle for signatures and markup that shares no code with us.
const ORACLES: [&str; 1] = ["twilio==9.13.0"];
const DENY: &str = "0.20.2";

pub(crate) fn all() -> Result<()> {
    let began = Instant::now();
    timed("format", || run::cargo(&["fmt", "--all", "--check"]))?;
    timed("build", build)?;
    timed("lints", || {
        run::cargo(&["clippy", "--quiet", "--package", "xtask", "--all-targets", "--", "-D", "warnings"])?;
        let all = [&["clippy", "--quiet", "--all-targets"], &EVERYTHING[..], &["--", "-D", "warnings"]];
        run::cargo(&all.concat())
    })?;
    timed("licences, bans and advisories", deny)?;
    let python = timed("oracles", oracles)?;
    timed("tests of xtask", || run::cargo(&["test", "--quiet", "--package", "xtask"]))?;
    timed("tests", || tests(&python))?;
    run::step(&format!("all passed in {} s", began.elapsed().as_secs()));
    Ok(())
}

fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    run::step(what);
    let began = Instant::now();
    let outcome = work().with_context(|| format!("{what} failed"))?;
    eprintln!("   {what}: {} s", began.elapsed().as_secs());
    Ok(outcome)
}

fn tests(python: &PathBuf) -> Result<()> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("test").args(EVERYTHING).arg("--no-fail-fast").current_dir(root());
    for (name, value) in environment() {
        command.env(name, value);
    }
    run::checked(command.env("JACKFIELD_PYTHON", python))
}

/// A Python of our own with the providers' libraries.
fn oracles() -> Result<PathBuf> {
    let venv = target().join("venv");
    let python = venv.join("bin/python");
    let has = |python: &PathBuf| run::quietly(Command::new(python).args(["-c", "import twilio"])).is_ok();
    if has(&python) {
        return Ok(python);
    }
    let make = || run::quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    if make().is_err() {
        run::step("installing python3-venv");
        run::checked(Command::new("apt-get").args(["-qq", "update"]))?;
        run::checked(Command::new("apt-get").args(["-qq", "install", "--yes", "python3-venv"]))?;
        make()?;
    }
    run::checked(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(ORACLES))?;
    Ok(python)
}

fn deny() -> Result<()> {
    let tools = target().join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.exists() {
        run::step("building cargo-deny (once)");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["install", "cargo-deny", "--quiet", "--locked", "--version", DENY, "--root"]).arg(&tools);
        run::checked(cargo.current_dir(root()))?;
    }
    let check = |what: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["--log-level", "error", "check"]).args(what).current_dir(root());
        command
    };
    run::checked(&mut check(&["bans", "licenses", "sources"]))?;
    // The advisory database comes from a forge that not every network reaches.
    match run::quietly(Command::new("timeout").arg("60").arg(&program).args(["fetch", "db"]).current_dir(root())) {
        Ok(_) => run::checked(&mut check(&["advisories"])),
        Err(error) => {
            eprintln!("   NOT CHECKED: advisories; the database cannot be reached from here ({error:#})");
            Ok(())
        }
    }
}
