//! A sound under the agent's voice: an office, a street.

use std::sync::Arc;

use crate::resample::Resampler;

/// From here on a sum is bent instead of cut off.
const KNEE: i32 = 24_576;

/// A sound that is played over and over, quieter or louder than it was recorded.
#[derive(Debug, Clone)]
pub struct Ambient {
    samples: Arc<[i16]>,
    rate: u32,
    /// In 4096ths.
    gain: i32,
}

/// A sound as one call hears it.
#[derive(Debug)]
pub(crate) struct Background {
    sound: Ambient,
    resampler: Option<Resampler>,
    at: usize,
    /// What was made beyond the last frame.
    rest: Vec<i16>,
}

impl Ambient {
    /// Mono samples at one of [`RATES`](crate::RATES), with so many dB more (or, below 0, fewer) than they have.
    /// None for an empty sound, another rate, or a level beyond 20 dB.
    #[allow(clippy::cast_possible_truncation, reason = "at most 4096 times ten")]
    pub fn new(samples: Arc<[i16]>, rate: u32, level_db: f32) -> Option<Self> {
        let legal = !samples.is_empty() && crate::resample::RATES.contains(&rate) && level_db <= 20.0;
        legal.then(|| Self { samples, rate, gain: (10f32.powf(level_db / 20.0) * 4_096.0).round() as i32 })
    }
}

/// What a caller hears who waits for somebody to pick up: 425 Hz, a second of every five (ITU-T E.180, as most of the
/// world has it).
pub(crate) fn ringback() -> Ambient {
    const RATE: u32 = 8_000;
    let sample = |at: u32| {
        let phase = f64::from(at % RATE) * 425.0 / f64::from(RATE);
        #[allow(clippy::cast_possible_truncation, reason = "a tenth of full scale")]
        let value = ((phase * std::f64::consts::TAU).sin() * 3_276.0) as i16;
        if at < RATE { value } else { 0 }
    };
    let samples: Arc<[i16]> = (0..5 * RATE).map(sample).collect();
    Ambient { samples, rate: RATE, gain: 4_096 }
}

impl Background {
    /// None for a wire of an odd rate.
    pub(crate) fn new(sound: Ambient, rate: u32) -> Option<Self> {
        let resampler = if sound.rate == rate { None } else { Some(Resampler::new(sound.rate, rate)?) };
        Some(Self { sound, resampler, at: 0, rest: Vec::new() })
    }

    /// The sound from its beginning, at another rate.
    pub(crate) fn at_rate(&self, rate: u32) -> Option<Self> {
        Self::new(self.sound.clone(), rate)
    }

    /// Lays the next of it under a frame.
    pub(crate) fn mix(&mut self, frame: &mut [i16]) {
        while self.rest.len() < frame.len() {
            self.make(frame.len());
        }
        let under = self.rest.drain(..frame.len());
        for (sample, under) in frame.iter_mut().zip(under) {
            *sample = bend(i32::from(*sample) + i32::from(under) * self.sound.gain / 4_096);
        }
    }

    fn make(&mut self, count: usize) {
        let samples = &self.sound.samples;
        let next: Vec<i16> = samples.iter().cycle().skip(self.at).take(count).copied().collect();
        self.at = (self.at + count) % samples.len();
        match &mut self.resampler {
            Some(resampler) => self.rest.extend(resampler.push(&next)),
            None => self.rest.extend(next),
        }
    }
}

/// A soft limit: straight up to the knee, and never beyond full scale.
fn bend(sum: i32) -> i16 {
    let room = i32::from(i16::MAX) - KNEE;
    let over = sum.saturating_abs().saturating_sub(KNEE);
    if over <= 0 {
        return i16::try_from(sum).unwrap_or(0);
    }
    let over = i64::from(over);
    let bent = KNEE + i32::try_from(i64::from(room) * over / (over + i64::from(room))).unwrap_or(room);
    i16::try_from(if sum < 0 { -bent } else { bent }).unwrap_or(i16::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_sound_goes_round_at_its_level_and_at_the_wires_rate() {
        let sound = Ambient::new((0..100).map(|n| n * 100).collect(), 8_000, -20.0).unwrap();
        let mut background = Background::new(sound, 8_000).unwrap();
        let (mut first, mut second) = ([0; 160], [0; 160]);
        background.mix(&mut first);
        background.mix(&mut second);
        let played: Vec<i16> = first.into_iter().chain(second).collect();
        let expected = |n: usize| i32::try_from(n % 100).unwrap() * 10;
        for (n, sample) in played.iter().enumerate() {
            assert!((i32::from(*sample) - expected(n)).abs() <= 1, "sample {n} is {sample}");
        }
        let constant = Ambient::new(vec![1_000; 7].into(), 48_000, 0.0).unwrap();
        let mut background = Background::new(constant, 8_000).unwrap();
        let mut frames = [0; 1_600];
        frames.chunks_mut(160).for_each(|frame| background.mix(frame));
        assert!(frames.iter().skip(40).all(|sample| (999..=1_001).contains(sample)));
    }

    #[test]
    fn a_sum_is_bent_and_neither_wraps_nor_falls() {
        let sums: Vec<i16> = (-70_000..=70_000).step_by(100).map(bend).collect();
        assert!(sums.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!((bend(20_000), bend(-20_000)), (20_000, -20_000));
    }

    #[test]
    fn what_cannot_be_played_is_refused() {
        assert!(Ambient::new(Vec::new().into(), 8_000, 0.0).is_none());
        assert!(Ambient::new(vec![1].into(), 4_000, 0.0).is_none());
        assert!(Ambient::new(vec![1].into(), 8_000, f32::NAN).is_none());
    }
}
