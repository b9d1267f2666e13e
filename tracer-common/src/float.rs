//! IEEE floats in integer arithmetic: eBPF has no instructions for them.
//!
//! Functions take and return the bits of an `f64`, unless they say `f32`. Results are those of the
//! processor: exact, then rounded once to nearest, ties to even. Every NaN result is [`NAN`]. The
//! code uses only operations that eBPF has, and keeps few values at a time, so that they fit into
//! its registers.

use crate::op::float as op;
use crate::wide::leading_zeros;

/// The canonical NaN that every operation returns.
pub const NAN: u64 = 0x7ff8 << 48;
/// The canonical NaN as an `f32`.
const NAN_SINGLE: u64 = 0x7fc0 << 16;
const SIGN: u64 = 1 << 63;
const INFINITE: u64 = 0x7ff << 52;
/// The leading bit of a normal number. It is not stored.
const HIDDEN: u64 = 1 << 52;
const FRACTION: u64 = HIDDEN - 1;
/// The stored exponent of 1.
const ONE: i64 = 1023;
/// Difference between the exponent biases of `f64` and `f32`.
const BIAS: i64 = 1023 - 127;
/// An exponent beyond that of any float.
const FAR: i64 = 1 << 16;
/// Bits that rounding drops from a significand of 64 bits, for an `f64` and for an `f32`.
const DOUBLE: u32 = 11;
const SINGLE: u32 = 40;
/// Bits of a quotient in one step of a division: as many as are free above a significand.
const CHUNK: u32 = 11;
/// Steps of one round of [`remainder`]. The rounds suffice for the largest possible difference of
/// exponents.
const CHUNKS: u32 = 8;
const ROUNDS: u32 = (2046 + 52) / (CHUNK * CHUNKS) + 1;

/// `a OP b`, with OP one of [`crate::op::float`].
#[must_use]
#[inline(always)]
pub fn calculate(operation: u32, a: u64, b: u64) -> u64 {
    match operation {
        op::ADD | op::SUB => add(a, if operation == op::SUB { b ^ SIGN } else { b }),
        op::MUL => mul(a, b),
        op::DIV => div(a, b),
        op::REM => rem(a, b),
        op::COMPARE => compare(a, b),
        op::FROM_SINGLE => from_single(a),
        op::TO_SINGLE => to_single(a),
        op::FROM_UNSIGNED..=op::SINGLE_FROM_WIDE_SIGNED => from_integer(operation, a, b),
        op::TO_UNSIGNED..=op::TRUNCATE_SIGNED if is_half(b) => to_half(a, b, operation & 1 != 0),
        op::TO_UNSIGNED | op::TRUNCATE_UNSIGNED => to_unsigned(a, b),
        op::TO_SIGNED | op::TRUNCATE_SIGNED => to_signed(a, b),
        _ => 0,
    }
}

/// Returns false if `a` is to be truncated to a type that it does not fit into.
#[must_use]
#[inline(always)]
pub fn has_result(operation: u32, a: u64, b: u64) -> bool {
    !matches!(operation, op::TRUNCATE_UNSIGNED | op::TRUNCATE_SIGNED)
        || fits(a, b, operation == op::TRUNCATE_SIGNED)
}

/// The `f64` nearest to `significand * 2^exponent`. If bits of the significand were cut off, its
/// lowest bit must be set (a sticky bit).
#[must_use]
pub fn scaled(significand: u64, exponent: i64) -> u64 {
    rounded::<DOUBLE>(exponent.clamp(-FAR, FAR) + ONE + 63, significand)
}

/// The `f32` nearest to `significand * 2^exponent`, in the low half. See [`scaled`].
#[must_use]
pub fn scaled_single(significand: u64, exponent: i64) -> u64 {
    rounded::<SINGLE>(exponent.clamp(-FAR, FAR) + ONE + 63 - BIAS, significand)
}

/// `a + b`.
#[inline(never)]
fn add(a: u64, b: u64) -> u64 {
    if is_nan(a) || is_nan(b) {
        return NAN;
    }
    let (large, small) = if magnitude(a) < magnitude(b) {
        (b, a)
    } else {
        (a, b)
    };
    let opposite = (large ^ small) & SIGN != 0;
    if magnitude(large) == INFINITE {
        let cancels = opposite && magnitude(small) == INFINITE;
        return if cancels { NAN } else { large };
    }
    let exponent = field(large);
    // The significand has 53 bits. One of the 11 free ones is for the carry, and ten are for the
    // bits that are shifted out of the smaller number.
    let small = jam(significand(small) << (CHUNK - 1), exponent - field(small));
    let sum = significand(large) << (CHUNK - 1);
    let sum = if opposite { sum - small } else { sum + small };
    if sum == 0 {
        // The sum of opposite numbers is the positive zero.
        return if opposite { 0 } else { large & SIGN };
    }
    large & SIGN | rounded::<DOUBLE>(exponent + 1, sum)
}

