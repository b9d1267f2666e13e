//! The register map of x86-64.

/// First machine register that holds a register of the target.
///
/// The general registers stand in the order of their DWARF numbers: 0 `rax`, 1 `rdx`, 2 `rcx`,
/// 3 `rbx`, 4 `rsi`, 5 `rdi`, 6 `rbp`, 7 `rsp`, and 8 to 15 for `r8` to `r15`.
pub const TARGET_REGISTERS: u8 = 32;
/// Machine register with the address of the site in the process. Its DWARF number is 16.
///
/// The probed instruction may be another one: see
/// [`SiteControl::shift`](crate::control::SiteControl::shift).
pub const INSTRUCTION_POINTER: u8 = TARGET_REGISTERS + 16;
/// Machine register with the target's `eflags`.
pub const FLAGS_REGISTER: u8 = 49;
/// Machine register with the thread pointer, `fs_base`. Filled on
/// [`NEEDS_THREAD_POINTER`](crate::control::NEEDS_THREAD_POINTER) only.
pub const THREAD_POINTER: u8 = 50;
/// First machine register after those of the target.
pub const BEHIND_TARGET: u8 = 51;

/// The condition of an unconditional jump.
///
/// The condition of any other jump is the low four bits of its opcode.
pub const ALWAYS: u32 = 16;
