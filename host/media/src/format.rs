//! What a stretch of bytes means as audio.

use std::time::Duration;

use crate::g711;

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 μ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// 16-bit linear, little endian.
    L16,
    /// 16-bit linear, big endian.
    L16Be,
}

/// A codec at a rate, one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// How a sample is written.
    pub codec: Codec,
    /// Samples a second.
    pub rate: u32,
}

impl Codec {
    /// Bytes that one sample takes.
    pub const fn bytes_per_sample(self) -> usize {
        match self {
            Self::Pcmu | Self::Pcma => 1,
            Self::L16 | Self::L16Be => 2,
        }
    }

    /// The byte that silence is made of. Zero would be a full-scale click in μ-law.
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xFF,
            Self::Pcma => 0xD5,
            Self::L16 | Self::L16Be => 0,
        }
    }

    /// Appends the samples that whole `bytes` stand for; half a sample at the end is left out.
    pub fn decode_into(self, bytes: &[u8], samples: &mut Vec<i16>) {
        let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
        match self {
            Self::Pcmu => g711::ulaw_decode_into(bytes, samples),
            Self::Pcma => g711::alaw_decode_into(bytes, samples),
            Self::L16 => samples.extend(pairs().map(i16::from_le_bytes)),
            Self::L16Be => samples.extend(pairs().map(i16::from_be_bytes)),
        }
    }

    /// Appends the bytes of `samples`.
    pub fn encode_into(self, samples: &[i16], bytes: &mut impl Extend<u8>) {
        match self {
            Self::Pcmu => g711::ulaw_encode_into(samples, bytes),
            Self::Pcma => g711::alaw_encode_into(samples, bytes),
            Self::L16 => bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
            Self::L16Be => bytes.extend(samples.iter().flat_map(|sample| sample.to_be_bytes())),
        }
    }
}

impl Format {
    /// Bytes of a millisecond.
    pub const fn bytes_per_ms(self) -> usize {
        self.rate as usize / 1000 * self.codec.bytes_per_sample()
    }

    /// Bytes of so many milliseconds.
    pub const fn bytes_in(self, ms: u32) -> usize {
        self.bytes_per_ms() * ms as usize
    }

    /// How long so many bytes play.
    pub fn duration_of(self, bytes: usize) -> Duration {
        let a_second = u64::from(self.rate.max(1)) * self.codec.bytes_per_sample() as u64;
        Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / a_second)
    }

    /// Whether `bytes` end where a sample ends.
    pub(crate) const fn is_whole(self, bytes: &[u8]) -> bool {
        bytes.len().is_multiple_of(self.codec.bytes_per_sample())
    }
}
