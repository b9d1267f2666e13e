//! Finds calls, jumps and prologues in the bytes of code, without decoding all of it.

use iced_x86::{Code, Mnemonic, Register};

use super::instruction::decode;
use crate::arch::{Flow, NearTransfer, TransferKind, TransferTarget};
use crate::base::address::LinkAddr;

/// Bytes of `call rel32` and `jmp rel32`.
pub const NEAR_TRANSFER_BYTES: u64 = 5;
/// Bytes of `call *rel32(%rip)` and `jmp *rel32(%rip)`.
pub const WORD_TRANSFER_BYTES: u64 = 6;
/// Bytes of a stub of the procedure linkage table before its jump.
pub const BEFORE_STUB_JUMP: u64 = 16;
/// Bytes of a stub of the procedure linkage table.
pub const STUB_BYTES: u64 = 16;
/// Bytes that are enough to decode a stub.
pub const STUB_CODE: usize = 15 * MAX_STUB;
/// Bytes that are enough to decode a thunk.
pub const THUNK_CODE: usize = 15 * MAX_THUNK;

/// First bytes of `call rel32` and `jmp rel32`.
const CALL: u8 = 0xe8;
const JUMP: u8 = 0xe9;
/// First bytes of `call *rel32(%rip)` and `jmp *rel32(%rip)`.
const THROUGH: u8 = 0xff;
const CALL_THROUGH: u8 = 0x15;
const JUMP_THROUGH: u8 = 0x25;
/// Instructions of a stub, with its jump.
const MAX_STUB: usize = 4;
/// Instructions of a thunk, with its jump.
const MAX_THUNK: usize = 6;
/// Instructions of a prologue that sets a frame pointer.
const MAX_PROLOGUE: usize = 3;

/// Finds direct calls or direct jumps in code that begins at `begin`, and their targets.
///
/// The result can include bytes that merely look like one.
pub fn near_transfers(
    code: &[u8],
    begin: u64,
    kind: TransferKind,
) -> impl Iterator<Item = NearTransfer> {
    let opcode = match kind {
        TransferKind::Call => CALL,
        TransferKind::Jump => JUMP,
    };
    memchr::memchr_iter(opcode, code).filter_map(move |at| {
        let behind = begin.saturating_add(at as u64 + NEAR_TRANSFER_BYTES);
        let to = TransferTarget::Address(target(behind, code.get(at + 1..)?)?);
        Some(NearTransfer { behind, to })
    })
}

/// Finds all calls in code that begins at `begin`: direct calls, and calls through a word.
pub fn all_calls(code: &[u8], begin: u64) -> impl Iterator<Item = NearTransfer> {
    memchr::memchr2_iter(CALL, THROUGH, code).filter_map(move |at| {
        let address = begin.saturating_add(at as u64);
        match *code.get(at..)? {
            [CALL, ref distance @ ..] => {
                let behind = address.saturating_add(NEAR_TRANSFER_BYTES);
                let to = TransferTarget::Address(target(behind, distance)?);
                Some(NearTransfer { behind, to })
            }
            [THROUGH, CALL_THROUGH, ref distance @ ..] => {
                let behind = address.saturating_add(WORD_TRANSFER_BYTES);
                let to = TransferTarget::Word(LinkAddr(target(behind, distance)?));
                Some(NearTransfer { behind, to })
            }
            _ => None,
        }
    })
}

/// Finds the jumps through words in code that begins at `begin`. The result can include bytes
/// that merely look like one.
pub fn word_jumps(code: &[u8], begin: u64) -> impl Iterator<Item = NearTransfer> {
    memchr::memchr_iter(THROUGH, code).filter_map(move |at| {
        let [THROUGH, JUMP_THROUGH, ref distance @ ..] = *code.get(at..)? else {
            return None;
        };
        let behind = begin.saturating_add(at as u64 + WORD_TRANSFER_BYTES);
        let to = TransferTarget::Word(LinkAddr(target(behind, distance)?));
        Some(NearTransfer { behind, to })
    })
}

/// Returns the target of the direct call in these [`NEAR_TRANSFER_BYTES`], which end at `behind`.
#[must_use]
pub fn call_target(bytes: &[u8], behind: u64) -> Option<u64> {
    match *bytes {
        [CALL, ref distance @ ..] => target(behind, distance),
        _ => None,
    }
}

