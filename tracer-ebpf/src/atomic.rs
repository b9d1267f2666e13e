//! Atomic operations on map values.
//!
//! The BPF target of rustc has only loads and stores, so these are written in assembly (Linux 5.12,
//! instruction set version 3). All but [`add`] are full barriers.

use core::arch::asm;

/// Adds `by`.
#[inline(always)]
pub fn add(value: &u64, by: u64) {
    let at = core::ptr::from_ref(value);
    // SAFETY: map values are aligned and outlive the program's run.
    unsafe { asm!("lock *(u64 *)({at} + 0) += {by}", at = in(reg) at, by = in(reg) by) }
}

/// Adds `by`, and returns the value before.
#[inline(always)]
pub fn fetch_add(value: &u64, by: u64) -> u64 {
    let at = core::ptr::from_ref(value);
    let before: u64;
    // SAFETY: map values are aligned and outlive the program's run.
    unsafe {
        asm!(
            "{by} = atomic_fetch_add((u64 *)({at} + 0), {by})",
            at = in(reg) at,
            by = inout(reg) by => before,
        );
    }
    before
}

/// Writes `new` if the value is `old`. Returns the value before.
#[inline(always)]
pub fn compare_exchange(value: &u64, old: u64, new: u64) -> u64 {
    let at = core::ptr::from_ref(value);
    let before: u64;
    // SAFETY: map values are aligned and outlive the program's run.
    unsafe {
        asm!(
            "r0 = cmpxchg_64({at} + 0, r0, {new})",
            at = in(reg) at,
            new = in(reg) new,
            inout("r0") old => before,
        );
    }
    before
}

/// Writes `new`. Returns the value before.
#[inline(always)]
pub fn exchange(value: &u64, new: u64) -> u64 {
    let at = core::ptr::from_ref(value);
    let before: u64;
    // SAFETY: map values are aligned and outlive the program's run. The exchange orders all
    // earlier writes before this one.
    unsafe {
        asm!(
            "{new} = xchg_64({at} + 0, {new})",
            at = in(reg) at,
            new = inout(reg) new => before,
        );
    }
    before
}

/// Writes `new`.
#[inline(always)]
pub fn store(value: &u64, new: u64) {
    exchange(value, new);
}
