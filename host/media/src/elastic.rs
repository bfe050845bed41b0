//! Makes speech that comes too slowly last: pauses grow first, then the voice is drawn out by repeating single periods of it,
//! never by more than a twentieth, which nobody hears.

use std::time::Duration;

use crate::format::Format;

/// What should be in hand, so that a stall of an agent is not heard.
const TARGET: Duration = Duration::from_millis(100);
/// Below this a voice is drawn out as well.
const LOW: Duration = Duration::from_millis(80);
/// Of what was played, so much may be added to a voice.
const STRETCH: u32 = 20;
/// A pause may grow by so much, once for each time the agent falls behind.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// Periods of voices, in Hz.
const HIGHEST: u32 = 400;
const LOWEST: u32 = 80;
/// Samples below this peak are a pause: -42 dB.
const QUIET: u16 = 256;
/// After a frame without a period, the next ones are most likely none better.
const REST: u32 = 5;
/// Two periods have to be so much alike that one may be repeated.
const ALIKE: f64 = 0.6;

/// How much may be added to what an agent says, and what was.
#[derive(Debug, Default)]
pub(crate) struct Elastic {
    /// Played, and not made use of yet.
    played: Duration,
    paused: Duration,
    /// Frames until a period is looked for again: to look costs more than all else that is done with a frame.
    rest: u32,
    /// Added in all.
    added: Duration,
}

impl Elastic {
    /// What may go in the place of `ahead`, the audio that is to be played next and some of what follows, so that it lasts
    /// longer. `level` is how much is in hand, the agent's audio at the provider included.
    pub(crate) fn longer(&mut self, format: Format, ahead: &[u8], frame: usize, level: Duration) -> Option<Vec<u8>> {
        if level >= TARGET {
            self.paused = Duration::ZERO;
            return None;
        }
        let first = ahead.get(..frame)?;
        if format.decode(first).iter().all(|sample| sample.unsigned_abs() < QUIET) {
            return self.longer_pause(format, ahead, first);
        }
        self.rest = self.rest.saturating_sub(1);
        // The shortest period there is has to fit, too.
        let least = Duration::from_secs(1) / HIGHEST * STRETCH;
        if level >= LOW || self.rest > 0 || self.played < least {
            return None;
        }
        let drawn = self.drawn_out(format, &format.decode(ahead));
        if drawn.is_none() {
            self.rest = REST;
        }
        drawn.map(|drawn| format.encode(&drawn))
    }

    /// So much was played.
    pub(crate) fn played(&mut self, time: Duration) {
        // A long speech without trouble is no licence to draw out a whole sentence afterwards.
        self.played = (self.played + time).min(Duration::from_secs(2));
    }

    /// Milliseconds that were added.
    pub(crate) fn added_ms(&self) -> u64 {
        u64::try_from(self.added.as_millis()).unwrap_or(u64::MAX)
    }

    fn longer_pause(&mut self, format: Format, ahead: &[u8], frame: &[u8]) -> Option<Vec<u8>> {
        let time = Duration::from_micros(format.micros(frame.len()));
        if self.paused + time > LONGEST_PAUSE {
            return None;
        }
        self.paused += time;
        self.added += time;
        Some([frame, ahead].concat())
    }

    /// The samples with one period twice.
    fn drawn_out(&mut self, format: Format, samples: &[i16]) -> Option<Vec<i16>> {
        let (shortest, longest) = (format.rate / HIGHEST, format.rate / LOWEST);
        let period = period_of(samples, usize::try_from(shortest).ok()?, usize::try_from(longest).ok()?)?;
        let time = Duration::from_secs(1) * u32::try_from(period).ok()? / format.rate;
        if time * STRETCH > self.played {
            return None;
        }
        self.played -= time * STRETCH;
        self.added += time;
        Some(with_period_twice(samples, period))
    }
}

