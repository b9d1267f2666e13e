//! The target's general registers, one by one.

use core::arch::asm;
use core::mem::offset_of;

use aya_ebpf::bindings::pt_regs;

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
pub fn general(from: *const pt_regs, number: u8) -> u64 {
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
