//! Reads WAV: files to play, and what bots put in front of their audio.

use std::io::Cursor;

/// Mono 16-bit samples at a rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clip {
    /// Samples a second.
    pub(crate) rate: u32,
    pub(crate) samples: Vec<i16>,
}

/// A file: 16 bit, mono or stereo (mixed down), at 8, 16, 24 or 48 kHz.
pub(crate) fn read(bytes: &[u8]) -> Result<Clip, String> {
    let mut reader = hound::WavReader::new(Cursor::new(bytes)).map_err(|_| "it is not a WAV file".to_owned())?;
    let spec = reader.spec();
    if (spec.bits_per_sample, spec.sample_format) != (16, hound::SampleFormat::Int) {
        return Err(format!("it has {} bits a sample and must have 16, as whole numbers", spec.bits_per_sample));
    }
    if !matches!(spec.sample_rate, 8_000 | 16_000 | 24_000 | 48_000) {
        return Err(format!("its rate is {} Hz and must be 8000, 16000, 24000 or 48000", spec.sample_rate));
    }
    if !matches!(spec.channels, 1 | 2) {
        return Err(format!("it has {} channels and must have 1 or 2", spec.channels));
    }
    // A file that was cut off says more in its header than it holds; what is there is played.
    let samples: Vec<i16> = reader.samples::<i16>().map_while(Result::ok).collect();
    let samples = if spec.channels == 2 { mono(&samples) } else { samples };
    if samples.is_empty() { Err("it holds no audio".to_owned()) } else { Ok(Clip { rate: spec.sample_rate, samples }) }
}

/// The mean of both channels.
pub(crate) fn mono(stereo: &[i16]) -> Vec<i16> {
    let mean = |pair: &[i16; 2]| i16::try_from((i32::from(pair[0]) + i32::from(pair[1])) / 2).unwrap_or(0);
    stereo.as_chunks::<2>().0.iter().map(mean).collect()
}

/// The data chunk of a WAV in memory, header unread; none when it is no WAV.
pub(crate) fn data(bytes: &[u8]) -> Option<&[u8]> {
    let (_length, rest) = bytes.strip_prefix(b"RIFF")?.split_first_chunk::<4>()?;
    let mut rest = rest.strip_prefix(b"WAVE")?;
    loop {
        let (name, tail) = rest.split_first_chunk::<4>()?;
        let (length, body) = tail.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX).min(body.len());
        if name == b"data" {
            return body.get(..length);
        }
        rest = body.get(length + length % 2..)?;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    pub(crate) fn file(rate: u32, channels: u16, bits: u16, samples: &[i16]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let sample_format = hound::SampleFormat::Int;
        let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format };
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn mono_and_stereo_of_every_rate_are_read() {
        for rate in [8_000, 16_000, 24_000, 48_000] {
            assert_eq!(read(&file(rate, 1, 16, &[1, -2])), Ok(Clip { rate, samples: vec![1, -2] }));
            let loudest = [i16::MAX, i16::MAX, i16::MIN, i16::MIN, 100, -300];
            let expected = Ok(Clip { rate, samples: vec![i16::MAX, i16::MIN, -100] });
            assert_eq!(read(&file(rate, 2, 16, &loudest)), expected);
        }
    }

    #[test]
    fn a_file_that_cannot_be_played_is_refused_with_a_reason() {
        let cases = [
            (b"RIFF".to_vec(), "not a WAV"),
            (file(11_025, 1, 16, &[1]), "11025"),
            (file(8_000, 1, 8, &[1]), "8 bits"),
            (file(8_000, 3, 16, &[1, 2, 3]), "3 channels"),
            (file(8_000, 1, 16, &[]), "no audio"),
        ];
        for (bytes, due) in cases {
            assert!(read(&bytes).is_err_and(|error| error.contains(due)), "{due}");
        }
    }

    #[test]
    fn a_file_cut_anywhere_does_no_harm() {
        let whole = file(8_000, 1, 16, &[1, 2, 3]);
        for length in 0..whole.len() {
            let cut = whole.get(..length).unwrap();
            let (clip, rest) = (read(cut), data(cut));
            assert!(clip.is_err() || length > 44);
            assert!(rest.is_none() || length >= 44);
        }
        assert_eq!(data(&whole), Some([1, 0, 2, 0, 3, 0].as_slice()));
    }
}
