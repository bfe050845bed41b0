//! The `jackfield` binary: command line, settings, wiring, signals, drain. What it does is in the crates below.

mod cli;
mod config;
mod doors;
mod ending;
mod home;
mod keys;
mod logs;
mod plugin;
mod reload;
mod serve;
mod stock;
mod threads;

use std::io::Write;
use std::process::ExitCode;

use cli::Command;
use ending::Ending;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(Command::CompilePlugin { seconds, how, rank }) => {
            return jackfield_plugins::compile_as_child(seconds, &how, &rank).into();
        }
        Ok(Command::Serve { config }) => serve::run(config.as_deref()),
        Ok(Command::Keys { config, command }) => keys::run(&command, config.as_deref()),
        Ok(Command::Plugin { command }) => plugin::run(&command),
        Ok(Command::Config) => say(config::DEFAULTS),
        Ok(Command::Version) => say(concat!("jackfield ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(ending) => ending,
    }
    .into()
}

/// To standard output. A reader that went away has seen enough.
fn say(text: &str) -> Ending {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
    Ending::Done
}
