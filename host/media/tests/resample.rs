//! What the resampler promises, measured on its output.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "tones and their measurement"
)]

use std::f64::consts::TAU;
use std::time::Duration;

use jackfield_media::Resampler;

const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];

fn pairs() -> impl Iterator<Item = (u32, u32)> {
    RATES.into_iter().flat_map(|from| RATES.into_iter().filter(move |to| *to != from).map(move |to| (from, to)))
}

fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<i16> {
    let count = (f64::from(rate) * seconds) as usize;
    (0..count).map(|n| (16_000.0 * (TAU * hertz * n as f64 / f64::from(rate)).sin()).round() as i16).collect()
}

/// The tone's level in what is there, in dB of the level that went in.
fn level(samples: &[i16], rate: u32, hertz: f64) -> f64 {
    // A window, so that what is near does not leak in.
    let count = samples.len() as f64;
    let (mut re, mut im, mut sum) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * n as f64 / count).cos();
        let angle = TAU * hertz * n as f64 / f64::from(rate);
        re += window * f64::from(*sample) * angle.cos();
        im += window * f64::from(*sample) * angle.sin();
        sum += window;
    }
    20.0 * (2.0 * re.hypot(im) / sum / 16_000.0).log10()
}

fn passed(from: u32, to: u32, hertz: f64) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to).unwrap();
    let made = resampler.push(&tone(from, hertz, 1.0));
    made[made.len() / 10..].to_vec()
}

#[test]
fn the_telephone_band_passes_as_it_is() {
    for (from, to) in pairs() {
        for hertz in (300..=3_400).step_by(100) {
            let level = level(&passed(from, to, f64::from(hertz)), to, f64::from(hertz));
            assert!(level.abs() <= 0.05, "{from} to {to}: {hertz} Hz came out at {level:.3} dB");
        }
    }
}

#[test]
fn nothing_folds_into_the_telephone_band() {
    for (from, to) in pairs().filter(|(from, to)| from > to) {
        let half = f64::from(to) / 2.0;
        // Everything whose alias would lie below 3400 Hz.
        let first = f64::from(to) - 3_400.0;
        let mut hertz = first;
        while hertz < f64::from(from) / 2.0 - 50.0 {
            let folded = (hertz % f64::from(to) - half).abs();
            let alias = half - folded;
            if alias <= 3_400.0 && hertz > half {
                let level = level(&passed(from, to, hertz), to, alias);
                assert!(level <= -75.0, "{from} to {to}: {hertz} Hz is heard at {alias} Hz with {level:.1} dB");
            }
            hertz += 130.0;
        }
    }
}

#[test]
fn no_image_of_the_telephone_band_is_left() {
    for (from, to) in pairs().filter(|(from, to)| from < to) {
        for hertz in (300..=3_400).step_by(310) {
            let made = passed(from, to, f64::from(hertz));
            let mut image = f64::from(from) - f64::from(hertz);
            while image < f64::from(to) / 2.0 {
                let level = level(&made, to, image);
                assert!(level <= -75.0, "{from} to {to}: {hertz} Hz has an image at {image} Hz of {level:.1} dB");
                image += if (image / f64::from(from)).fract() > 0.5 {
                    2.0 * f64::from(hertz)
                } else {
                    f64::from(from) - 2.0 * f64::from(hertz)
                };
            }
        }
    }
}

#[test]
fn the_delay_is_short_and_what_it_says() {
    for (from, to) in pairs() {
        let mut resampler = Resampler::new(from, to).unwrap();
        assert!(resampler.delay() <= Duration::from_micros(2_500), "{from} to {to}: {:?}", resampler.delay());
        let mut click = vec![0; from as usize / 10];
        let at = click.len() / 2;
        click[at] = 20_000;
        let made = resampler.push(&click);
        let peak = made.iter().enumerate().max_by_key(|(_, sample)| sample.unsigned_abs()).unwrap().0;
        let late = peak as f64 / f64::from(to) - at as f64 / f64::from(from);
        assert!((late - resampler.delay().as_secs_f64()).abs() < 1.0 / f64::from(to), "{from} to {to}: {late}");
    }
}

#[test]
fn the_size_of_the_chunks_makes_no_difference() {
    let mut noise = 1u32;
    let mut next = move || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise >> 8
    };
    for (from, to) in pairs() {
        let samples: Vec<i16> = (0..20_000).map(|_| (next() % 60_000) as i32 as i16).collect();
        let whole = Resampler::new(from, to).unwrap().push(&samples);
        let mut resampler = Resampler::new(from, to).unwrap();
        let (mut rest, mut parts) = (&samples[..], Vec::new());
        while !rest.is_empty() {
            let (part, more) = rest.split_at((next() as usize % 700).min(rest.len()));
            parts.extend(resampler.push(part));
            rest = more;
        }
        assert_eq!(parts, whole, "{from} to {to}");
    }
}

#[test]
fn an_hour_in_is_an_hour_out() {
    for (from, to) in [(8_000, 24_000), (24_000, 8_000)] {
        let mut resampler = Resampler::new(from, to).unwrap();
        let chunk = vec![1_000; from as usize];
        let made: usize = (0..3_600).map(|_| resampler.push(&chunk).len()).sum();
        assert_eq!(made, to as usize * 3_600, "{from} to {to}");
    }
}

#[test]
fn what_is_inside_comes_out_at_the_end_and_nothing_of_it_later() {
    for (from, to) in pairs() {
        let mut resampler = Resampler::new(from, to).unwrap();
        let speech = tone(from, 1_000.0, 0.1);
        let mut first = resampler.push(&speech);
        first.extend(resampler.drain());
        assert!(resampler.push(&vec![0; from as usize / 50]).iter().all(|sample| *sample == 0), "{from} to {to}");
        resampler.reset();
        let mut second = resampler.push(&speech);
        second.extend(resampler.drain());
        assert_eq!(first, second);
        assert!(first.len() >= to as usize / 10, "{from} to {to}: {} samples of {}", first.len(), to / 10);
    }
}

#[test]
fn too_loud_stays_loud_and_odd_rates_are_refused() {
    let mut resampler = Resampler::new(8_000, 16_000).unwrap();
    let square: Vec<i16> = (0..800).map(|n| if n / 10 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
    let made = resampler.push(&square);
    assert!(made.contains(&i16::MAX) && made.contains(&i16::MIN));
    for (from, to) in [(0, 8_000), (8_000, 0), (7_999, 8_000), (8_000, 96_000), (8_001, 8_000)] {
        assert!(Resampler::new(from, to).is_none(), "{from} to {to}");
    }
    assert!(Resampler::new(44_100, 8_000).is_some());
}
