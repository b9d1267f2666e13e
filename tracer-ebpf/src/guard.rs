//! The first comparison of a plan, before the plan.

use core::arch::asm;
use core::mem::offset_of;

use aya_ebpf::bindings::pt_regs;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use tracer_common::control::{GUARD_MEMORY, GUARD_SIGNED, Guard};

use crate::step::{extend, holds};

/// Whether the plan would reject this hit with its first comparison.
///
/// False may also mean that it is not known: the plan decides then.
#[inline(always)]
pub fn rejects(registers: *const pt_regs, guard: &Guard) -> bool {
    if guard.kind == 0 {
        return false;
    }
    let register = register(registers, guard.register);
    if guard.kind & GUARD_MEMORY != 0 {
        return memory_rejects(guard, register);
    }
    compares(guard, register)
}

/// The same for a number in memory. Nobody sleeps for it: the hit has no time yet.
#[inline(never)]
fn memory_rejects(guard: &Guard, base: u64) -> bool {
    let address = base.wrapping_add(guard.offset as i64 as u64);
    let mut word = 0_u64;
    let size = u32::from(guard.size) & 15;
    // SAFETY: 8 bytes have room for a size of at most 8.
    size <= 8
        && unsafe { bpf_probe_read_user((&raw mut word).cast(), size, address as *const _) } == 0
        && compares(guard, word)
}

#[inline(always)]
fn compares(guard: &Guard, word: u64) -> bool {
    let number = extend(word, guard.size, guard.kind & GUARD_SIGNED != 0);
    holds(guard.rejects, number, guard.value)
}

/// Loads one member of the context. Written out: the compiler would compute the address of the
/// one that is wanted and load once, and the verifier wants a constant in each load.
macro_rules! member {
    ($from:expr, $name:ident) => {{
        let value: u64;
        // SAFETY: the context of a uprobe program is a whole `pt_regs`.
        unsafe {
            asm!(
                "{value} = *(u64 *)({from} + {at})",
                value = out(reg) value,
                from = in(reg) $from,
                at = const offset_of!(pt_regs, $name),
                options(readonly, nostack, preserves_flags),
            );
        }
        value
    }};
}

/// A general register of the target, by its DWARF number.
#[inline(always)]
fn register(from: *const pt_regs, number: u8) -> u64 {
    match number & 15 {
        0 => member!(from, rax),
        1 => member!(from, rdx),
        2 => member!(from, rcx),
        3 => member!(from, rbx),
        4 => member!(from, rsi),
        5 => member!(from, rdi),
        6 => member!(from, rbp),
        7 => member!(from, rsp),
        8 => member!(from, r8),
        9 => member!(from, r9),
        10 => member!(from, r10),
        11 => member!(from, r11),
        12 => member!(from, r12),
        13 => member!(from, r13),
        14 => member!(from, r14),
        _ => member!(from, r15),
    }
}