/// `a * b`.
#[inline(never)]
fn mul(a: u64, b: u64) -> u64 {
    let sign = (a ^ b) & SIGN;
    let (a, b) = (magnitude(a), magnitude(b));
    if a >= INFINITE || b >= INFINITE {
        let is_number = a <= INFINITE && b <= INFINITE && a != 0 && b != 0;
        return if is_number { sign | INFINITE } else { NAN };
    }
    if a == 0 || b == 0 {
        return sign;
    }
    let exponent = exponent(a) + exponent(b) - (ONE - 1);
    let (a, b) = (aligned(a), aligned(b));
    let low = a.wrapping_mul(b);
    let high = crate::wide::mul_high(a, b);
    sign | rounded::<DOUBLE>(exponent, high | u64::from(low != 0))
}

/// `a / b`.
#[inline(never)]
fn div(a: u64, b: u64) -> u64 {
    let sign = (a ^ b) & SIGN;
    let (a, b) = (magnitude(a), magnitude(b));
    if a > INFINITE || b > INFINITE || (a == b && (a == 0 || a == INFINITE)) {
        return NAN;
    }
    if a == INFINITE || b == 0 {
        return sign | INFINITE;
    }
    if b == INFINITE || a == 0 {
        return sign;
    }
    let exponent = exponent(a) - exponent(b) + ONE;
    sign | rounded::<DOUBLE>(
        exponent,
        quotient(aligned(a) >> DOUBLE, aligned(b) >> DOUBLE),
    )
}

/// The quotient of two significands that have [`HIDDEN`] as their leading bit.
///
/// The quotient of equal significands is the top bit alone. The lowest bit is set if there is a
/// remainder.
#[inline(never)]
fn quotient(a: u64, b: u64) -> u64 {
    let b = b | HIDDEN;
    let mut quotient = a / b;
    let mut rest = a - quotient * b;
    let mut chunks = 0;
    while chunks < 5 {
        rest <<= CHUNK;
        let next = rest / b;
        rest -= next * b;
        quotient = quotient << CHUNK | next;
        chunks += 1;
    }
    quotient << 8 | u64::from(rest != 0)
}

/// Remainder of `a / b` with the quotient rounded towards zero. It has the sign of `a`.
#[inline(never)]
fn rem(a: u64, b: u64) -> u64 {
    let sign = a & SIGN;
    let (a, b) = (magnitude(a), magnitude(b));
    if a >= INFINITE || b > INFINITE || b == 0 {
        return NAN;
    }
    if a < b {
        return sign | a;
    }
    let (low, bits) = (exponent(b), exponent(a) - exponent(b));
    let rest = remainder(aligned(a) >> DOUBLE, aligned(b) >> DOUBLE, bits as u32);
    if rest == 0 {
        return sign;
    }
    sign | rounded::<DOUBLE>(low, rest << DOUBLE)
}

/// Remainder of `(a << bits) / b`, of significands as for [`quotient`].
#[inline(never)]
fn remainder(a: u64, b: u64, bits: u32) -> u64 {
    let b = b | HIDDEN;
    let (mut rest, mut bits) = (a % b, bits);
    let mut rounds = 0;
    // One branch for many steps, because the verifier follows each branch to its end.
    while rounds < ROUNDS && bits >= CHUNK * CHUNKS {
        let mut chunks = 0;
        while chunks < CHUNKS {
            rest = (rest << CHUNK) % b;
            chunks += 1;
        }
        bits -= CHUNK * CHUNKS;
        rounds += 1;
    }
    let mut chunks = 0;
    while chunks < CHUNKS && bits >= CHUNK {
        rest = (rest << CHUNK) % b;
        bits -= CHUNK;
        chunks += 1;
    }
    (rest << (bits & 15)) % b
}

/// Compares `a` with `b`. The result is [`crate::op::float::LESS`] or one of the others there.
#[inline(never)]
fn compare(a: u64, b: u64) -> u64 {
    if is_nan(a) || is_nan(b) {
        return op::UNORDERED;
    }
    let (a, b) = (ordered(a), ordered(b));
    if a == b {
        op::EQUAL
    } else if a < b {
        op::LESS
    } else {
        op::GREATER
    }
}

/// Maps a float to a signed integer with the same order. Both zeroes become 0.
#[inline(always)]
fn ordered(bits: u64) -> i64 {
    if bits & SIGN == 0 {
        bits as i64
    } else {
        (magnitude(bits) as i64).wrapping_neg()
    }
}

