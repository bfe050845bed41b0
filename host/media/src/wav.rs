//! A WAV file written as it comes: bytes to append, and a header to write over the old one now and then.

const HEADER: usize = 44;
const CHANNELS: u16 = 2;
const FRAME_BYTES: u32 = 4;

/// Stereo, 16 bit: caller left, agent right. The caller of this type does the writing.
///
/// Append what `frame` returns; when `header_due`, and at the end, write `header` to the start of the file. A crash then
/// leaves a file that is whole up to the last second.
#[derive(Debug)]
pub struct WavWriter {
    rate: u32,
    frames: u64,
    settled: u64,
}

impl WavWriter {
    /// A writer, and the header that begins the file.
    pub fn stereo(rate: u32) -> (Self, [u8; HEADER]) {
        let mut writer = Self { rate, frames: 0, settled: 0 };
        let header = writer.header();
        (writer, header)
    }

    /// The bytes of a stretch; where one side is shorter, silence.
    pub fn frame(&mut self, caller: &[i16], agent: &[i16]) -> Vec<u8> {
        let length = caller.len().max(agent.len());
        let mut bytes = Vec::with_capacity(length * FRAME_BYTES as usize);
        let sample = |side: &[i16], index: usize| side.get(index).copied().unwrap_or(0).to_le_bytes();
        for index in 0..length {
            bytes.extend(sample(caller, index));
            bytes.extend(sample(agent, index));
        }
        self.frames += length as u64;
        bytes
    }

    /// Whether a second has been written since the header was last taken.
    pub const fn header_due(&self) -> bool {
        self.frames - self.settled >= self.rate as u64
    }

    /// The header that fits what was written so far.
    pub fn header(&mut self) -> [u8; HEADER] {
        self.settled = self.frames;
        // Past 4 GiB (37 hours at 8 kHz) the format can't say more than this.
        let most = u64::from(u32::MAX - HEADER as u32);
        let data = (self.frames * u64::from(FRAME_BYTES)).min(most) as u32;
        let mut header = [0; HEADER];
        put(&mut header, 0, b"RIFF");
        put(&mut header, 4, &(data + HEADER as u32 - 8).to_le_bytes());
        put(&mut header, 8, b"WAVEfmt ");
        put(&mut header, 16, &16u32.to_le_bytes());
        put(&mut header, 20, &1u16.to_le_bytes());
        put(&mut header, 22, &CHANNELS.to_le_bytes());
        put(&mut header, 24, &self.rate.to_le_bytes());
        put(&mut header, 28, &(self.rate.saturating_mul(FRAME_BYTES)).to_le_bytes());
        put(&mut header, 32, &(FRAME_BYTES as u16).to_le_bytes());
        put(&mut header, 34, &16u16.to_le_bytes());
        put(&mut header, 36, b"data");
        put(&mut header, 40, &data.to_le_bytes());
        header
    }
}

fn put(header: &mut [u8; HEADER], at: usize, bytes: &[u8]) {
    header[at..at + bytes.len()].copy_from_slice(bytes);
}
