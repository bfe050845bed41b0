//! Takes an input apart.

use jackfield_sdk::types::{Call, Direction};

/// Between the parts of an input.
const BETWEEN: u8 = 0x1E;

/// What is left of an input.
#[derive(Debug, Clone)]
pub(crate) struct Parts<'a>(Option<&'a [u8]>);

impl<'a> Parts<'a> {
    pub(crate) fn of(input: &'a [u8]) -> Self {
        Self(Some(input))
    }

    /// The next part; empty where there is none.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        self.next().unwrap_or_default()
    }

    /// What is not UTF-8 becomes what the host makes of it.
    pub(crate) fn text(&mut self) -> String {
        text(self.bytes())
    }

    /// A decimal number; 0 for anything else.
    pub(crate) fn number(&mut self) -> u64 {
        self.text().parse().unwrap_or_default()
    }

    pub(crate) fn optional(&mut self) -> Option<String> {
        Some(self.text()).filter(|text| !text.is_empty())
    }

    /// A letter, and what stands behind it.
    pub(crate) fn kind(&mut self) -> (u8, &'a [u8]) {
        self.bytes().split_first().map_or((0, &[]), |(kind, rest)| (*kind, rest))
    }

    /// `i` or `o` for the direction, the provider's id, both numbers, and the memo: a line each.
    pub(crate) fn call(&mut self) -> Option<Call> {
        let part = self.bytes();
        let mut lines = part.splitn(5, |byte| *byte == b'\n');
        let mut line = || text(lines.next().unwrap_or_default());
        let direction = if line() == "o" { Direction::Outbound } else { Direction::Inbound };
        let (provider_id, from, to) = (line(), line(), line());
        let memo = line().into_bytes();
        let (id, extra) = ("call_1".to_owned(), Vec::new());
        (!part.is_empty()).then_some(Call { id, provider_id, direction, from, to, memo, extra })
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let end = rest.iter().position(|byte| *byte == BETWEEN);
        self.0 = end.map(|end| &rest[end + 1..]);
        Some(&rest[..end.unwrap_or(rest.len())])
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of `name` and value with `between` between them.
pub(crate) fn pairs(text: &str, between: &str) -> Vec<(String, String)> {
    let pair = |line: &str| line.split_once(between).map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}
