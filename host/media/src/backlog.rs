//! What waits for a provider that does not take it at once: little audio, and the newest; every word.
//!
//! Audio is paced, so that nothing waits here as long as the provider reads. After a stall the caller is to hear what is
//! said now and not what was said then: of more audio than may wait, the oldest goes, and a clear makes all of it void.
//! Words (marks, clears, digits, the end) are neither dropped nor moved past each other: a mark whose audio is gone is
//! still answered, and in its place.

use std::collections::VecDeque;

/// Milliseconds of audio that may wait here. As much again may be on its way through the socket: 200 ms in all.
const AUDIO_MS: u32 = 100;
/// Words that may wait. More than a thousand marks of an agent, its clears between them, and digits.
const WORDS: usize = 2_048;

/// Messages of any kind, in order. No IO.
#[derive(Debug)]
pub struct Backlog<M> {
    messages: VecDeque<(bool, M)>,
    audio: usize,
    room: usize,
    dropped: u64,
}

impl<M> Backlog<M> {
    /// For audio in frames of `frame_ms`, each of them one message.
    pub fn new(frame_ms: u32) -> Self {
        let room = usize::try_from(AUDIO_MS / frame_ms.max(1)).unwrap_or(0).max(1);
        Self { messages: VecDeque::new(), audio: 0, room, dropped: 0 }
    }

    /// A frame of audio, for which the oldest may have to go.
    pub fn audio(&mut self, message: M) {
        if self.audio >= self.room
            && let Some(oldest) = self.messages.iter().position(|(is_audio, _)| *is_audio)
        {
            self.messages.remove(oldest);
            self.audio -= 1;
            self.dropped += 1;
        }
        self.audio += 1;
        self.messages.push_back((true, message));
    }

    /// Anything else. False when so much waits that it is not taken: a provider that lets it come so far is gone.
    #[must_use]
    pub fn word(&mut self, message: M) -> bool {
        let taken = self.messages.len() - self.audio < WORDS;
        if taken {
            self.messages.push_back((false, message));
        }
        taken
    }

    /// Nothing of what was said so far shall be heard. Not counted as dropped: it was cut on purpose.
    pub fn clear(&mut self) {
        if self.audio > 0 {
            self.messages.retain(|(is_audio, _)| !is_audio);
            self.audio = 0;
        }
    }

    /// The next message, in order.
    pub fn pop(&mut self) -> Option<M> {
        let (is_audio, message) = self.messages.pop_front()?;
        self.audio -= usize::from(is_audio);
        Some(message)
    }

    /// Frames of audio that had to go.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Said {
        Audio(u32),
        Mark(u32),
        Clear(u32),
    }

    fn number_of(said: &Said) -> u32 {
        let (Said::Audio(number) | Said::Mark(number) | Said::Clear(number)) = said;
        *number
    }

    fn all(backlog: &mut Backlog<Said>) -> Vec<Said> {
        std::iter::from_fn(|| backlog.pop()).collect()
    }

    #[test]
    fn the_oldest_audio_goes_and_marks_keep_their_places() {
        let mut backlog = Backlog::new(20);
        for number in 0..10 {
            backlog.audio(Said::Audio(number));
            assert!(number % 4 > 0 || backlog.word(Said::Mark(number)));
        }
        let left = [Said::Mark(0), Said::Mark(4)].into_iter().chain((5..9).map(Said::Audio));
        let left: Vec<Said> = left.chain([Said::Mark(8), Said::Audio(9)]).collect();
        assert_eq!((all(&mut backlog), backlog.dropped()), (left, 5));
    }

    #[test]
    fn a_clear_makes_the_audio_before_it_void_and_no_word() {
        let mut backlog = Backlog::new(20);
        backlog.audio(Said::Audio(1));
        assert!(backlog.word(Said::Mark(2)));
        backlog.audio(Said::Audio(3));
        backlog.clear();
        assert!(backlog.word(Said::Clear(4)));
        backlog.audio(Said::Audio(5));
        assert_eq!(all(&mut backlog), [Said::Mark(2), Said::Clear(4), Said::Audio(5)]);
        assert_eq!(backlog.dropped(), 0);
    }

    #[test]
    fn frames_of_any_length_leave_room_for_one() {
        for (frame_ms, room) in [(10, 10), (20, 5), (60, 1), (500, 1), (0, 100)] {
            assert_eq!(Backlog::<Said>::new(frame_ms).room, room);
        }
    }

    #[test]
    fn words_without_end_are_refused_and_none_is_lost_silently() {
        let mut backlog = Backlog::new(20);
        let taken = (0..3_000).take_while(|number| backlog.word(Said::Mark(*number))).count();
        assert_eq!((taken, all(&mut backlog).len()), (WORDS, WORDS));
    }

    /// Against a model that keeps everything: what comes out is what went in, without the audio that was to go.
    #[test]
    fn whatever_happens_little_audio_waits_the_order_is_kept_and_each_word_comes_out_once() {
        let mut noise = 7u32;
        let mut next = move |bound: u32| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 8) % bound
        };
        for _ in 0..200 {
            let mut backlog = Backlog::new(20);
            let (mut model, mut gone, mut void, mut taken) = (Vec::new(), 0, 0, Vec::new());
            for number in 0..500 {
                let waiting = |model: &[Said]| model.iter().filter(|said| matches!(said, Said::Audio(_))).count();
                match next(10) {
                    0..=4 => {
                        backlog.audio(Said::Audio(number));
                        model.push(Said::Audio(number));
                        if waiting(&model) > 5 {
                            let oldest = model.iter().position(|said| matches!(said, Said::Audio(_))).unwrap();
                            model.remove(oldest);
                            gone += 1;
                        }
                    }
                    5 | 6 => {
                        assert!(backlog.word(Said::Mark(number)));
                        model.push(Said::Mark(number));
                    }
                    7 => {
                        void += waiting(&model);
                        backlog.clear();
                        model.retain(|said| !matches!(said, Said::Audio(_)));
                        assert!(backlog.word(Said::Clear(number)));
                        model.push(Said::Clear(number));
                    }
                    _ => {
                        let popped = backlog.pop();
                        assert_eq!(popped, (!model.is_empty()).then(|| model.remove(0)));
                        taken.extend(popped);
                    }
                }
                assert!(backlog.audio <= 5 && backlog.audio == waiting(&model));
            }
            taken.extend(all(&mut backlog));
            assert_eq!(backlog.dropped(), gone);
            assert!(taken.iter().map(number_of).is_sorted());
            assert!(void > 0 && gone > 0 && backlog.pop().is_none());
        }
    }
}
