//! Both sides of a call on one timeline: what came from the caller, and what the caller heard.

use std::collections::VecDeque;

/// Past this backlog, quiet frames of the caller are skipped until both sides are in step again.
const LAG_FRAMES: usize = 15;
/// Past this backlog, the oldest goes whatever it is.
const MOST_FRAMES: usize = 500;
/// Peak of a frame that nobody misses.
const QUIET: u16 = 256;

#[derive(Debug)]
pub(crate) struct Tape {
    caller: VecDeque<i16>,
    agent: VecDeque<i16>,
    frame: usize,
}

impl Tape {
    pub(crate) const fn new(frame: usize) -> Self {
        Self { caller: VecDeque::new(), agent: VecDeque::new(), frame }
    }

    pub(crate) const fn set_frame(&mut self, frame: usize) {
        self.frame = frame;
    }

    /// The caller said this.
    pub(crate) fn caller(&mut self, samples: &[i16]) {
        self.caller.extend(samples);
        let most = MOST_FRAMES * self.frame;
        self.caller.drain(..self.caller.len().saturating_sub(most));
    }

    /// This went to the caller's ear.
    pub(crate) fn agent(&mut self, samples: &[i16]) {
        self.agent.extend(samples);
    }

    /// What was on its way to the ear was dropped.
    pub(crate) fn cut(&mut self) {
        self.agent.clear();
    }

    /// The next frame of both sides; silence where there is nothing.
    pub(crate) fn next(&mut self) -> (Vec<i16>, Vec<i16>) {
        self.get_in_step();
        (take(&mut self.caller, self.frame), take(&mut self.agent, self.frame))
    }

    fn get_in_step(&mut self) {
        let behind = self.caller.len() > LAG_FRAMES * self.frame;
        if behind && self.caller.iter().take(self.frame).all(|sample| sample.unsigned_abs() < QUIET) {
            self.caller.drain(..self.frame);
        }
    }
}

fn take(side: &mut VecDeque<i16>, length: usize) -> Vec<i16> {
    let mut frame = Vec::with_capacity(length);
    frame.extend(side.drain(..length.min(side.len())));
    frame.resize(length, 0);
    frame
}
