//! What every agent protocol is to the host: messages in, actions out. No socket, no clock.
//!
//! A protocol is a state machine. It is told what the agent sent and what the host has to say, each with the time since
//! the connection began, and answers with actions in order. The host owns the play-out clock: what was heard is told to
//! the protocol with each mark and each clear, and no protocol counts bytes to guess it.

use std::time::Duration;

use jackfield_media::Format;

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromAgent {
    /// In the format of [`AgentAudio::from_agent`].
    Audio(Vec<u8>),
    /// Comes back when the audio before it was heard.
    Mark(String),
    /// Barge-in: nothing said so far shall be heard.
    Clear,
    /// Keys to press towards the caller.
    Dtmf(String),
    /// The caller shall be put through to somebody else.
    Transfer(TransferWish),
    /// The call shall end.
    HangUp {
        /// After what is queued was heard; at once otherwise.
        after_playout: bool,
    },
    /// What was said, in words.
    Transcript {
        /// Who said it.
        speaker: Speaker,
        /// A piece of it, or all.
        text: String,
        /// Nothing more of this sentence comes.
        last: bool,
    },
    /// The connection is gone; the last thing there is.
    Closed {
        /// The agent said goodbye.
        normal: bool,
    },
    /// A message that was refused, and why.
    Problem(String),
}

/// To whom an agent wants to put a caller through, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferWish {
    /// E.164 or an address.
    pub to: String,
    /// The agent is done with the call, whatever becomes of it.
    pub blind: bool,
    /// Seconds that it may ring; the host's own where absent.
    pub ring_seconds: Option<u32>,
    /// What whoever picks up hears first.
    pub announcement: String,
}

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// The bot.
    Agent,
}

/// What an agent is told. Times are milliseconds of the agent's own audio, counted over the whole call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToAgent {
    /// In the format of [`AgentAudio::to_agent`].
    Audio(Vec<u8>),
    /// The caller pressed a key.
    Dtmf(String),
    /// A mark of its was reached, or cleared unheard.
    Mark {
        /// As the agent named it.
        name: String,
        /// It was cut by a barge-in.
        cleared: bool,
        /// Heard by now.
        heard_ms: u64,
    },
    /// The host heard the caller speak into the agent's words, and cut them.
    BargeIn {
        /// Heard when they were cut.
        heard_ms: u64,
    },
    /// A transfer goes on, or came to nothing.
    Transfer {
        /// `requested`, `dialled`, `answered`, `joined`, `failed` or `ended`.
        state: String,
        /// Why, where it failed.
        reason: Option<String>,
    },
    /// The answer to each `Clear`.
    Cleared {
        /// Heard when it was cut.
        heard_ms: u64,
    },
    /// The call is over.
    Stop {
        /// For people.
        reason: String,
    },
}

/// How an agent's audio is written, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentAudio {
    /// What it wants to hear.
    pub to_agent: Format,
    /// What it says.
    pub from_agent: Format,
}

impl AgentAudio {
    /// The same both ways.
    pub fn both(format: Format) -> Self {
        Self { to_agent: format, from_agent: format }
    }
}

/// A WebSocket message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// UTF-8.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

/// What a protocol wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Goes to the agent, whatever it takes.
    Write(Message),
    /// Goes to the agent unless it is too far behind: audio.
    WriteAudio(Message),
    /// The agent says this.
    Say(FromAgent),
    /// The agent is ready for the call.
    Ready,
    /// The agent does not take the call, and why.
    Refuse(String),
}

/// One agent protocol during one call.
pub trait Protocol: std::fmt::Debug + Send {
    /// The connection is open.
    fn open(&mut self, now: Duration) -> Vec<Action>;

    /// The agent sent a message.
    fn read(&mut self, now: Duration, message: Message) -> Vec<Action>;

    /// The host has something for the agent.
    fn tell(&mut self, now: Duration, message: ToAgent) -> Vec<Action>;

    /// When [`Protocol::wake`] is due.
    fn wake_at(&self) -> Option<Duration> {
        None
    }

    /// Time has passed.
    fn wake(&mut self, _now: Duration) -> Vec<Action> {
        Vec::new()
    }

    /// How the agent is told that a message of its was refused; not at all where its protocol has no words for it.
    fn complaint(&self, _what: &str) -> Option<Message> {
        None
    }
}
