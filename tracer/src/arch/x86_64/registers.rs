//! The general registers, their DWARF numbers, and the roles that the System V ABI gives them.

use iced_x86::Register;

/// Number of captured registers. They have the DWARF numbers below it.
pub const REGISTERS: usize = 17;
/// The stack pointer (`rsp`).
pub const STACK_POINTER: u8 = 7;
/// The frame pointer (`rbp`).
pub const FRAME_POINTER: u8 = 6;
/// The instruction pointer (`rip`), which is also the return address of a frame.
pub const INSTRUCTION_POINTER: u8 = 16;
/// Registers of the parts of a returned value, in this order (`rax`, `rdx`).
pub const RETURN_VALUE: [u8; 2] = [0, 1];
/// Register of returned floats. The kernel does not pass it to eBPF.
pub const FLOAT_RETURN: &str = "xmm0";
/// Registers that a function preserves, unless its rules differ.
pub const CALLEE_SAVED: [u8; 6] = [3, FRAME_POINTER, 12, 13, 14, 15];
/// Bytes below the stack pointer that belong to the function.
pub const RED_ZONE: i64 = 128;
/// Offsets from the thread pointer of words that always exist and are never written: the thread's
/// pointer to itself, and the canary of the stack protector.
pub const THREAD_WORDS: [i64; 2] = [0, 0x28];

const NAMES: [&str; REGISTERS] = [
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip",
];

/// Returns the name of a register that is captured, by its DWARF number.
#[must_use]
pub fn register_name(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number)).copied()
}

/// Returns the name of any register, by its DWARF number.
#[must_use]
pub fn any_register_name(number: u16) -> Option<&'static str> {
    gimli::X86_64::register_name(gimli::Register(number))
}

/// Returns true if a name that a user types means a register.
#[must_use]
pub fn is_register_word(word: &str) -> bool {
    NAMES.contains(&word) || ["eax", "pc", "sp", "fp", "ip", "eip"].contains(&word)
}

/// Returns the bit of a general register or of a part of one, by its DWARF number, or 0 for other
/// registers.
pub(super) fn bit(register: Register) -> u32 {
    let number = match register.full_register() {
        Register::RAX => 0,
        Register::RDX => 1,
        Register::RCX => 2,
        Register::RBX => 3,
        Register::RSI => 4,
        Register::RDI => 5,
        Register::RBP => 6,
        Register::RSP => 7,
        Register::R8 => 8,
        Register::R9 => 9,
        Register::R10 => 10,
        Register::R11 => 11,
        Register::R12 => 12,
        Register::R13 => 13,
        Register::R14 => 14,
        Register::R15 => 15,
        _ => return 0,
    };
    1 << number
}

/// Returns the DWARF number of a general register of 64 bits.
pub(super) fn number(register: Register) -> Option<u8> {
    let number = u8::try_from(bit(register).trailing_zeros()).ok()?;
    (register.is_gpr64() && number < 16).then_some(number)
}
