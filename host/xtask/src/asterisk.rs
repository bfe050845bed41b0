//! A real Asterisk 22 in a folder under `target/`, and the tests that call through it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{EVERYTHING, apt, build, environment, run, target};

/// The Debian suite that has Asterisk 22 with `chan_websocket`.
const SUITE: &str = "sid";
/// Written when the folder is whole.
const MARKER: &str = "installed";

/// `cargo xtask test asterisk`: everything it needs, then the calls.
pub(crate) fn test() -> Result<()> {
    build()?;
    test_what_is_built()
}

/// The same as a part of all tests.
pub(crate) fn test_what_is_built() -> Result<()> {
    match installed()? {
        Ok(root) => calls(&root),
        Err(reason) => {
            eprintln!("   SKIPPED: calls over a real Asterisk: {reason}");
            Ok(())
        }
    }
}

fn calls(root: &Path) -> Result<()> {
    run::step("calls over a real Asterisk");
    let mut cargo = run::cargo_command();
    cargo.arg("test").args(EVERYTHING).args(["--test", "asterisk", "--", "--ignored", "--test-threads", "1"]);
    cargo.envs(environment()).env("JACKFIELD_ASTERISK", root);
    run::checked(&mut cargo)
}

/// The folder, or why there is none: a machine may have no way to a mirror, or not let us change the root.
fn installed() -> Result<Result<PathBuf, String>> {
    let root = target().join("asterisk");
    if root.join(MARKER).exists() {
        return Ok(Ok(root));
    }
    if run::quietly(Command::new("id").arg("-u"))?.trim() != "0" {
        return Ok(Err("it takes root to install and start one in a folder of its own".to_owned()));
    }
    run::step("installing Asterisk in target/asterisk (once, about two minutes)");
    Ok(install(&root).map(|()| root).map_err(|error| format!("it cannot be installed: {error:#}")))
}

fn install(root: &Path) -> Result<()> {
    if run::quietly(Command::new("debootstrap").arg("--version")).is_err() {
        run::quietly(Command::new("apt-get").args(["-qq", "update"]))?;
        run::quietly(Command::new("apt-get").args(["-qq", "install", "--yes", "debootstrap"]))?;
    }
    // What an interrupted run left is worth nothing.
    if root.exists() {
        std::fs::remove_dir_all(root).with_context(|| format!("{} is in the way", root.display()))?;
    }
    let mirror = mirror()?;
    run::quietly(run::limited(600, "debootstrap").args(["--variant=minbase", SUITE]).arg(root).arg(&mirror))?;
    let mut apt = run::limited(600, "chroot");
    apt.arg(root).args([
        "apt-get",
        "-qq",
        "install",
        "--yes",
        "--no-install-recommends",
        "asterisk",
        "asterisk-modules",
    ]);
    run::quietly(apt.env("DEBIAN_FRONTEND", "noninteractive"))?;
    let version = run::quietly(Command::new("chroot").arg(root).args(["asterisk", "-V"]))?;
    if !version.starts_with("Asterisk 2") {
        bail!("it says that it is `{}`", version.trim());
    }
    std::fs::write(root.join(MARKER), version).context("its folder cannot be written to")
}

/// The mirror that this machine gets its own packages from.
fn mirror() -> Result<String> {
    let codename = run::quietly(Command::new("sh").args(["-c", ". /etc/os-release && echo $VERSION_CODENAME"]))?;
    let folder = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let files = std::iter::once(PathBuf::from("/etc/apt/sources.list")).chain(folder);
    let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
    let archives: Vec<_> = texts.flat_map(|text| apt::archives(&text, codename.trim())).collect();
    archives
        .iter()
        .find_map(apt::Archive::address)
        .map(str::to_owned)
        .context("no Debian mirror is among apt's sources")
}
