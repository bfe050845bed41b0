//! A stereo WAV file that is written as it comes. The caller does the writing.

/// Writes 16-bit stereo: caller left, agent right.
#[derive(Debug)]
pub struct WavWriter {
    rate: u32,
    data: u32,
    since_header: u32,
}

const HEADER: u32 = 44;

impl WavWriter {
    /// A writer, and the header that the file begins with.
    pub fn stereo(rate: u32) -> (Self, Vec<u8>) {
        let writer = Self { rate, data: 0, since_header: 0 };
        let header = writer.bytes();
        (writer, header)
    }

    /// The bytes of one frame. A shorter side is filled with silence.
    pub fn frame(&mut self, left: &[i16], right: &[i16]) -> Vec<u8> {
        let length = left.len().max(right.len());
        let sample = |side: &[i16], index: usize| side.get(index).copied().unwrap_or(0).to_le_bytes();
        let bytes: Vec<u8> =
            (0..length).flat_map(|index| [sample(left, index), sample(right, index)]).flatten().collect();
        let added = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.data = self.data.saturating_add(added);
        self.since_header = self.since_header.saturating_add(added);
        bytes
    }

    /// Has a second passed since the header was last written? Then a crash would lose more than that.
    pub fn header_due(&self) -> bool {
        self.since_header >= self.rate.saturating_mul(4)
    }

    /// The header as it should be now, for the file's first bytes.
    pub fn header(&mut self) -> Vec<u8> {
        self.since_header = 0;
        self.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut header = Vec::with_capacity(44);
        header.extend_from_slice(b"RIFF");
        header.extend_from_slice(&self.data.saturating_add(HEADER - 8).to_le_bytes());
        header.extend_from_slice(b"WAVEfmt ");
        header.extend_from_slice(&16u32.to_le_bytes());
        // PCM, two channels.
        header.extend_from_slice(&[1, 0, 2, 0]);
        header.extend_from_slice(&self.rate.to_le_bytes());
        header.extend_from_slice(&self.rate.saturating_mul(4).to_le_bytes());
        // Bytes of a pair of samples, bits of a sample.
        header.extend_from_slice(&[4, 0, 16, 0]);
        header.extend_from_slice(b"data");
        header.extend_from_slice(&self.data.to_le_bytes());
        header
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn another_library_reads_what_is_written_and_sides_keep_their_channel() {
        let (mut writer, mut file) = WavWriter::stereo(8_000);
        for _ in 0..60 {
            file.extend(writer.frame(&[1_000; 160], &[-2_000; 160]));
        }
        assert!(writer.header_due());
        file.splice(..44, writer.header());
        let mut reader = hound::WavReader::new(file.as_slice()).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate, reader.duration()), (2, 8_000, 60 * 160));
        let samples: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert!(samples.chunks(2).all(|pair| pair == [1_000, -2_000]));
    }
}
