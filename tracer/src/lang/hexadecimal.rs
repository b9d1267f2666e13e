//! Parses hexadecimal floats of C, such as `0x1.8p3`.

use tracer_common::float;

/// An exponent beyond those of all floats, even after the digits of the longest text are counted.
const EXPONENT: i64 = 1 << 40;

/// Length of `1.8p3` in bytes. `None` if the text is not a float: an integer has no exponent.
pub(super) fn length(text: &str) -> Option<usize> {
    let digits = |text: &str| {
        text.find(|c: char| c != '_' && !c.is_ascii_hexdigit())
            .unwrap_or(text.len())
    };
    let mut length = digits(text);
    if let Some(fraction) = text.get(length..)?.strip_prefix('.') {
        length += 1 + digits(fraction);
    }
    let mantissa = text.get(..length)?;
    if !mantissa.contains(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let power = text.get(length..)?.strip_prefix(['p', 'P'])?;
    let sign = usize::from(power.starts_with(['+', '-']));
    let power = power.get(sign..)?;
    let count = power
        .find(|c: char| c != '_' && !c.is_ascii_digit())
        .unwrap_or(power.len());
    let has_digits = power.starts_with(|c: char| c.is_ascii_digit());
    has_digits.then_some(length + 1 + sign + count)
}

/// The nearest `f64` and the nearest `f32` of the digits. Rounding the `f64` may give another `f32`.
pub(super) fn value(text: &str) -> Option<(f64, f32)> {
    let text = text.replace('_', "");
    let (mantissa, power) = text.split_once(['p', 'P'])?;
    let below_zero = power.starts_with('-');
    // An exponent that does not parse has too many digits.
    let power = match power.parse() {
        Ok(power) => power,
        Err(_) if below_zero => -EXPONENT,
        Err(_) => EXPONENT,
    };
    let (mut significand, mut exponent, mut rest) = (0_u64, 0_i64, false);
    let mut behind_point = false;
    for c in mantissa.chars() {
        let Some(digit) = c.to_digit(16) else {
            behind_point = true;
            continue;
        };
        if significand >> 60 == 0 {
            significand = significand << 4 | u64::from(digit);
            exponent -= if behind_point { 4 } else { 0 };
        } else {
            // The 64 bits are full. Rounding only needs to know whether the other digits are all zero.
            rest |= digit != 0;
            exponent += if behind_point { 0 } else { 4 };
        }
    }
    let significand = significand | u64::from(rest);
    let exponent = exponent + power.clamp(-EXPONENT, EXPONENT);
    let double = f64::from_bits(float::scaled(significand, exponent));
    let single = f32::from_bits(float::scaled_single(significand, exponent) as u32);
    Some((double, single))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_behind_the_exponent() {
        for (text, wanted) in [
            ("1.8p3", Some(5)),
            ("1p-3f", Some(4)),
            (".8P+12 + x", Some(6)),
            ("1.p1", Some(4)),
            ("f_f.0_1p1_0]", Some(11)),
            ("1.8", None),
            ("1.8p", None),
            ("1p+", None),
            (".p1", None),
            ("1..2p1", None),
            ("ff", None),
            ("1.len()", None),
        ] {
            assert_eq!(length(text), wanted, "{text}");
        }
    }

    #[test]
    fn numbers_are_the_nearest_ones() {
        for (text, double, single) in [
            ("1.8p3", 12.0, 12.0),
            ("0p9", 0.0, 0.0),
            (".8p0", 0.5, 0.5),
            ("A.p-1", 5.0, 5.0),
            ("1p-1074", 5e-324, 0.0),
            ("1p-1075", 0.0, 0.0),
            ("1.0000001p-1075", 5e-324, 0.0),
            ("1.fffffffffffffp1023", f64::MAX, f32::INFINITY),
            ("1.fffffffffffff8p1023", f64::INFINITY, f32::INFINITY),
            ("1.fffffffffffff7p1023", f64::MAX, f32::INFINITY),
            ("1.fffffep127", f64::from(f32::MAX), f32::MAX),
            ("1p99999999999999999999", f64::INFINITY, f32::INFINITY),
            ("1p-99999999999999999999", 0.0, 0.0),
            // Halfway between two `f32`, but for a digit that no `f64` has.
            (
                "1.00000100000000000001p0",
                1.0 + 2_f64.powi(-24),
                1.0 + f32::EPSILON,
            ),
            ("1.000001p0", 1.0 + 2_f64.powi(-24), 1.0),
            (
                "1.00000000000008000000000000000000001p0",
                1.0 + f64::EPSILON,
                1.0,
            ),
            ("1.00000000000008p0", 1.0, 1.0),
            ("0000000000000000000001.8p3", 12.0, 12.0),
            ("10000000000000000000000p-88", 1.0, 1.0),
        ] {
            assert_eq!(value(text), Some((double, single)), "{text}");
        }
    }
}
