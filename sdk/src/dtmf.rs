//! Keys.

use crate::types::{Fault, MediaEvent};

/// A key that the caller pressed.
///
/// # Errors
/// When no telephone has it.
pub fn pressed(digit: &str) -> Result<MediaEvent, Fault> {
    let known = digit.len() == 1 && digit.bytes().all(|byte| b"0123456789*#ABCDabcd".contains(&byte));
    if known {
        Ok(MediaEvent::Dtmf(digit.to_ascii_uppercase()))
    } else {
        Err(Fault::Malformed("a digit that no key has".to_owned()))
    }
}
