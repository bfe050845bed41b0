//! Where a call stands.

use serde::{Deserialize, Serialize};

/// Who dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The provider brought the call.
    Inbound,
    /// The host placed it.
    Outbound,
}

/// Where a call stands. Only ever moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    Initiated,
    Ringing,
    InProgress,
    Completed,
    Busy,
    NoAnswer,
    Failed,
    Canceled,
}

impl Status {
    /// All of them, in order of rank.
    pub const ALL: [Self; 8] = [
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Completed,
        Self::Busy,
        Self::NoAnswer,
        Self::Failed,
        Self::Canceled,
    ];

    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Is the call over?
    pub fn is_terminal(self) -> bool {
        self.rank() == 3
    }

    /// May a call go from here to `next`? Steps may be left out, none may be taken back.
    pub fn leads_to(self, next: Self) -> bool {
        next.rank() > self.rank()
    }

    fn rank(self) -> u8 {
        match self {
            Self::Initiated => 0,
            Self::Ringing => 1,
            Self::InProgress => 2,
            Self::Completed | Self::Busy | Self::NoAnswer | Self::Failed | Self::Canceled => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(Status::parse("answered"), None);
    }

    #[test]
    fn nothing_follows_an_end() {
        for end in Status::ALL.into_iter().filter(|status| status.is_terminal()) {
            assert!(Status::ALL.into_iter().all(|next| !end.leads_to(next)), "{end:?}");
        }
    }
}
