//! What happened when, for a person to read, and what did not hold.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::echo::EchoReport;

/// Prints as things happen, and remembers what went wrong.
pub(crate) struct Timeline {
    began: Instant,
    checks: usize,
    failures: Vec<String>,
}

/// Prints a line.
#[allow(clippy::print_stdout, reason = "this is the demo's and the bench's voice")]
pub fn tell(line: &str) {
    println!("{line}");
}

impl Timeline {
    pub(crate) fn begin() -> Self {
        tell("   time      who -> whom             what");
        Self { began: Instant::now(), checks: 0, failures: Vec::new() }
    }

    /// One peer told another something.
    pub(crate) fn said(&mut self, who: &str, whom: &str, what: &str) {
        self.line(&format!("{who} -> {whom}"), what);
    }

    /// Something is so.
    pub(crate) fn note(&mut self, who: &str, what: &str) {
        self.line(who, what);
    }

    fn line(&self, who: &str, what: &str) {
        let passed = self.began.elapsed().as_secs_f64();
        tell(&format!("{passed:>7.3} s   {who:<22}  {what}"));
    }

    /// Something must hold.
    pub(crate) fn check(&mut self, holds: bool, what: &str) {
        self.checks += 1;
        self.line(if holds { "  ok" } else { "  FAILED" }, what);
        if !holds {
            self.failures.push(what.to_owned());
        }
    }

    /// An echo must be whole.
    pub(crate) fn check_echo(&mut self, whose: &str, report: &EchoReport) {
        let EchoReport { sent_frames, heard_frames, missing, foreign, .. } = report;
        let (typical, worst) = (ms(report.delay(0.5)), ms(report.delay(0.99)));
        let what = format!(
            "{whose}: {sent_frames} frames sent, {heard_frames} heard, {missing} missing, {foreign} foreign; \
             delay p50 {typical:.1} ms, p99 {worst:.1} ms"
        );
        self.check(report.whole(), &what);
    }

    /// The last lines, and whether everything held.
    pub(crate) fn verdict(&self, folder: &Path) -> bool {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        tell(&format!("\nThe echo as the caller heard it: {}", folder.join("echo.wav").display()));
        if self.failures.is_empty() {
            tell(&format!("All {} checks held.", self.checks));
            return true;
        }
        tell(&format!("{} of {} checks did not hold:", self.failures.len(), self.checks));
        self.failures.iter().for_each(|failure| tell(&format!("  {failure}")));
        false
    }
}

/// The part of a digest that people compare.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..8).unwrap_or(digest)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
