//! What came back, beside what was sent.

use std::time::{Duration, Instant};

use crate::speech::FRAME;

/// Audio with the moment it passed.
#[derive(Debug, Clone)]
pub struct Passed {
    pub at: Instant,
    pub bytes: Vec<u8>,
}

/// The comparison of an echo with its original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EchoReport {
    pub sent_frames: usize,
    pub heard_frames: usize,
    /// Sent and never heard.
    pub missing: usize,
    /// Heard and never sent.
    pub foreign: usize,
    /// From sending a frame to hearing it, sorted.
    pub delays: Vec<Duration>,
}

/// How far ahead a frame is looked for before what came is called foreign.
const LOOK_AHEAD: usize = 100;

/// Follows the echo through what was sent, frame by frame and in order.
pub fn compare(sent: &[Passed], heard: &[Passed]) -> EchoReport {
    let heard = in_frames(heard);
    let (mut next, mut missing, mut foreign, mut delays) = (0, 0, 0, Vec::new());
    for frame in &heard {
        let ahead = sent.iter().skip(next).take(LOOK_AHEAD).position(|sent| sent.bytes == frame.bytes);
        match (ahead, sent.get(next + ahead.unwrap_or(0))) {
            (Some(skipped), Some(original)) => {
                missing += skipped;
                next += skipped + 1;
                delays.push(frame.at.saturating_duration_since(original.at));
            }
            _ => foreign += 1,
        }
    }
    missing += sent.len() - next;
    delays.sort();
    EchoReport { sent_frames: sent.len(), heard_frames: heard.len(), missing, foreign, delays }
}

/// Any chunking into frames; a frame has passed when its last byte has.
fn in_frames(heard: &[Passed]) -> Vec<Passed> {
    let (mut frames, mut open) = (Vec::new(), Vec::new());
    for passed in heard {
        for byte in &passed.bytes {
            open.push(*byte);
            if open.len() == FRAME {
                frames.push(Passed { at: passed.at, bytes: std::mem::take(&mut open) });
            }
        }
    }
    frames
}

impl EchoReport {
    /// Byte for byte what was sent, and all of it.
    pub fn whole(&self) -> bool {
        self.missing == 0 && self.foreign == 0 && self.heard_frames == self.sent_frames
    }

    /// The delay that this share of the frames stayed within.
    pub fn delay(&self, share: f64) -> Duration {
        percentile(&self.delays, share)
    }
}

/// Of sorted values, the one that `share` of them do not exceed.
pub fn percentile<T: Copy + Default>(sorted: &[T], share: f64) -> T {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index for a table of figures"
    )]
    let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(first: &[u8], at: Instant) -> Vec<Passed> {
        first.iter().map(|first| Passed { at, bytes: vec![*first; FRAME] }).collect()
    }

    #[test]
    fn an_echo_in_other_chunks_is_still_whole() {
        let now = Instant::now();
        let sent = frames(&[1, 2, 3], now);
        let all: Vec<u8> = sent.iter().flat_map(|frame| frame.bytes.clone()).collect();
        let heard: Vec<Passed> = all.chunks(100).map(|bytes| Passed { at: now, bytes: bytes.to_vec() }).collect();
        assert!(compare(&sent, &heard).whole());
    }

    #[test]
    fn what_is_lost_and_what_is_strange_is_counted() {
        let now = Instant::now();
        let report = compare(&frames(&[1, 2, 3, 4, 5], now), &frames(&[1, 3, 9, 4], now));
        assert_eq!((report.missing, report.foreign), (2, 1));
        assert!(!report.whole());
    }

    #[test]
    fn a_percentile_of_nothing_is_nothing() {
        assert_eq!(percentile::<u64>(&[], 0.5), 0);
        assert_eq!(percentile(&[1, 2, 3, 4, 5], 0.5), 3);
        assert_eq!(percentile(&[1, 2, 3, 4, 5], 1.0), 5);
    }
}
