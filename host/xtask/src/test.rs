//! Every check and every test, in the order in which they fail fastest.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::services::{self, For, Services};
use crate::{EVERYTHING, asterisk, build, fuzz, plugins, root, run, target, tools, wasm_target};

/// The vendors' own libraries: oracles for signatures, markup and agent protocols that share no code with us.
const ORACLES: [&str; 12] = [
    "twilio==9.13.0",
    "plivo==4.63.0",
    "vonage-jwt==1.1.5",
    "telnyx[webhooks]==4.189.0",
    "pipecat-ai==1.14.0",
    "openai==3.52.0",
    // What Pipecat's bots listen with.
    "fastapi==0.165.0",
    "uvicorn==0.54.0",
    // What makes it fast, for the peer that webhooks are measured beside.
    "httptools==0.9.0",
    "python-multipart==0.0.34",
    "uvloop==0.23.0",
    // Makes a component of a plugin in Python.
    "componentize-py==0.25.1",
];
const DENY: &str = "0.20.2";

pub(crate) fn all() -> Result<()> {
    let began = Instant::now();
    timed("format", || {
        run::cargo(&["fmt", "--all", "--check"])?;
        // A workspace of its own.
        run::cargo(&["fmt", "--manifest-path", "tests/fuzz/Cargo.toml", "--check"])
    })?;
    timed("build", build)?;
    timed("lints", || {
        run::cargo(&["clippy", "--quiet", "--package", "xtask", "--all-targets", "--", "-D", "warnings"])?;
        let all = [
            &["clippy", "--quiet", "--all-targets"],
            &EVERYTHING[..],
            &["--", "-D", "warnings", "-D", "clippy::too_many_lines"],
        ];
        run::cargo(&all.concat())?;
        lint_guests()
    })?;
    timed("licences, bans and advisories", deny)?;
    let python = timed("oracles", oracles)?;
    timed("tests of xtask", || run::cargo(&["test", "--quiet", "--package", "xtask"]))?;
    let services = timed("PostgreSQL and Redis", || services::up(For::Tests))?;
    let outcome = timed("tests", || tests(&python, &services));
    services::down(For::Tests)?;
    outcome?;
    timed("Asterisk", asterisk::test_what_is_built)?;
    timed("fuzz targets", || fuzz::all(&[]))?;
    timed("documentation", documentation)?;
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

/// Plugins once more, as what they are built for: some of their code exists only there.
fn lint_guests() -> Result<()> {
    let mut cargo = run::cargo_command();
    cargo.args(["clippy", "--quiet", "--profile", "plugin", "--target", wasm_target::TRIPLE]);
    for name in plugins::names()? {
        cargo.args(["--package", &format!("plugin-{name}")]);
    }
    run::checked(cargo.args(["--", "-D", "warnings"]).env("CARGO_ENCODED_RUSTFLAGS", plugins::flags().join("\x1f")))
}

fn tests(python: &Path, services: &Services) -> Result<()> {
    let mut cargo = run::cargo_command();
    cargo.arg("test").args(EVERYTHING).arg("--no-fail-fast");
    // Where the built things are they find themselves: told by the environment, the host would be built once more.
    cargo.env("RUST_BACKTRACE", "1").env("JACKFIELD_PYTHON", python);
    // The host under test is told where its database is by the tests alone.
    cargo.env_remove("DATABASE_URL").env_remove("REDIS_URL").envs(services.environment());
    run::checked(&mut cargo)
}

/// With private items, for those who work on it: nothing here is published, so public text may link to them.
fn documentation() -> Result<()> {
    let mut cargo = run::cargo_command();
    cargo.args(["doc", "--quiet", "--no-deps", "--document-private-items"]).args(EVERYTHING);
    run::checked(cargo.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
}

/// A Python of our own with the providers' libraries.
fn oracles() -> Result<PathBuf> {
    let venv = target().join("venv");
    let python = venv.join("bin/python");
    // Asked for by name: importing them all takes seconds.
    let names = "twilio plivo vonage_jwt telnyx nacl pipecat openai fastapi uvicorn httptools python_multipart uvloop componentize_py";
    let ask = format!("import importlib.util as u; assert all(u.find_spec(name) for name in '{names}'.split())");
    if run::quietly(Command::new(&python).args(["-c", &ask])).is_ok() {
        return Ok(python);
    }
    let make = || run::quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    if make().is_err() {
        run::step("installing python3-venv");
        run::checked(&mut as_root(&["apt-get", "-qq", "update"])?)?;
        run::checked(&mut as_root(&["apt-get", "-qq", "install", "--yes", "python3", "python3-venv"])?)?;
        make()?;
    }
    run::checked(
        Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(ORACLES),
    )?;
    Ok(python)
}

fn as_root(words: &[&str]) -> Result<Command> {
    let is_root = run::quietly(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    command.args(words);
    Ok(command)
}

fn deny() -> Result<()> {
    let program = tools::cargo_tool("cargo-deny", DENY)?;
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
