//! One call's audio: the provider's socket, the session and the agent, tied together.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jackfield_agents::{AgentAudio, AgentError, FromAgent, Link, ToAgent, TransferWish};
use jackfield_egress::Shallow;
use jackfield_media::{AgentMessage, EndReason, Format, Input, Output, Session, SessionConfig, Stats, WireCommand};
use jackfield_plugins::types::{Account, Call as GuestCall, MediaEvent, StreamSetup};
use jackfield_plugins::{GuestError, Pin};
use tokio::net::TcpStream;

use super::cast::{Cast, Coming, Entered, Entrance};
use super::recorder::Tape;
use super::wire::{self, Broken, Heard, Wire};
use super::worker::{BEAT, Desk};
use crate::live::{Handle, Whisper};
use crate::metrics::Metrics;
use crate::survival::survived;

/// Everything a worker needs to carry one call's audio.
pub(crate) struct StreamOrder {
    pub(crate) socket: std::net::TcpStream,
    /// Bytes that came behind the handshake.
    pub(crate) leftover: Vec<u8>,
    pub(crate) account: Arc<Account>,
    pub(crate) call: GuestCall,
    pub(crate) pin: Pin,
    pub(crate) cast: Cast,
    pub(crate) knobs: StreamKnobs,
    pub(crate) recording: Option<PathBuf>,
    /// Of the call it belongs to.
    pub(crate) handle: Handle,
}

/// Settings of the loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamKnobs {
    pub(crate) lead_ms: u32,
    pub(crate) hold_ms: u32,
    pub(crate) queue_ms: u32,
    pub(crate) no_media_ms: u32,
    /// How long a stream may be open before it begins.
    pub(crate) start: Duration,
}

/// What a stream tells the call it belongs to.
#[derive(Debug)]
pub(crate) enum StreamNews {
    /// Audio flows, of the call that the provider knows by this id where the stream says so.
    Opened { provider_id: Option<String> },
    /// Another agent than the first, or the first once more, goes on with the call.
    Agent { entrance: &'static str },
    /// The agent wants its caller put through to somebody.
    Transfer(TransferWish),
    /// The caller pressed a key. Which one is between caller and agent.
    Dtmf,
    /// It is over.
    Closed { end: StreamEnd, stats: Stats, heard_ms: u64 },
}

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    Session(EndReason),
    AgentUnreachable(String),
    Plugin(String),
    Provider(String),
    /// The host itself failed.
    Host,
}

/// Carries the stream to its end.
pub(crate) async fn run(order: StreamOrder, desk: &Desk) {
    let (handle, call) = (order.handle.clone(), order.call.id.clone());
    let carried = survived(async {
        // Boxed: what it takes to begin is not to be kept for as long as the stream lasts.
        match Box::pin(Running::begin(order, desk)).await {
            Ok(running) => running.carry(desk).await,
            Err(end) => (end, Stats::default(), 0),
        }
    });
    let (end, stats, heard_ms) = carried.await.unwrap_or_else(|| {
        desk.metrics.task_panicked();
        tracing::error!(call, "the audio of a call panicked; the call is hung up and no other is concerned");
        (StreamEnd::Host, Stats::default(), 0)
    });
    desk.metrics.stream_ended(&stats);
    handle.news(StreamNews::Closed { end, stats, heard_ms });
}

struct Running {
    wire: Wire,
    wire_in: Format,
    link: Link,
    cast: Cast,
    /// Who comes after an agent that was lost.
    coming: Option<Coming>,
    session: Session,
    tape: Option<Tape>,
    call: GuestCall,
    handle: Handle,
    beats: u32,
    metrics: Metrics,
    end: Option<StreamEnd>,
    bad: u64,
    /// Holds the generation until the stream is over.
    _pin: Pin,
}

