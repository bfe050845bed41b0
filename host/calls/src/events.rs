//! What happens to a call, and what is to be done about it.

use serde::{Deserialize, Serialize};

use crate::status::{Direction, Status};

/// Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// An outbound call that nobody answers, from the moment it was placed.
    pub unanswered: u64,
    /// An answered call without a media stream.
    pub no_stream: u64,
    /// After the caller left the stream, how long the provider may take to say how the call ended.
    pub grace: u64,
    /// No call lasts longer.
    pub max_duration: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unanswered: 75_000, no_stream: 30_000, grace: 5_000, max_duration: 4 * 3_600_000 }
    }
}

/// A call as it was stored, for picking it up after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    pub direction: Direction,
    pub status: Status,
    /// Is the provider's id known?
    pub provider_known: bool,
    /// Unix milliseconds, as all times here.
    pub began: u64,
    pub answered_at: Option<u64>,
}

/// Who or what ended a stream or asked for the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    Caller,
    Agent,
    Operator,
    /// Something broke: what.
    Fault(String),
}

/// What the provider reported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// None where the provider's word has no meaning here.
    pub status: Option<Status>,
    /// The provider's own word.
    pub raw: String,
    /// Seconds.
    pub duration: Option<u32>,
    /// Amount and currency.
    pub cost: Option<(String, String)>,
    pub cause: Option<String>,
    pub sequence: Option<u64>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The provider took the order.
    Placed {
        provider_id: String,
        status: Option<Status>,
    },
    /// The provider, or the host on its behalf, said no. Nothing rings.
    PlaceRefused {
        reason: String,
    },
    /// It may ring, or not.
    PlaceUnknown,
    /// What reading back found.
    PlaceFound(Option<String>),
    /// Reading back found nothing out.
    ReadBackFailed,
    /// A callback, or an inspection, said something.
    Reported(Report),
    /// Audio flows.
    StreamOpened,
    StreamClosed(Ended),
    HangUpRequested(Ended),
    HangUpDone,
    HangUpFailed,
    /// The call goes on without the agent, between people; or it does not, after all.
    HandedOver(bool),
    /// An inspection found nothing out.
    InspectFailed,
    /// Time passed.
    Tick,
}

/// A change to the stored call. Absent fields stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub status: Option<Status>,
    pub provider_id: Option<String>,
    pub answered_at: Option<u64>,
    pub ended_at: Option<u64>,
    pub duration: Option<u32>,
    pub cost: Option<(String, String)>,
    pub reason: Option<String>,
    /// When the provider is to be asked what the call cost, if it has not said so by then.
    pub bill_at: Option<u64>,
}

/// An entry in the call's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub kind: &'static str,
    pub data: Vec<(&'static str, String)>,
}

/// What the host is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Store(Change),
    Record(Record),
    /// Answered by `HangUpDone` or `HangUpFailed`. Also wanted of a call that was given up on and rings all the same.
    HangUpAtProvider,
    /// Answered by `PlaceFound` or `ReadBackFailed`.
    ReadBack,
    CloseStream,
    /// Ask for status, duration and cost. Answered by `Reported` or `InspectFailed`.
    Inspect,
    /// The call is over. Comes exactly once.
    Finished {
        status: Status,
        reason: String,
    },
}

/// The word that is stored for it.
pub(crate) fn word(ended: &Ended) -> String {
    match ended {
        Ended::Caller => "caller".to_owned(),
        Ended::Agent => "agent".to_owned(),
        Ended::Operator => "operator".to_owned(),
        Ended::Fault(what) => what.clone(),
    }
}

pub(crate) fn record<const N: usize>(kind: &'static str, data: [(&'static str, String); N]) -> Effect {
    Effect::Record(Record { kind, data: data.into() })
}

/// A report as the call's history keeps it.
pub(crate) fn reported_record(report: &Report, late: bool) -> Effect {
    let mut data = vec![("reported", report.raw.clone())];
    data.extend(report.sequence.map(|sequence| ("sequence", sequence.to_string())));
    data.extend(report.cause.clone().map(|cause| ("cause", cause)));
    if late {
        data.push(("late", "true".to_owned()));
    }
    Effect::Record(Record { kind: "status", data })
}
