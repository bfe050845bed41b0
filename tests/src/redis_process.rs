//! Redis servers of a test's own: real processes, which may be killed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

pub(crate) const PASSWORD: &str = "redis-canary";
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// Held all at once, so that none is given twice.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let held: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// Starts one with these settings, in a folder of its own.
pub(crate) fn serve(folder: &Path, port: u16, settings: &str, is_sentinel: bool) -> Result<Child> {
    let folder = folder.join(port.to_string());
    std::fs::create_dir(&folder)?;
    let file = folder.join("redis.conf");
    std::fs::write(&file, format!("port {port}\nbind 127.0.0.1\ndir {}\n{settings}", folder.display()))?;
    let program = std::env::var("JACKFIELD_REDIS_SERVER").context("JACKFIELD_REDIS_SERVER is not set")?;
    let mut command = Command::new(program);
    command.arg(file).args(is_sentinel.then_some("--sentinel")).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().context("redis-server")
}

/// What comes back within a moment.
pub(crate) fn ask(port: u16, commands: &str) -> Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    socket.write_all(commands.as_bytes())?;
    let (mut said, mut part) = (String::new(), [0; 4_096]);
    while let Ok(count @ 1..) = socket.read(&mut part) {
        said.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    Ok(said)
}

/// Asks until it holds; who is not there yet is asked again.
pub(crate) fn until(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + STARTS_WITHIN;
    while !holds().unwrap_or(false) {
        if Instant::now() > until {
            bail!("waited for {what}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Ends one where it stands.
pub(crate) fn end(server: &mut Child) {
    server.kill().ok();
    server.wait().ok();
}
