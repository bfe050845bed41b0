//! Real peers written in Python, each in a process of its own: the scripts of `tests/bots`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::place;

/// Killed when it is dropped.
#[derive(Debug)]
pub struct PythonPeer {
    child: Child,
    pub address: SocketAddr,
}

impl PythonPeer {
    /// Is there a Python that has what they need? `cargo xtask test` makes one.
    pub fn python() -> Option<PathBuf> {
        let given = std::env::var_os("JACKFIELD_PYTHON").map(PathBuf::from);
        given.or_else(|| Some(place::target().join("venv/bin/python")).filter(|python| python.exists()))
    }

    /// A Pipecat bot for Twilio that echoes.
    pub fn pipecat_echo() -> Result<Self> {
        Self::start::<&str>("pipecat_echo.py", &[])
    }

    /// Answers Twilio's webhooks with Twilio's own library, at this URL, for the account with this token.
    pub fn fastapi_webhook(public_url: &str, token: &str, database: &Path) -> Result<Self> {
        Self::start("fastapi_webhook.py", &[OsStr::new(public_url), OsStr::new(token), database.as_os_str()])
    }

    /// Listens when this returns.
    fn start<S: AsRef<OsStr>>(script: &str, arguments: &[S]) -> Result<Self> {
        let python =
            Self::python().context("there is no Python with the peers' packages: `cargo xtask test` makes one")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bots").join(script);
        let mut command = Command::new(python);
        let mut child = command.arg(script).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        match line.trim().parse().context("the peer did not say where it listens") {
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

impl Drop for PythonPeer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
