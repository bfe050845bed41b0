//! One transfer: a destination is rung while the caller waits, and both are joined, or the caller comes back to the agent.
//!
//! Promises: whatever ends first, everything is torn down, once; a destination that was dialled and is not wanted any more
//! is given up, also when its name becomes known only later.

use serde::{Deserialize, Serialize};

use crate::status::Status;

/// What becomes of the agent meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferMode {
    /// It waits, is told of each step, and has the caller back if the transfer fails.
    Attended,
    /// It is done with the call: if the transfer fails, the call ends.
    Blind,
}

/// Where a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferState {
    /// The order is on its way to the provider.
    Requested,
    /// The destination is rung.
    Dialled,
    /// The destination answered; the caller is on the way to it.
    Answered,
    /// Both talk to each other.
    Joined,
    /// It came to nothing.
    Failed,
    /// It was joined and is over.
    Ended,
}

/// Why a transfer came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferFailure {
    Busy,
    NoAnswer,
    /// The provider, the destination or the host said no: why.
    Failed(String),
    TimedOut,
    CallerGone,
    Cancelled,
}

impl TransferFailure {
    /// For the agent and the history.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Busy => "busy",
            Self::NoAnswer => "no answer",
            Self::Failed(why) => why,
            Self::TimedOut => "timed out",
            Self::CallerGone => "the caller hung up",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferInput {
    /// The provider rings the destination: its leg, by the provider's id.
    Dialled {
        leg: String,
    },
    DialRefused {
        reason: String,
    },
    /// It may ring, or not.
    DialUnknown,
    /// What the provider says about the destination's leg.
    Reported {
        leg: String,
        status: Status,
    },
    /// The caller is with the destination.
    Joined,
    JoinRefused {
        reason: String,
    },
    /// The caller's call is over.
    CallerEnded,
    CancelRequested,
    /// Time passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferEffect {
    /// Answered by `Dialled`, `DialRefused` or `DialUnknown`.
    Dial,
    /// Answered by `Joined` or `JoinRefused`. The call's own audio may end with it.
    Join { leg: String },
    /// Give up on the destination.
    Cancel { leg: String },
    /// The caller hears a tone, and the agent nothing; or not any more.
    Hold(bool),
    /// The call goes on without the agent; or it does not, after all.
    HandOver(bool),
    /// The agent and the history are told.
    Tell { state: TransferState, reason: Option<String> },
    /// The agent is not needed any more.
    CloseStream,
    /// Nobody talks to the caller any more.
    EndCall { reason: String },
    /// It is over. Comes exactly once.
    Done,
}

/// After the destination should have answered or not, the provider may take so long to say so. Milliseconds.
const GRACE: u64 = 10_000;
/// A join may take so long.
const JOINING: u64 = 15_000;

/// Decides what becomes of one transfer. Times in milliseconds.
#[derive(Debug, Clone)]
pub struct TransferMachine {
    mode: TransferMode,
    state: TransferState,
    leg: Option<String>,
    /// The destination is not wanted any more, and its name is not known yet.
    unwanted: bool,
    deadline: Option<u64>,
    done: bool,
}

impl TransferMachine {
    /// A destination that may ring for so long. Comes with what is to be done first.
    pub fn new(mode: TransferMode, now: u64, ring: u64) -> (Self, Vec<TransferEffect>) {
        let deadline = Some(now + ring + GRACE);
        let state = TransferState::Requested;
        let machine = Self { mode, state, leg: None, unwanted: false, deadline, done: false };
        let told = TransferEffect::Tell { state, reason: None };
        (machine, vec![told, TransferEffect::Hold(true), TransferEffect::Dial])
    }

    /// Where it stands.
    pub fn state(&self) -> TransferState {
        self.state
    }

    /// The destination's leg, once there is one.
    pub fn leg(&self) -> Option<&str> {
        self.leg.as_deref()
    }

    /// Is nothing left to do?
    pub fn is_done(&self) -> bool {
        self.done && !self.unwanted
    }

    /// When `Tick` is next wanted.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Takes one input and says what to do about it, in order.
    pub fn handle(&mut self, now: u64, input: TransferInput) -> Vec<TransferEffect> {
        let mut effects = Vec::new();
        match input {
            TransferInput::Dialled { leg } => self.dialled(leg, &mut effects),
            TransferInput::DialRefused { reason } => {
                self.unwanted = false;
                self.fail(TransferFailure::Failed(reason), &mut effects);
            }
            // Its callbacks will say, or its time will run out.
            TransferInput::DialUnknown => {}
            TransferInput::Reported { leg, status } => self.reported(now, leg, status, &mut effects),
            TransferInput::Joined => self.joined(&mut effects),
            TransferInput::JoinRefused { reason } => {
                if self.state == TransferState::Answered {
                    effects.push(TransferEffect::HandOver(false));
                    self.fail(TransferFailure::Failed(reason), &mut effects);
                }
            }
            TransferInput::CallerEnded => self.caller_ended(&mut effects),
            TransferInput::CancelRequested => self.fail(TransferFailure::Cancelled, &mut effects),
            TransferInput::Tick => self.tick(now, &mut effects),
        }
        effects
    }

