//! `jackfield plugin keygen FILE`: a key to sign builds with.

use std::io::ErrorKind;
use std::path::Path;

use jackfield_plugins::SigningKey;

use super::report;
use crate::ending::Ending;

pub(super) fn run(file: &Path) -> Ending {
    let key = match SigningKey::generate() {
        Ok(key) => key,
        Err(error) => {
            report::complain(&error.to_string());
            return Ending::Config;
        }
    };
    match key.write_new(file) {
        Ok(()) => {
            report::say(&[key.public().to_string()]);
            Ending::Done
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let file = file.display();
            report::complain(&format!("{file} is there already, and a key is never overwritten; take another name"));
            Ending::Usage
        }
        Err(error) => {
            report::complain(&format!("{} could not be written: {error}", file.display()));
            Ending::NoInput
        }
    }
}
