//! A spoken sentence, and the µ-law it travels in.

use anyhow::{Context, Result};

/// Bytes of 20 ms of µ-law at 8 kHz.
pub const FRAME: usize = 160;

const SPOKEN: &[u8] = include_bytes!("../speech/hello.wav");

/// The sentence that the project ships, as 16-bit samples at 8 kHz.
pub fn hello() -> Result<Vec<i16>> {
    let reader = hound::WavReader::new(SPOKEN).context("the spoken WAV is damaged")?;
    reader.into_samples().collect::<Result<_, _>>().context("the spoken WAV is damaged")
}

/// The sentence in µ-law, as whole frames.
pub fn hello_frames() -> Result<Vec<Vec<u8>>> {
    let mut coded: Vec<u8> = hello()?.into_iter().map(to_ulaw).collect();
    coded.resize(coded.len().next_multiple_of(FRAME), 0xFF);
    Ok(coded.chunks(FRAME).map(<[u8]>::to_vec).collect())
}

/// One sample to µ-law (ITU-T G.711): a sign, three bits of exponent, four of mantissa, all inverted.
pub fn to_ulaw(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sample = i32::from(sample);
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.abs().min(CLIP) + BIAS;
    let exponent = (magnitude.ilog2() - 7).cast_signed();
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    !u8::try_from(sign | (exponent << 4) | mantissa).unwrap_or(0)
}

/// One µ-law byte to its sample.
pub fn from_ulaw(byte: u8) -> i16 {
    let byte = i32::from(!byte);
    let (exponent, mantissa) = ((byte >> 4) & 7, byte & 0x0F);
    let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
    i16::try_from(if byte & 0x80 == 0 { magnitude } else { -magnitude }).unwrap_or(0)
}

/// Writes µ-law as a WAV that anything plays.
pub fn write_wav(path: &std::path::Path, ulaw: &[u8]) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for byte in ulaw {
        writer.write_sample(from_ulaw(*byte))?;
    }
    writer.finalize().context("the WAV could not be finished")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_shipped_sentence_is_several_seconds_of_sound() {
        let samples = hello().unwrap();
        assert!((6 * 8_000..10 * 8_000).contains(&samples.len()), "{}", samples.len());
        assert!(samples.iter().any(|sample| sample.unsigned_abs() > 10_000));
    }

    #[test]
    fn each_code_word_comes_back_as_itself_but_for_the_second_zero() {
        for byte in 0..=255u8 {
            let again = to_ulaw(from_ulaw(byte));
            assert!(again == byte || (byte == 0x7F && again == 0xFF), "{byte:#x} came back as {again:#x}");
        }
    }
}