impl Running {
    async fn begin(mut order: StreamOrder, desk: &Desk) -> Result<Box<Self>, StreamEnd> {
        let failed = |error: std::io::Error| StreamEnd::Provider(error.to_string());
        let socket = TcpStream::from_std(order.socket).and_then(Shallow::new).map_err(failed)?;
        let mut guest = order.pin.generation().media().map_err(plugin_failed)?;
        let setup = guest
            .open(&order.account, &order.call)
            .map_err(plugin_failed)?
            .map_err(|fault| StreamEnd::Plugin(format!("{fault:?}")))?;
        let mut wire = Wire::new(socket, order.leftover, guest, frame_ms(&setup)).await;
        let wire_in = wire::format_of(&setup.inbound).map_err(StreamEnd::Plugin)?;
        // A socket may be open long before somebody picks up: an agent is only brought to a call that has begun.
        let (first, bad) = match begun(&mut wire, order.knobs.start).await {
            Ok(begun) => begun,
            Err(end) => {
                wire.close("the stream did not begin").await;
                return Err(end);
            }
        };
        let Entered { link, ambient, barge_in, entrance } = match order.cast.enter(wire_in).await {
            Ok(entered) => entered,
            Err(error) => {
                wire.close("agent unreachable").await;
                return Err(StreamEnd::AgentUnreachable(error.to_string()));
            }
        };
        let config = session_config(&setup, &link, order.knobs, order.recording.is_some())?;
        let tape = order.recording.map(|path| desk.recorder.record(path, config.wire_in.rate));
        let now = desk.began.elapsed();
        let mut session = Session::new(config, now).ok_or(StreamEnd::Session(EndReason::Unplayable))?;
        session.ambient(ambient);
        session.elastic(!link.is_steady());
        session.listen(barge_in);
        let mut running = Box::new(Self {
            wire,
            wire_in,
            link,
            cast: order.cast,
            coming: None,
            session,
            tape,
            call: order.call,
            handle: order.handle,
            beats: 0,
            metrics: desk.metrics.clone(),
            end: None,
            bad,
            _pin: order.pin,
        });
        running.entered(entrance);
        first.into_iter().for_each(|event| running.event(now, event));
        Ok(running)
    }

    async fn carry(mut self: Box<Self>, desk: &Desk) -> (StreamEnd, Stats, u64) {
        let mut beat = desk.beat();
        while self.end.is_none() {
            let outcome = tokio::select! {
                biased;
                due = beat.tick() => {
                    self.metrics.beat(due.elapsed() > BEAT / 2);
                    let input = if self.handle.stream_ends.load(Ordering::Acquire) { Input::HangUp } else { Input::Tick };
                    let now = desk.began.elapsed();
                    self.handle.whispers.take().into_iter().for_each(|word| self.whispered(now, word));
                    self.session.handle(now, input);
                    self.tell_figures();
                    Ok(())
                }
                heard = self.wire.hear() => heard.map(|heard| self.heard(desk.began.elapsed(), heard)),
                said = self.link.next() => { self.said(desk.began.elapsed(), said); Ok(()) }
                came = arrival(&mut self.coming) => { self.came(desk.began.elapsed(), came); Ok(()) }
            };
            if let Err(broken) = outcome.and_then(|()| self.settle(desk)) {
                self.stop(end_of(broken));
            }
        }
        self.finish().await
    }

    fn whispered(&mut self, now: Duration, word: Whisper) {
        match word {
            Whisper::Hold(on) => self.session.hold(now, on),
            Whisper::Transfer { state, reason } => {
                self.link.send(ToAgent::Transfer { state: state.to_owned(), reason });
            }
        }
    }

    fn heard(&mut self, now: Duration, heard: Heard) {
        match heard {
            Heard::Events(events) => events.into_iter().for_each(|event| self.event(now, event)),
            Heard::Bad(reason) => {
                self.bad += 1;
                tracing::debug!(call = self.call.id, reason, "a media message was dropped");
            }
            Heard::Nothing => {}
            Heard::Closed => self.session.handle(now, Input::WireClosed),
        }
    }

    fn event(&mut self, now: Duration, event: MediaEvent) {
        match event {
            MediaEvent::Audio(audio) => {
                let (payload, sequence) = (&audio.payload[..], audio.sequence);
                self.session.handle(now, Input::WireAudio { payload, sequence });
            }
            MediaEvent::Started(started) => self.started(now, &started),
            MediaEvent::Dtmf(digit) => {
                self.handle.news(StreamNews::Dtmf);
                self.session.handle(now, Input::WireDtmf(&digit));
            }
            MediaEvent::Mark(name) => self.session.handle(now, Input::WireMark(&name)),
            MediaEvent::Stopped => self.session.handle(now, Input::WireStopped),
            MediaEvent::Cleared => self.session.handle(now, Input::WireCleared),
            MediaEvent::Ignored(_) => {}
            MediaEvent::Other(_) => self.bad += 1,
        }
    }

