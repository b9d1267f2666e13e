//! Finds the beginning of a function's own statements, after its prologue.
//!
//! In unoptimised code, parameters are at their described places only after the prologue.

use super::line_table::UnitLines;
use crate::arch::{Flow, decode, frame_pointer_prologue};
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::files::Files;
use crate::debuginfo::functions::unit_code::{CodeScope, UnitCode};

/// Bytes of a prologue's code that are decoded.
const MAX_PROLOGUE_BYTES: usize = 512;

/// Returns the address of the first row of `function` after its prologue, or its entry if it has
/// none.
///
/// The compiler's own mark is used if there is one (LLVM). Otherwise, as in gdb, it is the second
/// row of functions with a frame pointer or without optimisation. Code that does not always run
/// is never chosen.
pub(in crate::debuginfo) fn after_prologue(
    files: &Files,
    code: &UnitCode,
    lines: &UnitLines,
    function: &CodeScope,
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
    let bytes = files
        .initial_bytes(LinkAddr(entry), MAX_PROLOGUE_BYTES)
        .unwrap_or_default();
    let mut looked_at = 0_u64;
    let mut seen = rows().inspect(|_| looked_at += 1);
    let marked = seen.find(|row| row.prologue_end).map(|row| row.address);
    drop(seen);
    if !files.budget.spend(ReaderKind::Lines, looked_at * 2, 0) {
        return LinkAddr(entry);
    }
    let target = marked.or_else(|| {
        let framed = frame_pointer_prologue(bytes, entry);
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

/// Returns true if code that is entered at `entry` always reaches the instruction at `target`,
/// because no jump leaves the part in between.
pub(in crate::debuginfo) fn runs_through(bytes: &[u8], entry: u64, target: u64) -> bool {
    let mut next = entry;
    for instruction in decode(bytes, entry) {
        if next >= target {
            break;
        }
        if !instruction.is_valid() {
            return false;
        }
        match instruction.flow() {
            Flow::Next | Flow::Call | Flow::IndirectCall => {}
            // Stack probes are small loops.
            Flow::ConditionalJump | Flow::Jump => {
                let inside = |to: u64| (entry..=target).contains(&to);
                if !instruction.target().is_some_and(inside) {
                    return false;
                }
            }
            _ => return false,
        }
        next = instruction.next_address();
    }
    next == target
}

#[cfg(test)]
mod tests {
    use super::*;

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
