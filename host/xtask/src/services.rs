//! A PostgreSQL and a Redis of our own: found on the machine or installed, on free ports, in a folder that is theirs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{run, target};

const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// Where they are. What the environment names is used instead of starting one.
pub(crate) struct Services {
    pub(crate) database: String,
    pub(crate) redis: String,
    /// A Cluster of one node: it holds to a Cluster's rules.
    cluster: String,
    /// The program, for tests that take a Redis down.
    pub(crate) redis_server: PathBuf,
}

impl Services {
    /// For the programs and tests that use them.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("JACKFIELD_TEST_DATABASE_URL", self.database.clone()),
            ("JACKFIELD_TEST_REDIS_URL", self.redis.clone()),
            ("JACKFIELD_TEST_CLUSTER_URL", self.cluster.clone()),
            ("JACKFIELD_REDIS_SERVER", self.redis_server.display().to_string()),
        ]
    }
}

/// For whom they are: those of a test run end with it, whatever a developer has up.
#[derive(Clone, Copy)]
pub(crate) enum For {
    Tests,
    Work,
}

/// Starts what does not run yet, and says where it is.
pub(crate) fn up(whom: For) -> Result<Services> {
    let folder = folder(whom);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let given = |name: &str| std::env::var(name).ok().filter(|url| !url.is_empty());
    let redis_server = found_or_installed("redis-server", &redis_program)?;
    let database = match given("DATABASE_URL").filter(|url| url.starts_with("postgres")) {
        Some(url) => url,
        None => postgres(&folder)?,
    };
    let redis = match given("REDIS_URL") {
        Some(url) => url,
        None => format!("redis://127.0.0.1:{}/", redis(&folder, &redis_server, "redis", &[])?),
    };
    let cluster = format!("redis+cluster://127.0.0.1:{}", cluster(&folder, &redis_server)?);
    Ok(Services { database, redis, cluster, redis_server })
}

/// `cargo xtask services up`: they stay until `down`.
pub(crate) fn up_and_tell() -> Result<()> {
    let services = up(For::Work)?;
    println!("DATABASE_URL={}\nREDIS_URL={}\nCLUSTER_URL={}", services.database, services.redis, services.cluster);
    Ok(())
}

/// Stops what `up` started, and removes its data.
pub(crate) fn down(whom: For) -> Result<()> {
    let folder = folder(whom);
    if !folder.exists() {
        return Ok(());
    }
    let data = folder.join("postgres");
    if let (true, Some(programs)) = (data.join("PG_VERSION").exists(), postgres_programs()) {
        // One that does not run is as wanted.
        let mut stop = as_owner(&programs.join("pg_ctl"))?;
        run::quietly(stop.arg("-D").arg(&data).args(["-m", "immediate", "-w", "stop"])).ok();
    }
    for name in ["redis", "cluster"] {
        if let Ok(pid) = std::fs::read_to_string(folder.join(name).with_extension("pid")) {
            run::quietly(Command::new("kill").arg(pid.trim())).ok();
        }
    }
    std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))
}

/// Outside the repository: PostgreSQL runs as a user who may not be able to look into it. One for each repository.
fn folder(whom: For) -> PathBuf {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let name: String = target().display().to_string().chars().map(plain).collect();
    let whom = match whom {
        For::Tests => "tests",
        For::Work => "services",
    };
    std::env::temp_dir().join(format!("jackfield-{whom}{name}"))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A program, once it is there.
pub(crate) fn found_or_installed(package: &str, find: &dyn Fn() -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    run::step(&format!("installing {package}"));
    let root = run::quietly(Command::new("id").arg("-u"))?.trim() == "0";
    let apt = |words: &[&str]| {
        let mut command = Command::new(if root { "env" } else { "sudo" });
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]).args(words);
        run::quietly(&mut command)
    };
    apt(&["update"])?;
    apt(&["install", "--yes", "--no-install-recommends", package])?;
    find().with_context(|| format!("{package} was installed and its programs are not where they should be"))
}

fn redis_program() -> Option<PathBuf> {
    ["/usr/bin", "/usr/local/bin"]
        .iter()
        .map(|folder| Path::new(folder).join("redis-server"))
        .find(|path| path.exists())
}

/// The folder with the newest `initdb` and `pg_ctl`.
fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists() && folder.join("pg_ctl").exists());
    folders.sort();
    folders.pop()
}