    /// The stream says whose it is and what it carries: both must fit.
    fn started(&mut self, now: Duration, started: &jackfield_plugins::types::Started) {
        let named = started.provider_id.as_deref().unwrap_or_default();
        if !named.is_empty() && !self.call.provider_id.is_empty() && named != self.call.provider_id {
            return self.stop(StreamEnd::Provider("the stream names another call".to_owned()));
        }
        match (wire::format_of(&started.inbound), wire::format_of(&started.outbound)) {
            (Ok(wire_in), Ok(wire_out)) => {
                self.session.handle(now, Input::WireStarted { wire_in, wire_out });
                self.handle.news(StreamNews::Opened { provider_id: started.provider_id.clone() });
            }
            (Err(reason), _) | (_, Err(reason)) => self.stop(StreamEnd::Provider(reason)),
        }
    }

    fn said(&mut self, now: Duration, said: FromAgent) {
        match said {
            FromAgent::Audio(bytes) => self.session.handle(now, Input::AgentAudio(&bytes)),
            FromAgent::Mark(name) => self.session.handle(now, Input::AgentMark(name)),
            FromAgent::Clear => {
                self.session.handle(now, Input::AgentClear);
                self.link.send(ToAgent::Cleared { heard_ms: self.session.heard_ms() });
            }
            FromAgent::Dtmf(digits) => self.session.handle(now, Input::AgentDtmf(digits)),
            FromAgent::Transfer(wish) => self.handle.news(StreamNews::Transfer(wish)),
            FromAgent::HangUp { after_playout } => self.session.handle(now, Input::AgentHangUp { after_playout }),
            FromAgent::Closed { normal: false } if self.is_succeeded() => {}
            FromAgent::Closed { normal } => self.session.handle(now, Input::AgentClosed { normal }),
            // Nobody asks for the words yet.
            FromAgent::Transcript { .. } => {}
            FromAgent::Problem(what) => {
                self.bad += 1;
                tracing::debug!(call = self.call.id, what, "an agent's message was refused");
            }
        }
    }

    /// An agent was lost: is there somebody to go on with the call?
    fn is_succeeded(&mut self) -> bool {
        self.coming = self.cast.succeed(self.wire_in);
        self.coming.is_some()
    }

    fn came(&mut self, now: Duration, came: Result<Entered, AgentError>) {
        let Entered { link, ambient, barge_in, entrance } = match came {
            Ok(came) => came,
            Err(error) => {
                tracing::warn!(call = self.call.id, %error, "nobody goes on with the call");
                return self.session.handle(now, Input::AgentClosed { normal: false });
            }
        };
        let AgentAudio { to_agent, from_agent } = link.audio();
        if !self.session.another_agent(now, to_agent, from_agent, link.is_remote()) {
            return self.session.handle(now, Input::AgentClosed { normal: false });
        }
        self.session.ambient(ambient);
        self.session.elastic(!link.is_steady());
        self.session.listen(barge_in);
        self.link = link;
        self.entered(entrance);
    }

    fn entered(&self, entrance: Entrance) {
        if entrance != Entrance::First {
            self.handle.news(StreamNews::Agent { entrance: entrance.as_str() });
        }
    }

    /// Passes on what is to be passed on, and takes what the agent has said to it already.
    fn settle(&mut self, desk: &Desk) -> Result<(), Broken> {
        self.pass_on(desk)?;
        while let Some(said) = self.link.try_next() {
            self.said(desk.began.elapsed(), said);
            self.pass_on(desk)?;
        }
        Ok(())
    }

    /// Hands the session's outputs to where they belong.
    fn pass_on(&mut self, desk: &Desk) -> Result<(), Broken> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Wire(WireCommand::Clear) => {
                    if !self.wire.say(WireCommand::Clear)? {
                        self.session.clear_untold(desk.began.elapsed());
                    }
                }
                Output::Wire(WireCommand::Mark(id)) => {
                    if !self.wire.say(WireCommand::Mark(id.clone()))? {
                        self.session.mark_untold(&id);
                    }
                }
                Output::Wire(command) => {
                    self.wire.say(command)?;
                }
                Output::Agent(message) => self.link.send(for_agent(message, self.session.heard_ms())),
                Output::Record { caller, agent } => {
                    if let Some(tape) = &mut self.tape {
                        tape.frame(&caller, &agent);
                    }
                }
                Output::End(reason) => self.stop(StreamEnd::Session(reason)),
            }
        }
        self.link.hold_audio(self.session.agent_backpressure());
        Ok(())
    }

    /// Once a second.
    fn tell_figures(&mut self) {
        self.beats += 1;
        if self.beats.is_multiple_of(50) {
            self.handle.figures.set(&self.stats(), self.session.heard_ms());
        }
    }

    /// The session's, and what was lost around it.
    fn stats(&self) -> Stats {
        let mut stats = self.session.stats().clone();
        stats.bad += self.bad;
        stats.dropped += self.wire.dropped() + self.link.lost() + self.tape.as_ref().map_or(0, |tape| tape.lost);
        stats
    }

    /// The first reason is the reason.
    fn stop(&mut self, end: StreamEnd) {
        self.end.get_or_insert(end);
    }

    async fn finish(mut self: Box<Self>) -> (StreamEnd, Stats, u64) {
        let end = self.end.take().unwrap_or_else(|| StreamEnd::Provider("ended".to_owned()));
        self.link.send(ToAgent::Stop { reason: word(&end).to_owned() });
        let stats = self.stats();
        let heard_ms = self.session.heard_ms();
        drop(self.tape.take());
        self.wire.close("call over").await;
        (end, stats, heard_ms)
    }
}

