//! Numbers in registers: extends and compares them. Jumps.

use tracer_common::op::cond;

use crate::maps::ScratchArea;

/// The value of a machine register.
#[inline(always)]
pub fn register(area: &ScratchArea, index: u8) -> u64 {
    area.registers[usize::from(index & 63)]
}

/// Sets a machine register.
#[inline(always)]
pub fn set(area: &mut ScratchArea, index: u8, value: u64) {
    area.registers[usize::from(index & 63)] = value;
}

/// Continues at an op of the plan.
#[inline(always)]
pub fn jump(area: &mut ScratchArea, to: u32) {
    area.next = area.first.wrapping_add(to);
}

/// The low `size` bytes of `value`, extended with zeroes or with their sign.
#[inline(always)]
pub fn extend(value: u64, size: u8, signed: bool) -> u64 {
    let shift = 64_u32.wrapping_sub(u32::from(size).wrapping_mul(8)) & 63;
    let high = value.wrapping_shl(shift);
    if signed {
        (high as i64).wrapping_shr(shift) as u64
    } else {
        high.wrapping_shr(shift)
    }
}

/// True if `a` and `b` meet the condition.
#[inline(always)]
pub fn holds(condition: u8, a: u64, b: u64) -> bool {
    match condition {
        cond::EQ => a == b,
        cond::NE => a != b,
        cond::LT => a < b,
        cond::LE => a <= b,
        cond::GT => a > b,
        cond::GE => a >= b,
        cond::SLT => (a as i64) < (b as i64),
        cond::SLE => (a as i64) <= (b as i64),
        cond::SGT => (a as i64) > (b as i64),
        cond::SGE => (a as i64) >= (b as i64),
        _ => false,
    }
}
