//! Where components are compiled: in a child process with bounds of its own, so that bytes that were made to hurt a compiler
//! hurt nobody who serves. Without a program for it, on a thread of this process.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::engine;

/// CPU seconds of a child, whatever it compiles, and beside them for each megabyte: what wants more is an attack or an accident. A
/// plugin in Rust takes one; Python's interpreter, 20 MB, takes nine.
const CPU: u64 = 10;
const CPU_OF_A_MEGABYTE: u64 = 2;
/// Bytes of its address space. The compiler wants some hundred megabytes for the largest of plugins.
const MEMORY: u64 = 2 << 30;
/// How much longer than its CPU time somebody waits for a machine that has no time for it.
const PATIENCE: u64 = 12;
/// Code that is larger is nobody's plugin.
const LARGEST: u64 = 128 << 20;

/// The program that compiles, and what it is told to do so.
#[derive(Debug)]
pub struct CompilerProcess {
    program: PathBuf,
    arguments: Vec<String>,
    /// Whether calls may be up, which come first.
    behind: AtomicBool,
}

impl CompilerProcess {
    /// A program that calls [`compile_as_child`] when it is started with these arguments.
    pub fn new(program: PathBuf, arguments: Vec<String>) -> Self {
        Self { program, arguments, behind: AtomicBool::new(true) }
    }

    /// Compiling has its full share of the cores for as long as the host starts. Otherwise it takes what time others leave.
    #[must_use]
    pub fn starting(self) -> Self {
        self.behind.store(false, Ordering::Relaxed);
        self
    }

    pub(crate) fn step_back(&self) {
        self.behind.store(true, Ordering::Relaxed);
    }

    /// Machine code for these bytes. `counted` says whether instructions are to be counted.
    pub(crate) async fn compile(&self, bytes: Vec<u8>, counted: bool) -> Result<Vec<u8>, String> {
        let mut command = Command::new(&self.program);
        let behind = self.behind.load(Ordering::Relaxed);
        let seconds = cpu_seconds(bytes.len());
        command.args(&self.arguments).arg(seconds.to_string());
        command.arg(if counted { "counted" } else { "plain" }).arg(if behind { "behind" } else { "first" });
        command.env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("the compiler could not be started: {error}"))?;
        let mut input = child.stdin.take().ok_or("the compiler has no input")?;
        // A child that dies while it reads is told by its end.
        let feed = async move {
            input.write_all(&bytes).await.ok();
        };
        let work = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = within(seconds, work).await?;
        let output = output.map_err(|error| format!("the compiler was lost: {error}"))?;
        if output.status.success() && !output.stdout.is_empty() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        Err(match output.status.code() {
            Some(1) if !said.is_empty() => format!("the component does not compile: {said}"),
            _ => format!(
                "the compiler ended with {}: out of its time or memory. Make the component smaller.",
                output.status
            ),
        })
    }
}

/// In this process: for tools, and tests that have no program.
pub(crate) async fn in_process(bytes: Vec<u8>, counted: bool) -> Result<Vec<u8>, String> {
    let seconds = cpu_seconds(bytes.len());
    let work =
        tokio::task::spawn_blocking(move || stepping_back(|| engine::compiling(counted)?.precompile_component(&bytes)));
    let code = within(seconds, work).await?;
    let code = code.map_err(|error| format!("the compiler failed: {error}"))?;
    code.map_err(|error| format!("the component does not compile: {error:#}"))
}

/// What compiling so many bytes may take.
fn cpu_seconds(bytes: usize) -> u64 {
    CPU + CPU_OF_A_MEGABYTE * (bytes as u64 >> 20)
}

/// Waits for work that may take so much CPU time.
async fn within<T>(seconds: u64, work: impl Future<Output = T>) -> Result<T, String> {
    let wall = PATIENCE * seconds;
    tokio::time::timeout(Duration::from_secs(wall), work).await.map_err(|_| {
        format!("compiling did not get the {seconds} s of CPU time that it may take within {wall} s. Try again when the machine has time.")
    })
}

/// What the child does: reads a component from standard input, writes its code to standard output, and ends with the code
/// that the process is to end with. Its memory and its time, in seconds, are bounded before it reads a byte. `how` is `counted` where
/// instructions are to be counted, and `rank` is `behind` where calls are served meanwhile.
pub fn compile_as_child(seconds: u64, how: &str, rank: &str) -> u8 {
    let bound = |resource, most| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    let bounded = bound(Resource::As, MEMORY)
        .and_then(|()| bound(Resource::Cpu, seconds))
        .and_then(|()| bound(Resource::Core, 0))
        .and_then(|()| bound(Resource::Fsize, 0))
        .and_then(|()| bound(Resource::Nofile, 16));
    if rank == "behind" {
        nice(19).ok();
    }
    let outcome = bounded.map_err(|error| format!("its bounds could not be set: {error}")).and_then(|()| {
        let mut bytes = Vec::new();
        std::io::stdin().take(LARGEST).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let code = engine::compiling(how == "counted").and_then(|engine| engine.precompile_component(&bytes));
        let code = code.map_err(|error| format!("{error:#}").replace('\n', " "))?;
        std::io::stdout().write_all(&code).map_err(|error| error.to_string())
    });
    match outcome {
        Ok(()) => 0,
        Err(why) => {
            // The parent reads the last line, if it still listens.
            writeln!(std::io::stderr(), "{why}").ok();
            1
        }
    }
}

/// Does heavy work on a thread of its own that takes what time the others leave: audio above all. It ends with the work,
/// since no thread may raise its priority again.
pub(crate) fn stepping_back<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = std::thread::scope(|scope| {
        let heavy = scope.spawn(|| {
            // Where it cannot be lowered, the work is done as before.
            nice(19).ok();
            work()
        });
        heavy.join()
    });
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that tells what it was asked, instead of compiling.
    fn parrot() -> CompilerProcess {
        let script = "cat > /dev/null; echo $0 $1 $2";
        CompilerProcess::new("/bin/sh".into(), vec!["-c".to_owned(), script.to_owned()])
    }

    #[tokio::test]
    async fn compiling_comes_behind_all_else_but_while_the_host_starts() {
        let compiler = parrot();
        assert_eq!(compiler.compile(vec![], true).await, Ok(b"10 counted behind\n".to_vec()));
        let compiler = compiler.starting();
        assert_eq!(compiler.compile(vec![], false).await, Ok(b"10 plain first\n".to_vec()));
        compiler.step_back();
        assert_eq!(compiler.compile(vec![], false).await, Ok(b"10 plain behind\n".to_vec()));
    }

    #[tokio::test]
    async fn what_is_large_may_take_longer() {
        assert_eq!(parrot().compile(vec![0; 21 << 20], false).await, Ok(b"52 plain behind\n".to_vec()));
    }
}
