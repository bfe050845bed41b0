//! Logs, on standard error: for people on a terminal, as JSON otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Starts logging.
///
/// # Errors
/// A sentence about the filter.
pub(crate) fn start(settings: &LogSettings) -> Result<(), String> {
    let filter = filter(&settings.level)?;
    let human = match settings.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if human {
        logs.with_ansi(std::io::stderr().is_terminal()).try_init()
    } else {
        logs.json().flatten_event(true).with_ansi(false).try_init()
    };
    started.map_err(|error| format!("logging cannot be started: {error}"))
}

/// A bare level is for this host; what libraries print at `debug` may hold what we would never log.
fn filter(level: &str) -> Result<EnvFilter, String> {
    let directives = if LEVELS.contains(&level) { format!("warn,jackfield={level}") } else { level.to_owned() };
    EnvFilter::try_new(&directives).map_err(|error| {
        format!("the setting `log.level` is neither a level ({}) nor a filter: {error}", LEVELS.join(", "))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_bare_level_is_for_this_host_alone_and_a_filter_is_taken_as_it_is() {
        let bare = filter("debug").unwrap().to_string();
        assert!(bare.contains("jackfield=debug") && bare.contains("warn"), "{bare}");
        assert_eq!(filter("hyper=trace").unwrap().to_string(), "hyper=trace");
        assert!(filter("no=such=filter=").is_err());
    }
}