/// The `f32` in the low half, exactly.
#[inline(never)]
fn from_single(bits: u64) -> u64 {
    let sign = bits << 32 & SIGN;
    let bits = bits & 0x7fff_ffff;
    let infinite = 0xff << 23;
    if bits > infinite {
        NAN
    } else if bits == infinite {
        sign | INFINITE
    } else if bits >> 23 != 0 {
        sign | (bits << 29).wrapping_add((BIAS as u64) << 52)
    } else {
        sign | rounded::<DOUBLE>(BIAS + 1, bits << 40)
    }
}

/// The nearest `f32`, in the low half.
#[inline(never)]
fn to_single(bits: u64) -> u64 {
    let sign = (bits & SIGN) >> 32;
    let bits = magnitude(bits);
    if bits > INFINITE {
        return NAN_SINGLE;
    }
    if bits == INFINITE {
        return sign | 0xff << 23;
    }
    let significand = significand(bits) << DOUBLE;
    sign | rounded::<SINGLE>(field(bits) - BIAS, significand)
}

/// The float nearest to an integer. Bits of the operation's number select the integer's sign and
/// width, and the float's width.
#[inline(never)]
fn from_integer(operation: u32, low: u64, high: u64) -> u64 {
    let (signed, wide, single) = (operation & 1, operation & 2, operation & 4);
    let (mut low, mut high) = (low, high);
    if wide == 0 {
        high = if signed == 0 {
            0
        } else {
            ((low as i64) >> 63) as u64
        };
    }
    let negative = u64::from(signed) & high >> 63;
    if negative != 0 {
        high = (!high).wrapping_add(u64::from(low == 0));
        low = low.wrapping_neg();
    }
    let exponent = ONE + 127 - leading_zeros(high) as i64;
    if single == 0 {
        negative << 63 | rounded::<DOUBLE>(exponent, joined(low, high))
    } else {
        negative << 31 | rounded::<SINGLE>(exponent - BIAS, joined(low, high))
    }
}

const _: () = assert!(op::FROM_UNSIGNED == 8 && op::FROM_WIDE_SIGNED == 11);
const _: () = assert!(op::SINGLE_FROM_UNSIGNED == 12 && op::SINGLE_FROM_WIDE_SIGNED == 15);

/// The leading 64 bits of two halves. The lowest bit is also set if any bit was cut off.
#[inline(never)]
fn joined(low: u64, high: u64) -> u64 {
    if high == 0 {
        return low;
    }
    let zeros = leading_zeros(high);
    if zeros == 0 {
        return high | u64::from(low != 0);
    }
    let top = high << zeros | low >> (64 - zeros);
    top | u64::from(low << zeros != 0)
}

/// Truncates to an unsigned integer of `width` bits, and saturates; 0 for a NaN.
#[inline(never)]
fn to_unsigned(bits: u64, width: u64) -> u64 {
    if bits & SIGN != 0 {
        return 0;
    }
    let (whole, most) = (whole(bits), most(width));
    if whole < most { whole } else { most }
}

/// Truncates to a signed integer of `width` bits, and saturates; 0 for a NaN.
#[inline(never)]
fn to_signed(bits: u64, width: u64) -> u64 {
    let whole = whole(bits);
    let negative = bits >> 63;
    let most = (most(width) >> 1) + negative;
    let whole = if whole < most { whole } else { most };
    if negative == 0 {
        whole
    } else {
        whole.wrapping_neg()
    }
}

/// Returns true if the width stands for a half of 128 bits.
#[inline(always)]
fn is_half(width: u64) -> bool {
    width == op::LOWER || width == op::UPPER
}

/// One half of the integer of 128 bits, truncated and saturated; 0 for a NaN.
#[inline(never)]
fn to_half(bits: u64, half: u64, signed: bool) -> u64 {
    let is_upper = half == op::UPPER;
    let negative = bits & SIGN != 0;
    let power = field(bits) - ONE;
    if power < 0 || is_nan(bits) || (negative && !signed) {
        return 0;
    }
    if power > 127 - i64::from(signed) {
        // Saturate: the largest number has all bits set but the sign, the least has only the sign.
        let sign = if signed && is_upper { SIGN } else { 0 };
        return if negative { sign } else { !sign };
    }
    let power = power as u32 & 127;
    let significand = significand(bits) << DOUBLE;
    let (mut low, mut high) = if power < 64 {
        (significand >> (63 - power), 0)
    } else {
        // Two shifts, because the count can be 64, and one shift takes at most 63.
        let low = significand << (power - 64) << 1;
        (low, significand >> (127 - power))
    };
    if negative {
        high = (!high).wrapping_add(u64::from(low == 0));
        low = low.wrapping_neg();
    }
    if is_upper { high } else { low }
}