/// Returns the word of the call in these [`WORD_TRANSFER_BYTES`], which end at `behind`.
#[must_use]
pub fn call_word(bytes: &[u8], behind: u64) -> Option<LinkAddr> {
    match *bytes {
        [THROUGH, CALL_THROUGH, ref distance @ ..] => target(behind, distance).map(LinkAddr),
        _ => None,
    }
}

/// Returns true if code begins with a jump through a word.
#[must_use]
pub const fn is_word_jump(code: &[u8]) -> bool {
    matches!(code, [THROUGH, JUMP_THROUGH, ..])
}

/// Returns the word that a stub jumps through. The stub must have no effect that its caller or
/// the function could see.
#[must_use]
pub fn stub_word(code: &[u8], begin: u64) -> Option<LinkAddr> {
    for instruction in decode(code, begin).take(MAX_STUB) {
        let decoded = &instruction.decoded;
        match decoded.code() {
            // The number of the import for the dynamic linker. Its register has no other use at a
            // call.
            Code::Mov_r32_imm32 if decoded.op0_register() == Register::R11D => {}
            Code::Endbr64 | Code::Nopd | Code::Nopw => {}
            Code::Jmp_rm64 => return instruction.target_word(),
            _ => return None,
        }
    }
    None
}

/// Returns the function that a thunk jumps to. It may change arguments before, and leaves the stack alone.
#[must_use]
pub fn thunk_target(code: &[u8], begin: u64) -> Option<u64> {
    for instruction in decode(code, begin).take(MAX_THUNK) {
        match instruction.flow() {
            Flow::Jump => return instruction.target(),
            Flow::Next
                if instruction.is_valid() && instruction.decoded.stack_pointer_increment() == 0 => {
            }
            _ => return None,
        }
    }
    None
}

/// Returns the address after the instructions that set a frame pointer (`push %rbp; mov
/// %rsp,%rbp`), if a function's code begins with them.
#[must_use]
pub fn frame_pointer_prologue(code: &[u8], entry: u64) -> Option<u64> {
    let mut pushed = false;
    for instruction in decode(code, entry).take(MAX_PROLOGUE) {
        let decoded = &instruction.decoded;
        match decoded.mnemonic() {
            Mnemonic::Endbr64 if !pushed => {}
            Mnemonic::Push if !pushed && decoded.op0_register() == Register::RBP => pushed = true,
            Mnemonic::Mov if pushed => {
                let sets_frame = instruction.sets_frame_pointer();
                return sets_frame.then(|| instruction.next_address());
            }
            _ => return None,
        }
    }
    None
}

/// Calls `found` with each address that code beginning at `begin` may refer to: by the
/// displacement of a branch, of a call, or of a `lea` relative to the instruction pointer. The
/// addresses can include those of bytes that merely look like one.
pub fn displacements(code: &[u8], begin: u64, mut found: impl FnMut(u64)) {
    let mut next = begin.wrapping_add(6);
    for window in code.windows(6) {
        if let [first, second, a, b, c, d] = *window
            && precedes_displacement(first, second)
        {
            let displacement = i32::from_le_bytes([a, b, c, d]);
            found(next.wrapping_add(i64::from(displacement) as u64));
        }
        next = next.wrapping_add(1);
    }
}

/// Returns true if two bytes can be the last ones before a displacement that refers to code.
const fn precedes_displacement(first: u8, second: u8) -> bool {
    match (first, second) {
        // call, jmp; jcc; xbegin; lea relative to the instruction pointer.
        (_, CALL | JUMP) | (0x0f, 0x80..=0x8f) | (0xc7, 0xf8) => true,
        (0x8d, operand) => operand & 0xc7 == 0x05,
        _ => false,
    }
}

/// Returns true if `memory` is the instruction `own` with the kernel's breakpoint in it, or with
/// the call that Linux replaces a nop by.
#[must_use]
pub fn is_probed(own: &[u8], memory: &[u8]) -> bool {
    match (memory, own) {
        ([BREAKPOINT, rest @ ..], [_, own @ ..]) if rest == own => true,
        // From Linux 6.18 on the kernel replaces a 5-byte nop by a call. In between it has a
        // breakpoint and parts of the call.
        ([CALL | BREAKPOINT, _, _, _, _], [0x66 | 0x0f, ..]) => own.len() == 5,
        _ => false,
    }
}