/// The agent that is on its way, if one is.
async fn arrival(coming: &mut Option<Coming>) -> Result<Entered, AgentError> {
    let came = match coming {
        Some(agent) => agent.await,
        None => std::future::pending().await,
    };
    *coming = None;
    came
}

/// Waits until the stream says what it carries, or carries something. With it comes how much made no sense before.
async fn begun(wire: &mut Wire, patience: Duration) -> Result<(Vec<MediaEvent>, u64), StreamEnd> {
    let mut bad = 0;
    let waiting = async {
        loop {
            match wire.hear().await.map_err(end_of)? {
                Heard::Events(events) => {
                    let began = |event: &MediaEvent| {
                        matches!(event, MediaEvent::Started(_) | MediaEvent::Audio(_) | MediaEvent::Stopped)
                    };
                    if events.iter().any(began) {
                        return Ok((events, bad));
                    }
                }
                Heard::Bad(reason) => {
                    bad += 1;
                    tracing::debug!(reason, "a media message was dropped");
                }
                Heard::Nothing => {}
                // Nobody picked up, or the caller was quicker than the stream.
                Heard::Closed => return Err(StreamEnd::Session(EndReason::CallerHungUp)),
            }
        }
    };
    let silent = |_| StreamEnd::Session(EndReason::NoMedia);
    tokio::time::timeout(patience, waiting).await.map_err(silent)?
}

fn frame_ms(setup: &StreamSetup) -> u32 {
    setup.frame.clamp(10, 60)
}

fn session_config(
    setup: &StreamSetup,
    link: &Link,
    knobs: StreamKnobs,
    record: bool,
) -> Result<SessionConfig, StreamEnd> {
    let wire_in = wire::format_of(&setup.inbound).map_err(StreamEnd::Plugin)?;
    let wire_out = wire::format_of(&setup.outbound).map_err(StreamEnd::Plugin)?;
    let AgentAudio { to_agent, from_agent } = link.audio();
    // Audio that comes as it is needed gains nothing from a hold.
    let hold_ms = if link.is_steady() { 0 } else { knobs.hold_ms };
    Ok(SessionConfig {
        wire_in,
        wire_out,
        to_agent,
        from_agent,
        frame_ms: frame_ms(setup),
        lead_ms: knobs.lead_ms.min(setup.lead),
        hold_ms,
        queue_ms: knobs.queue_ms,
        no_media_ms: knobs.no_media_ms,
        feed: link.is_remote(),
        record,
    })
}

fn for_agent(message: AgentMessage, heard_ms: u64) -> ToAgent {
    match message {
        AgentMessage::Audio(bytes) => ToAgent::Audio(bytes),
        AgentMessage::Dtmf(digit) => ToAgent::Dtmf(digit),
        AgentMessage::Mark { name, cleared } => ToAgent::Mark { name, cleared, heard_ms },
        AgentMessage::BargeIn => ToAgent::BargeIn { heard_ms },
        AgentMessage::Stop { reason } => ToAgent::Stop { reason },
    }
}

fn plugin_failed(error: GuestError) -> StreamEnd {
    StreamEnd::Plugin(error.to_string())
}

fn end_of(broken: Broken) -> StreamEnd {
    match broken {
        Broken::Plugin(error) => plugin_failed(error),
        Broken::Gone(reason) => StreamEnd::Provider(reason),
    }
}

fn word(end: &StreamEnd) -> &'static str {
    match end {
        StreamEnd::Session(_) => "call over",
        StreamEnd::AgentUnreachable(_) => "agent unreachable",
        StreamEnd::Plugin(_) => "plugin fault",
        StreamEnd::Provider(_) => "provider closed",
        StreamEnd::Host => "host failed",
    }
}
