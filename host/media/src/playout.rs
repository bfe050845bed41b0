//! What the agent said and the caller has not heard yet.
//!
//! Audio is sent a little ahead of the ear (the lead) to providers that buffer, in frames, on deadlines that do not
//! move. `sent_until` is when the last frame sent will have been played: the one clock that everything else reads.

use std::collections::VecDeque;
use std::time::Duration;

use crate::elastic::Elastic;
use crate::format::Format;

/// Queue, marks and the clock of what was sent.
#[derive(Debug)]
pub(crate) struct Playout {
    format: Format,
    frame: usize,
    frame_time: Duration,
    lead: Duration,
    hold: Duration,
    cap: usize,
    queue: VecDeque<u8>,
    /// Bytes ever queued and ever sent; a mark is a place in the former.
    queued: u64,
    sent: u64,
    marks: VecDeque<(u64, String)>,
    /// Marks at the provider.
    placed: VecDeque<Placed>,
    next_mark: u64,
    /// When all that was sent will have been played, and when the last of the agent's own will have been.
    sent_until: Duration,
    speech_until: Duration,
    hold_until: Option<Duration>,
    /// For agents whose audio may come too slowly.
    elastic: Option<Elastic>,
    speaking: bool,
    last_audio: Duration,
    /// How long the agent's latest message lasts: the next one is due after it.
    rhythm: Duration,
}

/// A mark that the provider was given, or should have been.
#[derive(Debug)]
struct Placed {
    id: String,
    /// The agent's.
    name: String,
    /// When all audio before it will have been played, by our own clock.
    heard_at: Duration,
    /// The provider has no word for marks: the clock is all there is.
    untold: bool,
}

/// A provider that returns marks may take so long for it after the audio was played.
const GRACE: Duration = Duration::from_secs(2);
/// Marks that may wait. An agent that sets more is not answered by when they were played.
const MOST_MARKS: usize = 1_000;

/// Longer pauses between an agent's messages are pauses in its speech, not stalls.
const STALL: Duration = Duration::from_millis(200);
/// A start is not held back when so much is here.
const PLENTY: u32 = 400;
/// An agent that sends larger lumps than this does not send them in their own rhythm.
const LONGEST_RHYTHM: Duration = Duration::from_millis(160);

impl Playout {
    pub(crate) fn new(format: Format, frame_ms: u32, lead_ms: u32, hold_ms: u32, cap_ms: u32) -> Self {
        let frame = format.bytes(frame_ms).max(1);
        Self {
            format,
            frame,
            frame_time: Duration::from_millis(u64::from(frame_ms)),
            // Less than a frame would leave no room for a tick that comes a little late.
            lead: Duration::from_millis(u64::from(lead_ms.max(frame_ms))),
            hold: Duration::from_millis(u64::from(hold_ms)),
            cap: format.bytes(cap_ms),
            queue: VecDeque::new(),
            queued: 0,
            sent: 0,
            marks: VecDeque::new(),
            placed: VecDeque::new(),
            next_mark: 0,
            sent_until: Duration::ZERO,
            speech_until: Duration::ZERO,
            hold_until: None,
            elastic: None,
            speaking: false,
            last_audio: Duration::ZERO,
            rhythm: Duration::ZERO,
        }
    }

    /// Makes what comes too slowly last, or no longer.
    pub(crate) fn elastic(&mut self, on: bool) {
        self.elastic = on.then(Elastic::default);
    }

    /// Milliseconds that were added so that no gap was heard.
    pub(crate) fn healed_ms(&self) -> u64 {
        self.elastic.as_ref().map_or(0, Elastic::added_ms)
    }

    /// Takes audio in the wire's format. False when it had to be cut to stay below the cap; `stalled` counts gaps.
    pub(crate) fn push(&mut self, now: Duration, bytes: &[u8], stalled: &mut u64) -> bool {
        if self.queue.is_empty() {
            let dry_for = now.saturating_sub(self.speech_until);
            if self.speaking && self.speech_until < now && dry_for < STALL {
                *stalled += 1;
            } else if !self.speaking || dry_for >= STALL {
                self.speaking = false;
                self.hold_until = Some(now + self.hold);
            }
        }
        let room = self.cap.saturating_sub(self.queue.len());
        let taken = &bytes[..bytes.len().min(room / self.format.width() * self.format.width())];
        self.queue.extend(taken);
        self.queued += taken.len() as u64;
        self.last_audio = now;
        self.rhythm = Duration::from_micros(self.format.micros(bytes.len())).min(LONGEST_RHYTHM);
        taken.len() == bytes.len()
    }

