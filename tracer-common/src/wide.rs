//! Integers of 128 bits in two halves. eBPF has arithmetic of 64 bits only.
//!
//! Results wrap, as those of 64 bits do.

use crate::op::wide as op;

/// Bits of the selector of [`divide`]. The first three are the low bits of an operation, counted
/// from [`op::DIV_LOW`]: the upper half, the remainder, signed numbers. The last one negates the
/// result.
const HIGH: u64 = 1;
const REST: u64 = 2;
const SIGNED: u64 = 4;
const NEGATIVE: u64 = 8;
const _: () = assert!(op::SREM_HIGH - op::DIV_LOW == 7 && op::REM_LOW - op::DIV_LOW == 2);

/// An integer of 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WideInteger {
    /// The lower 64 bits.
    pub low: u64,
    /// The upper 64 bits.
    pub high: u64,
}

/// One half of `a OP b`, with OP one of [`crate::op::wide`].
#[must_use]
#[inline(always)]
pub fn calculate(operation: u32, a: WideInteger, b: WideInteger) -> u64 {
    match operation {
        op::MUL_HIGH => mul_high(a.low, b.low)
            .wrapping_add(a.low.wrapping_mul(b.high))
            .wrapping_add(a.high.wrapping_mul(b.low)),
        op::SHL_LOW => shifted_left(0, a.low, b.low),
        op::SHL_HIGH => shifted_left(a.low, a.high, b.low),
        op::SHR_LOW..=op::SAR_HIGH => {
            let above = if operation < op::SAR_LOW {
                0
            } else {
                ((a.high as i64) >> 63) as u64
            };
            if operation & 1 == op::SHR_LOW & 1 {
                shifted_right(a.low, a.high, above, b.low)
            } else {
                shifted_right(a.high, above, above, b.low)
            }
        }
        op::DIV_LOW..=op::SREM_HIGH => {
            let selector = u64::from(operation - op::DIV_LOW);
            divide(a.low, a.high, b.low, b.high, selector)
        }
        _ => 0,
    }
}

/// Returns false for a division by zero, and for one of the least signed number by -1.
#[must_use]
#[inline(always)]
pub fn has_result(operation: u32, a: WideInteger, b: WideInteger) -> bool {
    match operation {
        op::DIV_LOW..=op::REM_HIGH => b.low | b.high != 0,
        op::SDIV_LOW..=op::SREM_HIGH => {
            b.low | b.high != 0 && (b.low & b.high != u64::MAX || a.low | (a.high ^ 1 << 63) != 0)
        }
        _ => true,
    }
}

/// The upper half of the product.
///
/// The product is made in three steps, of about 21 bits of `a` each. From a product of 32-bit halves
/// the compiler would make a multiplication of 128 bits, which eBPF does not have.
#[must_use]
#[inline(never)]
pub fn mul_high(a: u64, b: u64) -> u64 {
    let low = carried::<22>(0, a & 0x3f_ffff, b);
    let middle = carried::<21>(low, a >> 22 & 0x1f_ffff, b);
    carried::<21>(middle, a >> 43, b)
}

/// `(below + part * b) >> BITS`, for a `part` of `BITS` bits.
#[inline(always)]
fn carried<const BITS: u32>(below: u64, part: u64, b: u64) -> u64 {
    let low = part * (b & 0xffff_ffff) + (below & 0xffff_ffff);
    let high = part * (b >> 32) + (below >> 32);
    (high << (32 - BITS)) + (low >> BITS)
}

/// The upper half of a left shift by less than 128 bits.
#[inline(never)]
fn shifted_left(low: u64, high: u64, by: u64) -> u64 {
    let bits = by & 63;
    if by & 64 != 0 {
        low << bits
    } else if bits == 0 {
        high
    } else {
        high << bits | low >> (64 - bits)
    }
}

/// The lower half of a right shift by less than 128 bits. The bits from `above` come in.
#[inline(never)]
fn shifted_right(low: u64, high: u64, above: u64, by: u64) -> u64 {
    let bits = by & 63;
    let (low, high) = if by & 64 == 0 {
        (low, high)
    } else {
        (high, above)
    };
    if bits == 0 {
        low
    } else {
        low >> bits | high << (64 - bits)
    }
}

