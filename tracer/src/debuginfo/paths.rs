//! Ways through one function: what its branches lead back to, and what every
//! way to a place passes first.

use std::collections::HashMap;

use iced_x86::{ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

use super::module::Module;
use crate::address::LinkAddr;

/// Bytes of one function that are looked through.
const MAX_BYTES: u64 = 1 << 20;

/// A branch of a function to its own first instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Where it stands.
    pub address: LinkAddr,
    /// When it is taken: the low four bits of a conditional jump's opcode; `None`: always.
    pub condition: Option<u8>,
}

impl Module {
    /// The branches of the function at `entry` that lead to its first instruction, by address: none
    /// where that is no head of a loop.
    ///
    /// # Errors
    /// Its code cannot be read, or there are branches of which it is not known whether they lead
    /// there, or when.
    pub fn turns(&self, entry: LinkAddr) -> Result<Vec<Turn>, String> {
        let unread = || "its code cannot be read".to_owned();
        let code = self.function_code_at(entry);
        let code = code
            .or_else(|| self.bare_code_at(entry))
            .ok_or_else(unread)?;
        let instructions = instructions(self, &code.ranges).ok_or_else(unread)?;
        let mut turns = Vec::new();
        for instruction in instructions.values() {
            let is_branch = matches!(
                instruction.flow_control(),
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
            );
            if is_branch
                && instruction.op0_kind() == OpKind::NearBranch64
                && instruction.near_branch_target() == entry.0
            {
                turns.push(turn(instruction, entry)?);
            }
        }
        let computed = instructions
            .values()
            .find(|instruction| instruction.flow_control() == FlowControl::IndirectBranch);
        if let Some(jump) = computed.filter(|_| !turns.is_empty()) {
            return Err(format!(
                "the jump at {:#x} goes where a register says, maybe back to it",
                jump.ip()
            ));
        }
        turns.sort_by_key(|turn| turn.address);
        Ok(turns)
    }

    /// Whether a direct branch of the function at `entry` that stands at `from` or behind leads
    /// to `first`, `last`, or in between; `None` where its code cannot be read.
    #[must_use]
    pub fn leads_back(
        &self,
        entry: LinkAddr,
        from: LinkAddr,
        (first, last): (LinkAddr, LinkAddr),
    ) -> Option<bool> {
        let code = self.function_code_at(entry)?;
        let instructions = instructions(self, &code.ranges)?;
        Some(instructions.values().any(|instruction| {
            let behind = instruction.ip() >= from.0 || instruction.ip() < entry.0;
            behind
                && instruction.op0_kind() == OpKind::NearBranch64
                && matches!(
                    instruction.flow_control(),
                    FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
                )
                && (first.0..=last.0).contains(&instruction.near_branch_target())
        }))
    }

    /// Whether every way from the function's entry to `to` is certain to pass one of `through`.
    ///
    /// Landing pads of exceptions count as entries; where the function computes a jump, or its
    /// code is not understood, nothing is certain.
    #[must_use]
    pub fn always_passes(&self, through: &[LinkAddr], to: LinkAddr) -> bool {
        self.reaches_without(through, to) == Some(false)
    }

    fn reaches_without(&self, through: &[LinkAddr], to: LinkAddr) -> Option<bool> {
        let code = self.function_code_at(to)?;
        let ranges: Vec<(u64, u64)> = code
            .ranges
            .iter()
            .map(|(begin, end)| (begin.0, end.0))
            .collect();
        let instructions = instructions(self, &code.ranges)?;
        let pads = self.landing_pads(&ranges)?;
        let mut left: Vec<u64> = pads.iter().map(|pad| pad.0).collect();
        left.push(code.entry.0);
        let mut seen = std::collections::HashSet::new();
        while let Some(at) = left.pop() {
            if through.contains(&LinkAddr(at)) || !seen.insert(at) {
                continue;
            }
            if at == to.0 {
                return Some(true);
            }
            let Some(instruction) = instructions.get(&at) else {
                // Out of the function, and not back.
                continue;
            };
            match instruction.flow_control() {
                FlowControl::Next
                | FlowControl::Call
                | FlowControl::IndirectCall
                | FlowControl::Interrupt => left.push(instruction.next_ip()),
                FlowControl::ConditionalBranch => {
                    left.push(instruction.next_ip());
                    left.push(instruction.near_branch_target());
                }
                FlowControl::UnconditionalBranch => left.push(instruction.near_branch_target()),
                FlowControl::Return | FlowControl::Exception => {}
                FlowControl::IndirectBranch | FlowControl::XbeginXabortXend => return None,
            }
        }
        Some(false)
    }
}

/// What such a branch is.
fn turn(instruction: &Instruction, entry: LinkAddr) -> Result<Turn, String> {
    let address = LinkAddr(instruction.ip());
    if address == entry {
        return Err(format!("the jump at {address} leads to itself"));
    }
    if instruction.is_jmp_short_or_near() {
        return Ok(Turn {
            address,
            condition: None,
        });
    }
    // In the order of the opcodes, behind that of no condition.
    let condition = (instruction.condition_code() as u8).checked_sub(ConditionCode::o as u8);
    match condition {
        Some(condition) if instruction.is_jcc_short_or_near() => Ok(Turn {
            address,
            condition: Some(condition),
        }),
        // `loop` and `jrcxz` go by a register.
        _ => Err(format!("the jump at {address} has no condition of flags")),
    }
}

/// The instructions of some ranges, by address; `None` where some bytes are no code.
fn instructions(
    module: &Module,
    ranges: &[(LinkAddr, LinkAddr)],
) -> Option<HashMap<u64, Instruction>> {
    let mut found = HashMap::new();
    for (begin, end) in ranges {
        let length = end
            .0
            .checked_sub(begin.0)
            .filter(|&length| length <= MAX_BYTES)?;
        let length = usize::try_from(length).ok()?;
        let bytes = module
            .initial_bytes(*begin, length)
            .filter(|bytes| bytes.len() == length)?;
        let mut decoder = Decoder::with_ip(64, bytes, begin.0, DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                return None;
            }
            found.insert(instruction.ip(), instruction);
        }
    }
    Some(found)
}
