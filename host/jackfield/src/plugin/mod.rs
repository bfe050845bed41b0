//! Tools for those who write plugins: they ask the very code that serves calls.

mod build;
mod check;
mod new;
mod report;
mod test;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use jackfield_plugins::{Candidate, GuestLimits, PluginHost, Pooling, Refusal};
use tokio::runtime::Runtime;

use crate::ending::Ending;

/// What to do with a plugin.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Write a crate for a new plugin into a folder of its name: it builds and passes its own tests.
    New {
        /// The provider's name in lower case.
        name: String,
        /// The folder of `jackfield-sdk`; the published one when absent.
        #[arg(long, value_name = "DIR")]
        sdk: Option<PathBuf>,
    },
    /// Build the crate in a folder into a component, and print where it is.
    Build {
        /// The crate's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
    /// Take a component through every check that a host makes before it serves, and say what it is.
    Check {
        /// The component.
        file: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Run test vectors against a component, the way calls run.
    Test {
        /// The component.
        file: PathBuf,
        /// The folder with a folder for each case.
        #[arg(long, value_name = "DIR")]
        vectors: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(command: &PluginCommand) -> Ending {
    match command {
        PluginCommand::New { name, sdk } => new::run(name, sdk.as_deref()),
        PluginCommand::Build { folder } => build::run(folder),
        PluginCommand::Check { file, json } => check::run(file, *json),
        PluginCommand::Test { file, vectors, json } => test::run(file, vectors, *json),
    }
}

/// A host that serves nobody, with a component that passed its checks or did not.
struct Bench {
    runtime: Runtime,
    examined: Result<Candidate, Refusal>,
    bytes: usize,
}

impl Bench {
    /// Where the component is not: what to say, and how to end.
    fn with(file: &Path) -> Result<Self, Ending> {
        let bytes = std::fs::read(file).map_err(|error| {
            report::complain(&format!("{}: {error}", file.display()));
            Ending::NoInput
        })?;
        let made = Runtime::new().map_err(|error| error.to_string()).and_then(|runtime| {
            let host =
                PluginHost::new(GuestLimits::default(), Pooling::Off, None).map_err(|error| error.to_string())?;
            Ok((runtime, host))
        });
        let (runtime, host) = made.map_err(|error| {
            report::complain(&error);
            Ending::Config
        })?;
        let length = bytes.len();
        let examined = runtime.block_on(host.examine(bytes));
        Ok(Self { runtime, examined, bytes: length })
    }
}

impl Bench {
    /// The component as vectors ask it; none where it was refused.
    fn conformance(&self) -> Result<jackfield_plugins::Conformance, &Refusal> {
        let candidate = self.examined.as_ref()?;
        let generation = Arc::clone(candidate.generation());
        Ok(jackfield_plugins::Conformance::new(generation, self.runtime.handle().clone()))
    }
}
