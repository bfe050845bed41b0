//! One call's audio as a state machine: inputs with their time, outputs in order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ambient::{Ambient, Background};
use crate::feed::{Feed, Filler};
use crate::format::{Converter, Format};
use crate::playout::Playout;
use crate::reorder::{Place, Reorder};
use crate::tape::Tape;
use crate::voice::Voice;

/// How a call's audio is to be carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionConfig {
    /// What the provider sends, until it says otherwise.
    pub wire_in: Format,
    /// What it wants.
    pub wire_out: Format,
    /// What the agent wants to hear.
    pub to_agent: Format,
    /// What it says.
    pub from_agent: Format,
    /// Milliseconds in one frame towards the wire.
    pub frame_ms: u32,
    /// How far ahead of the ear audio is sent.
    pub lead_ms: u32,
    /// How long the start of speech waits for more of it.
    pub hold_ms: u32,
    /// What an agent may have queued.
    pub queue_ms: u32,
    /// A provider that sends nothing for so long is gone.
    pub no_media_ms: u32,
    /// Keep the agent's clock going through holes in the caller's audio.
    pub feed: bool,
    /// Hand out frames for a recording.
    pub record: bool,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// The stream says what it carries.
    WireStarted {
        wire_in: Format,
        wire_out: Format,
    },
    WireAudio {
        payload: &'a [u8],
        /// Its place among the provider's audio messages, where they are numbered.
        sequence: Option<u64>,
    },
    WireDtmf(&'a str),
    /// A mark of ours was played, or dropped.
    WireMark(&'a str),
    /// What was at the provider is dropped, it says.
    WireCleared,
    WireStopped,
    WireClosed,
    AgentAudio(&'a [u8]),
    AgentMark(String),
    /// Barge-in: nothing of what was said so far shall be heard.
    AgentClear,
    AgentDtmf(String),
    AgentHangUp {
        after_playout: bool,
    },
    AgentClosed {
        normal: bool,
    },
    /// The host ends the call.
    HangUp,
    Tick,
}

/// For the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireCommand {
    Audio(Vec<u8>),
    Mark(String),
    Clear,
    Dtmf(String),
}

/// For the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentMessage {
    Audio(Vec<u8>),
    Dtmf(String),
    /// A mark of its was played, or cleared unplayed.
    Mark {
        name: String,
        cleared: bool,
    },
    /// The caller spoke into its words, and the host cut them.
    BargeIn,
    Stop {
        reason: String,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Wire(WireCommand),
    Agent(AgentMessage),
    /// One frame of both sides, of equal length.
    Record {
        caller: Vec<i16>,
        agent: Vec<i16>,
    },
    /// The last output there is.
    End(EndReason),
}

/// Why the audio ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    CallerHungUp,
    AgentHungUp,
    AgentLost,
    HostHungUp,
    NoMedia,
    Unplayable,
}

impl EndReason {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CallerHungUp => "the caller hung up",
            Self::AgentHungUp => "the agent hung up",
            Self::AgentLost => "the agent was lost",
            Self::HostHungUp => "the host hung up",
            Self::NoMedia => "the provider sent no audio",
            Self::Unplayable => "the stream's format cannot be played",
        }
    }
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Audio messages of the provider.
    pub frames_in: u64,
    /// Audio frames to the provider.
    pub frames_out: u64,
    /// Messages that made no sense.
    pub bad: u64,
    /// Audio messages that were too much, on either side.
    pub dropped: u64,
    /// Gaps in the agent's speech that it made by stalling.
    pub underruns: u64,
    /// Ticks that came a frame or more late.
    pub late: u64,
    /// Barge-ins.
    pub flushes: u64,
    /// Frames of holes in the caller's audio that the agent got as a fading echo of what was before.
    pub concealed: u64,
    /// Frames of longer holes that it got as silence.
    pub filled: u64,
    /// Milliseconds by which the agent's speech was made longer, so that its stalls were not heard.
    pub healed_ms: u64,
    /// From the stream's beginning to the agent's first audio, in milliseconds.
    pub first_audio_ms: Option<u64>,
    /// Messages of an agent that went on with what the host had cut.
    pub hushed: u64,
    /// The longest time from a barge-in to silence at the caller's ear, in milliseconds: as the provider confirms it, or by
    /// the host's own clock where it cannot be told to drop what it holds.
    pub silence_ms: Option<u64>,
}