    /// What a converter still held of audio that was pushed.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.queue.extend(bytes);
        self.queued += bytes.len() as u64;
    }

    /// A mark behind all audio so far. The id to place at once, when there is nothing before it and the wire is ready; the
    /// name again, when too many wait.
    pub(crate) fn mark(&mut self, name: String, ready: bool) -> Result<Option<String>, String> {
        if self.marks.len() + self.placed.len() >= MOST_MARKS {
            return Err(name);
        }
        if self.queue.is_empty() && ready {
            return Ok(Some(self.place(name)));
        }
        self.marks.push_back((self.queued, name));
        Ok(None)
    }

    /// The next frame that is due, and how many milliseconds of it are filling.
    pub(crate) fn frame(&mut self, now: Duration, already: usize) -> Option<(Vec<u8>, Duration)> {
        if self.hold_until.is_some_and(|until| now < until) && self.queue.len() < self.format.bytes(PLENTY) {
            return None;
        }
        let starts = self.room(now, already)?;
        self.make_last(now);
        let mut frame = self.cut(now)?;
        self.sent += frame.len() as u64;
        frame.resize(self.frame, self.format.silence());
        self.sent_until = starts + self.frame_time;
        self.speech_until = self.sent_until;
        self.hold_until = None;
        Some((frame, starts))
    }

    /// Draws out what is next, if too little is in hand. At the end of a speech there is nothing to wait for.
    fn make_last(&mut self, now: Duration) {
        const AHEAD: usize = 2;
        let level = self.ahead(now) + Duration::from_micros(self.format.micros(self.queue.len()));
        let ending = self.is_quiet(now) || !self.speaking || self.queue.len() < self.frame;
        let Some(elastic) = self.elastic.as_mut().filter(|_| !ending) else { return };
        elastic.played(self.frame_time);
        let taken: Vec<u8> = self.queue.iter().take(self.frame * AHEAD).copied().collect();
        let Some(longer) = elastic.longer(self.format, &taken, self.frame, level) else { return };
        let more = longer.len().saturating_sub(taken.len()) as u64;
        self.queue.drain(..taken.len());
        longer.into_iter().rev().for_each(|byte| self.queue.push_front(byte));
        // Marks stay behind the audio that they were set behind.
        self.queued += more;
        self.marks.iter_mut().for_each(|(place, _)| *place += more);
    }

    /// A frame that the agent says nothing in, when one is due, and when it will be heard.
    pub(crate) fn pause(&mut self, now: Duration, already: usize) -> Option<(Vec<u8>, Duration)> {
        let starts = self.room(now, already)?;
        self.sent_until = starts + self.frame_time;
        Some((vec![self.format.silence(); self.frame], starts))
    }

    /// When the next frame would be heard, if there is room for it at the provider.
    fn room(&self, now: Duration, already: usize) -> Option<Duration> {
        let burst = if self.speaking {
            2
        } else {
            usize::try_from(self.lead.as_millis() / self.frame_time.as_millis().max(1)).unwrap_or(0) + 1
        };
        let starts = self.sent_until.max(now);
        (already < burst && starts < now + self.lead.max(Duration::from_millis(1))).then_some(starts)
    }

    /// Called once all frames of a tick are out: from now on a burst would be a burst.
    pub(crate) fn settle(&mut self, sent: usize) {
        self.speaking |= sent > 0;
    }

    /// A whole frame, or the rest when the agent has gone quiet.
    fn cut(&mut self, now: Duration) -> Option<Vec<u8>> {
        match self.queue.len() {
            0 => None,
            rest if rest < self.frame && !self.is_quiet(now) => None,
            rest => Some(self.queue.drain(..rest.min(self.frame)).collect()),
        }
    }

    /// The id of the next mark whose audio has all been sent.
    pub(crate) fn due_mark(&mut self) -> Option<String> {
        let (place, _) = self.marks.front()?;
        if *place > self.sent {
            return None;
        }
        let (_, name) = self.marks.pop_front()?;
        Some(self.place(name))
    }

    fn place(&mut self, name: String) -> String {
        self.next_mark += 1;
        let id = format!("m{}", self.next_mark);
        self.placed.push_back(Placed { id: id.clone(), name, heard_at: self.sent_until, untold: false });
        id
    }

    /// The provider was not told of a mark.
    pub(crate) fn untold(&mut self, id: &str) {
        if let Some(placed) = self.placed.iter_mut().find(|placed| placed.id == id) {
            placed.untold = true;
        }
    }

    /// The agent's name for the next mark that was played by our own clock, and that the provider says nothing of.
    pub(crate) fn overdue(&mut self, now: Duration) -> Option<String> {
        let Placed { heard_at, untold, .. } = self.placed.front()?;
        let grace = if *untold { Duration::ZERO } else { GRACE };
        if *heard_at + grace > now {
            return None;
        }
        self.placed.pop_front().map(|placed| placed.name)
    }

    /// The agent's name for a mark that the provider says was played.
    pub(crate) fn played(&mut self, id: &str) -> Option<String> {
        let index = self.placed.iter().position(|placed| placed.id == id)?;
        self.placed.remove(index).map(|placed| placed.name)
    }

    /// Goes on in another format, for which what is queued cannot be played: the names of its marks.
    pub(crate) fn change_to(&mut self, format: Format, now: Duration) -> Vec<String> {
        let frame_ms = u32::try_from(self.frame_time.as_millis()).unwrap_or(20);
        let cap_ms = self.format.micros(self.cap) / 1_000;
        self.format = format;
        self.frame = format.bytes(frame_ms).max(1);
        self.cap = format.bytes(u32::try_from(cap_ms).unwrap_or(u32::MAX));
        self.clear(now)
    }

    /// Has the agent paused, so that what it said last should be said to its end?
    pub(crate) fn is_quiet(&self, now: Duration) -> bool {
        now.saturating_sub(self.last_audio) >= self.rhythm + self.frame_time
    }

    /// Drops everything: the names of all marks that will not be played.
    pub(crate) fn clear(&mut self, now: Duration) -> Vec<String> {
        self.queue.clear();
        self.sent = self.queued;
        self.sent_until = self.sent_until.min(now);
        self.speech_until = self.speech_until.min(now);
        (self.hold_until, self.speaking) = (None, false);
        let placed = self.placed.drain(..).map(|placed| placed.name);
        placed.chain(self.marks.drain(..).map(|(_, name)| name)).collect()
    }

    /// Is all audio played?
    pub(crate) fn is_done(&self, now: Duration) -> bool {
        self.queue.is_empty() && self.speech_until <= now
    }

    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= self.cap
    }

    /// The agent's audio that is at the provider and not played yet.
    pub(crate) fn ahead(&self, now: Duration) -> Duration {
        self.speech_until.saturating_sub(now)
    }
}
