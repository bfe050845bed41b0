//! The wall clock of a host under test, which may be wrong and may be set while the host runs.

use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// One that goes before the real one, or after it. Made by the C compiler that Rust links with.
#[derive(Debug)]
pub struct Clock {
    folder: tempfile::TempDir,
}

impl Clock {
    /// So many seconds ahead of the real one.
    pub fn ahead(seconds: i64) -> Result<Self> {
        let clock = Self { folder: tempfile::tempdir()? };
        std::fs::write(clock.file(), [0; 8])?;
        clock.set(seconds)?;
        let source = clock.folder.path().join("clock.c");
        std::fs::write(&source, include_str!("clock.c"))?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(clock.library()).arg(source);
        let said = compiler.output().context("cc")?;
        if !said.status.success() {
            bail!("the clock does not compile: {}", String::from_utf8_lossy(&said.stderr));
        }
        Ok(clock)
    }

    /// Sets it, at once.
    pub fn set(&self, seconds: i64) -> Result<()> {
        let file = std::fs::OpenOptions::new().write(true).open(self.file())?;
        // In place: the host has it mapped.
        file.write_all_at(&seconds.to_ne_bytes(), 0).context("the clock cannot be set")
    }

    /// What a process is started with that goes by it.
    pub fn environment(&self) -> [(String, String); 2] {
        let named = |name: &str, path: PathBuf| (name.to_owned(), path.display().to_string());
        [named("LD_PRELOAD", self.library()), named("TEST_CLOCK_FILE", self.file())]
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn year(clock: &Clock) -> i32 {
        let said = Command::new("date").arg("+%Y").envs(clock.environment()).output().unwrap();
        String::from_utf8(said.stdout).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_process_sees_the_clock_that_was_set() {
        let clock = Clock::ahead(0).unwrap();
        let now = year(&clock);
        clock.set(10 * 366 * 86_400).unwrap();
        assert_eq!(year(&clock), now + 10);
    }
}