/// The lag at which the beginning is most like what follows it, if it is much like it at all.
fn period_of(samples: &[i16], shortest: usize, longest: usize) -> Option<usize> {
    let compared = samples.len().checked_sub(longest)?.min(longest);
    if compared < shortest {
        return None;
    }
    let start = samples.get(..compared)?;
    let dot = |one: &[i16], other: &[i16]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let energy = dot(start, start);
    let likeness = |lag: usize| {
        let later = samples.get(lag..lag + compared)?;
        Some(dot(start, later) / (energy * dot(later, later)).sqrt().max(1.0))
    };
    let (best, alike) =
        (shortest..=longest).filter_map(|lag| Some((lag, likeness(lag)?))).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (alike >= ALIKE).then_some(best)
}

/// The first period, a blend that leads from its end back to its beginning, and then everything from its end on.
fn with_period_twice(samples: &[i16], period: usize) -> Vec<i16> {
    let mut longer = Vec::with_capacity(samples.len() + period);
    longer.extend(samples.iter().take(period));
    let weight = i32::try_from(period).unwrap_or(1).max(1);
    let pairs = samples.iter().zip(samples.iter().skip(period)).take(period);
    longer.extend((0..).zip(pairs).map(|(n, (before, after))| {
        let blend = (i32::from(*after) * (weight - n) + i32::from(*before) * n) / weight;
        i16::try_from(blend).unwrap_or(0)
    }));
    longer.extend(samples.iter().skip(period));
    longer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]
    use super::*;
    use crate::format::Codec;

    const WIRE: Format = Format { codec: Codec::L16, rate: 8_000 };
    const FRAME: usize = 320;

    fn voice(samples: u32) -> Vec<u8> {
        let wave = |n: u32| {
            let angle = std::f64::consts::TAU * 125.0 * f64::from(n) / 8_000.0;
            (6_000.0 * angle.sin() + 2_000.0 * (3.0 * angle).sin()) as i16
        };
        WIRE.encode(&(0..samples).map(wave).collect::<Vec<_>>())
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_voice_is_drawn_out_by_whole_periods_and_has_no_click() {
        let mut elastic = Elastic::default();
        elastic.played(ms(1_000));
        let longer = elastic.longer(WIRE, &voice(480), FRAME, ms(40)).unwrap();
        let (before, after) = (WIRE.decode(&voice(480)), WIRE.decode(&longer));
        assert_eq!(after.len() - before.len(), 64, "125 Hz are 64 samples");
        let step =
            |samples: &[i16]| samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        assert!(step(&after) <= step(&before).map(|step| step + 50), "{:?} and {:?}", step(&after), step(&before));
        assert_eq!(elastic.added_ms(), 8);
    }

    #[test]
    fn never_by_more_than_a_twentieth() {
        let mut elastic = Elastic::default();
        let mut played = 0;
        for _ in 0..500 {
            elastic.played(ms(20));
            played += 20;
            elastic.longer(WIRE, &voice(480), FRAME, ms(10));
        }
        assert!(
            elastic.added_ms() * 20 <= played && elastic.added_ms() * 22 >= played,
            "{} of {played}",
            elastic.added_ms()
        );
    }

    #[test]
    fn pauses_come_first_and_end_somewhere() {
        let mut elastic = Elastic::default();
        let pause = WIRE.encode(&[10; 480]);
        for _ in 0..20 {
            if let Some(longer) = elastic.longer(WIRE, &pause, FRAME, ms(90)) {
                assert_eq!(longer.len(), pause.len() + FRAME);
            }
        }
        assert_eq!(elastic.added_ms(), 200);
        assert_eq!(elastic.longer(WIRE, &voice(480), FRAME, ms(90)), None, "enough for a voice");
        assert_eq!(elastic.longer(WIRE, &pause, FRAME, ms(500)), None, "and more than enough");
        assert!(elastic.longer(WIRE, &pause, FRAME, ms(90)).is_some(), "after that, pauses may grow again");
    }

    #[test]
    fn noise_and_scraps_are_left_alone() {
        let mut elastic = Elastic::default();
        elastic.played(ms(2_000));
        let mut noise = 1u32;
        let samples: Vec<i16> = (0..480)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 16) as i16
            })
            .collect();
        assert_eq!(elastic.longer(WIRE, &WIRE.encode(&samples), FRAME, ms(10)), None);
        assert_eq!(elastic.longer(WIRE, &voice(60), FRAME, ms(10)), None);
        assert_eq!(elastic.longer(WIRE, &[], FRAME, ms(10)), None);
    }
}
