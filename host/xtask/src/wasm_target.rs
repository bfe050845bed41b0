//! The standard library for plugins: from rustup where it can be reached, else built from Debian's `rust-src`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::{run, target};

pub(crate) const TRIPLE: &str = "wasm32-unknown-unknown";
/// The suite that keeps older versions of the package.
const SUITE: &str = "trixie-backports";

/// Makes sure that plugins can be built.
pub(crate) fn ensure() -> Result<()> {
    let sysroot = PathBuf::from(run::quietly(Command::new(rustc()).args(["--print", "sysroot"]))?.trim());
    let library = sysroot.join("lib/rustlib").join(TRIPLE).join("lib");
    if is_there(&library) {
        return Ok(());
    }
    run::step(&format!("getting the standard library for {TRIPLE}"));
    let by_rustup = rustup();
    if by_rustup.is_ok() && is_there(&library) {
        return Ok(());
    }
    eprintln!("   rustup cannot get it here; building it from Debian's rust-src (about a minute)");
    let why_not = by_rustup.err().map_or_else(|| "it said yes and brought nothing".to_owned(), |error| error.to_string());
    build(&library).map_err(|error| {
        anyhow!(
            "no standard library for {TRIPLE}: `rustup target add {TRIPLE}` did not work ({why_not}), and neither did building it from \
             Debian's package rust-src ({error:#}). Connect the machine to one of the two and run this again."
        )
    })
}

fn rustc() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

fn is_there(library: &Path) -> bool {
    fs::read_dir(library).is_ok_and(|entries| {
        entries.filter_map(|entry| entry.ok()).any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

/// With a time limit: where the release server is out of reach, some networks never say so.
fn rustup() -> Result<()> {
    let mut command = Command::new("timeout");
    run::quietly(command.args(["60", "rustup", "target", "add", TRIPLE])).map(drop)
}

fn build(library: &Path) -> Result<()> {
    let version = release(&run::quietly(Command::new(rustc()).arg("--version"))?)?;
    let work = target().join("rust-src");
    let source = fetch(&work, &version)?;
    let built = work.join("target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--release", "--quiet", "--target", TRIPLE, "--manifest-path", "sysroot/Cargo.toml"])
        .args(["--features", "panic-unwind", "--target-dir"])
        .arg(&built)
        .current_dir(&source)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_DEFAULT_LIB_METADATA", "stablestd")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes -Cdebuginfo=0 -Zforce-unstable-if-unmarked");
    run::checked(&mut cargo)?;
    install(&built.join(TRIPLE).join("release/deps"), library)
}

/// `rustc 1.95.0 (…)` → `1.95.0`.
fn release(version: &str) -> Result<String> {
    let number = version.split_whitespace().nth(1).unwrap_or_default();
    match number.chars().all(|c| c.is_ascii_digit() || c == '.') && !number.is_empty() {
        true => Ok(number.to_owned()),
        false => bail!("rustc {number} is no release, and Debian has only releases"),
    }
}

/// Downloads and unpacks the package with folders of our own: nothing is installed, nothing of the system's changes.
fn fetch(work: &Path, version: &str) -> Result<PathBuf> {
    let library = work.join("unpacked/usr/src").join(format!("rustc-{version}")).join("library");
    if library.join("sysroot/Cargo.toml").exists() {
        return Ok(library);
    }
    for folder in ["lists/partial", "cache/archives/partial", "unpacked"] {
        fs::create_dir_all(work.join(folder))?;
    }
    fs::write(work.join("sources.list"), sources()?)?;
    run::checked(apt("apt-get", work).args(["-qq", "update"]))?;
    let known = run::quietly(apt("apt-cache", work).args(["madison", "rust-src"]))?;
    let wanted = package_version(&known, version)
        .ok_or_else(|| anyhow!("Debian has no rust-src {version}; use a Rust release that it has"))?;
    run::checked(apt("apt-get", work).args(["-qq", "download", &format!("rust-src={wanted}")]).current_dir(work))?;
    let package = fs::read_dir(work)?.filter_map(|entry| Some(entry.ok()?.path()));
    let package = package.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let package = package.context("apt-get downloaded nothing")?;
    run::checked(Command::new("dpkg-deb").arg("-x").arg(&package).arg(work.join("unpacked")))?;
    fs::remove_file(package)?;
    match library.join("sysroot/Cargo.toml").exists() {
        true => Ok(library),
        false => bail!("the package does not hold the library's source where it should"),
    }
}

fn apt(program: &str, work: &Path) -> Command {
    let mut command = Command::new(program);
    for (key, value) in [("Dir::State::lists", "lists"), ("Dir::Cache", "cache"), ("Dir::Etc::sourcelist", "sources.list")] {
        command.args(["-o", &format!("{key}={}", work.join(value).display())]);
    }
    command.args(["-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Sandbox::User=root"]);
    command
}

/// The machine's own Debian mirror, asked for another suite.
fn sources() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    files.sort();
    let found = files.iter().filter_map(|file| mirror(&fs::read_to_string(file).ok()?)).next();
    let (uri, keyring) = found.ok_or_else(|| anyhow!("apt knows no Debian mirror on this machine"))?;
    let signed = keyring.map_or(String::new(), |keyring| format!("[signed-by={keyring}] "));
    Ok(format!("deb {signed}{uri} {SUITE} main\n"))
}

