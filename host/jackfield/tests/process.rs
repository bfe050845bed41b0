//! The binary as an operator starts, asks, signals and ends it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("JACKFIELD_")) {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env_remove("REDIS_URL").env("JACKFIELD_LISTEN", "127.0.0.1:0");
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path(), arguments).envs(environment.iter().copied()).output().unwrap();
    told(output)
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A host that listens. Killed when dropped.
struct Host {
    child: Child,
    out: BufReader<ChildStdout>,
    /// What it printed up to the line that says where it listens.
    said: String,
    address: String,
    folder: TempDir,
}

impl Host {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(folder: TempDir) -> Self {
        let mut command = command(folder.path(), &["serve"]);
        Self::started(folder, command.stderr(Stdio::null()))
    }

    /// One that tells of each statement it sends to its database, to whoever takes its standard error.
    fn start_talkative() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path(), &["serve"]);
        Self::started(folder, command.env("JACKFIELD_LOG_LEVEL", "sqlx=debug"))
    }

    fn started(folder: TempDir, command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (mut said, mut address) = (String::new(), String::new());
        while address.is_empty() {
            let mut line = String::new();
            assert!(out.read_line(&mut line).unwrap() > 0, "it ended instead: {said}");
            if let Some((_, found)) = line.trim().split_once("jackfield: listening on http://") {
                found.clone_into(&mut address);
            }
            said.push_str(&line);
        }
        Self { child, out, said, address, folder }
    }

    fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    fn get(&self, path: &str, token: &str) -> String {
        let mut socket = TcpStream::connect(&self.address).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    fn token(&self) -> Option<&str> {
        let line = self.said.lines().find(|line| line.contains("admin token"))?;
        line.rsplit(' ').next()
    }

    fn ended(mut self) -> (i32, TempDir) {
        let code = self.child.wait().unwrap().code().unwrap();
        // Whatever else it printed must not fill the pipe of a host that still runs.
        self.out.read_to_string(&mut self.said).unwrap();
        (code, std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn config_prints_the_defaults_and_they_are_a_valid_settings_file() {
    let (code, out, _) = run(&["config"], &[]);
    assert_eq!(code, 0);
    assert_eq!(out, include_str!("../defaults.toml"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jackfield.toml"), out).unwrap();
    // It gets past the settings, to the address that is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(folder.path(), &["serve"]).env("JACKFIELD_LISTEN", &address).output().unwrap();
    let (code, _, err) = told(output);
    assert_eq!(code, 78);
    assert!(err.contains(&address) && err.contains("JACKFIELD_LISTEN"), "{err}");
}

#[test]
fn a_host_whose_log_nobody_reads_goes_on_and_counts_what_it_drops() {
    let mut host = Host::start_talkative();
    // Read by nobody, until more lines wait than may.
    let dropped = |host: &Host| {
        let page = host.get("/metrics", "");
        let line = page.lines().find_map(|line| line.strip_prefix("jackfield_log_lines_dropped_total "));
        line.and_then(|count| count.parse::<u64>().ok()).unwrap()
    };
    assert_eq!(dropped(&host), 0);
    let asked = (0..20_000).find(|_| {
        assert!(host.get("/readyz", "").starts_with("HTTP/1.1 200"));
        dropped(&host) > 0
    });
    assert!(asked.is_some(), "nothing was dropped");
    // And with nobody there who could read.
    drop(host.child.stderr.take());
    for _ in 0..100 {
        assert!(host.get("/readyz", "").starts_with("HTTP/1.1 200"));
    }
    assert!(!host.get("/metrics", "").contains("jackfield_http_panics_total 1"));
    host.signal("TERM");
    assert_eq!(host.ended().0, 0);
}

#[test]
fn no_core_is_left_and_a_hangup_ends_nothing() {
    let host = Host::start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    host.signal("HUP");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(host.get("/healthz", "").starts_with("HTTP/1.1 200"));
    host.signal("TERM");
    assert_eq!(host.ended().0, 0);
}

#[test]
fn versions_and_help_are_printed_and_end_with_0() {
    for arguments in [&["version"][..], &["--version"]] {
        let (code, out, _) = run(arguments, &[]);
        assert_eq!((code, out.trim()), (0, concat!("jackfield ", env!("CARGO_PKG_VERSION"))), "{arguments:?}");
    }
    let (code, out, _) = run(&["--help"], &[]);
    assert!(code == 0 && out.contains("serve") && out.contains("config"), "{out}");
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_64() {
    for arguments in [&[][..], &["no-such-command"], &["serve", "--no-such-flag"], &["config", "more"]] {
        let (code, _, err) = run(arguments, &[]);
        assert_eq!(code, 64, "{arguments:?}");
        assert!(err.contains("Usage"), "{arguments:?}: {err}");
    }
}

#[test]
fn settings_that_cannot_be_used_end_with_78_and_a_sentence() {
    for (environment, words) in [
        (("JACKFIELD_LISEN", "x"), ["JACKFIELD_LISEN", "JACKFIELD_LISTEN"]),
        (("JACKFIELD_LIMITS_CALLS", "many"), ["JACKFIELD_LIMITS_CALLS", "whole number"]),
        (("DATABASE_URL", "mysql://ann:hush@db/x"), ["DATABASE_URL", "sqlite"]),
        (("DATABASE_URL", "postgres://ann:hush@127.0.0.1:1/x"), ["database", "cannot be used"]),
        (("REDIS_URL", "http://:hush@cache"), ["REDIS_URL", "redis://"]),
        (("REDIS_URL", "redis://:hush@127.0.0.1:1/"), ["REDIS_URL", "Redis cannot be used"]),
        (("JACKFIELD_KEYS_VALUE", "hush"), ["keys.value", "64"]),
        (("JACKFIELD_KEYS_COMMAND", "exit 4"), ["command", "4"]),
        (("JACKFIELD_CONFIG", "no/such/file.toml"), ["no/such/file.toml", "read"]),
        (("JACKFIELD_LOG_LEVEL", "a=b=c="), ["log.level", "debug"]),
        (("JACKFIELD_DATA", "/dev/null/data"), ["/dev/null/data", "data folder"]),
    ] {
        let (code, _, err) = run(&["serve"], &[environment]);
        assert_eq!(code, 78, "{environment:?}: {err}");
        assert!(words.iter().all(|word| err.contains(word)), "{environment:?}: {err}");
        assert!(!err.contains("hush"), "{err}");
    }
}

#[test]
fn keys_are_rotated_while_a_host_serves_and_pruned_once_nothing_needs_them() {
    let host = Host::start();
    let token = host.token().unwrap().to_owned();
    let keys = |word: &str| {
        let (code, out, err) = told(command(host.folder.path(), &["keys", word]).output().unwrap());
        assert_eq!(code, 0, "{word}: {err}");
        out
    };
    let first = keys("list");
    assert_eq!(first.lines().count(), 1);
    let body = r#"{"name":"a","connector":"websocket","url":"ws://127.0.0.1:9/","secret":"planted-canary"}"#;
    let mut socket = TcpStream::connect(&host.address).unwrap();
    let request = format!(
        "POST /api/v1/agents HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("201 Created"), "{answer}");
    assert!(keys("rotate").contains("2 rows"), "the canary and the agent's secret");
    let both = keys("list");
    assert!(both.ends_with(&first) && both.lines().count() == 2, "{both}");
    // The host reads what it did not seal, and seals with the new key.
    assert!(host.get("/api/v1/agents", &token).contains("200 OK"));
    assert_eq!(keys("reseal"), "0 rows were sealed anew\n");
    assert!(keys("prune").contains("1 older keys"));
    assert!(host.get("/api/v1/agents", &token).contains("200 OK"));
    host.signal("TERM");
    let (code, folder) = host.ended();
    assert_eq!(code, 0);
    let again = Host::start_in(folder);
    assert!(
        again.get("/api/v1/agents", &token).contains("********"),
        "the secret opens after a restart, and is masked"
    );
}

#[test]
fn an_unknown_key_in_the_file_is_named_with_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.toml"), "[drain]\ncall_seconds = 1\n").unwrap();
    let (code, _, err) = told(command(folder.path(), &["serve", "--config", "mine.toml"]).output().unwrap());
    assert_eq!(code, 78);
    assert!(err.contains("`drain.call_seconds`") && err.contains("`drain.calls_seconds`"), "{err}");
}

#[test]
fn either_signal_ends_an_idle_host_with_0() {
    for name in ["TERM", "INT"] {
        let host = Host::start();
        assert!(host.get("/healthz", "").contains("200 OK"));
        host.signal(name);
        assert_eq!(host.ended().0, 0, "{name}");
    }
}

#[test]
fn a_request_that_has_begun_is_waited_for_and_a_second_signal_ends_that_with_1() {
    for (signals, code) in [(&["TERM"][..], 0), (&["TERM", "INT"], 1)] {
        let host = Host::start();
        let mut socket = TcpStream::connect(&host.address).unwrap();
        let head = "POST /api/v1/telephony/inbound/run HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                    content-length: 2\r\nexpect: 100-continue\r\n\r\n";
        socket.write_all(head.as_bytes()).unwrap();
        let mut part = [0; 12];
        socket.read_exact(&mut part).unwrap();
        assert_eq!(&part, b"HTTP/1.1 100", "the handler waits for the body");
        signals.iter().for_each(|name| host.signal(name));
        if code == 0 {
            while TcpStream::connect(&host.address).is_ok() {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            socket.write_all(b"ab").unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            assert!(answer.contains("403 Forbidden"), "{answer}");
        }
        assert_eq!(host.ended().0, code, "{signals:?}");
    }
}

#[test]
fn the_token_of_the_first_start_is_printed_once_and_good_after_a_restart() {
    let host = Host::start();
    let token = host.token().unwrap().to_owned();
    assert!(host.get("/api/v1/agents", &token).contains("200 OK"));
    assert!(host.get("/api/v1/agents", "another token").contains("401 Unauthorized"));
    host.signal("TERM");
    let (code, folder) = host.ended();
    assert_eq!(code, 0);
    let again = Host::start_in(folder);
    assert_eq!(again.token(), None);
    assert!(again.get("/api/v1/agents", &token).contains("200 OK"));
}

#[test]
fn what_lasts_is_for_the_owner_alone_and_a_lost_key_stops_the_start() {
    let host = Host::start();
    let data = host.folder.path().join("jackfield-data");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("master.key")), 0o600);
    host.signal("TERM");
    let (_, folder) = host.ended();
    let key = folder.path().join("jackfield-data/master.key");
    std::fs::remove_file(&key).unwrap();
    let (code, _, err) = told(command(folder.path(), &["serve"]).output().unwrap());
    assert_eq!(code, 78);
    assert!(err.contains("master.key") && err.contains("backup"), "{err}");
    assert!(!key.exists(), "no new key takes its place");
    std::fs::write(&key, format!("key_other {}\n", "0".repeat(64))).unwrap();
    let (code, _, err) = told(command(folder.path(), &["serve"]).output().unwrap());
    assert_eq!(code, 78);
    assert!(err.contains("key"), "{err}");
}
