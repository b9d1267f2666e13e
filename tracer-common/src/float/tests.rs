//! Compares every bit with the processor's floats, for random and for special numbers.

use super::*;
use crate::random::Random;

/// Number of tested pairs.
const PAIRS: u64 = 400_000;

impl Random {
    /// Bits of a float: random, small, near a power of two, with few bits, or near a limit.
    fn float(&mut self) -> u64 {
        let bits = self.next();
        let exponent = |field: u64| bits & (SIGN | FRACTION) | field << 52;
        match self.next() >> 60 {
            0 => exponent(0),
            1 => exponent(1),
            2 => exponent(0x7fe),
            3 => exponent(1023 + (bits >> 32) % 64),
            4..=6 => exponent(1000 + (bits >> 32) % 46),
            7 => exponent(1023) & !0xffff_ffff,
            8 => exponent(897 - 30 + (bits >> 32) % 60),
            9 => (bits >> 48) << 48,
            10 => {
                let near = ((bits >> 52) << 52).wrapping_add(bits & 7);
                near.wrapping_sub(3)
            }
            11 => SPECIAL[(bits >> 8) as usize % SPECIAL.len()],
            12 => (bits as i32 as f64).to_bits(),
            13 => (f64::from(bits as i16) / 8.0).to_bits(),
            _ => bits,
        }
    }

    /// A second float, often near `other`.
    fn beside(&mut self, other: u64) -> u64 {
        match self.next() >> 61 {
            0 => other ^ (self.next() & 3),
            1 => other ^ SIGN ^ (self.next() & 3) << 50,
            _ => self.float(),
        }
    }
}

const SPECIAL: [u64; 16] = [
    0,
    SIGN,
    1,
    SIGN | 1,
    FRACTION,
    HIDDEN,
    INFINITE,
    INFINITE | SIGN,
    INFINITE - 1,
    NAN,
    INFINITE | 1,
    0x3ff0 << 48,
    0xbff0 << 48,
    0x43e0 << 48,
    0x43f0 << 48,
    0xc3e0 << 48,
];

fn canonical(value: f64) -> u64 {
    if value.is_nan() { NAN } else { value.to_bits() }
}

fn canonical_single(value: f32) -> u64 {
    let bits = if value.is_nan() {
        f32::NAN.to_bits()
    } else {
        value.to_bits()
    };
    u64::from(bits)
}

#[test]
fn canonical_numbers_are_as_documented() {
    assert_eq!(NAN, f64::NAN.to_bits());
    assert_eq!(NAN_SINGLE, u64::from(f32::NAN.to_bits()));
}

#[track_caller]
fn same(operation: u32, a: u64, b: u64, wanted: u64) {
    let got = calculate(operation, a, b);
    assert!(
        got == wanted,
        "operation {operation} of {a:#x}, {b:#x}: {got:#x}, the processor has {wanted:#x}"
    );
}

fn check(a: u64, b: u64) {
    let (x, y) = (f64::from_bits(a), f64::from_bits(b));
    same(op::ADD, a, b, canonical(x + y));
    same(op::SUB, a, b, canonical(x - y));
    same(op::MUL, a, b, canonical(x * y));
    same(op::DIV, a, b, canonical(x / y));
    same(op::REM, a, b, canonical(x % y));
    let order = match x.partial_cmp(&y) {
        None => op::UNORDERED,
        Some(core::cmp::Ordering::Less) => op::LESS,
        Some(core::cmp::Ordering::Equal) => op::EQUAL,
        Some(core::cmp::Ordering::Greater) => op::GREATER,
    };
    same(op::COMPARE, a, b, order);
}

fn check_conversions(bits: u64, other: u64) {
    let x = f64::from_bits(bits);
    let single = f32::from_bits(bits as u32);
    same(
        op::FROM_SINGLE,
        bits & 0xffff_ffff,
        0,
        canonical(f64::from(single)),
    );
    same(op::TO_SINGLE, bits, 0, canonical_single(x as f32));
    same(op::FROM_UNSIGNED, bits, 0, canonical(bits as f64));
    same(op::FROM_SIGNED, bits, 0, canonical(bits as i64 as f64));
    same(
        op::SINGLE_FROM_UNSIGNED,
        bits,
        0,
        canonical_single(bits as f32),
    );
    same(
        op::SINGLE_FROM_SIGNED,
        bits,
        0,
        canonical_single(bits as i64 as f32),
    );
    let wide = u128::from(other) << 64 | u128::from(bits);
    same(op::FROM_WIDE_UNSIGNED, bits, other, canonical(wide as f64));
    same(
        op::FROM_WIDE_SIGNED,
        bits,
        other,
        canonical(wide as i128 as f64),
    );
    same(
        op::SINGLE_FROM_WIDE_UNSIGNED,
        bits,
        other,
        canonical_single(wide as f32),
    );
    same(
        op::SINGLE_FROM_WIDE_SIGNED,
        bits,
        other,
        canonical_single(wide as i128 as f32),
    );
    same(op::TO_UNSIGNED, bits, 8, u64::from(x as u8));
    same(op::TO_UNSIGNED, bits, 16, u64::from(x as u16));
    same(op::TO_UNSIGNED, bits, 32, u64::from(x as u32));
    same(op::TO_UNSIGNED, bits, 64, x as u64);
    same(op::TO_SIGNED, bits, 8, i64::from(x as i8) as u64);
    same(op::TO_SIGNED, bits, 16, i64::from(x as i16) as u64);
    same(op::TO_SIGNED, bits, 32, i64::from(x as i32) as u64);
    same(op::TO_SIGNED, bits, 64, x as i64 as u64);
    same_halves(op::TO_UNSIGNED, bits, x as u128);
    same_halves(op::TO_SIGNED, bits, x as i128 as u128);
}

