//! G.711 as the ITU defines it, to the bit: the usual table-built encoders differ in hundreds of inputs.

/// Quiet in μ-law.
pub const ULAW_SILENCE: u8 = 0xFF;
/// Quiet in A-law.
pub const ALAW_SILENCE: u8 = 0xD5;

/// One μ-law code as a 16-bit sample.
pub const fn ulaw_decode(code: u8) -> i16 {
    let code = !code;
    let exponent = (code >> 4) & 7;
    let mantissa = (code & 15) as i16;
    let magnitude = (((2 * mantissa + 33) << exponent) - 33) * 4;
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

/// One 16-bit sample as a μ-law code.
pub const fn ulaw_encode(sample: i16) -> u8 {
    let (folded, sign) = fold(sample);
    let biased = (folded >> 2) + 33;
    let biased = if biased > 0x1FFF { 0x1FFF } else { biased };
    let exponent = (15 - biased.leading_zeros()) - 5;
    let mantissa = (biased >> (exponent + 1)) & 15;
    let code = !(((exponent as u8) << 4) | mantissa as u8);
    if sign { code & 0x7F } else { code | 0x80 }
}

/// One A-law code as a 16-bit sample.
pub const fn alaw_decode(code: u8) -> i16 {
    let code = code ^ 0x55;
    let exponent = (code >> 4) & 7;
    let mantissa = (code & 15) as i16;
    let magnitude = match exponent {
        0 => 2 * mantissa + 1,
        _ => (2 * mantissa + 33) << (exponent - 1),
    };
    if code & 0x80 != 0 { magnitude * 8 } else { -magnitude * 8 }
}

/// One 16-bit sample as an A-law code.
pub const fn alaw_encode(sample: i16) -> u8 {
    let (folded, sign) = fold(sample);
    let folded = folded >> 3;
    let code = if folded < 32 {
        (folded >> 1) as u8
    } else {
        let exponent = (15 - folded.leading_zeros()) - 4;
        // The top bit's place counts from one here.
        let exponent = exponent as u8;
        (exponent << 4) | ((folded >> exponent) & 15) as u8
    };
    let code = if sign { code } else { code | 0x80 };
    code ^ 0x55
}

/// Magnitude by one's complement, and whether the sample is negative.
const fn fold(sample: i16) -> (u16, bool) {
    let sign = sample < 0;
    ((if sign { !sample } else { sample }).unsigned_abs(), sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> String {
        use sha2::Digest;
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn decoded(decode: fn(u8) -> i16) -> String {
        sha256(&(0..=255).flat_map(|code| decode(code).to_le_bytes()).collect::<Vec<u8>>())
    }

    fn encoded(encode: fn(i16) -> u8) -> String {
        sha256(&(i16::MIN..=i16::MAX).map(encode).collect::<Vec<u8>>())
    }

    #[test]
    fn every_code_and_every_sample_is_the_itus() {
        assert_eq!(decoded(ulaw_decode), "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827");
        assert_eq!(decoded(alaw_decode), "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174");
        assert_eq!(encoded(ulaw_encode), "90c29de505fb68e766118303bd552a16005dcf810873698bee1d8f3b247ce28c");
        assert_eq!(encoded(alaw_encode), "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b");
    }

    #[test]
    fn every_code_but_the_negative_zero_survives_a_round_trip() {
        for code in 0..=255u8 {
            assert_eq!(alaw_encode(alaw_decode(code)), code);
            let expected = if code == 0x7F { 0xFF } else { code };
            assert_eq!(ulaw_encode(ulaw_decode(code)), expected);
        }
    }

    #[test]
    fn silence_is_quiet() {
        assert_eq!(ulaw_decode(ULAW_SILENCE), 0);
        assert_eq!(alaw_decode(ALAW_SILENCE), 8);
    }
}
