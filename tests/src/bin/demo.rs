//! The main job on real input, start to end. Exit 0 only if all of it held.

use std::process::ExitCode;

use jackfield_tests::demo;

#[tokio::main]
async fn main() -> ExitCode {
    let keep = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [only] if only == "--keep" => true,
        _ => {
            demo::tell("usage: demo [--keep]");
            return ExitCode::from(64);
        }
    };
    match demo::run(keep).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            demo::tell(&format!("\nThe demo stopped: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