fn same_halves(operation: u32, bits: u64, wanted: u128) {
    same(operation, bits, op::LOWER, wanted as u64);
    same(operation, bits, op::UPPER, (wanted >> 64) as u64);
}

/// Returns true if the integer part is between two integers.
fn check_truncation(bits: u64) {
    check_wide_truncation(bits);
    // The conversion saturates far beyond 64 bits, so a saturated value is outside, too.
    let x = f64::from_bits(bits);
    let whole = x as i128;
    for width in [8, 16, 32, 64] {
        let unsigned = !x.is_nan() && (0..1_i128 << width).contains(&whole);
        let half = 1_i128 << (width - 1);
        let signed = !x.is_nan() && (-half..half).contains(&whole);
        let width = width as u64;
        assert_eq!(
            has_result(op::TRUNCATE_UNSIGNED, bits, width),
            unsigned,
            "{x:e} in {width}"
        );
        assert_eq!(
            has_result(op::TRUNCATE_SIGNED, bits, width),
            signed,
            "{x:e} in {width}"
        );
        if unsigned {
            same(op::TRUNCATE_UNSIGNED, bits, width, whole as u64);
        }
        if signed {
            same(op::TRUNCATE_SIGNED, bits, width, whole as u64);
        }
    }
}

fn check_wide_truncation(bits: u64) {
    let x = f64::from_bits(bits);
    let end = two_to_the(127);
    let unsigned = x > -1.0 && x < end * 2.0;
    let signed = x >= -end && x < end;
    for half in [op::LOWER, op::UPPER] {
        let has = |operation| has_result(operation, bits, half);
        assert_eq!(has(op::TRUNCATE_UNSIGNED), unsigned, "{x:e}");
        assert_eq!(has(op::TRUNCATE_SIGNED), signed, "{x:e}");
    }
    if unsigned {
        same_halves(op::TRUNCATE_UNSIGNED, bits, x as u128);
    }
    if signed {
        same_halves(op::TRUNCATE_SIGNED, bits, x as i128 as u128);
    }
}

#[test]
fn special_numbers_are_computed_as_the_processor_does() {
    for a in SPECIAL {
        for b in SPECIAL {
            check(a, b);
            check_conversions(a, b);
        }
        check_truncation(a);
    }
}

#[test]
fn random_numbers_are_computed_as_the_processor_does() {
    let mut random = Random(0x7ace_5eed);
    for _ in 0..PAIRS {
        let a = random.float();
        let b = random.beside(a);
        check(a, b);
        check(b, a);
        check_conversions(a, b >> (random.next() >> 58));
        check_truncation(a);
    }
}

#[test]
fn numbers_at_the_ends_of_integers_are_cut_as_the_processor_does() {
    for power in 0..128 {
        for near in -3..=3_i64 {
            for half in [0.0, 0.5, -0.5] {
                let edge = two_to_the(power);
                let bits = edge.to_bits().wrapping_add_signed(near);
                for x in [f64::from_bits(bits), edge + near as f64 + half] {
                    check_conversions(x.to_bits(), 0);
                    check_conversions((-x).to_bits(), u64::MAX);
                    check_truncation(x.to_bits());
                    check_truncation((-x).to_bits());
                }
            }
        }
    }
}

fn two_to_the(power: u32) -> f64 {
    (1_u128 << power) as f64
}

/// An `f32` result is the `f64` result, rounded: 53 bits are more than twice 24.
#[test]
fn singles_are_computed_as_the_processor_does() {
    let mut random = Random(0x51_16_1e);
    for _ in 0..PAIRS {
        let (a, b) = (random.next(), random.next());
        let (x, y) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
        let (x, y) = match a >> 62 {
            0 => (x, x * (1.0 + (b >> 60) as f32 / 1e6)),
            1 => (x, (b as i16).into()),
            _ => (x, y),
        };
        let wide = |x: f32| calculate(op::FROM_SINGLE, u64::from(x.to_bits()), 0);
        for (operation, wanted) in [
            (op::ADD, x + y),
            (op::SUB, x - y),
            (op::MUL, x * y),
            (op::DIV, x / y),
            (op::REM, x % y),
        ] {
            let got = calculate(op::TO_SINGLE, calculate(operation, wide(x), wide(y)), 0);
            assert_eq!(
                got,
                canonical_single(wanted),
                "operation {operation} of {x:e}, {y:e}"
            );
        }
    }
}
