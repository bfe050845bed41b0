//! Custom sections at the outer level of a component: what travels with a build and is no code of it.

use std::ops::Range;

use wasmparser::{BinaryReader, BinaryReaderError};

use crate::contract::Unfit;

/// Magic number and version.
const PREAMBLE: usize = 8;
const CUSTOM: u8 = 0;

/// One custom section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section<'a> {
    /// What is behind its name.
    pub(crate) content: &'a [u8],
    /// Where all of it lies in the file, its id and length included.
    pub(crate) range: Range<usize>,
}

/// Those of this name, in their order. Sections of nested modules and components are their own affair.
pub(crate) fn custom<'a>(bytes: &'a [u8], name: &str) -> Result<Vec<Section<'a>>, Unfit> {
    let damaged = |error: BinaryReaderError| Unfit::Damaged(error.to_string());
    let mut reader = BinaryReader::new(bytes, 0);
    reader.read_bytes(PREAMBLE).map_err(damaged)?;
    let mut found = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let (id, content) = next(&mut reader).map_err(damaged)?;
        let range = start..reader.original_position();
        if id == CUSTOM {
            let mut content = BinaryReader::new(content, 0);
            let named = content.read_string().map_err(damaged)?;
            let content = content.read_bytes(content.bytes_remaining()).map_err(damaged)?;
            if named == name {
                found.push(Section { content, range });
            }
        }
    }
    Ok(found)
}

fn next<'a>(reader: &mut BinaryReader<'a>) -> Result<(u8, &'a [u8]), BinaryReaderError> {
    let id = reader.read_u8()?;
    let length = reader.read_var_u32()?;
    Ok((id, reader.read_bytes(usize::try_from(length).unwrap_or(usize::MAX))?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn sections_are_found_by_name_with_where_they_lie() {
        let bytes = [EMPTY, b"\0\x04\x01aXY", b"\x01\x02zz", b"\0\x02\x01b", b"\0\x02\x01a"].concat();
        let found = custom(&bytes, "a").unwrap();
        assert_eq!(found[0], Section { content: b"XY", range: 8..14 });
        assert_eq!(found[1], Section { content: b"", range: 22..26 });
        assert_eq!((found.len(), custom(&bytes, "c").unwrap().len(), custom(EMPTY, "a").unwrap().len()), (2, 0, 0));
    }

    #[test]
    fn a_file_that_ends_in_the_middle_of_a_section_is_damaged() {
        for end in [&b"\0"[..], b"\0\x7f", b"\0\x04\x01aX", b"\0\x01\x09", b"\0\xff\xff\xff\xff\xff"] {
            assert!(matches!(custom(&[EMPTY, end].concat(), "a"), Err(Unfit::Damaged(_))), "{end:?}");
        }
        assert!(custom(b"\0asm", "a").is_err());
    }
}