/// The first Debian archive in a sources file, of either format, and the keyring it names.
fn mirror(text: &str) -> Option<(String, Option<String>)> {
    let is_debian = |uri: &str| uri.trim_end_matches('/').ends_with("/debian");
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("deb ")) {
        let uri = line.split_whitespace().find(|word| word.contains("://") && is_debian(word))?;
        let keyring = line.split("signed-by=").nth(1).and_then(|rest| rest.split([']', ' ', ',']).next());
        return Some((uri.to_owned(), keyring.map(str::to_owned)));
    }
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
        };
        let uri = field("URIs")?.split_whitespace().find(|uri| is_debian(uri))?.to_owned();
        Some((uri, field("Signed-By").filter(|path| path.starts_with('/'))))
    })
}

/// The package's version for this release, in what `apt-cache madison` prints.
fn package_version(madison: &str, release: &str) -> Option<String> {
    let versions = madison.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()));
    versions.into_iter().find(|version| version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-'])))
}

fn install(built: &Path, library: &Path) -> Result<()> {
    let refused = || format!("{} cannot be written; run this once as the owner of the Rust toolchain", library.display());
    fs::create_dir_all(library).with_context(refused)?;
    for entry in fs::read_dir(built)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rlib") {
            let name = path.file_name().unwrap_or_default();
            fs::copy(&path, library.join(name)).with_context(refused)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_found_in_either_format() {
        let one_line = "# x\ndeb [signed-by=/k.gpg arch=amd64] https://mirror.example/debian bookworm main\n";
        assert_eq!(mirror(one_line), Some(("https://mirror.example/debian".into(), Some("/k.gpg".into()))));
        let deb822 = "Types: deb\nURIs: http://mirror.example/debian-security\n\nTypes: deb\n# c\nURIs: http://mirror.example/debian/\nSigned-By: /k.gpg\n";
        assert_eq!(mirror(deb822), Some(("http://mirror.example/debian/".into(), Some("/k.gpg".into()))));
        assert_eq!(mirror("deb https://other.example/apt stable main"), None);
    }

    #[test]
    fn the_package_of_the_same_release_is_chosen() {
        let madison = " rust-src | 1.96.1+dfsg1-2~bpo13+1 | x\n rust-src | 1.95.0+dfsg1-2~bpo13+1 | x\n";
        assert_eq!(package_version(madison, "1.95.0").as_deref(), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(package_version(madison, "1.9"), None);
    }

    #[test]
    fn only_releases_have_a_package() {
        assert_eq!(release("rustc 1.95.0 (59807616e 2026-04-14)").ok().as_deref(), Some("1.95.0"));
        assert!(release("rustc 1.97.0-nightly (x)").is_err());
    }
}
