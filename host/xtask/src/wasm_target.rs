//! The standard library for plugins: from rustup where it can be reached, else built from Debian's `rust-src`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{apt, run, target};

pub(crate) const TRIPLE: &str = "wasm32-unknown-unknown";
/// The suite that keeps older versions of the package.
const SUITE: &str = "trixie-backports";
/// In a library that was built here: the compiler it was built with.
const STAMP: &str = "built-by-xtask";

type Way = fn(&Toolchain) -> Result<()>;

/// The compiler, and where its libraries are.
struct Toolchain {
    sysroot: PathBuf,
    /// What `rustc -vV` prints.
    identity: String,
}

/// Makes sure that plugins can be built.
pub(crate) fn ensure() -> Result<()> {
    let toolchain = Toolchain::find()?;
    toolchain.remove_stale()?;
    if toolchain.has_library() {
        return Ok(());
    }
    run::step(&format!("getting the standard library for {TRIPLE}"));
    let ways: [(&str, Way); 2] = [("rustup", by_rustup), ("building it from Debian's package rust-src", from_debian)];
    let mut tried = Vec::new();
    for (name, way) in ways {
        match way(&toolchain) {
            Ok(()) if toolchain.has_library() => return Ok(()),
            Ok(()) => tried.push(format!("{name}: it said yes and brought nothing")),
            Err(error) => tried.push(format!("{name}: {error:#}")),
        }
        eprintln!("   {name}: did not work");
    }
    bail!(
        "there is no standard library for {TRIPLE}, which plugins need, and it could not be got ({}). Run `rustup target add {TRIPLE}` \
         where the network allows it, then this again.",
        tried.join("; ")
    )
}

impl Toolchain {
    fn find() -> Result<Self> {
        let sysroot = run::quietly(Command::new(rustc()).args(["--print", "sysroot"]))?;
        let identity = run::quietly(Command::new(rustc()).arg("-vV"))?;
        Ok(Self { sysroot: PathBuf::from(sysroot.trim()), identity })
    }

    fn library(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(TRIPLE).join("lib")
    }

    fn has_library(&self) -> bool {
        let is_std = |name: OsString| name.to_string_lossy().starts_with("libstd-");
        fs::read_dir(self.library()).is_ok_and(|entries| entries.flatten().any(|entry| is_std(entry.file_name())))
    }

    /// A toolchain that was updated keeps what was copied into it, and the compiler would refuse that.
    fn remove_stale(&self) -> Result<()> {
        let library = self.library();
        match fs::read_to_string(library.join(STAMP)) {
            Ok(stamp) if stamp != self.identity => fs::remove_dir_all(&library).context(cannot_write(&library)),
            _ => Ok(()),
        }
    }

    /// `1.95.0` of `release: 1.95.0`.
    fn release(&self) -> Result<&str> {
        let release = self.field("release")?;
        match release.chars().all(|c| c.is_ascii_digit() || c == '.') {
            true => Ok(release),
            false => bail!("rustc {release} is no release, and Debian has only releases"),
        }
    }

    fn field(&self, name: &str) -> Result<&str> {
        let value = self.identity.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.with_context(|| format!("`rustc -vV` does not say its {name}"))
    }
}

fn rustc() -> OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// With a time limit: where the release server is out of reach, some networks never say so.
fn by_rustup(_: &Toolchain) -> Result<()> {
    if Command::new("rustup").arg("--version").output().is_err() {
        bail!("it is not installed");
    }
    let mut command = run::limited(60, "rustup");
    run::quietly(command.args(["target", "add", TRIPLE]).env("RUSTUP_MAX_RETRIES", "1")).map(drop)
}

fn from_debian(toolchain: &Toolchain) -> Result<()> {
    let library = toolchain.library();
    fs::create_dir_all(&library).context(cannot_write(&library))?;
    let work = target().join("rust-src");
    let source = fetch(&work, toolchain.release()?)?;
    let built = build(&source, &work.join("target"), toolchain)?;
    install(&built, &library)?;
    fs::write(library.join(STAMP), &toolchain.identity).context(cannot_write(&library))?;
    fs::remove_dir_all(&work).with_context(|| format!("{} cannot be removed", work.display()))
}

fn cannot_write(library: &Path) -> String {
    format!("{} cannot be written; run this once as the owner of the Rust toolchain", library.display())
}

/// Downloads and unpacks the package with folders of our own: nothing is installed, nothing of the system's changes.
fn fetch(work: &Path, release: &str) -> Result<PathBuf> {
    if work.exists() {
        fs::remove_dir_all(work)?;
    }
    for folder in ["lists/partial", "cache/archives/partial", "sources", "unpacked"] {
        fs::create_dir_all(work.join(folder))?;
    }
    fs::write(work.join("sources/debian.sources"), sources()?)?;
    fs::write(work.join("apt.conf"), apt_settings(work))?;
    // An archive that does not have the suite fails the update; the package may still come from another one.
    let updated = run::quietly(apt("apt-get", work).args(["-qq", "update"]));
    let known = run::quietly(apt("apt-cache", work).args(["madison", "rust-src"]))?;
    let candidates = apt::versions(&known, release);
    if candidates.is_empty() {
        updated?;
        bail!("{SUITE} has no rust-src {release}; use a Rust release that it has");
    }
    let package = download(work, &candidates)?;
    run::checked(Command::new("dpkg-deb").arg("-x").arg(&package).arg(work.join("unpacked")))?;
    let library = work.join("unpacked/usr/src").join(format!("rustc-{release}")).join("library");
    match library.join("sysroot/Cargo.toml").exists() {
        true => Ok(library),
        false => bail!("the package does not hold the library's source where it should"),
    }
}

