//! Lines both sides up for the recording: the caller as heard here, the agent as heard there.

use std::collections::VecDeque;
use std::time::Duration;

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
}

/// The caller's audio comes in real time; what piles up beyond this came in a lump and is late anyway.
const SLACK: u32 = 200;

impl Tape {
    pub(crate) fn new(rate: u32, frame_ms: u32, now: Duration) -> Self {
        let frame = usize::try_from(u64::from(rate) * u64::from(frame_ms) / 1_000).unwrap_or(160);
        let frame_time = Duration::from_millis(u64::from(frame_ms));
        Self { rate, frame, frame_time, position: now, caller: VecDeque::new(), agent: VecDeque::new() }
    }

    pub(crate) fn caller(&mut self, samples: &[i16]) {
        self.caller.extend(samples);
        let most = self.samples(Duration::from_millis(u64::from(SLACK)));
        let excess = self.caller.len().saturating_sub(most);
        self.caller.drain(..excess);
    }

    /// Audio that will be heard from `at` on.
    pub(crate) fn agent(&mut self, at: Duration, samples: &[i16]) {
        let silence = self.samples(at.saturating_sub(self.position)).saturating_sub(self.agent.len());
        self.agent.extend(std::iter::repeat_n(0, silence));
        self.agent.extend(samples);
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
