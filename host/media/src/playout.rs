//! The agent's audio on its way to the wire: a queue in the wire's format, and the deadlines at which frames leave it.

use std::collections::VecDeque;
use std::time::Duration;

/// With so much in hand nothing is gained by waiting for more.
const ENOUGH: Duration = Duration::from_millis(400);
/// How much time lost to late ticks is made up for; more would only fill the provider's buffer.
const CATCH_UP: Duration = Duration::from_millis(100);
/// Audio that comes back so soon after the queue ran dry was missed in mid-speech.
const MID_SPEECH: Duration = Duration::from_millis(200);
/// Longest message that says something about when the agent will send the next one.
const RHYTHM: Duration = Duration::from_millis(60);
/// Frames that one tick may send in mid-speech.
const BURST: usize = 2;
/// A queue that a burst has blown up is given back once it is empty.
const KEPT_CAPACITY: usize = 16 << 10;

/// What the pacer is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) frame: Duration,
    pub(crate) frame_bytes: usize,
    /// How far ahead of the ear: whole frames, at least one.
    pub(crate) lead_frames: u32,
    pub(crate) hold: Duration,
    pub(crate) cap_bytes: usize,
    pub(crate) silence: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing to play. Dry since then, if it ended by running dry.
    Idle { dry: Option<Duration> },
    /// The first audio waits for more.
    Holding { until: Duration },
    Playing,
}

#[derive(Debug)]
pub(crate) struct Playout {
    pace: Pace,
    queue: VecDeque<u8>,
    /// Bytes that have left the queue, sent or dropped.
    gone: u64,
    state: State,
    /// When the next frame should begin at the ear.
    due: Duration,
    last_audio: Duration,
    last_length: Duration,
    /// Frames left in this tick.
    allowed: usize,
    ending: bool,
}

impl Playout {
    pub(crate) const fn new(pace: Pace, now: Duration) -> Self {
        Self {
            pace,
            queue: VecDeque::new(),
            gone: 0,
            state: State::Idle { dry: None },
            due: now,
            last_audio: now,
            last_length: Duration::ZERO,
            allowed: 0,
            ending: false,
        }
    }

    /// Bytes that still fit.
    pub(crate) fn room(&self) -> usize {
        self.pace.cap_bytes.saturating_sub(self.queue.len())
    }

    pub(crate) const fn pace(&self) -> &Pace {
        &self.pace
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// More than three quarters full.
    pub(crate) fn is_nearly_full(&self) -> bool {
        self.queue.len() >= self.pace.cap_bytes / 4 * 3
    }

    pub(crate) fn is_playing(&self) -> bool {
        self.state == State::Playing && !self.queue.is_empty()
    }

    /// The place behind everything queued, in bytes since the beginning.
    pub(crate) fn end(&self) -> u64 {
        self.gone + self.queue.len() as u64
    }

    pub(crate) const fn gone(&self) -> u64 {
        self.gone
    }

    pub(crate) const fn queue(&mut self) -> &mut VecDeque<u8> {
        &mut self.queue
    }

    /// Audio of this length was put into the queue. Says whether the agent had run dry in mid-speech.
    pub(crate) fn arrived(&mut self, now: Duration, length: Duration) -> bool {
        self.last_audio = now;
        self.last_length = length.min(RHYTHM);
        let State::Idle { dry } = self.state else { return false };
        self.state = State::Holding { until: now + self.pace.hold };
        dry.is_some_and(|since| now.saturating_sub(since) < MID_SPEECH)
    }

    /// No more audio will come: the tail need not wait for it, nor the hold.
    pub(crate) const fn end_with_this(&mut self) {
        self.ending = true;
    }

    /// Begins a tick: decides how many frames `next` may hand out.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.allowed = BURST;
        match self.state {
            State::Idle { .. } => self.allowed = 0,
            State::Holding { until } if now < until && !self.is_enough() => self.allowed = 0,
            State::Holding { .. } => self.start(now),
            State::Playing => self.due = self.due.max(now.saturating_sub(CATCH_UP)),
        }
    }

    /// A start fills the lead at once. Without a hold, a short gap was the network's: what it cost is made up for.
    fn start(&mut self, now: Duration) {
        let gap = now.saturating_sub(self.due);
        if !self.pace.hold.is_zero() || gap > CATCH_UP {
            self.due = self.due.max(now);
        }
        self.allowed = BURST.max(self.pace.lead_frames as usize);
        self.state = State::Playing;
    }

    fn is_enough(&self) -> bool {
        let frames = ENOUGH.as_nanos() / self.pace.frame.as_nanos().max(1);
        self.ending || self.queue.len() as u128 >= frames * self.pace.frame_bytes as u128
    }

    /// The next frame of this tick.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Vec<u8>> {
        // Half a frame of grace: a tick is never quite on time, and a frame must not wait a whole tick for that.
        let horizon = now + self.pace.frame * self.pace.lead_frames + self.pace.frame / 2;
        if self.allowed == 0 || self.due + self.pace.frame > horizon {
            return None;
        }
        let Some(frame) = self.take(now) else {
            self.run_dry(now);
            return None;
        };
        self.allowed -= 1;
        self.due += self.pace.frame;
        Some(frame)
    }

    fn take(&mut self, now: Duration) -> Option<Vec<u8>> {
        let (whole, have) = (self.pace.frame_bytes, self.queue.len());
        if have == 0 || (have < whole && !self.is_tail(now)) {
            return None;
        }
        let length = have.min(whole);
        let mut frame = Vec::with_capacity(whole);
        frame.extend(self.queue.drain(..length));
        frame.resize(whole, self.pace.silence);
        self.gone += length as u64;
        self.give_back();
        Some(frame)
    }

    /// Whether less than a frame is all there is: the agent's next message is a frame time overdue.
    fn is_tail(&self, now: Duration) -> bool {
        self.ending || now.saturating_sub(self.last_audio) >= self.last_length + self.pace.frame
    }

    fn run_dry(&mut self, now: Duration) {
        // The provider may still have audio in hand; then the agent is in time.
        let at_the_ear = self.due <= now + self.pace.frame / 2;
        if at_the_ear && self.queue.is_empty() {
            self.state = State::Idle { dry: Some(now) };
        }
    }

    fn give_back(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > KEPT_CAPACITY {
            self.queue.shrink_to(KEPT_CAPACITY);
        }
    }

    /// Drops what is queued. Returns the bytes dropped.
    pub(crate) fn clear(&mut self, now: Duration) -> usize {
        let dropped = self.queue.len();
        self.gone += dropped as u64;
        self.queue.clear();
        self.give_back();
        self.state = State::Idle { dry: None };
        self.due = now;
        dropped
    }

    /// The wire turned out to want another format; the queue must be empty.
    pub(crate) const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }
}
