//! Jumps that leave a function, found in its instructions.

use crate::arch::{Flow, TransferTarget, decode};
use crate::base::address::LinkAddr;
use crate::debuginfo::lines::unit_cache::CodeReader;

/// Bytes of one function that are searched.
const MAX_FUNCTION: u64 = 1 << 20;
/// Functions that are searched for a jump back into the first.
const MAX_FUNCTIONS: usize = 32;

/// A jump that leaves its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) struct JumpOut {
    pub(in crate::debuginfo) from: LinkAddr,
    pub(in crate::debuginfo) to: TransferTarget,
}

/// Returns true if a function may be entered again by jumps, either its own or those of a
/// function that it jumps to. Its return address then does not tell which arguments were passed.
/// Returns true also if that is not known.
pub(in crate::debuginfo) fn may_enter_itself(code: CodeReader<'_>, entry: LinkAddr) -> bool {
    let (mut asked, mut next) = (vec![entry.0], 0);
    while let Some(function) = asked.get(next).copied() {
        next += 1;
        let Some(targets) = jumps_out(code, LinkAddr(function)) else {
            return true;
        };
        for jump in targets {
            let TransferTarget::Address(target) = jump.to else {
                return true;
            };
            if target == entry.0 || asked.len() >= MAX_FUNCTIONS {
                return true;
            }
            if !asked.contains(&target) {
                asked.push(target);
            }
        }
    }
    false
}

/// Returns the jumps of a function that leave it or go back to its entry, or `None` if the target
/// of a jump is not known.
pub(in crate::debuginfo) fn jumps_out(
    code: CodeReader<'_>,
    entry: LinkAddr,
) -> Option<Vec<JumpOut>> {
    let function = code
        .function_code_at(entry)
        .filter(|function| function.entry == entry)?;
    let inside = |address: u64| {
        let mut ranges = function.ranges.iter();
        address != entry.0 && ranges.any(|(begin, end)| (begin.0..end.0).contains(&address))
    };
    let mut targets = Vec::new();
    for (begin, end) in &function.ranges {
        let length = end
            .0
            .checked_sub(begin.0)
            .filter(|length| *length <= MAX_FUNCTION)?;
        let bytes = code
            .files
            .initial_bytes(*begin, usize::try_from(length).ok()?)
            .filter(|bytes| bytes.len() as u64 == length)?;
        for instruction in decode(bytes, begin.0) {
            if !instruction.is_valid() {
                return None;
            }
            match instruction.flow() {
                Flow::Jump | Flow::ConditionalJump => {
                    let target = instruction.target().unwrap_or(0);
                    if !inside(target) {
                        targets.push(JumpOut {
                            from: LinkAddr(instruction.address()),
                            to: TransferTarget::Address(target),
                        });
                    }
                }
                Flow::IndirectJump => targets.push(JumpOut {
                    from: LinkAddr(instruction.address()),
                    to: TransferTarget::Word(instruction.target_word()?),
                }),
                _ => {}
            }
        }
    }
    Some(targets)
}
