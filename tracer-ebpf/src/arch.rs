//! The target's processor: everything that the programs know about it.
//!
//! One file for each architecture, each with the same items. No other file of this crate reads the
//! registers of a hit.

#[cfg(bpf_target_arch = "x86_64")]
mod x86_64;

#[cfg(bpf_target_arch = "x86_64")]
pub use x86_64::{
    PAGE, RETURN_ADDRESS, TargetRegisters, copy_registers, fingerprint, general,
    instruction_pointer, is_taken, is_user, stack_pointer, system_call,
};
