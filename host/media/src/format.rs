//! How audio is written on a wire.

use crate::g711;

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

    /// Rewrites bytes of this format in another of the same rate; equal formats are not touched.
    pub fn convert(self, bytes: &[u8], to: Self) -> Vec<u8> {
        if self.codec == to.codec { bytes.to_vec() } else { to.encode(&self.decode(bytes)) }
    }
}
