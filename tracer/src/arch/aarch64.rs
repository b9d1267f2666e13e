//! AArch64: not supported yet.
//!
//! The interface is complete, so that everything above compiles. No instruction is ever decoded,
//! and no instruction may be probed.

use std::convert::Infallible;

use super::{
    AssemblerOperand, Assignment, CalledValue, DataAccess, Flow, FrameUse, JumpCondition,
    NearTransfer, RegisterUse, SiteKind, StraightEffect, TransferKind,
};
use crate::base::address::LinkAddr;

/// Number of captured registers. They have the DWARF numbers below it.
pub const REGISTERS: usize = 17;
/// The stack pointer.
pub const STACK_POINTER: u8 = 31;
/// The frame pointer.
pub const FRAME_POINTER: u8 = 29;
/// The instruction pointer, which is also the return address of a frame.
pub const INSTRUCTION_POINTER: u8 = 32;
/// Registers of the parts of a returned value, in this order.
pub const RETURN_VALUE: [u8; 2] = [0, 1];
/// Register of returned floats.
pub const FLOAT_RETURN: &str = "v0";
/// Registers that a function preserves, unless its rules differ.
pub const CALLEE_SAVED: [u8; 11] = [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, FRAME_POINTER];
/// Bytes below the stack pointer that belong to the function.
pub const RED_ZONE: i64 = 0;
/// Offsets from the thread pointer of words that always exist and are never written.
pub const THREAD_WORDS: [i64; 0] = [];
/// The machine that ELF files of this architecture name.
pub const ELF_MACHINE: u16 = object::elf::EM_AARCH64.0;
/// Bytes of the longest instruction.
pub const MAX_INSTRUCTION: usize = 4;
/// Bytes of a direct call or jump.
pub const NEAR_TRANSFER_BYTES: u64 = 4;
/// Bytes of a call or jump through a word.
pub const WORD_TRANSFER_BYTES: u64 = 4;
/// Bytes of a stub of the procedure linkage table before its jump.
pub const BEFORE_STUB_JUMP: u64 = 12;
/// Bytes of a stub of the procedure linkage table.
pub const STUB_BYTES: u64 = 16;
/// Bytes that are enough to decode a stub.
pub const STUB_CODE: usize = 16;
/// Bytes that are enough to decode a thunk.
pub const THUNK_CODE: usize = 16;
/// Code with which C libraries return from a signal handler: `mov x8, #139; svc #0`.
pub const SIGNAL_RETURN: [u8; 8] = [0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];

/// Member of the kernel's `thread_struct` with a thread's thread pointer.
pub const THREAD_POINTER_FIELD: &str = "uw";

/// Returns the offset from the thread pointer of an executable's thread-local block. It is above
/// the pointer, after two words (variant I of the ELF specification).
#[must_use]
pub fn static_tls_block(_: u64, align: u64, address: u64) -> Option<i64> {
    let align = align.max(1);
    let begin = 16_u64.checked_next_multiple_of(align)?;
    i64::try_from(begin.checked_add(address % align)?).ok()
}

/// Types of relocations in the numbering of the ABI.
pub mod relocation {
    /// A word gets the address of a symbol, and nothing else.
    pub const GLOB_DAT: u32 = 1025;
    /// A word of the procedure linkage table gets the address of a symbol.
    pub const JUMP_SLOT: u32 = 1026;
    /// A word gets the load address plus the addend.
    pub const RELATIVE: u32 = 1027;
    /// A word gets the number of the module that has a thread-local symbol.
    pub const TLS_MODULE: u32 = 1028;
    /// A word gets the offset of a thread-local symbol from the thread pointer.
    pub const TLS_OFFSET: u32 = 1030;
    /// A word gets the address that code of the module chooses.
    pub const IRELATIVE: u32 = 1032;
}

