//! How the process ends, in the codes of `sysexits.h` where it has one.

use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done, or drained.
    Done,
    /// Ended before calls or requests were finished.
    NotDrained,
    /// What was tested does not hold.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The file that was given is not what it should be.
    BadData,
    /// The file or folder that was given is not there.
    NoInput,
    /// The settings, or what they name, do not allow a start.
    Config,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::from(match ending {
            Ending::Done => 0,
            Ending::NotDrained | Ending::Failed => 1,
            Ending::Usage => 64,
            Ending::BadData => 65,
            Ending::NoInput => 66,
            Ending::Config => 78,
        })
    }
}
