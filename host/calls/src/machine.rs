//! One call from its first sign to its end. Its bill is asked for when it is gone.

use crate::bill;
use crate::errand::{Due, Errand};
use crate::events::{Change, Effect, Ended, Input, Limits, Report, Stored, record, reported_record, word};
use crate::status::{Direction, Status};

/// How often the provider is asked to hang up.
const HANG_UPS: u32 = 5;
/// How often a provider that was asked may know of no such call before that is believed.
const NOT_FOUND: u32 = 3;
/// How often it is asked in all, also where it cannot be reached: four minutes.
const READ_BACKS: u32 = 9;
/// How long a call that is over still listens: figures of its audio and repeated reports come about the time of its end.
const LINGER: u64 = 10_000;
/// How long the provider may take to say how a call stands that was found at a restart.
const PICKED_UP: u64 = 20_000;

/// Decides what becomes of one call.
#[derive(Debug, Clone)]
pub struct CallMachine {
    limits: Limits,
    direction: Direction,
    began: u64,
    status: Status,
    placing: Placing,
    read_back: Errand,
    not_found: u32,
    answered_at: Option<u64>,
    ended_at: Option<u64>,
    stream: Stream,
    hang_up: Errand,
    /// Wanted before the provider's id is known.
    hang_up_wanted: bool,
    /// Found at a restart, and the provider has not said yet how it stands.
    picked_up: bool,
    /// Why the call will have ended, once it has: the first reason counts.
    reason: Option<Ended>,
    /// How it will have ended if it ends at our word.
    outcome: Option<Status>,
    sequence: Option<u64>,
    duration: Option<u32>,
    cost: Option<(String, String)>,
    /// Asked how it stands after a restart.
    looked_at: bool,
    lingers: bool,
    /// When patience with the present state ends.
    patience: Option<u64>,
    /// The cap on the whole call has been reached, and what follows from it was done.
    overlong: bool,
    /// It goes on between people: the end of its audio here is not its end.
    handed_over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placing {
    Sent,
    Unknown,
    Known,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Awaited,
    Open,
    Closed,
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
            direction,
            began: now,
            status,
            placing,
            read_back: Errand::default(),
            not_found: 0,
            answered_at: None,
            ended_at: None,
            stream: Stream::Awaited,
            hang_up: Errand::default(),
            hang_up_wanted: false,
            picked_up: false,
            reason: None,
            outcome: None,
            sequence: None,
            duration: None,
            cost: None,
            looked_at: false,
            lingers: true,
            patience: Some(now + wait),
            overlong: false,
            handed_over: false,
        }
    }

    /// A call that the host finds unfinished at its start: its audio is gone with the host that carried it. The provider
    /// is asked how it stands before it is asked to end it.
    pub fn restore(stored: Stored, now: u64, limits: Limits) -> Self {
        let mut machine = Self::new(stored.direction, stored.began, limits);
        machine.status = stored.status;
        machine.answered_at = stored.answered_at;
        machine.stream = Stream::Closed;
        machine.reason = Some(Ended::Fault("the host was restarted".to_owned()));
        machine.patience = None;
        machine.overlong = true;
        if stored.status.is_terminal() {
            machine.placing = Placing::Known;
            machine.ended_at = Some(now);
        } else if stored.provider_known {
            machine.placing = Placing::Known;
            machine.picked_up = true;
            machine.patience = Some(now);
        } else {
            machine.placing = Placing::Unknown;
            machine.hang_up_wanted = true;
            machine.read_back = Errand::due_at(now);
        }
        machine
    }

    /// A call that another node carried and goes on carrying here: nothing about it has ended.
    pub fn adopt(stored: Stored, now: u64, limits: Limits) -> Self {
        let mut machine = Self::new(stored.direction, stored.began, limits);
        machine.status = stored.status;
        machine.answered_at = stored.answered_at;
        if stored.provider_known {
            machine.placing = Placing::Known;
        }
        if stored.status == Status::InProgress {
            machine.patience = Some(now + limits.no_stream);
        }
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
        let due = if self.is_finished() {
            let linger = self.ended_at.filter(|_| self.lingers).map(|at| at + LINGER);
            [linger, self.hang_up.deadline(), None, None]
        } else {
            let longest = (!self.overlong).then_some(self.began + self.limits.max_duration);
            [self.patience, self.read_back.deadline(), self.hang_up.deadline(), longest]
        };
        due.into_iter().flatten().min()
    }

    /// Takes one input and says what to do about it, in order.
    pub fn handle(&mut self, now: u64, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Placed { provider_id, status } => self.placed(now, provider_id, status, &mut effects),
            Input::PlaceRefused { reason } => self.place_refused(now, reason, &mut effects),
            Input::PlaceUnknown => self.place_unknown(now, &mut effects),
            Input::PlaceFound(Some(id)) => self.placed(now, id, None, &mut effects),
            Input::PlaceFound(None) => self.not_found(now, &mut effects),
            Input::ReadBackFailed => self.read_back_failed(now, &mut effects),
            Input::Reported(report) => self.reported(now, report, &mut effects),
            Input::StreamOpened => self.stream_opened(now, &mut effects),
            Input::StreamClosed(by) => self.stream_closed(now, by, &mut effects),
            Input::HangUpRequested(by) => self.hang_up_requested(now, by, &mut effects),
            Input::HangUpDone => self.hang_up_done(now, &mut effects),
            Input::HangUpFailed => self.hang_up_failed(now, &mut effects),
            Input::HandedOver(on) => self.handed_over(now, on, &mut effects),
            Input::InspectFailed => self.inspect_failed(now, &mut effects),
            Input::Tick => self.tick(now, &mut effects),
        }
        effects
    }

    fn placed(&mut self, now: u64, provider_id: String, status: Option<Status>, effects: &mut Vec<Effect>) {
        if self.placing == Placing::Known {
            return;
        }
        self.placing = Placing::Known;
        self.read_back.settled();
        effects.push(Effect::Store(Change { provider_id: Some(provider_id), ..Change::default() }));
        effects.push(record("placed", []));
        if self.is_finished() {
            // It was given up on and rings all the same.
            return self.send_hang_up(now, effects);
        }
        match status {
            Some(status) if status.is_terminal() => return self.end(now, status, None, effects),
            Some(status) => self.advance(now, status, effects),
            None => {}
        }
        if self.hang_up_wanted {
            self.send_hang_up(now, effects);
        }
    }

    /// Of a call that is known to the provider it can't be true.
    fn place_refused(&mut self, now: u64, reason: String, effects: &mut Vec<Effect>) {
        if self.placing != Placing::Known {
            self.end(now, Status::Failed, Some(Ended::Fault(reason)), effects);
        }
    }

    fn place_unknown(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.placing == Placing::Sent && !self.is_finished() {
            self.placing = Placing::Unknown;
            effects.push(record("place-unknown", []));
            self.send_read_back(now, effects);
        }
    }

    fn send_read_back(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.read_back.sent(now);
        effects.push(Effect::ReadBack);
    }

    fn not_found(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.placing != Placing::Unknown || !self.read_back.is_under_way() {
            return;
        }
        self.not_found += 1;
        if self.not_found < NOT_FOUND {
            return self.read_back.again(now);
        }
        self.read_back.settled();
        let reason = Ended::Fault("the provider knows of no such call".to_owned());
        self.end(now, Status::Failed, Some(reason), effects);
    }

    /// Not to know is not the same as to know of none: that takes more patience.
    fn read_back_failed(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.placing != Placing::Unknown || !self.read_back.is_under_way() {
            return;
        }
        effects.push(record("read-back-failed", [("try", self.read_back.tries.to_string())]));
        if self.read_back.tries < READ_BACKS {
            return self.read_back.again(now);
        }
        self.read_back.settled();
        let reason = "the provider could not be asked whether it placed the call; look for it in its console";
        self.end(now, Status::Failed, Some(Ended::Fault(reason.to_owned())), effects);
    }

    fn reported(&mut self, now: u64, report: Report, effects: &mut Vec<Effect>) {
        let late = matches!((self.sequence, report.sequence), (Some(seen), Some(this)) if this <= seen);
        self.sequence = self.sequence.max(report.sequence);
        effects.push(reported_record(&report, late));
        self.bill(&report, effects);
        if self.is_finished() {
            return;
        }
        match report.status.filter(|_| !late) {
            Some(status) if status.is_terminal() => return self.end(now, status, None, effects),
            Some(status) => self.advance(now, status, effects),
            None => {}
        }
        self.still_up(now, effects);
    }

    /// A call found at a restart is not over: nobody carries its audio any more.
    fn still_up(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.picked_up) {
            self.want_hang_up(now, effects);
        }
    }

    /// Duration and cost may come after the end. A longer duration and another cost correct what was said before.
    fn bill(&mut self, report: &Report, effects: &mut Vec<Effect>) {
        let (duration, cost) = bill::news(report, self.duration, self.cost.as_ref());
        self.duration = duration.or(self.duration);
        self.cost = cost.clone().or(self.cost.take());
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
        if self.is_finished() || self.handed_over {
            return;
        }
        let by_caller = by == Ended::Caller;
        self.reason.get_or_insert(by);
        if by_caller {
            // The provider is about to say how the call ended; only if it does not, ask it to.
            self.patience = Some(now + self.limits.grace);
        } else {
            self.want_hang_up(now, effects);
        }
    }

    /// A call whose audio ended while it was to be handed over, and then was not, has nobody any more.
    fn handed_over(&mut self, now: u64, on: bool, effects: &mut Vec<Effect>) {
        if self.is_ending() || self.handed_over == on {
            return;
        }
        self.handed_over = on;
        effects.push(record("handed-over", [("on", on.to_string())]));
        if on {
            self.patience = None;
        } else if self.stream == Stream::Closed {
            let reason = Ended::Fault("the call was to be handed over, and was not".to_owned());
            self.hang_up_requested(now, reason, effects);
        }
    }

    fn hang_up_requested(&mut self, now: u64, by: Ended, effects: &mut Vec<Effect>) {
        if self.is_finished() {
            return;
        }
        effects.push(record("hang-up", [("by", word(&by))]));
        self.reason.get_or_insert(by);
        if self.stream == Stream::Open {
            effects.push(Effect::CloseStream);
        }
        self.want_hang_up(now, effects);
    }

    fn want_hang_up(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if self.placing != Placing::Known {
            // Patience with the order goes on: its answer may never come.
            self.hang_up_wanted = true;
            return;
        }
        self.patience = None;
        if self.hang_up.is_idle() {
            self.send_hang_up(now, effects);
        }
    }

    fn send_hang_up(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.hang_up.sent(now);
        effects.push(Effect::HangUpAtProvider);
    }

    fn hang_up_done(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if !self.hang_up.is_under_way() {
            return;
        }
        self.hang_up.settled();
        let canceled = self.outcome.unwrap_or(Status::Canceled);
        let status = if self.answered_at.is_some() { Status::Completed } else { canceled };
        self.end(now, status, None, effects);
    }

    fn hang_up_failed(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if !self.hang_up.is_under_way() {
            return;
        }
        effects.push(record("hang-up-failed", [("try", self.hang_up.tries.to_string())]));
        if self.hang_up.tries < HANG_UPS {
            return self.hang_up.again(now);
        }
        self.hang_up.settled();
        let status = if self.answered_at.is_some() { Status::Completed } else { Status::Failed };
        let reason = Ended::Fault("the provider could not be made to hang up".to_owned());
        self.end(now, status, Some(reason), effects);
    }

    fn inspect_failed(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if !self.is_finished() {
            self.still_up(now, effects);
        }
    }

    fn tick(&mut self, now: u64, effects: &mut Vec<Effect>) {
        match self.hang_up.due(now) {
            Due::Send => self.send_hang_up(now, effects),
            Due::Overdue => self.hang_up_failed(now, effects),
            Due::Nothing => {}
        }
        if self.is_finished() {
            self.lingers &= self.ended_at.is_some_and(|at| now < at + LINGER);
            return;
        }
        match self.read_back.due(now) {
            Due::Send => self.send_read_back(now, effects),
            Due::Overdue => self.read_back_failed(now, effects),
            Due::Nothing => {}
        }
        if !self.overlong && now >= self.began + self.limits.max_duration {
            self.too_long(now, effects);
        } else if self.patience.is_some_and(|until| now >= until) {
            self.out_of_patience(now, effects);
        }
    }

    fn out_of_patience(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.patience = None;
        if self.picked_up {
            return self.look_at_it(now, effects);
        }
        if self.reason.is_none() {
            self.give_up_waiting(effects);
        }
        self.want_hang_up(now, effects);
        // The order itself never came back.
        self.place_unknown(now, effects);
    }

    /// First asks how the call stands; whoever does not answer in time has to end it.
    fn look_at_it(&mut self, now: u64, effects: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.looked_at, true) {
            return self.still_up(now, effects);
        }
        self.patience = Some(now + PICKED_UP);
        effects.push(Effect::Inspect);
    }

    fn give_up_waiting(&mut self, effects: &mut Vec<Effect>) {
        let (why, outcome) = match (self.direction, self.answered_at) {
            (Direction::Outbound, None) => ("nobody answered", Status::NoAnswer),
            _ => ("no media stream was opened", Status::Failed),
        };
        self.reason = Some(Ended::Fault(why.to_owned()));
        self.outcome = Some(outcome);
        effects.push(record("watchdog", [("why", why.to_owned())]));
    }

    fn too_long(&mut self, now: u64, effects: &mut Vec<Effect>) {
        self.overlong = true;
        let reason = Ended::Fault("the call reached its longest duration".to_owned());
        self.hang_up_requested(now, reason, effects);
        self.place_unknown(now, effects);
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
        self.hang_up.settled();
        let reason = match (reason, self.reason.take()) {
            (_, Some(first)) => word(&first),
            (Some(reason), None) => word(&reason),
            (None, None) => "provider".to_owned(),
        };
        effects.push(Effect::Store(Change {
            status: Some(status),
            answered_at: self.answered_unseen(now),
            ended_at: Some(now),
            reason: Some(reason.clone()),
            bill_at: self.bill_at(now),
            ..Change::default()
        }));
        effects.push(Effect::Finished { status, reason });
    }

    /// When a call was answered whose end came before the news of its answer.
    fn answered_unseen(&mut self, now: u64) -> Option<u64> {
        if self.status != Status::Completed || self.answered_at.is_some() {
            return None;
        }
        self.answered_at = self.duration.map(|seconds| now.saturating_sub(u64::from(seconds) * 1_000).max(self.began));
        self.answered_at
    }

    /// When the provider is asked for what it has not said yet.
    fn bill_at(&self, now: u64) -> Option<u64> {
        let settled = self.cost.is_some() && self.duration.is_some();
        (self.placing == Placing::Known && !settled).then(|| bill::next_question(now, 0)).flatten()
    }
}
