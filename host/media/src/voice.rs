//! The host's own ear: has the caller begun to speak? For agents that do not find out themselves.

use std::time::Duration;

use earshot::Detector;

use crate::format::{Codec, Converter, Format};

/// What the detector hears, and how much of it at once.
const EAR: Format = Format { codec: Codec::L16, rate: 16_000 };
const FRAME: usize = 256;
const FRAME_TIME: Duration = Duration::from_millis(16);
/// Above this a frame counts as speech. The detector's authors recommend 0.5; a false barge-in costs more than a late one.
const LIKELY: f32 = 0.6;
/// So much speech in a row is a beginning: a cough is shorter.
const ONSET: u32 = 8;
/// So much without any is an end.
const REST: u32 = 25;

/// Follows one caller.
pub(crate) struct Voice {
    detector: Box<Detector>,
    ear: Converter,
    waiting: Vec<i16>,
    /// Frames in a row with speech, and without.
    voiced: u32,
    quiet: u32,
    speaking: bool,
}

impl Voice {
    /// None for rates that cannot be carried.
    pub(crate) fn new(wire: Format) -> Option<Self> {
        let ear = Converter::new(wire, EAR)?;
        let waiting = Vec::with_capacity(2 * FRAME);
        Some(Self { detector: Box::default(), ear, waiting, voiced: 0, quiet: 0, speaking: false })
    }

    /// Takes what the caller says. When that is the beginning of speech: how long ago it was.
    pub(crate) fn hear(&mut self, payload: &[u8]) -> Option<Duration> {
        let heard = self.ear.convert(payload);
        self.waiting.extend(EAR.decode(&heard));
        let mut began = None;
        let whole = self.waiting.len() / FRAME * FRAME;
        for frame in self.waiting[..whole].chunks_exact(FRAME) {
            let likely = self.detector.predict_i16(frame) >= LIKELY;
            (self.voiced, self.quiet) = if likely { (self.voiced + 1, 0) } else { (0, self.quiet + 1) };
            if !self.speaking && self.voiced >= ONSET {
                (self.speaking, began) = (true, Some(FRAME_TIME * self.voiced));
            }
            self.speaking &= self.quiet < REST;
        }
        self.waiting.drain(..whole);
        began
    }

    /// Is the caller still speaking?
    pub(crate) fn is_speaking(&self) -> bool {
        self.speaking
    }
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").field("speaking", &self.speaking).finish_non_exhaustive()
    }
}