/// An agent that wants to end after its speech may speak for so long.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// A provider may send ahead by so much, and no faster than 1.5 times real time after that.
const BURST: u64 = 2_000_000;
/// After the host cut an agent's words, audio that follows without such a pause still belongs to them.
const HUSH: Duration = Duration::from_millis(200);
/// A confirmation that comes later than this is of something else.
const CONFIRMED: Duration = Duration::from_secs(2);

/// Wire to agent, and agent to wire.
fn converters(config: &SessionConfig) -> Option<(Converter, Converter)> {
    let inward = Converter::new(config.wire_in, config.to_agent)?;
    Some((inward, Converter::new(config.from_agent, config.wire_out)?))
}

/// One call's audio.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    /// Wire to agent, and agent to wire.
    inward: Converter,
    outward: Converter,
    order: Reorder,
    feed: Feed,
    playout: Playout,
    /// What is heard under the agent's voice, and in its pauses.
    background: Option<Background>,
    tape: Option<Tape>,
    /// Hears whether the caller speaks, where the host is to decide about barge-ins.
    voice: Option<Voice>,
    /// When an agent whose words were cut last went on with them.
    hushed: Option<Duration>,
    /// The caller waits, and hears a tone: what the sound under the agent's voice was before.
    held: Option<Option<Background>>,
    /// When the barge-in began that the provider has yet to confirm, and how much it held then.
    unconfirmed: Option<(Duration, Duration)>,
    outputs: VecDeque<Output>,
    stats: Stats,
    next_tick: Duration,
    last_media: Duration,
    /// Microseconds of audio that the provider may still send now.
    allowance: u64,
    allowance_at: Duration,
    ending: Option<Duration>,
    ended: bool,
    /// The provider can be spoken to: before that, everything waits.
    ready: bool,
    heard: Duration,
    sent: Duration,
}

impl Session {
    /// A call whose audio begins now. `now` counts from any fixed moment. None for rates that cannot be carried.
    pub fn new(config: SessionConfig, now: Duration) -> Option<Self> {
        let SessionConfig { wire_out, frame_ms, lead_ms, hold_ms, queue_ms, .. } = config;
        let (inward, outward) = converters(&config)?;
        Some(Self {
            inward,
            outward,
            order: Reorder::default(),
            feed: Feed::default(),
            playout: Playout::new(wire_out, frame_ms, lead_ms, hold_ms, queue_ms),
            background: None,
            tape: config.record.then(|| Tape::new(config.wire_in.rate, frame_ms, now)),
            voice: None,
            hushed: None,
            held: None,
            unconfirmed: None,
            outputs: VecDeque::new(),
            stats: Stats::default(),
            next_tick: now + Duration::from_millis(u64::from(frame_ms)),
            last_media: now,
            allowance: BURST,
            allowance_at: now,
            ending: None,
            ended: false,
            ready: false,
            heard: Duration::ZERO,
            sent: Duration::ZERO,
            config,
        })
    }

