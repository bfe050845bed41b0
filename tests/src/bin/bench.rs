//! Ratios in one run, as a table. No figure here fails anything: machines differ.

use std::process::ExitCode;

use jackfield_tests::bench;

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match wanted.first().map(String::as_str) {
        Some("bare-echo") => bench::bare::serve(),
        Some(name) if !bench::NAMES.contains(&name) => {
            jackfield_tests::demo::tell(&format!("usage: bench [{}]", bench::NAMES.join("|")));
            return ExitCode::from(64);
        }
        name => bench::run(name.unwrap_or("all")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            jackfield_tests::demo::tell(&format!("The bench stopped: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
