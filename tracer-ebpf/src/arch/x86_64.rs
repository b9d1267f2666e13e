//! Registers, flags and pages of x86-64.

use core::arch::asm;
use core::mem::offset_of;

use aya_ebpf::bindings::pt_regs;
use tracer_common::arch::{FLAGS_REGISTER, TARGET_REGISTERS};
use tracer_common::limits::REGISTERS;

/// The target's registers at a hit. They are the context of a uprobe program.
pub type TargetRegisters = pt_regs;

/// Size of a page in bytes.
pub const PAGE: u64 = 4096;
/// Bytes from the stack pointer to the frame address at a function's entry: the return address.
pub const RETURN_ADDRESS: u64 = 8;
/// Makes all bits of a number depend on each other: 2^64 divided by the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// Loads one member of the context.
///
/// This is assembly because the verifier wants a constant offset in each load. The compiler would
/// compute the address of the wanted member and load once.
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

/// A general register of the target, by its DWARF number, or the instruction pointer.
#[inline(always)]
pub fn general(from: *const TargetRegisters, number: u8) -> u64 {
    match number & 31 {
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
        15 => member!(from, r15),
        _ => member!(from, rip),
    }
}

/// Address of the probed instruction.
#[inline(always)]
pub fn instruction_pointer(from: *const TargetRegisters) -> u64 {
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    unsafe { (*from).rip }
}

/// The target's stack pointer.
#[inline(always)]
pub fn stack_pointer(from: *const TargetRegisters) -> u64 {
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    unsafe { (*from).rsp }
}

/// Copies the target's registers into the machine's, except for the thread pointer. The site is
/// `shift` bytes after the probed instruction.
#[inline(always)]
pub fn copy_registers(from: *const TargetRegisters, shift: i32, to: &mut [u64; REGISTERS]) {
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    let from = unsafe { &*from };
    const R: usize = TARGET_REGISTERS as usize;
    to[R] = from.rax;
    to[R + 1] = from.rdx;
    to[R + 2] = from.rcx;
    to[R + 3] = from.rbx;
    to[R + 4] = from.rsi;
    to[R + 5] = from.rdi;
    to[R + 6] = from.rbp;
    to[R + 7] = from.rsp;
    to[R + 8] = from.r8;
    to[R + 9] = from.r9;
    to[R + 10] = from.r10;
    to[R + 11] = from.r11;
    to[R + 12] = from.r12;
    to[R + 13] = from.r13;
    to[R + 14] = from.r14;
    to[R + 15] = from.r15;
    to[R + 16] = from.rip.wrapping_add(shift as i64 as u64);
    to[FLAGS_REGISTER as usize] = from.eflags;
}

/// Returns true if the registers are those of user code.
#[inline(always)]
pub fn is_user(from: *const TargetRegisters) -> bool {
    // The lowest two bits are the privilege level.
    member!(from, cs) & 3 != 0
}

/// Number of the system call that the thread is in. Negative outside of one.
#[inline(always)]
pub fn system_call(from: *const TargetRegisters) -> i64 {
    member!(from, orig_rax) as i64
}

/// A hash of the general registers except for the stack pointer.
#[inline(never)]
pub fn fingerprint(registers: *const TargetRegisters) -> u64 {
    let mut mixed = 0_u64;
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    unsafe {
        for register in [
            (*registers).rax,
            (*registers).rbx,
            (*registers).rcx,
            (*registers).rdx,
            (*registers).rsi,
            (*registers).rdi,
            (*registers).rbp,
            (*registers).r8,
            (*registers).r9,
            (*registers).r10,
            (*registers).r11,
            (*registers).r12,
            (*registers).r13,
            (*registers).r14,
            (*registers).r15,
        ] {
            mixed = (mixed ^ register).wrapping_mul(MIX);
            mixed ^= mixed >> 29;
        }
    }
    mixed
}

/// True if the jump at the probed instruction is taken, by its condition and the target's flags.
///
/// The condition is that of the opcode: its lowest bit negates the test, the other bits select it.
/// See [`tracer_common::arch::ALWAYS`].
#[inline(always)]
pub fn is_taken(from: *const TargetRegisters, condition: u32) -> bool {
    // SAFETY: the context of a uprobe program is a whole `pt_regs`.
    let flags = unsafe { (*from).eflags };
    let (carry, parity, zero) = (flags, flags >> 2, flags >> 6);
    let (sign, overflow) = (flags >> 7, flags >> 11);
    let holds = match condition >> 1 {
        0 => overflow,
        1 => carry,
        2 => zero,
        3 => carry | zero,
        4 => sign,
        5 => parity,
        6 => sign ^ overflow,
        7 => zero | (sign ^ overflow),
        _ => 1,
    };
    (holds as u32 ^ condition) & 1 != 0
}