/// The kernel's signal frame, whose registers are not known here.
pub mod signal_frame {
    /// Offset of the registers.
    pub const REGISTERS_AT: u64 = 0;
    /// Registers in the frame, in this order.
    pub const REGISTERS: [usize; 0] = [];
    /// Offset of the start of the alternate stack.
    pub const STACK_START: u64 = 16;
    /// Offset of the size of the alternate stack.
    pub const STACK_SIZE: u64 = 32;
}

/// Returns the name of a register that is captured, by its DWARF number.
#[must_use]
pub const fn register_name(_: u8) -> Option<&'static str> {
    None
}

/// Returns the name of any register, by its DWARF number.
#[must_use]
pub fn any_register_name(number: u16) -> Option<&'static str> {
    gimli::AArch64::register_name(gimli::Register(number))
}

/// Returns true if a name that a user types means a register.
#[must_use]
pub fn is_register_word(word: &str) -> bool {
    ["pc", "sp", "fp", "lr"].contains(&word)
}

/// The reason why an instruction must not be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unprobeable {
    /// This architecture's instructions are not known.
    #[error("instructions of this architecture are not known yet")]
    Unknown,
    /// A call in a thread with a shadow stack.
    #[error("the thread has a shadow stack, in which the kernel does not enter emulated calls")]
    ShadowedCall,
}

impl Unprobeable {
    /// Returns the reason why the first instruction in `bytes` must not be probed.
    #[must_use]
    pub const fn of(_: &[u8]) -> Option<Self> {
        Some(Self::Unknown)
    }

    /// Returns the reason why an instruction must not be probed; `bytes` are those of the file at
    /// its address.
    #[must_use]
    pub const fn at(_: Option<&[u8]>) -> Option<Self> {
        Some(Self::Unknown)
    }

    /// Returns the reason why a decoded instruction must not be probed.
    #[must_use]
    pub const fn entry(instruction: &Instruction, _: &[u8]) -> Option<Self> {
        match instruction.0 {}
    }
}

/// An instruction. This type has no values.
#[derive(Clone, Copy, Debug)]
pub struct Instruction(Infallible);

/// Decodes nothing.
pub fn decode(_: &[u8], _: u64) -> impl Iterator<Item = Instruction> {
    std::iter::empty()
}

