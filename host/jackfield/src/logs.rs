//! Logs, on standard error: for people on a terminal, as JSON otherwise.
//!
//! A thread of its own writes them. Whoever has something to say never waits for whoever reads: lines that nobody takes are
//! dropped and counted, and a reader that is gone stops nothing.

use std::io::{IsTerminal, Result as IoResult, Write};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{EnvFilter, reload};

use crate::config::{LogFormat, LogSettings};

/// Lines that wait to be written; some MiB at the most.
const WAITING: usize = 4_096;
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Says how many lines were dropped so far.
pub(crate) type Dropped = Box<dyn Fn() -> u64 + Send + Sync>;

/// Logs something else from here on, or says why not.
pub(crate) type SetLevel = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Logs that are being written.
pub(crate) struct Logs {
    pub(crate) dropped: Dropped,
    pub(crate) set_level: SetLevel,
    /// Brings what waits to its end when it is dropped; for a second, if nobody reads.
    pub(crate) rest: WorkerGuard,
}

/// Starts logging, for as long as what it returns is held.
///
/// # Errors
/// A sentence about the filter.
pub(crate) fn start(settings: &LogSettings) -> Result<Logs, String> {
    let filter = filter(&settings.level)?;
    let human = match settings.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let builder = NonBlockingBuilder::default().buffered_lines_limit(WAITING).lossy(true).thread_name("log");
    let (writer, rest) = builder.finish(std::io::stderr());
    let counter = writer.error_counter();
    // What cannot be written is not told on the same way: telling it would panic there.
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Lines(writer)).log_internal_errors(false);
    let (started, set_level): (_, SetLevel) = if human {
        let logs = logs.with_ansi(std::io::stderr().is_terminal()).with_filter_reloading();
        let handle = logs.reload_handle();
        (logs.try_init(), Box::new(move |level| set(&handle, level)))
    } else {
        let logs = logs.json().flatten_event(true).with_ansi(false).with_filter_reloading();
        let handle = logs.reload_handle();
        (logs.try_init(), Box::new(move |level| set(&handle, level)))
    };
    started.map_err(|error| format!("logging cannot be started: {error}"))?;
    Ok(Logs { dropped: Box::new(move || counter.dropped_lines() as u64), set_level, rest })
}

fn set<S>(handle: &reload::Handle<EnvFilter, S>, level: &str) -> Result<(), String> {
    handle.reload(filter(level)?).map_err(|error| format!("the log takes no other filter: {error}"))
}

/// One line for each event, whatever strangers put into it: what would end the line, or begin another, is written as a sign.
#[derive(Clone)]
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, event: &[u8]) -> IoResult<usize> {
        let (line, end) = event.strip_suffix(b"\n").map_or((event, &b""[..]), |line| (line, b"\n"));
        if !line.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            self.0.write_all(event)?;
            return Ok(event.len());
        }
        let signs = |byte: &u8| match byte {
            b'\n' => b"\\n".to_vec(),
            b'\r' => b"\\r".to_vec(),
            other => vec![*other],
        };
        self.0.write_all(&[&line.iter().flat_map(signs).collect::<Vec<u8>>(), end].concat())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> IoResult<()> {
        self.0.flush()
    }
}

impl<'a, W: Write + Clone + 'a> MakeWriter<'a> for Lines<W> {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
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
    fn an_event_is_one_line_whatever_is_in_it() {
        let mut lines = Lines(Vec::new());
        lines.write_all(b"WARN plain\n").unwrap();
        lines.write_all(b"WARN caller=\"x\r\n\nERROR forged\"\n").unwrap();
        let written = String::from_utf8(lines.0).unwrap();
        assert_eq!(written, "WARN plain\nWARN caller=\"x\\r\\n\\nERROR forged\"\n");
    }

    #[test]
    fn a_bare_level_is_for_this_host_alone_and_a_filter_is_taken_as_it_is() {
        let bare = filter("debug").unwrap().to_string();
        assert!(bare.contains("jackfield=debug") && bare.contains("warn"), "{bare}");
        assert_eq!(filter("hyper=trace").unwrap().to_string(), "hyper=trace");
        assert!(filter("no=such=filter=").is_err());
    }
}
