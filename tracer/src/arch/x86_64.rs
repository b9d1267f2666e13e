//! x86-64 with the System V ABI and Linux.

mod code_bytes;
mod data_access;
mod effect;
mod emulated;
mod first_argument;
mod instruction;
mod operand;
mod registers;
mod steppable;

pub use code_bytes::{
    BEFORE_STUB_JUMP, NEAR_TRANSFER_BYTES, STUB_BYTES, STUB_CODE, THUNK_CODE, WORD_TRANSFER_BYTES,
    all_calls, call_target, call_word, displacements, frame_pointer_prologue, is_probed,
    is_word_jump, may_have_breakpoints, near_transfers, stub_word, thunk_target,
    without_breakpoints, word_jumps,
};
pub use effect::EffectReader;
pub use emulated::site_kind;
pub use first_argument::hands_back_first_argument;
pub use instruction::{Instruction, decode};
pub use operand::{is_nop, parse_operand};
pub use registers::{
    CALLEE_SAVED, FLOAT_RETURN, FRAME_POINTER, INSTRUCTION_POINTER, RED_ZONE, REGISTERS,
    RETURN_VALUE, STACK_POINTER, THREAD_WORDS, any_register_name, is_register_word, register_name,
};
pub use steppable::{MAX_INSTRUCTION, Unprobeable};

/// The machine that ELF files of this architecture name (`EM_X86_64`).
pub const ELF_MACHINE: u16 = object::elf::EM_X86_64.0;

/// Member of the kernel's `thread_struct` with a thread's thread pointer.
pub const THREAD_POINTER_FIELD: &str = "fsbase";

/// Returns the offset from the thread pointer of an executable's thread-local block, given its
/// size, its alignment and its link address. It is below the pointer (variant II of the ELF
/// specification).
#[must_use]
pub fn static_tls_block(size: u64, align: u64, address: u64) -> Option<i64> {
    let align = align.max(1);
    let misaligned = size.wrapping_add(address) % align;
    let padding = if misaligned == 0 {
        0
    } else {
        align - misaligned
    };
    let distance = i64::try_from(size.checked_add(padding)?).ok()?;
    Some(-distance)
}

/// Types of relocations in the numbering of the ABI.
pub mod relocation {
    /// A word gets the address of a symbol, and nothing else.
    pub const GLOB_DAT: u32 = 6;
    /// A word of the procedure linkage table gets the address of a symbol.
    pub const JUMP_SLOT: u32 = 7;
    /// A word gets the load address plus the addend.
    pub const RELATIVE: u32 = 8;
    /// A word gets the number of the module that has a thread-local symbol.
    pub const TLS_MODULE: u32 = 16;
    /// A word gets the offset of a thread-local symbol from the thread pointer.
    pub const TLS_OFFSET: u32 = 18;
    /// A word gets the address that code of the module chooses.
    pub const IRELATIVE: u32 = 37;
}

/// Code with which every C library returns from a signal handler, and by which debuggers
/// recognise that: `mov $15, %rax; syscall`.
pub const SIGNAL_RETURN: [u8; 9] = [0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05];

/// The kernel's signal frame, counted from the stack pointer of the code that returns from the
/// handler (`struct ucontext`).
pub mod signal_frame {
    /// Offset of the registers.
    pub const REGISTERS_AT: u64 = 40;
    /// Registers in the frame, in this order: `r8` to `r15`, `rdi`, `rsi`, `rbp`, `rbx`, `rdx`,
    /// `rax`, `rcx`, `rsp`, `rip`.
    pub const REGISTERS: [usize; 17] = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16];
    /// Offset of the start of the alternate stack.
    pub const STACK_START: u64 = 16;
    /// Offset of the size of the alternate stack.
    pub const STACK_SIZE: u64 = 32;
}