/// Returns true if the integer part fits into 128 bits.
#[inline(always)]
fn has_halves(bits: u64, signed: bool) -> bool {
    let power = field(bits) - ONE;
    if power < 0 {
        return true;
    }
    if signed {
        // Only the least integer has this power.
        power < 127 || bits == SIGN | ((ONE as u64 + 127) << 52)
    } else {
        power < 128 && bits & SIGN == 0
    }
}

const _: () = assert!(op::TO_UNSIGNED & 1 == 0 && op::TRUNCATE_SIGNED & 1 == 1);

/// Returns true if the integer part fits into `width` bits.
#[inline(never)]
fn fits(bits: u64, width: u64, signed: bool) -> bool {
    if is_half(width) {
        return has_halves(bits, signed);
    }
    let whole = whole(bits);
    // `u64::MAX` is not the integer part of any float. It stands for all larger ones.
    if is_nan(bits) || whole == u64::MAX {
        return false;
    }
    let negative = bits >> 63;
    let most = if signed {
        (most(width) >> 1) + negative
    } else if negative == 0 {
        most(width)
    } else {
        0
    };
    whole <= most
}

/// The largest unsigned integer of `width` bits. Any other width than 8, 16 and 32 counts as 64.
#[inline(always)]
fn most(width: u64) -> u64 {
    match width {
        8 => 0xff,
        16 => 0xffff,
        32 => 0xffff_ffff,
        _ => u64::MAX,
    }
}

/// The integer part without its sign, saturated.
#[inline(always)]
fn whole(bits: u64) -> u64 {
    let (bits, exponent) = (magnitude(bits), field(bits));
    if bits > INFINITE || exponent < ONE {
        0
    } else if exponent > ONE + 63 {
        u64::MAX
    } else {
        (significand(bits) << DOUBLE) >> ((ONE + 63 - exponent) & 63)
    }
}

/// Rounds a number, and returns its bits without the sign.
///
/// The exponent is that of the significand's top bit, biased as in an `f64` (or `f32`). If bits of
/// the significand were cut off, its lowest bit must be set.
#[inline(never)]
fn rounded<const DROPPED: u32>(exponent: i64, significand: u64) -> u64 {
    if significand == 0 {
        return 0;
    }
    let zeros = leading_zeros(significand);
    let exponent = exponent - zeros as i64;
    let mut significand = significand << (zeros & 63);
    let mut field = 0;
    if exponent > 0 {
        let infinite = if DROPPED == SINGLE { 0xff } else { 0x7ff };
        let most = if exponent < infinite {
            exponent
        } else {
            infinite
        };
        // The significand's leading bit is added below, and increments the exponent by one.
        field = (most as u64 - 1) << (63 - DROPPED);
        if exponent >= infinite {
            significand = SIGN;
        }
    } else {
        significand = jam(significand, 1 - exponent);
    }
    let half = 1 << (DROPPED - 1);
    let dropped = significand & ((1 << DROPPED) - 1);
    let kept = significand >> DROPPED;
    let up = dropped > half || (dropped == half && kept & 1 != 0);
    // A carry out of the significand correctly increments the exponent.
    field + kept + u64::from(up)
}

/// Shifts right. The lowest bit is also set if any bit was shifted out.
#[inline(always)]
fn jam(value: u64, by: i64) -> u64 {
    if by == 0 {
        return value;
    }
    if by > 63 {
        return u64::from(value != 0);
    }
    let by = by as u32 & 63;
    value >> by | u64::from(value << ((64 - by) & 63) != 0)
}

#[inline(always)]
fn magnitude(bits: u64) -> u64 {
    bits & !SIGN
}

#[inline(always)]
fn is_nan(bits: u64) -> bool {
    magnitude(bits) > INFINITE
}

/// The stored exponent. Subnormal numbers have that of the smallest normal ones.
#[inline(always)]
fn field(bits: u64) -> i64 {
    let field = bits >> 52 & 0x7ff;
    if field == 0 { 1 } else { field as i64 }
}

/// The significand that belongs to [`field`]. [`HIDDEN`] has the value one.
#[inline(always)]
fn significand(bits: u64) -> u64 {
    let fraction = bits & FRACTION;
    if bits & INFINITE == 0 {
        fraction
    } else {
        fraction | HIDDEN
    }
}

/// The significand of a number that is not zero, shifted so that its top bit is set.
#[inline(never)]
fn aligned(bits: u64) -> u64 {
    let significand = significand(bits) << DOUBLE;
    significand << (leading_zeros(significand) & 63)
}

/// The exponent that belongs to [`aligned`].
#[inline(never)]
fn exponent(bits: u64) -> i64 {
    field(bits) - leading_zeros(significand(bits) << DOUBLE) as i64
}

#[cfg(test)]
mod tests;
