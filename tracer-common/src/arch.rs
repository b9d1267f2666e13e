//! The target's processor, as far as both sides of the kernel border must agree on it.
//!
//! One file for each architecture, each with the same constants: which machine registers hold the
//! target's registers, and how the condition of a jump is written. Today there is only x86-64.

mod x86_64;

pub use x86_64::{
    ALWAYS, BEHIND_TARGET, FLAGS_REGISTER, INSTRUCTION_POINTER, TARGET_REGISTERS, THREAD_POINTER,
};
