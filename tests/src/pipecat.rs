//! A real Pipecat bot that echoes, in a process of its own: `tests/bots/pipecat_echo.py`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::place;

/// Killed when it is dropped.
#[derive(Debug)]
pub struct PipecatEcho {
    child: Child,
    pub address: SocketAddr,
}

impl PipecatEcho {
    /// Is there a Python that has what it needs? `cargo xtask test` makes one.
    pub fn python() -> Option<PathBuf> {
        let given = std::env::var_os("JACKFIELD_PYTHON").map(PathBuf::from);
        given.or_else(|| Some(place::target().join("venv/bin/python")).filter(|python| python.exists()))
    }

    /// Listens when this returns.
    pub fn start() -> Result<Self> {
        let python = Self::python().context("there is no Python with Pipecat: `cargo xtask test` makes one")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bots/pipecat_echo.py");
        let mut child = Command::new(python).arg(script).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line.trim().parse().context("the bot did not say where it listens");
        match address {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                Err(error)
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for PipecatEcho {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