fn download(work: &Path, candidates: &[String]) -> Result<PathBuf> {
    let mut failure = None;
    for version in candidates {
        eprintln!("   downloading rust-src {version}");
        match run::quietly(apt("apt-get", work).args(["-qq", "download", &format!("rust-src={version}")])) {
            Ok(_) => return downloaded(work).context("apt-get downloaded nothing"),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.context("there was nothing to download")?)
}

fn downloaded(work: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(work).ok()?.flatten().map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "deb"))
}

fn apt(program: &str, work: &Path) -> Command {
    let mut command = run::limited(300, program);
    command.arg("-c").arg(work.join("apt.conf")).current_dir(work);
    command
}

/// The machine's settings (its proxies stay), with our own lists and without what it does after an update.
fn apt_settings(work: &Path) -> String {
    let work = work.display();
    format!(
        "Dir::Etc::SourceList \"/dev/null\";\n\
         Dir::Etc::SourceParts \"{work}/sources\";\n\
         Dir::State::Lists \"{work}/lists\";\n\
         Dir::Cache \"{work}/cache\";\n\
         APT::Sandbox::User \"root\";\n\
         APT::Update::Error-Mode \"any\";\n\
         Acquire::Retries \"1\";\n\
         Acquire::http::Timeout \"15\";\n\
         #clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n"
    )
}

/// The machine's own Debian mirrors, asked for another suite.
fn sources() -> Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let is_read = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "list" || ending == "sources");
        files.extend(entries.flatten().map(|entry| entry.path()).filter(is_read));
    }
    let codename = codename().unwrap_or_default();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let archives: Vec<_> = texts.flat_map(|text| apt::archives(&text, &codename)).collect();
    if archives.is_empty() {
        bail!("apt knows no Debian mirror on this machine");
    }
    Ok(apt::sources(&archives, SUITE))
}

fn codename() -> Option<String> {
    let release = fs::read_to_string("/etc/os-release").ok()?;
    release.lines().find_map(|line| Some(line.strip_prefix("VERSION_CODENAME=")?.trim_matches('"').to_owned()))
}

/// Returns the folder with the libraries. Paths are those of an official build, so that a plugin's bytes do not depend on
/// the folder that this ran in.
fn build(source: &Path, built: &Path, toolchain: &Toolchain) -> Result<PathBuf> {
    eprintln!("   building it (about half a minute)");
    let remap = format!("--remap-path-prefix={}=/rustc/{}/library", source.display(), toolchain.field("commit-hash")?);
    let flags = ["-Cembed-bitcode=yes", "-Cdebuginfo=0", "-Zforce-unstable-if-unmarked", &remap];
    let mut cargo = run::cargo_command();
    cargo
        .args([
            "build",
            "--locked",
            "--release",
            "--quiet",
            "--target",
            TRIPLE,
            "--manifest-path",
            "sysroot/Cargo.toml",
        ])
        .args(["--features", "panic-unwind", "--target-dir"])
        .arg(built)
        .current_dir(source)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("__CARGO_DEFAULT_LIB_METADATA", "stablestd")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    run::quietly(&mut cargo)?;
    Ok(built.join(TRIPLE).join("release/deps"))
}

fn install(built: &Path, library: &Path) -> Result<()> {
    for entry in fs::read_dir(built)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rlib") {
            let name = path.file_name().unwrap_or_default();
            fs::copy(&path, library.join(name)).context(cannot_write(library))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn toolchain(release: &str) -> Toolchain {
        Toolchain { sysroot: PathBuf::new(), identity: format!("rustc x\ncommit-hash: abc\nrelease: {release}\n") }
    }

    #[test]
    fn only_releases_have_a_package() {
        assert_eq!(toolchain("1.95.0").release().unwrap(), "1.95.0");
        assert!(toolchain("1.97.0-nightly").release().is_err());
        assert_eq!(toolchain("1.95.0").field("commit-hash").unwrap(), "abc");
    }

    #[test]
    fn what_an_older_compiler_left_is_removed_and_what_is_not_ours_stays() {
        let sysroot = std::env::temp_dir().join(format!("xtask-sysroot-{}", std::process::id()));
        let toolchain = Toolchain { sysroot: sysroot.clone(), identity: "new".into() };
        let std = toolchain.library().join("libstd-1.rlib");
        fs::create_dir_all(toolchain.library()).unwrap();
        fs::write(&std, "").unwrap();
        toolchain.remove_stale().unwrap();
        assert!(toolchain.has_library());
        fs::write(toolchain.library().join(STAMP), "old").unwrap();
        toolchain.remove_stale().unwrap();
        assert!(!toolchain.has_library());
        fs::remove_dir_all(sysroot).unwrap();
    }
}
