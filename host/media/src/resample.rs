//! Changes the rate of speech: a polyphase FIR with a Kaiser window.
//!
//! Promises for telephony: 300–3400 Hz within 0.05 dB, 75 dB and more of everything that would fold into it, a delay of
//! little more than 2 ms that never changes, as many samples out as the rates say after any time, and the same samples
//! whatever the size of the chunks. Libraries that are as clean hold back 10 ms and more; the table is printed by
//! `cargo xtask bench audio`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rates that are converted, in samples a second.
pub const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;

/// Where the pass band ends and the stop band begins, in parts of the lower rate. What folds between the lower of them
/// and half the rate lies above the telephone band.
const PASS: f64 = 0.425;
const STOP: f64 = 0.575;
/// The window's shape for 80 dB.
const BETA: f64 = 7.857;
/// Taps that a transition as wide as the common rate would need for 80 dB.
const TAPS: f64 = 5.15;
/// Products that are added side by side.
const LANES: usize = 8;
/// Rates with a common multiple beyond this, in times of the first, are no rates of voice.
const MOST_PHASES: u32 = 480;

/// The filter of one pair of rates: for each phase, its taps in the order of the samples they meet.
#[derive(Debug)]
struct Filter {
    phases: Vec<Vec<f32>>,
    /// Samples that an output looks at.
    span: usize,
    /// Samples that are inside when nothing follows.
    held: usize,
    /// Time by which what comes out is behind what went in.
    delay: Duration,
}

/// Samples at one rate into samples at another.
#[derive(Debug, Clone)]
pub struct Resampler {
    filter: Arc<Filter>,
    up: usize,
    down: usize,
    /// What the next outputs look at: the last samples of before, and new ones.
    window: Vec<f32>,
    /// Where the next output lies behind the window's start, in parts of `up`.
    next: usize,
}

impl Resampler {
    /// From one rate to another; none where a rate is none of [`RATES`], or the two have nothing in common.
    pub fn new(from: u32, to: u32) -> Option<Self> {
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return None;
        }
        let common = greatest_common_divisor(from, to);
        let (up, down) = (to / common, from / common);
        if up > MOST_PHASES || down > MOST_PHASES {
            return None;
        }
        let filter = filter(from, to, up);
        let window = vec![0.0; filter.span - 1];
        Some(Self { filter, up: usize::try_from(up).ok()?, down: usize::try_from(down).ok()?, window, next: 0 })
    }

    /// The samples that can be said for sure after these.
    pub fn push(&mut self, samples: &[i16]) -> Vec<i16> {
        self.window.extend(samples.iter().map(|sample| f32::from(*sample)));
        let Filter { phases, span, .. } = &*self.filter;
        let mut made = Vec::with_capacity(samples.len() * self.up / self.down + 1);
        while let Some(seen) = self.window.get(self.next / self.up..self.next / self.up + span) {
            made.push(saturated(product(&phases[self.next % self.up], seen)));
            self.next += self.down;
        }
        let spent = (self.next / self.up).min(self.window.len());
        self.window.drain(..spent);
        self.next -= spent * self.up;
        made
    }

    /// What is still inside when nothing follows. The next sample begins anew.
    pub fn drain(&mut self) -> Vec<i16> {
        let made = self.push(&vec![0; self.filter.held]);
        self.reset();
        made
    }

    /// Forgets what went in.
    pub fn reset(&mut self) {
        self.window.clear();
        self.window.resize(self.filter.span - 1, 0.0);
        self.next = 0;
    }

    /// Time by which what comes out is behind what went in, always.
    pub fn delay(&self) -> Duration {
        self.filter.delay
    }
}

/// In so many sums, which the compiler adds at once; in the same order for every chunk. Both are as long as a whole number of them.
fn product(taps: &[f32], samples: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (taps, samples) in taps.as_chunks::<LANES>().0.iter().zip(samples.as_chunks::<LANES>().0) {
        for (sum, (tap, sample)) in sums.iter_mut().zip(taps.iter().zip(samples)) {
            *sum += tap * sample;
        }
    }
    // In pairs it would be fewer steps, and is slower: the compiler then lays the sums out for them.
    sums.iter().sum()
}

/// To the nearest; what is too loud is as loud as can be. `round` would be a call into libm.
#[allow(clippy::cast_possible_truncation, reason = "it is what it is for: this cast saturates")]
fn saturated(sample: f32) -> i16 {
    (sample + 0.5f32.copysign(sample)) as i16
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Made once for each pair of rates: there are few of them.
fn filter(from: u32, to: u32, up: u32) -> Arc<Filter> {
    static KNOWN: Mutex<BTreeMap<(u32, u32), Arc<Filter>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(known.entry((from, to)).or_insert_with(|| Arc::new(design(from, to, up))))
}

/// A windowed sinc at the rate that both rates divide, cut into its phases.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive numbers, rounded")]
fn design(from: u32, to: u32, up: u32) -> Filter {
    let (rate, lower) = (f64::from(from) * f64::from(up), f64::from(from.min(to)));
    let half = (TAPS * rate / ((STOP - PASS) * lower) / 2.0).ceil() as u32;
    let cutoff = lower / 2.0 / rate;
    let taps: Vec<f64> = (0..=2 * half)
        .map(|index| {
            let from_middle = f64::from(index) - f64::from(half);
            let window = bessel(BETA * (1.0 - (from_middle / f64::from(half)).powi(2)).max(0.0).sqrt()) / bessel(BETA);
            2.0 * cutoff * sinc(2.0 * cutoff * from_middle) * window
        })
        .collect();
    // A sum of exactly one at each phase would bend the curve; over all of them it makes the gain.
    let gain = f64::from(up) / taps.iter().sum::<f64>();
    let step = up as usize;
    // What is missing to whole lanes meets the oldest samples, and is nothing.
    let span = taps.len().div_ceil(step).next_multiple_of(LANES);
    let phase = |phase: usize| -> Vec<f32> {
        // The newest sample meets the first tap.
        let tap = |index: usize| taps.get(index * step + phase).map_or(0.0, |tap| (tap * gain) as f32);
        (0..span).rev().map(tap).collect()
    };
    let (held, delay) = (half.div_ceil(up) as usize, Duration::from_secs_f64(f64::from(half) / rate));
    Filter { phases: (0..step).map(phase).collect(), span, held, delay }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) }
}

/// The modified Bessel function of order zero, which a Kaiser window is made of.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..60u32 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}