/// The lower half of the quotient. The divisor is not zero.
#[inline(never)]
fn quotient(low: u64, high: u64, by_low: u64, by_high: u64) -> u64 {
    if by_high == 0 {
        let by = if by_low == 0 { 1 } else { by_low };
        return divide_step(high % by, low, by);
    }
    // Divide by the upper 64 bits of the divisor. After the subtraction the estimate is right or one
    // too small.
    let zeros = leading_zeros(by_high) & 63;
    let by = by_high << zeros | (by_low >> 1) >> (63 - zeros);
    let estimate = divide_step(high >> 1, low >> 1 | high << 63, by) >> (63 - zeros);
    let estimate = estimate.saturating_sub(1);
    let product = estimate.wrapping_mul(by_low);
    let above = mul_high(estimate, by_low).wrapping_add(estimate.wrapping_mul(by_high));
    let rest = high.wrapping_sub(above);
    let rest = rest.wrapping_sub(u64::from(low < product));
    let one_more = rest > by_high || (rest == by_high && low.wrapping_sub(product) >= by_low);
    estimate + u64::from(one_more)
}

/// Divides a number of two halves by a divisor that is larger than the upper half.
///
/// The quotient has two digits of 32 bits. Each is estimated with the upper half of the divisor
/// (Knuth's algorithm D).
#[inline(never)]
fn divide_step(high: u64, low: u64, by: u64) -> u64 {
    let zeros = leading_zeros(by) & 63;
    let by = by << zeros;
    let high = high << zeros | (low >> 1) >> (63 - zeros);
    let low = low << zeros;
    let first = digit(high, low >> 32, by);
    let rest = (high << 32 | low >> 32).wrapping_sub(first.wrapping_mul(by));
    first << 32 | digit(rest, low & 0xffff_ffff, by)
}

/// The quotient of `(high << 32) + next` by `by`, which has its top bit set and is larger than
/// `high`.
#[inline(always)]
fn digit(high: u64, next: u64, by: u64) -> u64 {
    let upper = by >> 32 | 1 << 31;
    let mut digit = high / upper;
    let mut rest = high - digit * upper;
    let mut tries = 0;
    // The estimate is at most two too large.
    while tries < 2
        && rest >> 32 == 0
        && (digit >> 32 != 0 || digit * (by & 0xffff_ffff) > (rest << 32 | next))
    {
        digit -= 1;
        rest += upper;
        tries += 1;
    }
    digit
}

/// Number of zeroes above the highest one bit.
#[must_use]
#[inline(always)]
pub fn leading_zeros(value: u64) -> u64 {
    u64::from(value.leading_zeros())
}

/// One half of the quotient or the remainder, rounded towards zero.
#[inline(never)]
fn divide(low: u64, high: u64, by_low: u64, by_high: u64, selector: u64) -> u64 {
    let (mut low, mut high) = (low, high);
    let (mut by_low, mut by_high) = (by_low, by_high);
    let mut selector = selector;
    if selector & SIGNED != 0 && (high as i64) < 0 {
        high = (!high).wrapping_add(u64::from(low == 0));
        low = low.wrapping_neg();
        selector ^= NEGATIVE;
    }
    if selector & SIGNED != 0 && (by_high as i64) < 0 {
        by_high = (!by_high).wrapping_add(u64::from(by_low == 0));
        by_low = by_low.wrapping_neg();
        // The remainder has the sign of the dividend.
        if selector & REST == 0 {
            selector ^= NEGATIVE;
        }
    }
    // Only one nested call, since eBPF allows eight frames in all.
    let lower = quotient(low, high, by_low, by_high);
    let upper = if by_high == 0 {
        high.checked_div(by_low).unwrap_or(0)
    } else {
        0
    };
    if selector & REST == 0 {
        (low, high) = (lower, upper);
    } else {
        let above = mul_high(lower, by_low)
            .wrapping_add(lower.wrapping_mul(by_high))
            .wrapping_add(upper.wrapping_mul(by_low));
        let product = lower.wrapping_mul(by_low);
        high = high
            .wrapping_sub(above)
            .wrapping_sub(u64::from(low < product));
        low = low.wrapping_sub(product);
    }
    if selector & NEGATIVE != 0 {
        high = (!high).wrapping_add(u64::from(low == 0));
        low = low.wrapping_neg();
    }
    if selector & HIGH == 0 { low } else { high }
}

#[cfg(test)]
mod tests;
