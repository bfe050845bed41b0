//! Fuzz targets: every stock plugin's exports, and the host's reading of what guests return. They are in `tests/fuzz`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::{root, run, services, target, tools};

/// The driver. With `--sanitizer none` it needs nothing that a stable compiler does not have.
const CARGO_FUZZ: &str = "0.13.2";
/// For each target, if nobody says otherwise.
const SECONDS: u32 = 10;
/// How much memory one input may take, in MiB, and how many seconds, even where two builds share the machine.
const MEMORY: u32 = 2_048;
const INPUT_SECONDS: u32 = 30;
/// So much of a target's last words is shown when it failed.
const LAST_LINES: usize = 40;

/// Builds all targets and runs each from its committed corpus for that many seconds.
pub(crate) fn all(arguments: &[String]) -> Result<()> {
    let seconds = match arguments {
        [] => SECONDS,
        [seconds] => seconds.parse().with_context(|| format!("`{seconds}` is no number of seconds"))?,
        _ => bail!("`cargo xtask fuzz` takes a number of seconds and nothing else"),
    };
    let programs = build()?;
    let names = names()?;
    let waiting = Mutex::new(names.into_iter());
    let next = || waiting.lock().ok().and_then(|mut names| names.next());
    // Each target is one thread: as many at a time as there are cores.
    let work = || -> Result<()> { std::iter::from_fn(next).try_for_each(|name| one(&programs, &name, seconds)) };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a target was lost")))
    })
}

fn project() -> PathBuf {
    root().join("tests/fuzz")
}

/// Where the targets' programs are then.
fn build() -> Result<PathBuf> {
    // The fuzzer itself is C++.
    let compiler = || run::quietly(Command::new("c++").arg("--version")).ok().map(|_| PathBuf::from("c++"));
    services::found_or_installed("g++", &compiler)?;
    let tool = tools::cargo_tool("cargo-fuzz", CARGO_FUZZ)?;
    let version = run::quietly(Command::new("rustc").arg("-vV").current_dir(root()))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let built = target().join("fuzz");
    let mut build = run::of_cargo(&tool);
    build.args(["fuzz", "build", "--sanitizer", "none", "--target", host, "--fuzz-dir"]).arg(project());
    run::checked(build.arg("--target-dir").arg(&built))?;
    Ok(built.join(host).join("release"))
}

fn names() -> Result<Vec<String>> {
    let folder = project().join("fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        names.extend(entry?.path().file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// New inputs go to a folder of their own: the committed corpus is only read, and every run begins with it.
fn one(programs: &Path, name: &str, seconds: u32) -> Result<()> {
    let work = target().join("fuzz/runs").join(name);
    let (found, failed) = (work.join("found"), work.join("failed"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&failed)?;
    let log = work.join("log");
    let written = fs::File::create(&log)?;
    let program = programs.join(name);
    let mut command = Command::new(&program);
    command.arg(&found).arg(project().join("corpus").join(name)).args([
        &format!("-max_total_time={seconds}"),
        &format!("-rss_limit_mb={MEMORY}"),
        &format!("-timeout={INPUT_SECONDS}"),
        &format!("-artifact_prefix={}/", failed.display()),
        "-print_final_stats=1",
    ]);
    let status = command.stdout(written.try_clone()?).stderr(written).status();
    let status = status.with_context(|| format!("{} could not be started", program.display()))?;
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if status.success() {
        eprintln!("   {name}: {}", told(&said));
        return Ok(());
    }
    let lines: Vec<&str> = said.lines().collect();
    eprintln!("{}", lines[lines.len().saturating_sub(LAST_LINES)..].join("\n"));
    bail!(
        "{name} failed ({status}); the input is in {}, and `{} FILE` runs it again",
        failed.display(),
        program.display()
    )
}

/// How many inputs it was, from what the fuzzer says at its end.
fn told(said: &str) -> String {
    let figure = |name: &str| said.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
    let (all, rate) = (figure("stat::number_of_executed_units:"), figure("stat::average_exec_per_sec:"));
    format!("{} inputs, {} a second", all.unwrap_or_default(), rate.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_target_has_a_committed_corpus_and_is_in_the_manifest() {
        let manifest = fs::read_to_string(project().join("Cargo.toml")).unwrap();
        let names = names().unwrap();
        assert_eq!(names.len(), crate::plugins::names().unwrap().len() + 1);
        for name in names {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
            assert!(fs::read_dir(project().join("corpus").join(&name)).unwrap().count() > 5, "{name}");
        }
    }

    #[test]
    fn the_figures_are_those_that_the_fuzzer_prints() {
        let said = "Done 9 runs in 1 second(s)\nstat::number_of_executed_units: 9\nstat::average_exec_per_sec:     8\n";
        assert_eq!(told(said), "9 inputs, 8 a second");
    }
}