    fn dialled(&mut self, leg: String, effects: &mut Vec<TransferEffect>) {
        let first = self.leg.is_none();
        self.leg.get_or_insert_with(|| leg.clone());
        if std::mem::take(&mut self.unwanted) {
            return effects.push(TransferEffect::Cancel { leg });
        }
        if first && self.state == TransferState::Requested {
            self.go(TransferState::Dialled, effects);
        }
    }

    fn reported(&mut self, now: u64, leg: String, status: Status, effects: &mut Vec<TransferEffect>) {
        if self.leg.as_ref().is_some_and(|known| *known != leg) {
            return;
        }
        self.dialled(leg.clone(), effects);
        match (self.state, status) {
            (TransferState::Dialled, Status::InProgress) => {
                self.go(TransferState::Answered, effects);
                self.deadline = Some(now + JOINING);
                effects.push(TransferEffect::HandOver(true));
                effects.push(TransferEffect::Join { leg });
            }
            (TransferState::Dialled | TransferState::Answered, status) if status.is_terminal() => {
                if self.state == TransferState::Answered {
                    effects.push(TransferEffect::HandOver(false));
                }
                // It is gone by itself.
                self.leg = None;
                self.fail(failure_of(status), effects);
            }
            (TransferState::Joined, status) if status.is_terminal() => {
                self.leg = None;
                self.finish(TransferState::Ended, None, effects);
                effects.push(TransferEffect::EndCall { reason: "the destination of the transfer hung up".to_owned() });
            }
            _ => {}
        }
    }

    fn joined(&mut self, effects: &mut Vec<TransferEffect>) {
        if self.state == TransferState::Answered {
            self.deadline = None;
            self.go(TransferState::Joined, effects);
            effects.push(TransferEffect::CloseStream);
        }
    }

    fn caller_ended(&mut self, effects: &mut Vec<TransferEffect>) {
        if self.done {
            return;
        }
        if self.state == TransferState::Joined {
            self.give_up_leg(effects);
            return self.finish(TransferState::Ended, None, effects);
        }
        self.give_up_leg(effects);
        self.finish(TransferState::Failed, Some(TransferFailure::CallerGone), effects);
    }

    fn tick(&mut self, now: u64, effects: &mut Vec<TransferEffect>) {
        if self.deadline.is_some_and(|at| now >= at) {
            if self.state == TransferState::Answered {
                effects.push(TransferEffect::HandOver(false));
            }
            self.fail(TransferFailure::TimedOut, effects);
        }
    }

    /// Back to the agent, or to the end.
    fn fail(&mut self, failure: TransferFailure, effects: &mut Vec<TransferEffect>) {
        if self.done || self.state == TransferState::Joined {
            return;
        }
        let was_refused = matches!(failure, TransferFailure::Failed(_)) && self.state == TransferState::Requested;
        if was_refused {
            self.leg = None;
        } else {
            self.give_up_leg(effects);
        }
        effects.push(TransferEffect::Hold(false));
        let reason = failure.as_str().to_owned();
        self.finish(TransferState::Failed, Some(failure), effects);
        if self.mode == TransferMode::Blind {
            effects.push(TransferEffect::EndCall { reason: format!("the transfer failed: {reason}") });
        }
    }

    fn give_up_leg(&mut self, effects: &mut Vec<TransferEffect>) {
        match self.leg.take() {
            Some(leg) => effects.push(TransferEffect::Cancel { leg }),
            None => self.unwanted = self.state == TransferState::Requested,
        }
    }

    fn go(&mut self, state: TransferState, effects: &mut Vec<TransferEffect>) {
        self.state = state;
        effects.push(TransferEffect::Tell { state, reason: None });
    }

    fn finish(&mut self, state: TransferState, failure: Option<TransferFailure>, effects: &mut Vec<TransferEffect>) {
        self.state = state;
        (self.done, self.deadline) = (true, None);
        effects.push(TransferEffect::Tell { state, reason: failure.map(|failure| failure.as_str().to_owned()) });
        effects.push(TransferEffect::Done);
    }
}

fn failure_of(status: Status) -> TransferFailure {
    match status {
        Status::Busy => TransferFailure::Busy,
        Status::NoAnswer | Status::Canceled => TransferFailure::NoAnswer,
        Status::Completed => TransferFailure::Failed("the destination hung up".to_owned()),
        _ => TransferFailure::Failed("the destination could not be reached".to_owned()),
    }
}
