//! The instruction at an address: its bytes, its text, and whether it may be probed.

use crate::arch::{Instruction, MAX_INSTRUCTION, Unprobeable};
use crate::base::address::LinkAddr;
use crate::debuginfo::Module;

/// Bytes that are shown if there is no instruction.
const SHOWN_BYTES: usize = 4;

/// The bytes of the instruction at an address. `None` if there is none.
#[must_use]
pub fn instruction_bytes(module: &Module, address: LinkAddr) -> Option<&[u8]> {
    let bytes = module.initial_bytes(address, MAX_INSTRUCTION)?;
    let instruction = Instruction::first(bytes, address.0)?;
    bytes.get(..instruction.length())
}

/// The instruction at an address in assembler syntax, or the bytes if they are not an instruction.
#[must_use]
pub fn instruction_text(module: &Module, address: LinkAddr) -> String {
    let bytes = module.initial_bytes(address, MAX_INSTRUCTION);
    let bytes = bytes.unwrap_or_default();
    if let Some(instruction) = Instruction::first(bytes, address.0) {
        return instruction.text();
    }
    let bytes: Vec<String> = bytes
        .iter()
        .take(SHOWN_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("bytes {}", bytes.join(" "))
}

/// Why the instruction at an address must not be probed. `None` if it may be.
#[must_use]
pub fn unprobeable_at(module: &Module, address: LinkAddr) -> Option<Unprobeable> {
    Unprobeable::at(module.initial_bytes(address, MAX_INSTRUCTION))
}
