//! How audio is written on a wire.

use std::borrow::Cow;

use crate::g711;
use crate::resample::Resampler;

/// A way to write samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// G.711 μ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// Signed 16 bit, little endian.
    L16,
    /// Signed 16 bit, big endian.
    L16Be,
}

/// A codec at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// How a sample is written.
    pub codec: Codec,
    /// Samples a second.
    pub rate: u32,
}

impl Format {
    /// Bytes of one sample.
    pub fn width(self) -> usize {
        match self.codec {
            Codec::Pcmu | Codec::Pcma => 1,
            Codec::L16 | Codec::L16Be => 2,
        }
    }

    /// Bytes of so many milliseconds.
    pub fn bytes(self, milliseconds: u32) -> usize {
        usize::try_from(u64::from(self.rate) * u64::from(milliseconds) / 1_000).unwrap_or(0) * self.width()
    }

    /// Microseconds that so many bytes last.
    pub fn micros(self, bytes: usize) -> u64 {
        let samples = u64::try_from(bytes / self.width()).unwrap_or(u64::MAX);
        samples.saturating_mul(1_000_000) / u64::from(self.rate.max(1))
    }

    /// A byte of silence.
    pub fn silence(self) -> u8 {
        match self.codec {
            Codec::Pcmu => g711::ULAW_SILENCE,
            Codec::Pcma => g711::ALAW_SILENCE,
            Codec::L16 | Codec::L16Be => 0,
        }
    }

    /// Is it a whole number of samples?
    pub fn fits(self, bytes: &[u8]) -> bool {
        bytes.len().is_multiple_of(self.width())
    }

    /// As samples.
    pub fn decode(self, bytes: &[u8]) -> Vec<i16> {
        let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        match self.codec {
            Codec::Pcmu => bytes.iter().map(|code| g711::ulaw_decode(*code)).collect(),
            Codec::Pcma => bytes.iter().map(|code| g711::alaw_decode(*code)).collect(),
            Codec::L16 => pairs().map(i16::from_le_bytes).collect(),
            Codec::L16Be => pairs().map(i16::from_be_bytes).collect(),
        }
    }

    /// From samples.
    pub fn encode(self, samples: &[i16]) -> Vec<u8> {
        match self.codec {
            Codec::Pcmu => samples.iter().map(|sample| g711::ulaw_encode(*sample)).collect(),
            Codec::Pcma => samples.iter().map(|sample| g711::alaw_encode(*sample)).collect(),
            Codec::L16 => samples.iter().flat_map(|sample| sample.to_le_bytes()).collect(),
            Codec::L16Be => samples.iter().flat_map(|sample| sample.to_be_bytes()).collect(),
        }
    }
}

/// Rewrites audio of one format in another, piece by piece. Equal formats are not touched.
#[derive(Debug, Clone)]
pub struct Converter {
    from: Format,
    to: Format,
    resampler: Option<Resampler>,
    /// Something went in and may still be inside.
    holds: bool,
}

impl Converter {
    /// None for rates that are not converted.
    pub fn new(from: Format, to: Format) -> Option<Self> {
        let resampler = if from.rate == to.rate { None } else { Some(Resampler::new(from.rate, to.rate)?) };
        Some(Self { from, to, resampler, holds: false })
    }

    /// Whole samples of the one format in the other.
    pub fn convert<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.from == self.to {
            return Cow::Borrowed(bytes);
        }
        let samples = self.from.decode(bytes);
        let Some(resampler) = &mut self.resampler else { return Cow::Owned(self.to.encode(&samples)) };
        self.holds = true;
        Cow::Owned(self.to.encode(&resampler.push(&samples)))
    }

    /// The last two milliseconds or so, when nothing follows for now.
    pub fn drain(&mut self) -> Vec<u8> {
        match &mut self.resampler {
            Some(resampler) if std::mem::take(&mut self.holds) => self.to.encode(&resampler.drain()),
            _ => Vec::new(),
        }
    }

    /// Forgets what went in.
    pub fn reset(&mut self) {
        self.holds = false;
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }
}
