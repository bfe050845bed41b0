//! G.711, bit-exact to the ITU's tables in both directions.
//!
//! Decoding looks up; encoding computes, which is as fast as a table of 64 KiB that would not stay in the cache.

const ULAW: [i16; 256] = table(true);
const ALAW: [i16; 256] = table(false);

/// Added before the μ-law segments are cut, so that each begins at a power of two.
const BIAS: i32 = 33;

const fn table(ulaw: bool) -> [i16; 256] {
    let mut decoded = [0; 256];
    let mut code = 0;
    while code < 256 {
        decoded[code] = if ulaw { ulaw_value(code as u8) } else { alaw_value(code as u8) };
        code += 1;
    }
    decoded
}

const fn ulaw_value(code: u8) -> i16 {
    let code = !code;
    let (segment, step) = ((code >> 4) & 7, (code & 15) as i32);
    let size = ((((2 * step) + BIAS) << segment) - BIAS) * 4;
    (if code & 0x80 == 0 { size } else { -size }) as i16
}

const fn alaw_value(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, (code & 15) as i32);
    let size = if segment == 0 { 2 * step + 1 } else { (2 * step + BIAS) << (segment - 1) } * 8;
    (if code & 0x80 == 0 { -size } else { size }) as i16
}

/// The sample of a μ-law code.
pub fn ulaw_decode(code: u8) -> i16 {
    ULAW[usize::from(code)]
}

/// The sample of an A-law code.
pub fn alaw_decode(code: u8) -> i16 {
    ALAW[usize::from(code)]
}

/// The μ-law code of a sample.
pub fn ulaw_encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let size = ((magnitude(sample) >> 2) + BIAS as u16).min(0x1FFF);
    let segment = top_bit(size) - 5;
    let step = (size >> (segment + 1)) & 15;
    (!((segment << 4) as u8 | step as u8) & 0x7F) | sign
}

/// The A-law code of a sample.
pub fn alaw_encode(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let size = magnitude(sample) >> 3;
    let code = if size < 32 {
        (size >> 1) as u8
    } else {
        let segment = top_bit(size) - 4;
        ((segment << 4) as u8) | ((size >> segment) & 15) as u8
    };
    (code | sign) ^ 0x55
}

/// One's complement of a negative sample: the ITU's rounding, which keeps −32768 in range.
fn magnitude(sample: i16) -> u16 {
    (if sample < 0 { !sample } else { sample }) as u16
}

/// Index of the highest set bit; callers never pass zero.
fn top_bit(value: u16) -> u32 {
    value.checked_ilog2().unwrap_or(0)
}

/// Appends the samples of μ-law codes.
pub fn ulaw_decode_into(codes: &[u8], samples: &mut Vec<i16>) {
    samples.extend(codes.iter().map(|code| ulaw_decode(*code)));
}

/// Appends the samples of A-law codes.
pub fn alaw_decode_into(codes: &[u8], samples: &mut Vec<i16>) {
    samples.extend(codes.iter().map(|code| alaw_decode(*code)));
}

/// Appends the μ-law codes of samples.
pub fn ulaw_encode_into(samples: &[i16], codes: &mut impl Extend<u8>) {
    codes.extend(samples.iter().map(|sample| ulaw_encode(*sample)));
}

/// Appends the A-law codes of samples.
pub fn alaw_encode_into(samples: &[i16], codes: &mut impl Extend<u8>) {
    codes.extend(samples.iter().map(|sample| alaw_encode(*sample)));
}