    /// Takes one input. What follows from it is then to be polled.
    pub fn handle(&mut self, now: Duration, input: Input<'_>) {
        if self.ended {
            return;
        }
        match input {
            Input::WireStarted { wire_in, wire_out } => self.started(now, wire_in, wire_out),
            Input::WireAudio { payload, sequence } => self.wire_audio(now, payload, sequence),
            Input::WireDtmf(digit) => self.agent(AgentMessage::Dtmf(digit.to_owned())),
            Input::WireMark(id) => self.wire_mark(now, id),
            Input::WireCleared => self.confirmed(now),
            Input::WireStopped | Input::WireClosed => self.end(EndReason::CallerHungUp),
            Input::AgentAudio(bytes) => self.agent_audio(now, bytes),
            Input::AgentMark(name) => match self.playout.mark(name, self.ready) {
                Ok(Some(id)) => self.wire(WireCommand::Mark(id)),
                Ok(None) => {}
                Err(name) => {
                    self.stats.dropped += 1;
                    self.agent(AgentMessage::Mark { name, cleared: true });
                }
            },
            Input::AgentClear => {
                self.hushed = None;
                self.clear(now, now);
            }
            Input::AgentDtmf(digits) => self.wire(WireCommand::Dtmf(digits)),
            Input::AgentHangUp { after_playout: true } | Input::AgentClosed { normal: true } => {
                self.ending.get_or_insert(now + LAST_WORDS);
            }
            Input::AgentHangUp { after_playout: false } => self.end(EndReason::AgentHungUp),
            // An agent that said goodbye may leave as it likes.
            Input::AgentClosed { normal: false } if self.ending.is_some() => {}
            Input::AgentClosed { normal: false } => self.end(EndReason::AgentLost),
            Input::HangUp => self.end(EndReason::HostHungUp),
            Input::Tick => self.tick(now),
        }
    }

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next `Tick` is due.
    pub fn next_tick(&self) -> Duration {
        self.next_tick
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Milliseconds of the agent's audio that the caller has heard, as of the last input.
    pub fn heard_ms(&self) -> u64 {
        u64::try_from(self.heard.as_millis()).unwrap_or(u64::MAX)
    }

    /// Makes the audio of an agent last that may come too slowly.
    pub fn elastic(&mut self, on: bool) {
        self.playout.elastic(on);
    }

    /// A sound under the agent's voice, or none any more.
    pub fn ambient(&mut self, sound: Option<Ambient>) {
        self.background = sound.and_then(|sound| Background::new(sound, self.config.wire_out.rate));
    }

    /// Another agent goes on with the call. What the one before had said is still heard. False for formats that cannot be
    /// carried.
    pub fn another_agent(&mut self, now: Duration, to_agent: Format, from_agent: Format, feed: bool) -> bool {
        let changed = SessionConfig { to_agent, from_agent, feed, ..self.config };
        let Some((inward, outward)) = converters(&changed) else { return false };
        self.playout.append(&self.outward.drain());
        (self.inward, self.outward, self.config) = (inward, outward, changed);
        self.feed.catch_up(now);
        true
    }

    /// The host itself hears whether the caller speaks into the agent's words.
    pub fn listen(&mut self, on: bool) {
        self.voice = if on { Voice::new(self.config.wire_in) } else { None };
    }

    /// The caller waits for somebody else, and hears a tone; the agent hears nothing, and is not heard. Or not any more.
    pub fn hold(&mut self, now: Duration, on: bool) {
        match (on, self.held.take()) {
            (true, None) => {
                self.clear(now, now);
                let tone = Background::new(crate::ambient::ringback(), self.config.wire_out.rate);
                self.held = Some(std::mem::replace(&mut self.background, tone));
            }
            (true, held) => self.held = held,
            (false, Some(before)) => self.background = before,
            (false, None) => {}
        }
    }

    /// The provider has no word for a clear: what it holds is heard.
    pub fn clear_untold(&mut self, now: Duration) {
        if let Some((from, held)) = self.unconfirmed.take() {
            self.silent((now + held).saturating_sub(from));
        }
    }

    /// The provider has no word for marks: this one, of an output, goes by our own clock.
    pub fn mark_untold(&mut self, id: &str) {
        self.playout.untold(id);
    }

    /// Does the agent have as much queued as it may? Then it should not be read.
    pub fn agent_backpressure(&self) -> bool {
        self.playout.is_full()
    }

    fn wire(&mut self, command: WireCommand) {
        self.outputs.push_back(Output::Wire(command));
    }

    fn agent(&mut self, message: AgentMessage) {
        self.outputs.push_back(Output::Agent(message));
    }

    fn end(&mut self, reason: EndReason) {
        self.ended = true;
        if let Some(tape) = &mut self.tape {
            while let Some((caller, agent)) = tape.rest() {
                self.outputs.push_back(Output::Record { caller, agent });
            }
        }
        self.agent(AgentMessage::Stop { reason: reason.as_str().to_owned() });
        self.outputs.push_back(Output::End(reason));
    }

    /// The provider can be spoken to.
    fn ready(&mut self, now: Duration) {
        self.last_media = now;
        self.ready = true;
        self.feed.begin(now);
    }

    fn started(&mut self, now: Duration, wire_in: Format, wire_out: Format) {
        self.ready(now);
        let changed = SessionConfig { wire_in, wire_out, ..self.config };
        if changed == self.config {
            return;
        }
        match converters(&changed) {
            Some((inward, outward)) => (self.inward, self.outward) = (inward, outward),
            None => return self.end(EndReason::Unplayable),
        }
        if wire_out != self.config.wire_out {
            // What was said for another format cannot be played; its marks are answered.
            self.stats.dropped += u64::from(!self.playout.is_done(now));
            for name in self.playout.change_to(wire_out, now) {
                self.agent(AgentMessage::Mark { name, cleared: true });
            }
        }
        if let Some(tape) = &mut self.tape {
            tape.rates(wire_in.rate, wire_out.rate);
        }
        self.background = self.background.take().and_then(|known| known.at_rate(wire_out.rate));
        self.voice = self.voice.take().and_then(|_| Voice::new(wire_in));
        self.config = changed;
    }

    fn wire_audio(&mut self, now: Duration, payload: &[u8], sequence: Option<u64>) {
        self.ready(now);
        match self.order.place(sequence, payload) {
            Place::Now => self.caller_said(now, payload),
            Place::Kept => {}
            Place::Late => self.stats.dropped += 1,
        }
        while let Some(payload) = self.order.next() {
            self.caller_said(now, &payload);
        }
    }

    fn caller_said(&mut self, now: Duration, payload: &[u8]) {
        let format = self.config.wire_in;
        if payload.is_empty() || !format.fits(payload) {
            self.stats.bad += 1;
            return;
        }
        if !self.allowed(now, format.micros(payload.len())) {
            self.stats.dropped += 1;
            return;
        }
        self.stats.frames_in += 1;
        if let Some(tape) = &mut self.tape {
            tape.caller(&format.decode(payload));
        }
        if self.config.feed {
            self.feed.got(now, Duration::from_micros(format.micros(payload.len())), payload);
        }
        if self.held.is_some() {
            // Its clock goes on.
            let silence = vec![format.silence(); payload.len()];
            return self.pass_to_agent(&silence);
        }
        self.pass_to_agent(payload);
        let began = self.voice.as_mut().and_then(|voice| voice.hear(payload));
        if let Some(ago) = began.filter(|_| !self.playout.is_done(now)) {
            self.hushed = Some(now);
            self.clear(now, now.saturating_sub(ago));
            self.agent(AgentMessage::BargeIn);
        }
    }

    /// Does the agent go on with what was cut? Only its own clear, a pause, or a caller who is quiet again begins anew.
    fn goes_on(&mut self, now: Duration) -> bool {
        let speaking = self.voice.as_ref().is_some_and(Voice::is_speaking);
        let goes_on = self.hushed.is_some_and(|last| speaking && now.saturating_sub(last) < HUSH);
        self.hushed = goes_on.then_some(now);
        goes_on
    }

    fn pass_to_agent(&mut self, payload: &[u8]) {
        let audio = self.inward.convert(payload).into_owned();
        self.agent(AgentMessage::Audio(audio));
    }

    /// What the caller's side did not bring, so that the agent's clock goes on.
    fn fill_holes(&mut self, now: Duration) {
        while let Some(filler) = self.feed.due(now, self.config.wire_in) {
            match &filler {
                Filler::Faded(_) => self.stats.concealed += 1,
                Filler::Silence(_) => self.stats.filled += 1,
            }
            let (Filler::Faded(payload) | Filler::Silence(payload)) = filler;
            self.pass_to_agent(&payload);
        }
    }

    /// A bucket that fills at 1.5 times real time.
    fn allowed(&mut self, now: Duration, cost: u64) -> bool {
        let passed = u64::try_from(now.saturating_sub(self.allowance_at).as_micros()).unwrap_or(0);
        self.allowance = self.allowance.saturating_add(passed + passed / 2).min(BURST);
        self.allowance_at = now;
        let allowed = self.allowance >= cost;
        if allowed {
            self.allowance -= cost;
        }
        allowed
    }

    fn wire_mark(&mut self, now: Duration, id: &str) {
        // Marks that a barge-in cleared come back as well; those were answered then.
        if let Some(name) = self.playout.played(id) {
            self.agent(AgentMessage::Mark { name, cleared: false });
        } else {
            self.confirmed(now);
        }
    }

    /// The provider says that it dropped what it held.
    fn confirmed(&mut self, now: Duration) {
        if let Some(from) =
            self.unconfirmed.take().map(|(from, _)| from).filter(|from| now.saturating_sub(*from) < CONFIRMED)
        {
            self.silent(now.saturating_sub(from));
        }
    }

    fn silent(&mut self, after: Duration) {
        let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.stats.silence_ms = self.stats.silence_ms.max(Some(after));
    }

    fn agent_audio(&mut self, now: Duration, bytes: &[u8]) {
        if bytes.is_empty() || !self.config.from_agent.fits(bytes) {
            self.stats.bad += 1;
            return;
        }
        if self.held.is_some() || self.goes_on(now) {
            self.stats.hushed += 1;
            return;
        }
        let converted = self.outward.convert(bytes);
        if !self.playout.push(now, &converted, &mut self.stats.underruns) {
            self.stats.dropped += 1;
        }
    }

    /// Drops what was said so far, for a caller who began to speak at `from`.
    fn clear(&mut self, now: Duration, from: Duration) {
        self.stats.flushes += 1;
        self.unconfirmed = Some((from, self.playout.ahead(now)));
        self.silent(now.saturating_sub(from));
        self.outward.reset();
        self.sent = self.sent.saturating_sub(self.playout.ahead(now));
        if self.ready {
            self.wire(WireCommand::Clear);
        }
        self.answer_cleared(now);
        if let Some(tape) = &mut self.tape {
            tape.cut(now);
        }
        self.heard = self.sent;
    }

    fn answer_cleared(&mut self, now: Duration) {
        for name in self.playout.clear(now) {
            self.agent(AgentMessage::Mark { name, cleared: true });
        }
    }

    fn tick(&mut self, now: Duration) {
        let frame = Duration::from_millis(u64::from(self.config.frame_ms));
        self.stats.late += u64::from(now >= self.next_tick + frame);
        while self.next_tick <= now {
            self.next_tick += frame;
        }
        if self.playout.is_quiet(now) {
            self.playout.append(&self.outward.drain());
        }
        if self.ready {
            self.send_due(now, frame);
        }
        if self.config.feed {
            self.fill_holes(now);
        }
        while let Some(name) = self.playout.overdue(now) {
            self.agent(AgentMessage::Mark { name, cleared: false });
        }
        self.record(now);
        self.heard = self.sent.saturating_sub(self.playout.ahead(now));
        if now.saturating_sub(self.last_media) > Duration::from_millis(u64::from(self.config.no_media_ms)) {
            self.end(EndReason::NoMedia);
        } else if self.ending.is_some_and(|latest| now >= latest || self.playout.is_done(now)) {
            self.end(EndReason::AgentHungUp);
        }
    }

    fn send_due(&mut self, now: Duration, frame_time: Duration) {
        let mut sent = 0;
        while let Some((mut frame, heard_at)) = self.playout.frame(now, sent) {
            self.lay_under(&mut frame);
            if let Some(tape) = &mut self.tape {
                tape.agent(heard_at, &self.config.wire_out.decode(&frame));
            }
            self.wire(WireCommand::Audio(frame));
            self.stats.frames_out += 1;
            let since = u64::try_from(self.feed.since(heard_at).as_millis()).unwrap_or(u64::MAX);
            self.stats.first_audio_ms.get_or_insert(since);
            self.sent += frame_time;
            sent += 1;
            while let Some(id) = self.playout.due_mark() {
                self.wire(WireCommand::Mark(id));
            }
        }
        self.playout.settle(sent);
        self.stats.healed_ms = self.playout.healed_ms();
        while self.background.is_some() {
            let Some((mut frame, heard_at)) = self.playout.pause(now, sent) else { break };
            self.lay_under(&mut frame);
            if let Some(tape) = &mut self.tape {
                tape.agent(heard_at, &self.config.wire_out.decode(&frame));
            }
            self.wire(WireCommand::Audio(frame));
            sent += 1;
        }
    }

    fn lay_under(&mut self, frame: &mut Vec<u8>) {
        if let Some(background) = &mut self.background {
            let mut samples = self.config.wire_out.decode(frame);
            background.mix(&mut samples);
            *frame = self.config.wire_out.encode(&samples);
        }
    }

    fn record(&mut self, now: Duration) {
        let Some(tape) = &mut self.tape else { return };
        while let Some((caller, agent)) = tape.frame(now) {
            self.outputs.push_back(Output::Record { caller, agent });
        }
    }
}
