//! One call from its first sign to its bill.

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

/// Who or what ended a stream or asked for the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Caller,
    Agent,
    Operator,
    /// Something broke: what.
    Fault(String),
}

/// What the provider reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A callback, or an inspection, said something.
    Reported(Report),
    /// Audio flows.
    StreamOpened,
    StreamClosed(Ended),
    HangUpRequested(Ended),
    HangUpDone,
    HangUpFailed,
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
    /// Answered by `HangUpDone` or `HangUpFailed`.
    HangUpAtProvider,
    /// Answered by `PlaceFound`.
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

/// How often the provider is asked to hang up, and to find or price a call; and how long between, growing.
const HANG_UPS: u32 = 5;
const READ_BACKS: u32 = 3;
const INSPECTIONS: [u64; 4] = [10_000, 60_000, 300_000, 1_800_000];
const PATIENCE: u64 = 1_000;

/// Decides what becomes of one call.
#[derive(Debug, Clone)]
pub struct CallMachine {
    limits: Limits,
    began: u64,
    status: Status,
    placing: Placing,
    answered_at: Option<u64>,
    ended_at: Option<u64>,
    stream: Stream,
    hang_up: HangUp,
    /// Why the call will have ended, once it has: the first reason counts.
    reason: Option<Ended>,
    sequence: Option<u64>,
    duration: Option<u32>,
    priced: bool,
    inspections: usize,
    inspect_at: Option<u64>,
    /// When patience with the present state ends.
    patience: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placing {
    Sent,
    ReadingBack { tries: u32, again_at: Option<u64> },
    Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Awaited,
    Open,
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HangUp {
    Idle,
    /// Wanted before the provider's id is known.
    Wanted,
    Sent {
        tries: u32,
    },
    Again {
        tries: u32,
        at: u64,
    },
}

impl CallMachine {
    /// An inbound call that rings, or an outbound call whose order is about to be sent. Times in milliseconds.
    pub fn new(direction: Direction, now: u64, limits: Limits) -> Self {
        let (status, placing, wait) = match direction {
            Direction::Inbound => (Status::Ringing, Placing::Known, limits.no_stream),
            Direction::Outbound => (Status::Initiated, Placing::Sent, limits.unanswered),
        };
        Self {
            limits,
            began: now,
            status,
            placing,
            answered_at: None,
            ended_at: None,
            stream: Stream::Awaited,
            hang_up: HangUp::Idle,
            reason: None,
            sequence: None,
            duration: None,
            priced: false,
            inspections: 0,
            inspect_at: None,
            patience: Some(now + wait),
        }
    }

    /// A call that the host finds unfinished at its start: its audio is gone with the host that carried it.
    pub fn restore(status: Status, provider_known: bool, began: u64, answered_at: Option<u64>, now: u64) -> Self {
        let limits = Limits::default();
        let mut machine = Self::new(Direction::Inbound, began, limits);
        machine.status = status;
        machine.answered_at = answered_at;
        machine.stream = Stream::Closed;
        machine.placing =
            if provider_known { Placing::Known } else { Placing::ReadingBack { tries: 0, again_at: Some(now) } };
        machine.reason = Some(Ended::Fault("the host was restarted".to_owned()));
        machine.patience = Some(now + limits.grace);
        machine.ended_at = status.is_terminal().then_some(now);
        machine
    }

    /// Where the call stands.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Is it over?
    pub fn is_finished(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Is it over, or on its way there?
    pub fn is_ending(&self) -> bool {
        self.is_finished() || self.reason.is_some()
    }

    /// When `Tick` is next wanted. None when nothing is left to do.
    pub fn next_deadline(&self) -> Option<u64> {
        if self.is_finished() {
            return self.inspect_at;
        }
        let read_back = match self.placing {
            Placing::ReadingBack { again_at, .. } => again_at,
            Placing::Sent | Placing::Known => None,
        };
        let hang_up = match self.hang_up {
            HangUp::Again { at, .. } => Some(at),
            _ => None,
        };
        let longest = self.began + self.limits.max_duration;
        [self.patience, read_back, hang_up, Some(longest)].into_iter().flatten().min()
    }

    /// Takes one input and says what to do about it, in order.
    pub fn handle(&mut self, now: u64, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Placed { provider_id, status } => self.placed(now, provider_id, status, &mut effects),
            Input::PlaceRefused { reason } => self.end(now, Status::Failed, Some(Ended::Fault(reason)), &mut effects),
            Input::PlaceUnknown => self.read_back(&mut effects),
            Input::PlaceFound(Some(id)) => self.placed(now, id, None, &mut effects),
            Input::PlaceFound(None) => self.not_found(now, &mut effects),
            Input::Reported(report) => self.reported(now, report, &mut effects),
            Input::StreamOpened => self.stream_opened(now, &mut effects),
            Input::StreamClosed(by) => self.stream_closed(now, by, &mut effects),
            Input::HangUpRequested(by) => self.hang_up_requested(now, by, &mut effects),
            Input::HangUpDone => self.hang_up_done(now, &mut effects),
            Input::HangUpFailed => self.hang_up_failed(now, &mut effects),
            Input::InspectFailed => self.plan_inspection(now),
            Input::Tick => self.tick(now, &mut effects),
        }
        effects
    }

    fn placed(&mut self, now: u64, provider_id: String, status: Option<Status>, effects: &mut Vec<Effect>) {
        if self.placing == Placing::Known {
            return;
        }
        self.placing = Placing::Known;
        effects.push(Effect::Store(Change { provider_id: Some(provider_id), ..Change::default() }));
        effects.push(record("placed", []));
        if self.is_finished() {
            // It was given up on and rings all the same: end it at the provider.
            effects.push(Effect::HangUpAtProvider);
            return;
        }
        if let Some(status) = status {
            self.advance(now, status, effects);
        }
        if self.hang_up == HangUp::Wanted {
            self.send_hang_up(0, effects);
        }
    }

    fn read_back(&mut self, effects: &mut Vec<Effect>) {
        if self.placing == Placing::Sent && !self.is_finished() {
            self.placing = Placing::ReadingBack { tries: 1, again_at: None };
            effects.push(record("place-unknown", []));
            effects.push(Effect::ReadBack);
        }
    }

    fn not_found(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let Placing::ReadingBack { tries, .. } = self.placing else { return };
        if tries < READ_BACKS {
            let again_at = Some(now + PATIENCE * u64::from(tries));
            self.placing = Placing::ReadingBack { tries, again_at };
        } else {
            let reason = Ended::Fault("the provider knows of no such call".to_owned());
            self.end(now, Status::Failed, Some(reason), effects);
        }
    }

    fn reported(&mut self, now: u64, report: Report, effects: &mut Vec<Effect>) {
        let late = matches!((self.sequence, report.sequence), (Some(seen), Some(this)) if this <= seen);
        self.sequence = self.sequence.max(report.sequence);
        effects.push(reported_record(&report, late));
        self.bill(&report, effects);
        if self.is_finished() {
            return self.plan_inspection(now);
        }
        let Some(status) = report.status.filter(|status| !late || status.is_terminal()) else { return };
        if status.is_terminal() {
            self.end(now, status, None, effects);
        } else {
            self.advance(now, status, effects);
        }
    }

    /// Duration and cost may come after the end; the first of each counts.
    fn bill(&mut self, report: &Report, effects: &mut Vec<Effect>) {
        let duration = report.duration.filter(|_| self.duration.is_none());
        let cost = report.cost.clone().filter(|_| !self.priced);
        self.duration = self.duration.or(duration);
        self.priced |= cost.is_some();
        if duration.is_some() || cost.is_some() {
            effects.push(Effect::Store(Change { duration, cost, ..Change::default() }));
        }
    }

    fn advance(&mut self, now: u64, status: Status, effects: &mut Vec<Effect>) {
        if !self.status.leads_to(status) || status.is_terminal() {
            return;
        }
        self.status = status;
        let answered_at = (status == Status::InProgress).then_some(now);
        if answered_at.is_some() {
            self.answered_at = answered_at;
            if self.stream == Stream::Awaited && self.reason.is_none() {
                self.patience = Some(now + self.limits.no_stream);
            }
        }
        effects.push(Effect::Store(Change { status: Some(status), answered_at, ..Change::default() }));
    }

    fn stream_opened(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.is_ending() {
            return effects.push(Effect::CloseStream);
        }
        self.stream = Stream::Open;
        effects.push(record("stream-opened", []));
        self.advance(now, Status::InProgress, effects);
        self.patience = None;
    }

    fn stream_closed(&mut self, now: u64, by: Ended, effects: &mut Vec<Effect>) {
        if self.stream == Stream::Closed {
            return;
        }
        self.stream = Stream::Closed;
        effects.push(record("stream-closed", [("by", word(&by))]));
        if self.is_finished() {
            return;
        }
        let by_caller = by == Ended::Caller;
        self.reason.get_or_insert(by);
        if by_caller {
            // The provider is about to say how the call ended; only if it does not, ask it to.
            self.patience = Some(now + self.limits.grace);
        } else {
            self.want_hang_up(effects);
        }
    }

    fn hang_up_requested(&mut self, _now: u64, by: Ended, effects: &mut Vec<Effect>) {
        if self.is_finished() {
            return;
        }
        effects.push(record("hang-up", [("by", word(&by))]));
        self.reason.get_or_insert(by);
        if self.stream == Stream::Open {
            effects.push(Effect::CloseStream);
        }
        self.want_hang_up(effects);
    }

    fn want_hang_up(&mut self, effects: &mut Vec<Effect>) {
        self.patience = None;
        match (self.hang_up, self.placing) {
            (HangUp::Idle, Placing::Known) => self.send_hang_up(0, effects),
            (HangUp::Idle, Placing::Sent | Placing::ReadingBack { .. }) => self.hang_up = HangUp::Wanted,
            _ => {}
        }
    }

    fn send_hang_up(&mut self, tries: u32, effects: &mut Vec<Effect>) {
        self.hang_up = HangUp::Sent { tries: tries + 1 };
        effects.push(Effect::HangUpAtProvider);
    }

    fn hang_up_done(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let status = if self.answered_at.is_some() { Status::Completed } else { Status::Canceled };
        self.end(now, status, None, effects);
    }

    fn hang_up_failed(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let HangUp::Sent { tries } = self.hang_up else { return };
        if self.is_finished() {
            return;
        }
        effects.push(record("hang-up-failed", [("try", tries.to_string())]));
        if tries < HANG_UPS {
            self.hang_up = HangUp::Again { tries, at: now + (PATIENCE << tries.min(6)) };
        } else {
            let status = if self.answered_at.is_some() { Status::Completed } else { Status::Failed };
            let reason = Ended::Fault("the provider could not be made to hang up".to_owned());
            self.end(now, status, Some(reason), effects);
        }
    }

    fn tick(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.is_finished() {
            if self.inspect_at.is_some_and(|at| now >= at) {
                self.inspect_at = None;
                effects.push(Effect::Inspect);
            }
            return;
        }
        if let HangUp::Again { tries, at } = self.hang_up
            && now >= at
        {
            self.send_hang_up(tries, effects);
        }
        if let Placing::ReadingBack { tries, again_at: Some(at) } = self.placing
            && now >= at
        {
            self.placing = Placing::ReadingBack { tries: tries + 1, again_at: None };
            effects.push(Effect::ReadBack);
        }
        if now >= self.began + self.limits.max_duration {
            self.too_long(now, effects);
        } else if self.patience.is_some_and(|until| now >= until) {
            self.out_of_patience(now, effects);
        }
    }

    fn out_of_patience(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.reason.is_none() {
            let why = if self.answered_at.is_some() { "no media stream was opened" } else { "nobody answered" };
            self.reason = Some(Ended::Fault(why.to_owned()));
            effects.push(record("watchdog", [("why", why.to_owned())]));
        }
        self.want_hang_up(effects);
        if self.placing == Placing::Sent {
            // The order itself never came back.
            self.placing = Placing::ReadingBack { tries: 1, again_at: None };
            effects.push(Effect::ReadBack);
        }
        let _ = now;
    }

    /// The cap is on the whole call, endings that go wrong included.
    fn too_long(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let reason = Ended::Fault("the call reached its longest duration".to_owned());
        if self.placing == Placing::Known && self.hang_up == HangUp::Idle {
            effects.push(Effect::HangUpAtProvider);
        }
        let status = if self.answered_at.is_some() { Status::Completed } else { Status::Failed };
        self.end(now, status, Some(reason), effects);
    }

    fn end(&mut self, now: u64, status: Status, reason: Option<Ended>, effects: &mut Vec<Effect>) {
        if self.is_finished() {
            return;
        }
        if self.stream == Stream::Open {
            effects.push(Effect::CloseStream);
        }
        self.status = status;
        self.ended_at = Some(now);
        self.patience = None;
        let reason = match (reason, self.reason.take()) {
            (_, Some(first)) => word(&first),
            (Some(reason), None) => word(&reason),
            (None, None) => "provider".to_owned(),
        };
        effects.push(Effect::Store(Change {
            status: Some(status),
            ended_at: Some(now),
            reason: Some(reason.clone()),
            ..Change::default()
        }));
        effects.push(Effect::Finished { status, reason });
        self.plan_inspection(now);
    }

    /// After the end, the bill: asked for a few times, ever more rarely.
    fn plan_inspection(&mut self, now: u64) {
        let settled = self.priced && self.duration.is_some();
        let known = self.placing == Placing::Known;
        if !self.is_finished() || settled || !known || self.inspect_at.is_some() {
            if settled {
                self.inspect_at = None;
            }
            return;
        }
        if let Some(delay) = INSPECTIONS.get(self.inspections) {
            self.inspections += 1;
            self.inspect_at = Some(now + delay);
        }
    }
}

fn record<const N: usize>(kind: &'static str, data: [(&'static str, String); N]) -> Effect {
    Effect::Record(Record { kind, data: data.into() })
}

fn reported_record(report: &Report, late: bool) -> Effect {
    let mut data = vec![("reported", report.raw.clone())];
    data.extend(report.sequence.map(|sequence| ("sequence", sequence.to_string())));
    data.extend(report.cause.clone().map(|cause| ("cause", cause)));
    if late {
        data.push(("late", "true".to_owned()));
    }
    Effect::Record(Record { kind: "status", data })
}

fn word(ended: &Ended) -> String {
    match ended {
        Ended::Caller => "caller".to_owned(),
        Ended::Agent => "agent".to_owned(),
        Ended::Operator => "operator".to_owned(),
        Ended::Fault(what) => what.clone(),
    }
}
