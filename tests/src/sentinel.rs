//! A Redis with a replica, and three Sentinels that watch over both: real processes, one of which may be killed.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const PASSWORD: &str = "redis-canary";
const NAME: &str = "main";
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// All of them. Killed when dropped.
#[derive(Debug)]
pub struct Watched {
    master: Child,
    others: Vec<Child>,
    ports: Ports,
    folder: tempfile::TempDir,
}

#[derive(Debug)]
struct Ports {
    master: u16,
    replica: u16,
    sentinels: [u16; 3],
}

impl Watched {
    /// Starts them, and waits until they know each other.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [master, replica, one, two, three] = free_ports()?;
        let ports = Ports { master, replica, sentinels: [one, two, three] };
        let mut watched =
            Self { master: serve(folder.path(), master, &redis(None), false)?, others: Vec::new(), ports, folder };
        let folder = watched.folder.path().to_owned();
        watched.others.push(serve(&folder, replica, &redis(Some(master)), false)?);
        watched.until("the replica to follow", || {
            Ok(ask(replica, &format!("AUTH {PASSWORD}\r\nINFO replication\r\n"))?.contains("master_link_status:up"))
        })?;
        for port in watched.ports.sentinels {
            watched.others.push(serve(&folder, port, &sentinel(master), true)?);
        }
        for port in watched.ports.sentinels {
            watched.until("the Sentinels to know each other", || {
                let quorum = ask(port, &format!("SENTINEL CKQUORUM {NAME}\r\n"))?;
                let known = ask(port, &format!("SENTINEL REPLICAS {NAME}\r\n"))?;
                Ok(quorum.contains("OK 3 usable") && known.contains(&replica.to_string()))
            })?;
        }
        Ok(watched)
    }

    /// Names all Sentinels, and before them one that is not there.
    pub fn url(&self) -> String {
        let mut hosts = "127.0.0.1:1".to_owned();
        for port in self.ports.sentinels {
            // Writing to a text does not fail.
            write!(hosts, ",127.0.0.1:{port}").ok();
        }
        format!("redis+sentinel://:{PASSWORD}@{hosts}/{NAME}")
    }

    /// Ends the master where it stands.
    pub fn kill_master(&mut self) -> Result<()> {
        self.master.kill()?;
        self.master.wait()?;
        Ok(())
    }

    /// Do the Sentinels say that the replica is the master now?
    pub fn is_failed_over(&self) -> Result<bool> {
        let said = ask(self.ports.sentinels[0], &format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}\r\n"))?;
        Ok(said.contains(&self.ports.replica.to_string()))
    }

    fn until(&self, what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
        let until = Instant::now() + STARTS_WITHIN;
        // Who is not there yet is asked again.
        while !holds().unwrap_or(false) {
            if Instant::now() > until {
                bail!("waited for {what}; the master is at port {}", self.ports.master);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        for child in std::iter::once(&mut self.master).chain(&mut self.others) {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Held all at once, so that none is given twice.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let held: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn redis(master: Option<u16>) -> String {
    let follows = master.map_or_else(String::new, |port| format!("replicaof 127.0.0.1 {port}\n"));
    format!(
        "requirepass {PASSWORD}\nmasterauth {PASSWORD}\nsave \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n{follows}"
    )
}

fn sentinel(master: u16) -> String {
    format!(
        "sentinel monitor {NAME} 127.0.0.1 {master} 2\nsentinel auth-pass {NAME} {PASSWORD}\n\
         sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 5000\n"
    )
}

fn serve(folder: &Path, port: u16, settings: &str, is_sentinel: bool) -> Result<Child> {
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
fn ask(port: u16, commands: &str) -> Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    socket.write_all(commands.as_bytes())?;
    let (mut said, mut part) = (String::new(), [0; 4_096]);
    while let Ok(count @ 1..) = socket.read(&mut part) {
        said.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    Ok(said)
}
