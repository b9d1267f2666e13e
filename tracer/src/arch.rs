//! The processor's architecture: instructions, registers, the calling convention, and the cost of
//! a probe on an instruction.
//!
//! Everything that differs between processors is in the file of an architecture below, behind the
//! plain types of this folder. No other room uses the decoder, names a register, or knows the
//! bytes of an instruction. Registers are DWARF numbers.

mod facts;
mod operand;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub use aarch64::*;
pub use facts::{
    Assignment, CalledValue, DataAccess, Flow, FrameUse, JumpCondition, MemoryAccess, MemoryPlace,
    NearTransfer, PointerSum, PointerValue, RegisterUse, SiteKind, StackChange, StraightEffect,
    TransferKind, TransferTarget,
};
pub use operand::{AssemblerOperand, MemorySum, ScaledIndex, SymbolReference};
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("tracer knows no other architecture than x86-64");
