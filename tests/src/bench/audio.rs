//! Changing the rate of speech: ours beside a library's, by what is heard of each. Worst of the twelve pairs of 8, 16, 24
//! and 48 kHz, in chunks of 20 ms.

use std::f64::consts::TAU;
use std::time::Instant;

use anyhow::{Context, Result};
use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, Fft, FixedAsync, FixedSync, SincInterpolationParameters, SincInterpolationType, WindowFunction};

use super::table::{Limit, Table};

const RATES: [u32; 4] = [8_000, 16_000, 24_000, 48_000];
/// The least taps (at the lower rate) that the library's sinc filter needs to be as clean as was asked.
const SINC: usize = 144;
const LOUD: f64 = 16_000.0;

/// 20 ms in, what is ready out.
type Push = Box<dyn FnMut(&[i16]) -> Result<Vec<i16>>>;
type Make = fn(u32, u32) -> Result<Push>;

/// What is heard of one way to do it.
#[derive(Debug, Default)]
struct Heard {
    /// Of 300–3400 Hz, in dB.
    ripple: f64,
    /// What should not be there, in dB below what should.
    rejection: f64,
    /// Milliseconds.
    delay: f64,
    /// Nanoseconds a sample, both ways of all pairs together.
    cost: f64,
}

pub(super) fn measure(table: &mut Table) -> Result<()> {
    let ours = heard(ours)?;
    table.held("resampling: ripple, 300 to 3400 Hz", ours.ripple, "dB", Limit::AtMost(0.05));
    table.held("resampling: alias and image", ours.rejection, "dB down", Limit::AtLeast(75.0));
    table.held("resampling: delay", ours.delay, "ms", Limit::AtMost(2.5));
    for (name, make) in [("rubato FFT", fft as Make), ("rubato sinc", sinc)] {
        let theirs = heard(make)?;
        table.told(&format!("{name}: ripple, 300 to 3400 Hz"), theirs.ripple, "dB");
        table.told(&format!("{name}: alias and image"), theirs.rejection, "dB down");
        table.told(&format!("{name}: delay"), theirs.delay, "ms");
        table.told(&format!("{name}: CPU beside ours"), theirs.cost / ours.cost, "×");
    }
    table.told("resampling: CPU", ours.cost, "ns a sample");
    Ok(())
}

fn ours(from: u32, to: u32) -> Result<Push> {
    let mut resampler = jackfield_media::Resampler::new(from, to).context("no such rates")?;
    Ok(Box::new(move |samples| Ok(resampler.push(samples))))
}

fn fft(from: u32, to: u32) -> Result<Push> {
    let chunk = usize::try_from(from / 50)?;
    theirs(chunk, {
        let window = WindowFunction::BlackmanHarris2;
        Fft::<f32>::new_custom(usize::try_from(from)?, usize::try_from(to)?, chunk, 1, 1, window, FixedSync::Input)?
    })
}

/// The shortest filter of this library's that keeps the telephone band whole.
fn sinc(from: u32, to: u32) -> Result<Push> {
    let parameters = SincInterpolationParameters {
        // As long in time at every pair.
        sinc_len: SINC * usize::try_from(from.div_ceil(to))?,
        f_cutoff: None,
        oversampling_factor: 256,
        interpolation: SincInterpolationType::Cubic,
        window: WindowFunction::BlackmanHarris2,
    };
    let ratio = f64::from(to) / f64::from(from);
    let chunk = usize::try_from(from / 50)?;
    theirs(chunk, Async::<f32>::new_sinc(ratio, 1.0, &parameters, chunk, 1, FixedAsync::Input)?)
}

/// It takes chunks of one size: what is not yet one waits.
fn theirs(chunk: usize, mut resampler: impl rubato::Resampler<f32> + 'static) -> Result<Push> {
    let mut waiting: Vec<f32> = Vec::new();
    Ok(Box::new(move |samples| {
        waiting.extend(samples.iter().map(|sample| f32::from(*sample)));
        let mut made = Vec::new();
        while waiting.len() >= chunk {
            let input: Vec<f32> = waiting.drain(..chunk).collect();
            let output = resampler.process(&InterleavedSlice::new(&input, 1, chunk)?, None)?.take_data();
            made.extend(output.into_iter().map(rounded));
        }
        Ok(made)
    }))
}

#[allow(clippy::cast_possible_truncation, reason = "a cast from a float saturates")]
fn rounded(sample: f32) -> i16 {
    sample.round() as i16
}

