//! Several hosts on one PostgreSQL and one Redis, and what can be done to them.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sqlx::{Connection, Executor};

use crate::carrier::random_hex;
use crate::host_process::{HostOptions, HostProcess};

/// One database, one Redis, one key and one admin token, for hosts that are to be one.
#[derive(Debug)]
pub struct Fleet {
    pub database: String,
    pub redis: Redis,
    options: HostOptions,
}

/// A Redis of a test's own, which may be stopped.
#[derive(Debug)]
pub struct Redis {
    child: Option<Child>,
    port: u16,
    folder: tempfile::TempDir,
}

/// The value of a variable that `cargo xtask test` sets.
fn given(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: run it through `cargo xtask test`"))
}

/// A database of its own on the PostgreSQL that the tests were given.
pub async fn fresh_database() -> Result<String> {
    let server = given("JACKFIELD_TEST_DATABASE_URL")?;
    let (base, _) = server.rsplit_once('/').context("a database URL ends in a name")?;
    let name = format!("fleet_{}", random_hex(8));
    sqlx::any::install_default_drivers();
    let mut connection = sqlx::AnyConnection::connect(&server).await?;
    connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
    Ok(format!("{base}/{name}"))
}

impl Fleet {
    /// Hosts are started with `change`d options.
    pub async fn new(change: impl FnOnce(HostOptions) -> HostOptions) -> Result<Self> {
        let (database, redis) = (fresh_database().await?, Redis::start()?);
        let mut options = change(HostOptions::new()?);
        let key = format!("key_fleet {}", "07".repeat(32));
        for (name, value) in
            [("DATABASE_URL", database.clone()), ("REDIS_URL", redis.url()), ("JACKFIELD_KEYS_VALUE", key)]
        {
            options.environment.push((name.to_owned(), value));
        }
        Ok(Self { database, redis, options })
    }

    /// What its hosts are started with.
    pub fn options(&self) -> HostOptions {
        self.options.clone()
    }

    /// One host more.
    pub fn host(&self) -> Result<HostProcess> {
        self.options.start()
    }
}

impl Redis {
    /// On a free port, with nothing on disk.
    pub fn start() -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut redis = Self { child: None, port, folder: tempfile::tempdir()? };
        redis.up()?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Starts it again, empty.
    pub fn up(&mut self) -> Result<()> {
        let program = given("JACKFIELD_REDIS_SERVER")?;
        let mut command = Command::new(program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().context("redis-server")?);
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if Instant::now() > until {
                bail!("Redis does not answer");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Takes it away, with everything in it.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Forgets everything.
    pub fn flush(&self) -> Result<()> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.write_all(b"FLUSHALL\r\n")?;
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer)?;
        if answer.starts_with("+OK") { Ok(()) } else { bail!("Redis said {answer}") }
    }

    /// Every command that comes from now on, as Redis logs it.
    pub fn monitor(&self) -> Result<std::sync::Arc<std::sync::Mutex<Vec<String>>>> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.write_all(b"MONITOR\r\n")?;
        let log = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = std::sync::Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(socket).lines().map_while(std::result::Result::ok) {
                kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(line);
            }
        });
        Ok(log)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.down();
    }
}