/// Returns the bytes of code in memory without the kernel's breakpoints. `file` has the program's
/// bytes at the same place. Other differences are the program's own changes.
#[must_use]
pub fn without_breakpoints(bytes: &[u8], file: &[u8]) -> Vec<u8> {
    let mut own = bytes.to_vec();
    for (byte, file) in own.iter_mut().zip(file) {
        if *byte == BREAKPOINT {
            *byte = *file;
        }
    }
    for (at, nop) in file.windows(NOP.len()).enumerate() {
        let here = at..at + NOP.len();
        if nop == NOP
            && let Some(here) = own.get_mut(here)
            && here.first() == Some(&CALL)
        {
            here.copy_from_slice(&NOP);
        }
    }
    own
}

/// Returns true if these bytes may contain breakpoints.
#[must_use]
pub fn may_have_breakpoints(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(*byte, BREAKPOINT | CALL))
}

/// The breakpoint instruction.
const BREAKPOINT: u8 = 0xcc;
/// A `nop` of five bytes, which kernels from 6.18 on replace by a call.
const NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x00];

/// Returns the address that an instruction refers to. The instruction ends at `end`, and its last
/// four bytes are the distance.
fn target(end: u64, distance: &[u8]) -> Option<u64> {
    let distance = i32::from_le_bytes(*distance.first_chunk()?);
    Some(end.wrapping_add_signed(distance.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_pointer_prologue_is_seen_with_and_without_endbr() {
        let framed = [0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0xc3];
        assert_eq!(frame_pointer_prologue(&framed, 0x1000), Some(0x1008));
        assert_eq!(frame_pointer_prologue(&framed[4..], 0x1000), Some(0x1004));
        assert_eq!(frame_pointer_prologue(&framed[5..], 0x1000), None);
        assert_eq!(frame_pointer_prologue(&[0x55, 0x53], 0x1000), None);
    }

    #[test]
    fn breakpoint_gives_way_to_the_byte_of_the_file() {
        let file = [0x55, 0x48, 0x89, 0xe5, 0xcc];
        let memory = [0xcc, 0x48, 0x89, 0xe5, 0xcc];
        assert_eq!(without_breakpoints(&memory, &file), file);
        assert_eq!(without_breakpoints(&[0xcc, 0x48], &file), file[..2]);
        // Bytes that the program wrote itself are kept.
        assert_eq!(without_breakpoints(&[0x90, 0x48], &file), [0x90, 0x48]);
    }

    #[test]
    fn call_gives_way_to_the_nop_of_the_file() {
        let file = [0x90, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0xc3];
        let memory = [0x90, 0xe8, 1, 2, 3, 4, 0xc3];
        assert_eq!(without_breakpoints(&memory, &file), file);
        assert!(may_have_breakpoints(&memory) && !may_have_breakpoints(&file));
    }

    #[test]
    fn thunk_leads_to_its_function_and_leaves_the_stack_alone() {
        // sub rdi, 16; jmp 0x1030
        let thunk = [0x48, 0x83, 0xef, 0x10, 0xe9, 0x27, 0, 0, 0];
        assert_eq!(thunk_target(&thunk, 0x1000), Some(0x1030));
        // mov r10, [rdi]; add rdi, [r10-24]; jmp 0x1030
        let of_virtual_base = [
            0x4c, 0x8b, 0x17, 0x49, 0x03, 0x7a, 0xe8, 0xe9, 0x24, 0, 0, 0,
        ];
        assert_eq!(thunk_target(&of_virtual_base, 0x1000), Some(0x1030));
        // push rdi; jmp 0x1030
        let pushes = [0x57, 0xe9, 0x2a, 0, 0, 0];
        assert_eq!(thunk_target(&pushes, 0x1000), None);
        // call 0x1030; jmp 0x1030
        let calls = [0xe8, 0x2b, 0, 0, 0, 0xe9, 0x26, 0, 0, 0];
        assert_eq!(thunk_target(&calls, 0x1000), None);
    }
}
