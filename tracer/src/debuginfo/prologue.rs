//! Where a function's own statements begin, after its prologue.
//!
//! Before that, its parameters are not yet where the debug information of
//! unoptimised code says that they are.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::budget::Reader;
use super::code::{Scope, UnitCode};
use super::lines::UnitLines;
use super::module::Module;
use crate::address::LinkAddr;

/// Bytes of code that are decoded to see what a prologue does.
const MAX_PROLOGUE_BYTES: usize = 512;

/// The first row of `function` past its prologue; its entry when it has none.
///
/// The compiler's own mark where it makes one (LLVM), else the second row of
/// functions with a frame pointer or without optimisation, as gdb does. Code
/// that does not always run is never chosen.
pub(super) fn after_prologue(
    module: &Module,
    code: &UnitCode,
    lines: &UnitLines,
    function: &Scope,
) -> LinkAddr {
    let entry = function.entry;
    let end = function
        .ranges
        .iter()
        .find(|(begin, end)| (begin..end).contains(&&entry))
        .map_or(entry, |(_, end)| *end);
    let rows = || {
        lines
            .rows_from(entry)
            .iter()
            .filter(|row| row.address >= entry)
            .take_while(|row| row.address < end)
    };
    let bytes = module
        .initial_bytes(LinkAddr(entry), MAX_PROLOGUE_BYTES)
        .unwrap_or_default();
    let mut looked_at = 0_u64;
    let mut seen = rows().inspect(|_| looked_at += 1);
    let marked = seen.find(|row| row.prologue_end).map(|row| row.address);
    drop(seen);
    if !module.budget.spend(Reader::Lines, looked_at * 2, 0) {
        return LinkAddr(entry);
    }
    let target = marked.or_else(|| {
        let framed = frame_pointer_end(bytes, entry);
        if framed.is_none() && !code.plain_gcc {
            return None;
        }
        let least = framed.unwrap_or(entry + 1);
        rows()
            .find(|row| row.address >= least && row.address > entry)
            .map(|row| row.address)
    });
    match target {
        Some(target) if runs_through(bytes, entry, target) => LinkAddr(target),
        _ => LinkAddr(entry),
    }
}

/// The address after `push %rbp; mov %rsp,%rbp`, when the code begins so.
fn frame_pointer_end(bytes: &[u8], entry: u64) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, bytes, entry, DecoderOptions::NONE);
    let mut pushed = false;
    for _ in 0..3 {
        let instruction = decoder.decode();
        match instruction.mnemonic() {
            Mnemonic::Endbr64 if !pushed => {}
            Mnemonic::Push if !pushed && instruction.op0_register() == Register::RBP => {
                pushed = true;
            }
            Mnemonic::Mov if pushed => {
                let sets_frame = instruction.op0_register() == Register::RBP
                    && instruction.op1_register() == Register::RSP;
                return sets_frame.then(|| instruction.next_ip());
            }
            _ => return None,
        }
    }
    None
}

/// Whether code that is entered at `entry` always comes to `target`, an
/// instruction of its own: no jump leaves the part in between.
pub(super) fn runs_through(bytes: &[u8], entry: u64, target: u64) -> bool {
    let mut decoder = Decoder::with_ip(64, bytes, entry, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.ip() < target && decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            return false;
        }
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {}
            // Stack probes are small loops.
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                let near = instruction.op0_kind() == OpKind::NearBranch64;
                let to = instruction.near_branch_target();
                if !near || to < entry || to > target {
                    return false;
                }
            }
            _ => return false,
        }
    }
    decoder.ip() == target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_pointer_prologue_is_seen_with_and_without_endbr() {
        let framed = [0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0xc3];
        assert_eq!(frame_pointer_end(&framed, 0x1000), Some(0x1008));
        assert_eq!(frame_pointer_end(&framed[4..], 0x1000), Some(0x1004));
        assert_eq!(frame_pointer_end(&framed[5..], 0x1000), None);
        assert_eq!(frame_pointer_end(&[0x55, 0x53], 0x1000), None);
    }

    #[test]
    fn runs_through_jump_out_or_middle_of_instruction_is_refused() {
        // push %rbp; mov %rsp,%rbp; je +2; nop; nop; ret
        let code = [0x55, 0x48, 0x89, 0xe5, 0x74, 0x02, 0x90, 0x90, 0xc3];
        assert!(runs_through(&code, 0x1000, 0x1004));
        assert!(!runs_through(&code, 0x1000, 0x1003));
        assert!(!runs_through(&code, 0x1000, 0x1006));
        assert!(runs_through(&code, 0x1000, 0x1008));
        assert!(!runs_through(&code, 0x1000, 0x1100));
    }
}
