//! The host as a child process: started on a free port, watched, signalled, ended.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

use crate::api::Api;
use crate::carrier::Gateway;
use crate::clock::Clock;
use crate::place;

/// The URL the world knows the host by; nothing listens there.
pub const PUBLIC_URL: &str = "https://gw.example.net";
/// Where operators are served, if not with everybody.
const ADMIN_LISTEN: &str = "JACKFIELD_ADMIN_LISTEN";
const SETTINGS: &str = "jackfield.toml";
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// How to start a host.
#[derive(Debug, Clone)]
pub struct HostOptions {
    pub binary: PathBuf,
    /// The contents of `jackfield.toml`.
    pub settings: String,
    pub environment: Vec<(String, String)>,
    pub admin_token: String,
    /// Kept after the host ended: for restarts.
    pub folder: Option<PathBuf>,
}

/// A running host. Killed when dropped.
#[derive(Debug)]
pub struct HostProcess {
    child: Child,
    address: SocketAddr,
    /// Where operators are served.
    operators: SocketAddr,
    admin_token: String,
    folder: PathBuf,
    output: Arc<Mutex<String>>,
    /// From the start of the process to the line that says where it listens.
    pub ready_after: Duration,
    _own: Option<tempfile::TempDir>,
}

impl HostOptions {
    /// The embedded default, in a folder of its own.
    pub fn new() -> Result<Self> {
        Ok(Self {
            binary: place::host_binary()?,
            settings: String::new(),
            environment: Vec::new(),
            admin_token: crate::carrier::random_hex(16),
            folder: None,
        })
    }

    /// Requests for Twilio go to a fake of it.
    #[must_use]
    pub fn with_twilio_at(self, address: SocketAddr) -> Self {
        self.with_route("api.twilio.com", address)
    }

    /// Requests for that host go to a fake on loopback.
    #[must_use]
    pub fn with_route(mut self, host: &str, address: SocketAddr) -> Self {
        let routes = format!("{host}=http://{address}");
        self.environment.push(("JACKFIELD_EGRESS_DANGER_ROUTES".to_owned(), routes));
        self
    }

    /// Its wall clock is another.
    #[must_use]
    pub fn with_clock(mut self, clock: &Clock) -> Self {
        self.environment.extend(clock.environment());
        self
    }

    /// Calls are recorded.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.environment.push(("JACKFIELD_MEDIA_RECORD".to_owned(), "true".to_owned()));
        self
    }

    /// Operators have a listener of their own.
    #[must_use]
    pub fn with_operators_apart(mut self) -> Self {
        self.environment.push((ADMIN_LISTEN.to_owned(), "127.0.0.1:0".to_owned()));
        self
    }

    #[must_use]
    pub fn with_settings(mut self, settings: &str) -> Self {
        self.settings.push_str(settings);
        self
    }

    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// With the settings of these options alone: what the shell has must not leak in.
    fn bare_command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JACKFIELD_")) {
            command.env_remove(name);
        }
        command
            .current_dir(folder)
            .env_remove("DATABASE_URL")
            .env_remove("REDIS_URL")
            .env("JACKFIELD_DATA", folder.join("data"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = self.bare_command(folder);
        command
            .arg("serve")
            .env("JACKFIELD_LISTEN", "127.0.0.1:0")
            .env("JACKFIELD_PUBLIC_URL", PUBLIC_URL)
            .env("JACKFIELD_ADMIN_TOKEN", &self.admin_token)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts it and waits until it listens.
    pub fn start(&self) -> Result<HostProcess> {
        let own = if self.folder.is_some() { None } else { Some(tempfile::tempdir()?) };
        let folder = match (&self.folder, &own) {
            (Some(folder), _) => folder.clone(),
            (None, Some(own)) => own.path().to_owned(),
            (None, None) => bail!("no folder for the host"),
        };
        if !self.settings.is_empty() {
            std::fs::write(folder.join(SETTINGS), &self.settings)?;
        }
        let began = Instant::now();
        let mut child = self.command(&folder).spawn().with_context(|| format!("{}", self.binary.display()))?;
        let output = Arc::new(Mutex::new(String::new()));
        let (told, listening) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            keep(stdout, output.clone(), Some(told));
        }
        if let Some(stderr) = child.stderr.take() {
            keep(stderr, output.clone(), None);
        }
        let mut host = HostProcess {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            operators: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin_token: self.admin_token.clone(),
            folder,
            output,
            ready_after: Duration::ZERO,
            _own: own,
        };
        let Ok(address) = listening.recv_timeout(STARTS_WITHIN) else {
            bail!("the host did not say where it listens. Its output:\n{}", host.output());
        };
        (host.address, host.operators, host.ready_after) = (address, address, began.elapsed());
        if self.environment.iter().any(|(name, _)| name == ADMIN_LISTEN) {
            host.operators = listening.recv_timeout(STARTS_WITHIN).context("where are operators served?")?;
        }
        Ok(host)
    }

    /// Runs it until it ends by itself, as a start that must fail does.
    pub fn run_to_end(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let folder = tempfile::tempdir()?;
        if !self.settings.is_empty() {
            std::fs::write(folder.path().join(SETTINGS), &self.settings)?;
        }
        let ended = self.bare_command(folder.path()).args(arguments).output()?;
        let text = [ended.stdout, ended.stderr].concat();
        Ok((ended.status.code(), String::from_utf8_lossy(&text).into_owned()))
    }
}

/// Keeps what a child prints, and passes on where it listens.
fn keep(stream: impl Read + Send + 'static, output: Arc<Mutex<String>>, told: Option<mpsc::Sender<SocketAddr>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let (Some(told), Some((_, address))) = (&told, line.split_once(" on http://")) {
                address.trim().trim_end_matches('/').parse().ok().map(|address| told.send(address));
            }
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.push_str(&line);
            output.push('\n');
        }
    });
}

impl HostProcess {
    /// `http://127.0.0.1:PORT`, where providers come.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As operators use it.
    pub fn api(&self) -> Result<Api> {
        Api::new(&format!("http://{}", self.operators), &self.admin_token)
    }

    /// Where the carrier finds it.
    pub fn gateway(&self) -> Gateway {
        Gateway { public_url: PUBLIC_URL.to_owned(), address: self.address }
    }

    /// Everything it printed so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks it to drain (SIGTERM).
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Has it read these settings instead (SIGHUP).
    pub fn reload(&self, settings: &str) -> Result<()> {
        std::fs::write(self.folder.join(SETTINGS), settings)?;
        self.signal(Signal::HUP)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("the host has no process id")?;
        rustix::process::kill_process(pid, signal).context("the host could not be signalled")
    }

    /// CPU time that it used until now.
    pub fn cpu(&self) -> Result<Duration> {
        crate::bench::process::cpu(self.pid())
    }

    /// Ends it where it stands (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Has it ended?
    pub fn ended(&mut self) -> Result<Option<i32>> {
        Ok(self.child.try_wait()?.map(|status| status.code().unwrap_or(-1)))
    }

    /// Waits for its end and returns the exit code.
    pub async fn wait(&mut self, within: Duration) -> Result<i32> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(code) = self.ended()? {
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the host did not end within {within:?}. Its output:\n{}", self.output())
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
