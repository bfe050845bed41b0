//! From a core module to a component, for whoever builds plugins. No files: bytes in, bytes out.

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

/// What the compiler is told for plugins. Guests need little stack, and each media stream has one. The memory they begin
/// with is enough for any webhook, so that it never grows.
pub const LINKER: [&str; 2] = ["-Clink-arg=-zstack-size=65536", "-Clink-arg=--initial-memory=262144"];

/// The component that a core module with embedded bindings describes, validated.
///
/// # Errors
/// When the module was not built with `jackfield-sdk`, or for another contract.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true);
    encoder.module(module).context("the module carries no contract")?;
    encoder.encode().context("the module does not fit the contract")
}

/// The same component with a note in a custom section at its end: it does the same and has another digest.
pub fn with_note(component: &[u8], note: &str) -> Vec<u8> {
    with_section(component, "jackfield:build", note.as_bytes())
}

/// The same component with one more custom section at its end.
pub fn with_section(component: &[u8], name: &str, held: &[u8]) -> Vec<u8> {
    let mut content = leb128(name.len());
    content.extend_from_slice(name.as_bytes());
    content.extend_from_slice(held);
    let mut bytes = component.to_vec();
    bytes.push(0); // the id of a custom section
    bytes.extend(leb128(content.len()));
    bytes.extend(content);
    bytes
}

/// Seven bits a byte, lowest first; the high bit says that more follow.
fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_appended_and_nothing_before_it_changes() {
        assert_eq!(with_note(b"component", "next"), b"component\x00\x14\x0fjackfield:buildnext");
    }

    #[test]
    fn a_length_over_127_takes_more_bytes() {
        assert_eq!(leb128(0), [0]);
        assert_eq!(leb128(127), [0x7f]);
        assert_eq!(leb128(128), [0x80, 0x01]);
        assert_eq!(leb128(624_485), [0xe5, 0x8e, 0x26]);
    }

    #[test]
    fn what_is_not_a_module_is_refused() {
        assert!(encode(b"not wasm").is_err());
    }
}
