//! Keeps an agent's clock going: bots that wait for silence, or count time by samples, stand still when a caller's audio does.

use std::time::Duration;

use crate::format::Format;

/// A hole of less is jitter.
const HOLE: Duration = Duration::from_millis(80);
/// Frames of a hole that are concealed; what follows is silence.
const CONCEALED: u32 = 3;
/// By so much the agent may be ahead of the clock: a burst after a hole is no credit for the next one.
const AHEAD: Duration = Duration::from_millis(200);
const FRAME_MS: u32 = 20;

/// How much the agent has heard, beside how much time has passed.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    began: Option<Duration>,
    fed: Duration,
    /// The end of what came last, for the first frames of a hole.
    last: Vec<u8>,
    /// Frames made up since then.
    made_up: u32,
}

/// A frame that the caller's side did not bring, in the wire's format.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filler {
    /// What was before, ever quieter.
    Faded(Vec<u8>),
    Silence(Vec<u8>),
}

impl Feed {
    /// The stream has begun; only the first time counts.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.began.get_or_insert(now);
    }

    /// The agent's clock begins now: another one came, who heard nothing of what was before.
    pub(crate) fn catch_up(&mut self, now: Duration) {
        self.fed = self.since(now);
        self.last.clear();
    }

    /// Time since the stream began.
    pub(crate) fn since(&self, now: Duration) -> Duration {
        now.saturating_sub(self.began.unwrap_or(now))
    }

    /// The caller's side brought this much.
    pub(crate) fn got(&mut self, now: Duration, lasting: Duration, payload: &[u8]) {
        self.fed = (self.fed + lasting).min(self.since(now) + AHEAD);
        self.last.clear();
        self.last.extend_from_slice(payload);
        self.made_up = 0;
    }

    /// The next frame that has to be made up.
    pub(crate) fn due(&mut self, now: Duration, wire: Format) -> Option<Filler> {
        self.began?;
        if self.since(now).saturating_sub(self.fed) <= HOLE {
            return None;
        }
        let frame = wire.bytes(FRAME_MS).max(1);
        self.fed += Duration::from_millis(u64::from(FRAME_MS));
        self.made_up = self.made_up.saturating_add(1);
        let tail = self.last.len().checked_sub(frame).and_then(|from| self.last.get(from..));
        Some(match tail.filter(|_| self.made_up <= CONCEALED) {
            Some(tail) => Filler::Faded(faded(wire, tail, self.made_up)),
            None => Filler::Silence(vec![wire.silence(); frame]),
        })
    }
}

/// Half as loud with each frame.
fn faded(wire: Format, tail: &[u8], times: u32) -> Vec<u8> {
    let samples: Vec<i16> = wire.decode(tail).into_iter().map(|sample| sample >> times.min(15)).collect();
    wire.encode(&samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Codec;

    const WIRE: Format = Format { codec: Codec::L16, rate: 8_000 };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn loud() -> Vec<u8> {
        WIRE.encode(&[8_000; 160])
    }

    #[test]
    fn jitter_is_no_hole_and_a_hole_fades_into_silence() {
        let mut feed = Feed::default();
        feed.begin(at(0));
        feed.got(at(20), at(20), &loud());
        assert_eq!(feed.due(at(100), WIRE), None);
        let (mut faded, mut silent) = (Vec::new(), 0);
        for tick in 6..20 {
            while let Some(filler) = feed.due(at(tick * 20), WIRE) {
                match filler {
                    Filler::Faded(frame) => faded.push(WIRE.decode(&frame)[0]),
                    Filler::Silence(frame) => silent += usize::from(frame.iter().all(|byte| *byte == 0)),
                }
            }
        }
        assert_eq!(faded, [4_000, 2_000, 1_000]);
        // 380 ms have passed: 20 came, 80 may be missing, 60 faded.
        assert_eq!(silent, 11);
    }

    #[test]
    fn the_clock_neither_stops_nor_runs_away_in_an_hour_of_holes() {
        let mut feed = Feed::default();
        feed.begin(at(0));
        let (mut heard, mut tick) = (0u64, 0u64);
        while tick < 3_600_000 {
            tick += 20;
            // A second of every three is missing, and half of it comes late, at once.
            let missing = tick % 3_000 < 1_000;
            let frames = if tick % 3_000 == 1_000 { 25 } else { u64::from(!missing) };
            for _ in 0..frames {
                feed.got(at(tick), at(20), &loud());
                heard += 20;
            }
            while feed.due(at(tick), WIRE).is_some() {
                heard += 20;
            }
            assert!(heard + 100 >= tick, "the clock stood still at {tick}: {heard}");
        }
        // What came late and had been made up before is heard as well: half a second of every three, and no more.
        assert!(heard <= 3_600_000 / 3_000 * 3_520, "{heard}");
    }

    #[test]
    fn before_it_begins_nothing_is_due() {
        assert_eq!(Feed::default().due(at(10_000), WIRE), None);
    }
}
