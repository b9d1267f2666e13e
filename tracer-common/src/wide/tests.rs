//! Comparisons with the compiler's own integers of 128 bits.

use super::*;
use crate::random::Random;

impl Random {
    /// A random integer of any length, positive or negative.
    fn wide(&mut self) -> u128 {
        let bits = u128::from(self.next()) << 64 | u128::from(self.next());
        let how = self.next();
        let small = bits >> (how % 128);
        match how >> 61 {
            0 => small.wrapping_neg(),
            1 => !0 << (how % 128),
            2 => 1 << (how % 128),
            _ => small,
        }
    }
}

fn halves(value: u128) -> WideInteger {
    WideInteger {
        low: value as u64,
        high: (value >> 64) as u64,
    }
}

fn check(a: u128, b: u128) {
    let (x, y) = (a as i128, b as i128);
    let same = |low: Option<u32>, high, wanted: u128| {
        let part = |operation| calculate(operation, halves(a), halves(b));
        let computed = WideInteger {
            low: low.map_or(wanted as u64, part),
            high: part(high),
        };
        assert_eq!(computed, halves(wanted), "{high} of {a:#x}, {b:#x}");
    };
    same(None, op::MUL_HIGH, a.wrapping_mul(b));
    let count = (b & 127) as u32;
    same(Some(op::SHL_LOW), op::SHL_HIGH, a << count);
    same(Some(op::SHR_LOW), op::SHR_HIGH, a >> count);
    same(Some(op::SAR_LOW), op::SAR_HIGH, (x >> count) as u128);
    for operation in op::MUL_HIGH..=op::SREM_HIGH {
        let wanted = match operation {
            op::DIV_LOW..=op::REM_HIGH => a.checked_div(b).is_some(),
            op::SDIV_LOW..=op::SREM_HIGH => x.checked_div(y).is_some(),
            _ => true,
        };
        let has = has_result(operation, halves(a), halves(b));
        assert_eq!(has, wanted, "{operation} of {a:#x}, {b:#x}");
    }
    let Some(quotient) = a.checked_div(b) else {
        return;
    };
    same(Some(op::DIV_LOW), op::DIV_HIGH, quotient);
    same(Some(op::REM_LOW), op::REM_HIGH, a % b);
    same(Some(op::SDIV_LOW), op::SDIV_HIGH, x.wrapping_div(y) as u128);
    same(Some(op::SREM_LOW), op::SREM_HIGH, x.wrapping_rem(y) as u128);
}

#[test]
fn random_numbers_are_computed_as_the_compiler_does() {
    let mut random = Random(0x7ace_5eed);
    for _ in 0..100_000 {
        let (a, b) = (random.wide(), random.wide());
        check(a, b);
        assert_eq!(
            leading_zeros(a as u64),
            u64::from((a as u64).leading_zeros())
        );
    }
}

#[test]
fn numbers_at_the_ends_are_computed_as_the_compiler_does() {
    let ends = [
        0,
        1,
        2,
        u128::MAX,
        1 << 127,
        (1 << 127) - 1,
        1 << 64,
        (1 << 64) - 1,
    ];
    for a in ends {
        for b in ends {
            check(a, b);
        }
    }
}
