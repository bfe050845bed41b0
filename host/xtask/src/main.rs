//! `cargo xtask`: builds, shows, tests and measures the house from nothing but a Rust toolchain.
//!
//! Few dependencies, so that it is there in seconds. All it makes is under `target/`, except the wasm32 standard library,
//! which goes into the toolchain when it is missing.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "telling what happens is this program's job")]

mod apt;
mod asterisk;
mod fuzz;
mod plugins;
mod run;
mod services;
mod test;
mod tools;
mod wasm_target;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

const HELP: &str = "\
cargo xtask build          build the plugins and target/release/jackfield
cargo xtask demo [--keep]  a phone call through a plugin that is swapped in mid-call
cargo xtask test           every check and every test
cargo xtask test asterisk  only calls over a real Asterisk, which it installs in a folder
cargo xtask fuzz [SECONDS] every fuzz target for that long, or 10 seconds
cargo xtask services up    a PostgreSQL and a Redis of our own, for work; prints where they are
cargo xtask services down  stops them, and removes what is in them
cargo xtask bench [NAME]   all, calls, webhooks, media, adapter, swap, start, memory, sockets, audio, jitter, lists, state, tenants, ramp, soak, swaps or hostile
cargo xtask plugins        only the plugins, into target/plugins
cargo xtask help           this text";

/// The crates that one build holds. Always all of them, also for one program: the features of shared crates are then
/// the same every time, and nothing large is compiled twice.
const EVERYTHING: [&str; 4] = ["--release", "--workspace", "--exclude", "xtask"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = arguments.split_first().map_or(("help", &[][..]), |(task, rest)| (task.as_str(), rest));
    let outcome = match task {
        "build" => build(),
        "plugins" => plugins::build_all(),
        "demo" => build_and_become("demo", rest),
        "bench" => build_and_become("bench", rest),
        "test" if rest == ["asterisk"] => asterisk::test(),
        "test" => test::all(),
        "fuzz" => fuzz::all(rest),
        "services" if rest == ["up"] => services::up_and_tell(),
        "services" if rest == ["down"] => services::down(services::For::Work),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => {
            eprintln!("xtask: no task `{other}`; `cargo xtask help` lists them");
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    plugins::build_all()?;
    run::step("building the host (release)");
    build_program("jackfield")
}

fn build_program(name: &str) -> Result<()> {
    run::cargo(&[&["build"], &EVERYTHING[..], &["--bin", name]].concat())
}

fn build_and_become(name: &str, arguments: &[String]) -> Result<()> {
    build()?;
    build_program(name)?;
    run::become_program(&target().join("release").join(name), arguments, &environment())
}

/// Tells programs and tests where the built things are.
fn environment() -> [(&'static str, PathBuf); 2] {
    let built = target();
    [("JACKFIELD_BIN", built.join("release/jackfield")), ("JACKFIELD_PLUGINS_DIR", built.join("plugins"))]
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

fn target() -> PathBuf {
    root().join("target")
}
