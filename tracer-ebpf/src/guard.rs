//! The guard: the first comparison of a plan, decided before the plan runs.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use tracer_common::control::{GUARD_MEMORY, GUARD_SIGNED, Guard};

use crate::arch::{self, TargetRegisters};
use crate::numbers::{extend, holds};

/// Verdict of the guard on a hit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The plan's first comparison would reject the hit.
    Rejects,
    /// The plan would continue after its first comparison, or there is no guard.
    Passes,
    /// The memory could not be read, so the plan has to decide.
    Unknown,
}

/// Decides the first comparison of a plan.
#[inline(always)]
pub fn verdict(from: *const TargetRegisters, guard: &Guard) -> Verdict {
    if guard.kind == 0 {
        return Verdict::Passes;
    }
    let register = arch::general(from, guard.register);
    if guard.kind & GUARD_MEMORY != 0 {
        return of_memory(guard, register);
    }
    of_number(guard, register)
}

/// Verdict on a number in memory.
#[inline(never)]
fn of_memory(guard: &Guard, base: u64) -> Verdict {
    let address = base.wrapping_add(guard.offset as i64 as u64);
    let mut word = 0_u64;
    let size = u32::from(guard.size) & 15;
    // SAFETY: 8 bytes have room for a size of at most 8.
    if size <= 8
        && unsafe { bpf_probe_read_user((&raw mut word).cast(), size, address as *const _) } == 0
    {
        return of_number(guard, word);
    }
    Verdict::Unknown
}

/// Verdict on a number.
#[inline(always)]
fn of_number(guard: &Guard, word: u64) -> Verdict {
    let number = extend(word, guard.size, guard.kind & GUARD_SIGNED != 0);
    if holds(guard.rejects, number, guard.value) {
        Verdict::Rejects
    } else {
        Verdict::Passes
    }
}
