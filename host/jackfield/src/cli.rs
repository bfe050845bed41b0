//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::ending::Ending;
use crate::keys::KeysCommand;
use crate::plugin::PluginCommand;

/// Connects phone calls from any telephony provider to any voice agent.
#[derive(Debug, Parser)]
#[command(name = "jackfield", version, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the host until SIGTERM or SIGINT. A second signal ends it at once.
    Serve {
        /// Settings; `jackfield.toml` in the working folder when absent.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Print every setting with its default and what it means.
    Config,
    /// The key that seals secrets, and a new one in its place.
    Keys {
        /// Settings; `jackfield.toml` in the working folder when absent.
        #[arg(long, value_name = "FILE", global = true)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Check and test plugins.
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Compile a component from standard input to standard output: the host starts itself so.
    #[command(hide = true)]
    CompilePlugin {
        /// CPU time that it may take.
        seconds: u64,
        /// `counted` where instructions are to be counted.
        how: String,
        /// `behind` where calls come first.
        rank: String,
    },
    /// Print the version.
    Version,
}

/// The command, or how the process ends without one.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Ending> {
    Line::try_parse_from(arguments).map(|line| line.command).map_err(|error| {
        // Nobody to tell is no reason to end differently.
        error.print().ok();
        if error.use_stderr() { Ending::Usage } else { Ending::Done }
    })
}
