//! Lines both sides up for the recording: the caller as heard here, the agent as heard there.

use std::collections::VecDeque;
use std::time::Duration;

use crate::resample::Resampler;

/// Two timelines that begin at the same moment.
#[derive(Debug)]
pub(crate) struct Tape {
    rate: u32,
    frame: usize,
    frame_time: Duration,
    /// What lies before this is handed out.
    position: Duration,
    caller: VecDeque<i16>,
    agent: VecDeque<i16>,
    /// To the tape's rate, where a side has another.
    from_caller: Option<Resampler>,
    from_agent: Option<Resampler>,
}

/// The caller's audio comes in real time; what piles up beyond this came in a lump and is late anyway.
const SLACK: u32 = 200;

impl Tape {
    /// At `rate` until the end, whatever the sides change to.
    pub(crate) fn new(rate: u32, frame_ms: u32, now: Duration) -> Self {
        let frame = usize::try_from(u64::from(rate) * u64::from(frame_ms) / 1_000).unwrap_or(160);
        let frame_time = Duration::from_millis(u64::from(frame_ms));
        let (caller, agent) = (VecDeque::new(), VecDeque::new());
        Self { rate, frame, frame_time, position: now, caller, agent, from_caller: None, from_agent: None }
    }

    /// The rates of what follows.
    pub(crate) fn rates(&mut self, caller: u32, agent: u32) {
        let to_tape = |rate| if rate == self.rate { None } else { Resampler::new(rate, self.rate) };
        (self.from_caller, self.from_agent) = (to_tape(caller), to_tape(agent));
    }

    pub(crate) fn caller(&mut self, samples: &[i16]) {
        match &mut self.from_caller {
            Some(resampler) => self.caller.extend(resampler.push(samples)),
            None => self.caller.extend(samples),
        }
        let most = self.samples(Duration::from_millis(u64::from(SLACK)));
        let excess = self.caller.len().saturating_sub(most);
        self.caller.drain(..excess);
    }

    /// Audio that will be heard from `at` on.
    pub(crate) fn agent(&mut self, at: Duration, samples: &[i16]) {
        let silence = self.samples(at.saturating_sub(self.position)).saturating_sub(self.agent.len());
        self.agent.extend(std::iter::repeat_n(0, silence));
        match &mut self.from_agent {
            Some(resampler) => self.agent.extend(resampler.push(samples)),
            None => self.agent.extend(samples),
        }
    }

    /// What was to be heard after `now` will not be.
    pub(crate) fn cut(&mut self, now: Duration) {
        let heard = self.samples(now.saturating_sub(self.position));
        self.agent.truncate(heard);
    }

    /// The next frame whose time has passed.
    pub(crate) fn frame(&mut self, now: Duration) -> Option<(Vec<i16>, Vec<i16>)> {
        if self.position + self.frame_time > now {
            return None;
        }
        Some(self.take())
    }

    /// At the end: a frame of what the caller has said and no frame has yet.
    pub(crate) fn rest(&mut self) -> Option<(Vec<i16>, Vec<i16>)> {
        if self.caller.is_empty() { None } else { Some(self.take()) }
    }

    fn take(&mut self) -> (Vec<i16>, Vec<i16>) {
        self.position += self.frame_time;
        let frame = self.frame;
        let take = |side: &mut VecDeque<i16>| {
            let mut samples: Vec<i16> = side.drain(..frame.min(side.len())).collect();
            samples.resize(frame, 0);
            samples
        };
        (take(&mut self.caller), take(&mut self.agent))
    }

    fn samples(&self, time: Duration) -> usize {
        usize::try_from(time.as_micros() * u128::from(self.rate) / 1_000_000).unwrap_or(0)
    }
}
