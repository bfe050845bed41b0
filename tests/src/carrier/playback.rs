//! Twilio's playback buffer: audio is played in order and in real time, marks come back when what stood before them
//! was played, and a clear drops the rest and returns all marks at once.

use std::collections::VecDeque;
use std::time::Duration;

/// Time is counted from any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Playback {
    /// When the last queued byte will have been played.
    ends: Duration,
    marks: VecDeque<(Duration, String)>,
}

impl Playback {
    /// Queues µ-law bytes at 8 kHz and says how much is buffered then.
    pub(super) fn audio(&mut self, now: Duration, bytes: usize) -> Duration {
        let length = Duration::from_micros(u64::try_from(bytes).unwrap_or(0) * 125);
        self.ends = self.ends.max(now) + length;
        self.ends - now
    }

    /// Queues a mark behind the audio so far.
    pub(super) fn mark(&mut self, now: Duration, name: String) {
        self.marks.push_back((self.ends.max(now), name));
    }

    /// Drops what is buffered; all marks come back.
    pub(super) fn clear(&mut self, now: Duration) -> Vec<String> {
        self.ends = now;
        self.marks.drain(..).map(|(_, name)| name).collect()
    }

    /// Marks that were reached by now.
    pub(super) fn reached(&mut self, now: Duration) -> Vec<String> {
        let count = self.marks.iter().take_while(|(at, _)| *at <= now).count();
        self.marks.drain(..count).map(|(_, name)| name).collect()
    }

    /// When the next mark is due.
    pub(super) fn next_mark(&self) -> Option<Duration> {
        self.marks.front().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_mark_comes_back_when_the_audio_before_it_was_played() {
        let mut playback = Playback::default();
        assert_eq!(playback.audio(ms(0), 800), ms(100));
        playback.mark(ms(0), "end".to_owned());
        assert_eq!(playback.next_mark(), Some(ms(100)));
        assert!(playback.reached(ms(99)).is_empty());
        assert_eq!(playback.reached(ms(100)), ["end"]);
    }

    #[test]
    fn a_mark_with_nothing_before_it_comes_back_at_once() {
        let mut playback = Playback::default();
        playback.mark(ms(5), "now".to_owned());
        assert_eq!(playback.reached(ms(5)), ["now"]);
    }

    #[test]
    fn a_clear_returns_all_marks_and_leaves_silence() {
        let mut playback = Playback::default();
        playback.audio(ms(0), 8_000);
        playback.mark(ms(0), "one".to_owned());
        playback.mark(ms(0), "two".to_owned());
        assert_eq!(playback.clear(ms(10)), ["one", "two"]);
        assert_eq!(playback.audio(ms(10), 160), ms(20));
    }
}
