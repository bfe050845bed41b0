//! Tools for those who write plugins: they ask the very code that serves calls.

mod build;
mod check;
mod drain;
mod grants;
mod keygen;
mod load;
mod new;
mod record;
mod remote;
mod replay;
mod report;
mod sign;
mod test;
mod zoo;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;
use jackfield_plugins::{Candidate, Conformance, GuestLimits, PluginHost, Pooling, Refusal};
use jackfield_vectors::Outcome;
use tokio::runtime::Runtime;

use crate::ending::Ending;
use crate::stock::STOCK;

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
        /// Run the test vectors in this folder too: what each costs belongs to the verdict.
        #[arg(long, value_name = "DIR")]
        vectors: Option<PathBuf>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Count the calls that are still on earlier builds of a plugin, on a host that runs, or end them.
    Drain {
        /// The provider's name.
        name: String,
        /// End them, instead of waiting for their end.
        #[arg(long)]
        force: bool,
        /// Where the host is.
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
    },
    /// Show what a plugin may have on a host that runs, or give it other grants, by a rollout.
    Grants {
        /// The provider's name.
        name: String,
        /// A JSON object: `{"hosts": ["api.acme.example"], "requests": 4}`. What it leaves out, the plugin may have as it describes it.
        #[arg(long, value_name = "JSON", conflicts_with = "by_settings")]
        set: Option<String>,
        /// Go back to what the host's settings grant.
        #[arg(long)]
        by_settings: bool,
        /// Where the host is.
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
    },
    /// Make a key to sign builds with, and print its public half: hosts that name it in `plugins.signers` take no others.
    Keygen {
        /// A new file for the private half (PKCS#8 in PEM), which only its owner can read.
        file: PathBuf,
    },
    /// Bring a component into service on a host that runs, at once or after trials.
    Load {
        /// The component; its file's name is the provider's, unless `--name` says otherwise.
        file: PathBuf,
        #[arg(long)]
        name: Option<String>,
        /// Compare its answers with those of the build in service for so long, such as 5m, and drop them.
        #[arg(long, value_name = "TIME")]
        shadow: Option<String>,
        /// Then let this share of new calls begin on it, such as 10%.
        #[arg(long, value_name = "SHARE")]
        canary: Option<String>,
        /// For so long; 10m when absent.
        #[arg(long, value_name = "TIME")]
        canary_for: Option<String>,
        /// Where the host is.
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
    },
    /// Take down the next calls of a plugin's exports, on a host that runs, into a file: it holds what providers sent, telephone
    /// numbers too.
    Record {
        /// The provider's name.
        name: String,
        /// How many.
        #[arg(long, default_value_t = 100)]
        exports: u32,
        /// Wait so many seconds for them, and take what there is.
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        patience: u64,
        /// The trace.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Where the host is.
        #[arg(long, default_value = "http://127.0.0.1:8080")]
        url: String,
    },
    /// Ask a component everything that a trace holds, and tell what it answers otherwise.
    Replay {
        /// What `record` wrote.
        trace: PathBuf,
        /// The component.
        #[arg(long, value_name = "FILE")]
        plugin: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Sign a component, in the place of whoever signed it before.
    Sign {
        /// The component.
        file: PathBuf,
        /// The file that `keygen` made.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the signed component goes; into the same file when absent.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
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
    /// Let plugins that misbehave loose in this program, on this machine, under a host's settings, and tell what became of each.
    /// A host that runs is not asked, and notices nothing.
    Zoo {
        /// Settings; `jackfield.toml` in the working folder when absent.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(command: &PluginCommand) -> Ending {
    match command {
        PluginCommand::New { name, sdk } => new::run(name, sdk.as_deref()),
        PluginCommand::Build { folder } => build::run(folder),
        PluginCommand::Check { file, vectors, json } => check::run(file, vectors.as_deref(), *json),
        PluginCommand::Drain { name, force, url } => drain::run(name, *force, url),
        PluginCommand::Grants { name, set, by_settings, url } => grants::run(name, set.as_deref(), *by_settings, url),
        PluginCommand::Keygen { file } => keygen::run(file),
        PluginCommand::Load { file, name, shadow, canary, canary_for, url } => {
            let wanted = [("shadow", shadow), ("canary", canary), ("canary_for", canary_for)];
            load::run(file, name.as_deref(), &wanted, url)
        }
        PluginCommand::Record { name, exports, patience, out, url } => {
            record::run(name, *exports, Duration::from_secs(*patience), out, url)
        }
        PluginCommand::Replay { trace, plugin, json } => replay::run(trace, plugin, *json),
        PluginCommand::Sign { file, key, out } => sign::run(file, key, out.as_deref()),
        PluginCommand::Test { file, vectors, json } => test::run(file, vectors, *json),
        PluginCommand::Zoo { config, json } => zoo::run(config.as_deref(), *json),
    }
}

/// What to do with the vectors that a component ships.
#[derive(Debug, Clone, Copy)]
enum Shipped {
    Run,
    Leave,
}

/// A host that serves nobody, with a component that passed its checks or did not.
struct Bench {
    runtime: Runtime,
    examined: Result<Candidate, Refusal>,
    bytes: usize,
    /// The same component with its instructions counted, which takes longer.
    counted: Result<Candidate, Refusal>,
}

impl Bench {
    /// With or without the vectors that the component ships. Where it is not: what to say, and how to end.
    fn with(file: &Path, vectors: Shipped) -> Result<Self, Ending> {
        let bytes = std::fs::read(file).map_err(|error| {
            report::complain(&format!("{}: {error}", file.display()));
            Ending::NoInput
        })?;
        let made = Runtime::new().map_err(|error| error.to_string()).and_then(|runtime| {
            let host = |counted| {
                let limits = GuestLimits { counted, ..GuestLimits::default() };
                let host = PluginHost::new(limits, Pooling::Off, None).map_err(|error| error.to_string())?;
                Ok::<_, String>(host.stocked(STOCK))
            };
            Ok((host(false)?, host(true)?, runtime))
        });
        let (host, counting, runtime) = made.map_err(|error| {
            report::complain(&error);
            Ending::Config
        })?;
        let length = bytes.len();
        let examined = runtime.block_on(async {
            match vectors {
                Shipped::Run => host.examine(bytes.clone()).await,
                Shipped::Leave => host.examine_without_vectors(bytes.clone()).await,
            }
        });
        let counted = runtime.block_on(counting.examine_without_vectors(bytes));
        Ok(Self { runtime, examined, bytes: length, counted })
    }

    /// Runs vectors twice: once for the verdict and the time, once for the instructions.
    fn vectors(&self, folder: &Path) -> Result<Vec<Outcome>, Ending> {
        let run = |examined: &Result<Candidate, Refusal>| match examined {
            Ok(candidate) => {
                let generation = Arc::clone(candidate.generation());
                let conformance = Conformance::new(generation, self.runtime.handle().clone());
                jackfield_vectors::run(folder, &conformance).map_err(|why| {
                    report::complain(&why);
                    Ending::NoInput
                })
            }
            Err(refusal) => {
                report::complain(&format!("the component was refused: {refusal}"));
                Err(Ending::BadData)
            }
        };
        let mut outcomes = run(&self.examined)?;
        for (outcome, counted) in outcomes.iter_mut().zip(run(&self.counted)?) {
            outcome.instructions = counted.instructions;
        }
        Ok(outcomes)
    }
}
