//! What goes into a session and what comes out.

use crate::format::Format;

/// How a session is set up.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// What the provider sends, until it says otherwise.
    pub wire_in: Format,
    /// What the provider is sent, until it says otherwise.
    pub wire_out: Format,
    /// What the agent speaks, both ways.
    pub agent: Format,
    /// Milliseconds of audio in one message towards the provider.
    pub frame_ms: u32,
    /// How far ahead of the ear audio is sent; less than a frame stands for one frame.
    pub lead_ms: u32,
    /// How long the first audio after silence waits for more, so that an uneven agent has no gaps.
    pub hold_ms: u32,
    /// How much of the agent's audio may wait here. What comes on top is dropped and counted.
    pub queue_ms: u32,
    /// A provider that sends no audio for so long is gone; 0 waits for ever.
    pub no_media_ms: u32,
    /// Whether `Output::Record` is wanted.
    pub record: bool,
}

/// Something happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The provider says what the stream carries.
    WireStarted {
        /// What it sends.
        wire_in: Format,
        /// What it wants to be sent.
        wire_out: Format,
    },
    /// Audio of the caller, of any length.
    WireAudio {
        /// In the format that the provider sends.
        payload: &'a [u8],
    },
    /// The caller pressed a key.
    WireDtmf(&'a str),
    /// The provider played what was before this mark.
    WireMark(&'a str),
    /// The provider ended the stream.
    WireStopped,
    /// The provider's socket is gone.
    WireClosed,
    /// Audio of the agent, cut anywhere, also within a sample.
    AgentAudio(&'a [u8]),
    /// The agent wants to know when what it said so far was heard.
    AgentMark(String),
    /// Barge-in: nothing of what the agent said may be heard from now on.
    AgentClear,
    /// Keys to be pressed towards the caller.
    AgentDtmf(String),
    /// The agent ends the call.
    AgentHangUp {
        /// Only when the caller has heard what was said.
        after_playout: bool,
    },
    /// The agent's connection ended.
    AgentClosed {
        /// As agreed, not by a fault.
        normal: bool,
    },
    /// The host ends the call.
    HangUp,
    /// A frame time has passed.
    Tick,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Towards the provider.
    Wire(WireCommand),
    /// Towards the agent.
    Agent(AgentMessage),
    /// One frame of the recording, both sides equally long.
    Record {
        /// What came from the caller.
        caller: Vec<i16>,
        /// What the caller heard.
        agent: Vec<i16>,
    },
    /// The session is over. Nothing follows.
    End(EndReason),
}

/// What the provider is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireCommand {
    /// One frame.
    Audio(Vec<u8>),
    /// Say when everything before this was played. The name is the session's own.
    Mark(String),
    /// Drop what is not yet played.
    Clear,
    /// Press these keys.
    Dtmf(String),
}

/// What the agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentMessage {
    /// Audio of the caller in the agent's format.
    Audio(Vec<u8>),
    /// The caller pressed a key.
    Dtmf(String),
    /// The answer to a mark; each is answered once.
    Mark {
        /// As the agent named it.
        name: String,
        /// Dropped before it was heard.
        cleared: bool,
    },
    /// The call is over.
    Stop {
        /// In words.
        reason: String,
    },
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The provider ended the stream.
    CallerHungUp,
    /// The agent asked for it, or left as agreed.
    AgentHungUp,
    /// The host asked for it.
    HostHungUp,
    /// The agent's connection broke.
    AgentLost,
    /// The provider sent no audio for too long.
    NoMedia,
    /// Wire and agent run at different rates.
    UnsupportedFormat,
}

impl EndReason {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CallerHungUp => "caller-hung-up",
            Self::AgentHungUp => "agent-hung-up",
            Self::HostHungUp => "host-hung-up",
            Self::AgentLost => "agent-lost",
            Self::NoMedia => "no-media",
            Self::UnsupportedFormat => "unsupported-format",
        }
    }
}

/// What was counted. Audio is counted in frames, each begun frame as one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Audio messages of the caller that were accepted, of whatever length.
    pub frames_in: u64,
    /// Frames sent to the provider.
    pub frames_out: u64,
    /// Messages that made no sense.
    pub bad: u64,
    /// Frames dropped by a limit: flood, full queue, after hang-up; and marks past their limit.
    pub dropped: u64,
    /// Times the agent's audio ran dry in mid-speech.
    pub underruns: u64,
    /// Frames that waited for a tick that came late.
    pub late: u64,
    /// Barge-ins.
    pub flushes: u64,
}