/// Defines methods of an instruction, which are never called.
macro_rules! never {
    ($($(#[$doc:meta])* $name:ident($($argument:ty),*) -> $result:ty;)*) => {
        impl Instruction {
            $(
                $(#[$doc])*
                #[must_use]
                pub const fn $name(&self $(, _: $argument)*) -> $result {
                    match self.0 {}
                }
            )*
        }
    };
}

never! {
    /// Returns true if the bytes are a valid instruction.
    is_valid() -> bool;
    /// Returns the link address of the first byte.
    address() -> u64;
    /// Returns the link address after the instruction.
    next_address() -> u64;
    /// Returns the length in bytes.
    length() -> usize;
    /// Returns the place at which execution continues.
    flow() -> Flow;
    /// Returns the target of a direct call or jump.
    target() -> Option<u64>;
    /// Returns true if the target can be anywhere in a module.
    has_far_reach() -> bool;
    /// Returns the condition of a direct jump.
    jump_condition() -> JumpCondition;
    /// Returns true for a jump that also decrements a register.
    counts_down() -> bool;
    /// Returns the module's word that has the target of an indirect jump or call.
    target_word() -> Option<LinkAddr>;
    /// Returns the address that an indirect call or jump leads to.
    called_value() -> Option<CalledValue>;
    /// Returns true for a jump to an address that the function computes.
    is_computed_jump() -> bool;
    /// Returns the link address that the instruction loads into a register.
    address_taken() -> Option<u64>;
    /// Returns true if the instruction loads an entry of a table of differences.
    loads_table_entry() -> bool;
    /// Returns the register whose eight bytes the instruction stores to memory.
    stored_register() -> Option<u8>;
    /// Returns the value that the instruction assigns to a general register.
    assignment(u8) -> Option<Assignment>;
    /// Returns the use of the stack pointer or the frame pointer as values.
    frame_use() -> FrameUse;
    /// Returns the accesses that the instruction makes to memory.
    data_access() -> DataAccess;
    /// Returns true for the instruction by which a program calls the kernel.
    calls_kernel() -> bool;
    /// Returns the instruction in assembler syntax.
    text() -> String;
}

impl Instruction {
    /// Returns the first instruction in `bytes`.
    #[must_use]
    pub const fn first(_: &[u8], _: u64) -> Option<Self> {
        None
    }
}

/// Finds the effects of instructions.
#[derive(Default)]
pub struct EffectReader;

impl EffectReader {
    /// Returns the effect of an instruction.
    pub const fn effect(&mut self, instruction: &Instruction) -> Option<StraightEffect> {
        match instruction.0 {}
    }

    /// Returns the use that an instruction makes of a general register.
    pub const fn use_of(&mut self, instruction: &Instruction, _: u8) -> RegisterUse {
        match instruction.0 {}
    }
}

/// Returns the way in which a kernel runs a probed instruction.
#[must_use]
pub const fn site_kind(instruction: &Instruction, _: &[u8], _: bool) -> SiteKind {
    match instruction.0 {}
}

/// Returns true if a function returns its first argument.
#[must_use]
pub const fn hands_back_first_argument(_: &[Instruction], _: u64) -> bool {
    false
}

/// Returns the direct calls or jumps that may be in some bytes.
pub fn near_transfers(_: &[u8], _: u64, _: TransferKind) -> impl Iterator<Item = NearTransfer> {
    std::iter::empty()
}

/// Returns all calls that may be in some bytes.
pub fn all_calls(_: &[u8], _: u64) -> impl Iterator<Item = NearTransfer> {
    std::iter::empty()
}

/// Returns the jumps through words that may be in some bytes.
pub fn word_jumps(_: &[u8], _: u64) -> impl Iterator<Item = NearTransfer> {
    std::iter::empty()
}

/// Returns the target of a direct call.
#[must_use]
pub const fn call_target(_: &[u8], _: u64) -> Option<u64> {
    None
}

/// Returns the word of a call through a word.
#[must_use]
pub const fn call_word(_: &[u8], _: u64) -> Option<LinkAddr> {
    None
}

/// Returns true if code begins with a jump through a word.
#[must_use]
pub const fn is_word_jump(_: &[u8]) -> bool {
    false
}

/// Returns the word that a stub jumps through.
#[must_use]
pub const fn stub_word(_: &[u8], _: u64) -> Option<LinkAddr> {
    None
}

/// Returns the function that a thunk jumps to.
#[must_use]
pub const fn thunk_target(_: &[u8], _: u64) -> Option<u64> {
    None
}

/// Returns the address after the instructions that set a frame pointer.
#[must_use]
pub const fn frame_pointer_prologue(_: &[u8], _: u64) -> Option<u64> {
    None
}

/// Returns the bytes of code in memory without the kernel's breakpoints.
#[must_use]
pub fn without_breakpoints(bytes: &[u8], _: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

/// Returns true if these bytes may contain breakpoints.
#[must_use]
pub const fn may_have_breakpoints(_: &[u8]) -> bool {
    true
}

/// Finds the addresses that code may refer to.
pub fn displacements(_: &[u8], _: u64, _: impl FnMut(u64)) {}

/// Returns true if `memory` is the instruction `own` with the kernel's breakpoint in it.
#[must_use]
pub const fn is_probed(_: &[u8], _: &[u8]) -> bool {
    false
}

/// Returns true if an instruction does nothing.
#[must_use]
pub const fn is_nop(_: &[u8]) -> bool {
    false
}

/// Reads an operand in assembler syntax.
#[must_use]
pub const fn parse_operand(_: &str) -> Option<AssemblerOperand<'_>> {
    None
}