fn heard(make: Make) -> Result<Heard> {
    let mut heard = Heard { rejection: f64::INFINITY, ..Heard::default() };
    let (mut nanoseconds, mut samples) = (0.0, 0.0);
    for from in RATES {
        for to in RATES.into_iter().filter(|to| *to != from) {
            for hertz in (300..=3_400).step_by(100).map(f64::from) {
                let level = level(&passed(make, from, to, hertz)?, to, hertz);
                heard.ripple = heard.ripple.max(level.abs());
            }
            for (hertz, ghost) in ghosts(from, to) {
                let level = level(&passed(make, from, to, hertz)?, to, ghost);
                heard.rejection = heard.rejection.min(-level);
            }
            heard.delay = heard.delay.max(delay(make, from, to)?);
            let speech = tone(from, 1_000.0, 10.0);
            let began = Instant::now();
            through(make, from, to, &speech)?;
            nanoseconds += began.elapsed().as_secs_f64() * 1e9;
            samples += f64::from(u32::try_from(speech.len())?);
        }
    }
    heard.cost = nanoseconds / samples;
    Ok(heard)
}

/// Tones, and where something of them would be heard that should not be: their images, or their aliases in the telephone
/// band.
fn ghosts(from: u32, to: u32) -> Vec<(f64, f64)> {
    let (rate, half) = (f64::from(from.min(to)), f64::from(to) / 2.0);
    if from < to {
        let tones = (300..=3_400).step_by(310).map(f64::from);
        return tones
            .flat_map(|hertz| [(hertz, rate - hertz), (hertz, rate + hertz)])
            .filter(|(_, at)| *at < half)
            .collect();
    }
    let above = (1..).map(|step| rate - 3_400.0 + 130.0 * f64::from(step));
    let tones = above.take_while(|hertz| *hertz < f64::from(from) / 2.0 - 50.0);
    let folded = tones.map(|hertz| (hertz, half - (hertz % rate - half).abs()));
    folded.filter(|(hertz, alias)| *alias <= 3_400.0 && *hertz > half).collect()
}

fn through(make: Make, from: u32, to: u32, samples: &[i16]) -> Result<Vec<i16>> {
    let mut push = make(from, to)?;
    let mut made = Vec::new();
    for chunk in samples.chunks_exact(usize::try_from(from / 50)?) {
        made.extend(push(chunk)?);
    }
    Ok(made)
}

/// A second of a tone, without its beginning.
fn passed(make: Make, from: u32, to: u32, hertz: f64) -> Result<Vec<i16>> {
    let made = through(make, from, to, &tone(from, hertz, 1.0))?;
    Ok(made.get(made.len() / 4..).unwrap_or_default().to_vec())
}

/// How far a click moves, in milliseconds.
fn delay(make: Make, from: u32, to: u32) -> Result<f64> {
    let mut click = vec![0; usize::try_from(from / 5)?];
    let at = click.len() / 2;
    click[at] = 20_000;
    let made = through(make, from, to, &click)?;
    let peak = made.iter().enumerate().max_by_key(|(_, sample)| sample.unsigned_abs()).map_or(0, |(at, _)| at);
    let seconds =
        |samples: usize, rate: u32| u32::try_from(samples).map(|samples| f64::from(samples) / f64::from(rate));
    Ok((seconds(peak, to)? - seconds(at, from)?) * 1e3)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a tone fits into 16 bits")]
fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<i16> {
    let count = (f64::from(rate) * seconds) as u32;
    (0..count).map(|n| (LOUD * (TAU * hertz * f64::from(n) / f64::from(rate)).sin()).round() as i16).collect()
}

/// A tone's level in what is there, in dB of the level that went in.
fn level(samples: &[i16], rate: u32, hertz: f64) -> f64 {
    let count = f64::from(u32::try_from(samples.len()).unwrap_or(u32::MAX));
    let (mut real, mut imaginary, mut weight) = (0.0, 0.0, 0.0);
    for (n, sample) in (0u32..).zip(samples) {
        // A window, so that what is near does not leak in.
        let window = 0.5 - 0.5 * (TAU * f64::from(n) / count).cos();
        let angle = TAU * hertz * f64::from(n) / f64::from(rate);
        real += window * f64::from(*sample) * angle.cos();
        imaginary += window * f64::from(*sample) * angle.sin();
        weight += window;
    }
    20.0 * (2.0 * real.hypot(imaginary) / weight / LOUD).log10()
}