/// PostgreSQL does not run as root: then it runs as the user that its package made.
fn as_owner(program: &Path) -> Result<Command> {
    if run::quietly(Command::new("id").arg("-u"))?.trim() != "0" {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    Ok(command)
}

fn postgres(folder: &Path) -> Result<String> {
    let programs = found_or_installed("postgresql", &postgres_programs)?;
    let (data, port_file) = (folder.join("postgres"), folder.join("postgres.port"));
    let url = |port: &str| format!("postgres://jackfield@127.0.0.1:{port}/postgres");
    let mut status = as_owner(&programs.join("pg_ctl"))?;
    let runs = run::quietly(status.arg("-D").arg(&data).arg("status")).is_ok();
    if let (true, Ok(port)) = (runs, std::fs::read_to_string(&port_file)) {
        return Ok(url(&port));
    }
    run::step("starting PostgreSQL");
    // What an interrupted start left is worth nothing.
    std::fs::remove_dir_all(&data).ok();
    std::fs::create_dir(&data)?;
    if run::quietly(Command::new("id").arg("-u"))?.trim() == "0" {
        run::quietly(Command::new("chown").arg("postgres:").arg(&data))?;
    }
    let mut initdb = as_owner(&programs.join("initdb"))?;
    initdb.arg("-D").arg(&data).args(["-U", "jackfield", "-A", "trust", "-E", "UTF8", "--no-sync"]);
    run::quietly(initdb.current_dir("/"))?;
    let port = free_port()?.to_string();
    // Nothing in it outlives a test: it need not survive a power cut.
    let options = format!(
        "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={} -c fsync=off -c max_connections=300 \
         -c full_page_writes=off",
        data.display()
    );
    let mut start = as_owner(&programs.join("pg_ctl"))?;
    start.arg("-D").arg(&data).arg("-l").arg(data.join("log")).args(["-w", "-o", &options, "start"]);
    start.stdout(std::process::Stdio::null()).current_dir("/");
    run::checked(&mut start).context("PostgreSQL did not start")?;
    std::fs::write(&port_file, &port)?;
    Ok(url(&port))
}

/// The port of a Redis of that name.
fn redis(folder: &Path, program: &Path, name: &str, settings: &[&str]) -> Result<String> {
    let file = |extension: &str| folder.join(name).with_extension(extension);
    if let Ok(port) = std::fs::read_to_string(file("port"))
        && answers(port.trim())
    {
        return Ok(port.trim().to_owned());
    }
    run::step(&format!("starting Redis ({name})"));
    let port = free_port()?.to_string();
    let mut start = Command::new(program);
    start.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "yes"]);
    start.arg("--dir").arg(folder).arg("--pidfile").arg(file("pid")).args(settings);
    run::quietly(&mut start).context("Redis did not start")?;
    let until = Instant::now() + STARTS_WITHIN;
    while !answers(&port) {
        if Instant::now() > until {
            bail!("Redis does not answer on port {port}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::write(file("port"), &port)?;
    Ok(port)
}

/// The port of the one node.
fn cluster(folder: &Path, program: &Path) -> Result<String> {
    // Beside the port that clients are given there is one for other nodes, which may be any here: there are none.
    let bus = free_port()?.to_string();
    let settings = ["--cluster-enabled", "yes", "--cluster-config-file", "cluster.conf", "--cluster-port", &bus];
    let port = redis(folder, program, "cluster", &settings)?;
    let mut socket = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    socket.set_read_timeout(Some(STARTS_WITHIN))?;
    let mut ask = |command: &str| -> Result<String> {
        let mut said = [0; 4_096];
        socket.write_all(format!("CLUSTER {command}\r\n").as_bytes())?;
        let count = socket.read(&mut said)?;
        Ok(String::from_utf8_lossy(&said[..count]).into_owned())
    };
    // Slots that it has already are refused, which is as wanted.
    ask("ADDSLOTSRANGE 0 16383")?;
    let until = Instant::now() + STARTS_WITHIN;
    while !ask("INFO")?.contains("cluster_state:ok") {
        if Instant::now() > until {
            bail!("the Cluster on port {port} does not serve");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(port)
}

fn answers(port: &str) -> bool {
    TcpStream::connect(format!("127.0.0.1:{port}")).is_ok()
}
