//! Paths through one function: the branches that lead back, and the places that every path to an
//! address passes first.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use crate::arch::{
    CalledValue, Flow, Instruction, JumpCondition, PointerSum, PointerValue, THUNK_CODE, decode,
    thunk_target,
};
use crate::base::address::LinkAddr;
use crate::debuginfo::calls::imports::word_of_stub;
use crate::debuginfo::files::Files;
use crate::debuginfo::functions::function_code::FunctionCode;
use crate::debuginfo::module::Module;
use crate::debuginfo::place::{Binary, LocationExpr, Register, Term};

/// Bytes of one function that are searched.
const MAX_BYTES: u64 = 1 << 20;

/// A branch of a function to its own first instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopBranch {
    /// Address of the branch.
    pub address: LinkAddr,
    /// Condition: the low four bits of a conditional jump's opcode, or `None` if the branch is
    /// always taken.
    pub condition: Option<u8>,
}

/// A call instruction of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct CallInstruction {
    /// Its address.
    pub address: LinkAddr,
    /// The address behind it.
    pub returns_to: LinkAddr,
    /// The called address.
    pub to: Destination,
}

/// A jump that leaves its function, or may leave it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeavingJump {
    /// Its address.
    pub address: LinkAddr,
    /// The address that it leads to.
    pub to: Destination,
}

/// The address to which a call or a jump leads.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    /// This one.
    Known(LinkAddr),
    /// The one in a word of the module.
    InWord(LinkAddr),
    /// One that is computed, if the computation at the instruction is known.
    Computed(Option<LocationExpr>),
}

impl Destination {
    fn of(instruction: &Instruction) -> Self {
        if let Some(target) = instruction.target() {
            return Self::Known(LinkAddr(target));
        }
        match instruction.called_value() {
            Some(CalledValue::Word(word)) => Self::InWord(word),
            Some(CalledValue::Register(register)) => {
                let expr = LocationExpr(vec![Term::Register(Register(register))]);
                Self::Computed(Some(expr))
            }
            Some(CalledValue::Memory(sum)) => Self::Computed(loaded(sum)),
            None => Self::Computed(None),
        }
    }

    /// Returns the computation of the address at the instruction. `None` if it is not known, or not needed.
    #[must_use]
    pub fn computation(&self) -> Option<LocationExpr> {
        match self {
            Self::Known(_) => None,
            Self::InWord(word) => Some(LocationExpr(vec![Term::Address(*word), Term::Deref(8)])),
            Self::Computed(expr) => expr.clone(),
        }
    }
}

impl Module {
    /// Returns the call instructions of a function by address, or `None` if its code cannot be read.
    #[must_use]
    pub fn calls_in(&self, function: &FunctionCode) -> Option<Vec<CallInstruction>> {
        let instructions = instructions(self, &function.ranges)?;
        let mut calls: Vec<CallInstruction> = instructions
            .values()
            .filter(|one| matches!(one.flow(), Flow::Call | Flow::IndirectCall))
            .map(|one| CallInstruction {
                address: LinkAddr(one.address()),
                returns_to: LinkAddr(one.next_address()),
                to: Destination::of(one),
            })
            .collect();
        calls.sort_by_key(|call| call.address);
        Some(calls)
    }

    /// Returns the jumps by which a function is left, so that another one returns in its place, by address. A computed
    /// jump may also stay inside.
    #[must_use]
    pub fn leaving_jumps_in(&self, function: &FunctionCode) -> Vec<LeavingJump> {
        let is_inside = |address: LinkAddr| {
            let mut ranges = function.ranges.iter();
            ranges.any(|&(begin, end)| (begin..end).contains(&address))
        };
        let instructions = instructions(self, &function.ranges).unwrap_or_default();
        let mut jumps: Vec<LeavingJump> = instructions
            .values()
            .filter(|one| matches!(one.flow(), Flow::Jump | Flow::IndirectJump))
            .map(|one| LeavingJump {
                address: LinkAddr(one.address()),
                to: Destination::of(one),
            })
            .filter(|jump| match jump.to {
                Destination::Known(target) => !is_inside(target),
                Destination::InWord(_) => true,
                Destination::Computed(ref value) => value.is_some(),
            })
            .collect();
        jumps.sort_by_key(|jump| jump.address);
        jumps
    }

    /// Returns the address to which code without a function of its own only leads on: a stub for another module's
    /// function, or a thunk that changes arguments. `None` if it does more.
    #[must_use]
    pub fn leads_on(&self, address: LinkAddr) -> Option<Destination> {
        if let Some(word) = word_of_stub(self, address) {
            return Some(Destination::InWord(word));
        }
        let code = self.initial_bytes(address, THUNK_CODE)?;
        thunk_target(code, address.0).map(|target| Destination::Known(LinkAddr(target)))
    }

    /// Returns the addresses to which code of a function jumps or is led by an exception, or `None` if they are not all
    /// known: the function computes a jump, or its code cannot be read.
    #[must_use]
    pub fn jump_targets(&self, function: &FunctionCode) -> Option<BTreeSet<LinkAddr>> {
        let instructions = instructions(self, &function.ranges)?;
        let ranges: Vec<(u64, u64)> = function.ranges.iter().map(|(a, b)| (a.0, b.0)).collect();
        let mut targets: BTreeSet<LinkAddr> = self.landing_pads(&ranges)?.into_iter().collect();
        for instruction in instructions.values() {
            match instruction.flow() {
                Flow::IndirectJump | Flow::Transaction => return None,
                flow if flow.is_direct_jump() => {
                    targets.extend(instruction.target().map(LinkAddr));
                }
                _ => {}
            }
        }
        Some(targets)
    }

    /// Returns the branches of the function at `entry` that lead to its first instruction, by
    /// address. There are none if that is not the head of a loop.
    ///
    /// # Errors
    /// Fails if the code cannot be read, or if a branch may lead there or has an unknown
    /// condition.
    pub fn turns(&self, entry: LinkAddr) -> Result<Vec<LoopBranch>, String> {
        let unread = || "its code cannot be read".to_owned();
        let code = self.function_code_at(entry);
        let code = code
            .or_else(|| self.bare_code_at(entry))
            .ok_or_else(unread)?;
        let instructions = instructions(self, &code.ranges).ok_or_else(unread)?;
        let mut turns = Vec::new();
        for instruction in instructions.values() {
            if instruction.flow().is_direct_jump() && instruction.target() == Some(entry.0) {
                turns.push(turn(instruction, entry)?);
            }
        }
        let computed = instructions
            .values()
            .find(|instruction| instruction.flow() == Flow::IndirectJump);
        // The indirect jump may be one more branch to the entry, so the list may be incomplete.
        if let Some(jump) = computed.filter(|_| !turns.is_empty()) {
            return Err(format!(
                "the jump at {:#x} goes to an address in a register, maybe back to it",
                jump.address()
            ));
        }
        turns.sort_by_key(|turn| turn.address);
        Ok(turns)
    }

    /// Returns true if a direct branch of the function at `entry` leads from `from` or a later
    /// place to an address in `to`, or `None` if the code cannot be read. A cold part below the
    /// entry counts as later.
    #[must_use]
    pub fn leads_back(
        &self,
        entry: LinkAddr,
        from: LinkAddr,
        to: RangeInclusive<LinkAddr>,
    ) -> Option<bool> {
        let code = self.function_code_at(entry)?;
        let instructions = instructions(self, &code.ranges)?;
        Some(instructions.values().any(|instruction| {
            let behind = instruction.address() >= from.0 || instruction.address() < entry.0;
            behind
                && instruction.flow().is_direct_jump()
                && instruction
                    .target()
                    .is_some_and(|target| to.contains(&LinkAddr(target)))
        }))
    }

    /// Returns true if every path from the function's entry to `to` is certain to pass one of
    /// `through`.
    ///
    /// Landing pads of exceptions count as entries. If the function computes a jump, or its code
    /// is not understood, nothing is certain.
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
                // The path leaves the function and does not come back.
                continue;
            };
            match instruction.flow() {
                Flow::Next | Flow::Call | Flow::IndirectCall | Flow::Interrupt => {
                    left.push(instruction.next_address())
                }
                Flow::ConditionalJump => {
                    left.push(instruction.next_address());
                    left.push(instruction.target().unwrap_or(0));
                }
                Flow::Jump => left.push(instruction.target().unwrap_or(0)),
                Flow::Return | Flow::Exception => {}
                Flow::IndirectJump | Flow::Transaction => return None,
            }
        }
        Some(false)
    }
}

/// The computation of an address that is loaded from memory.
fn loaded(sum: PointerSum) -> Option<LocationExpr> {
    let mut terms = vec![Term::Const(sum.plus.cast_unsigned())];
    match sum.base {
        Some(PointerValue::Register(base)) => {
            terms.extend([Term::Register(Register(base)), Term::Binary(Binary::Add)]);
        }
        Some(_) => return None,
        None => {}
    }
    if let Some((index, scale)) = sum.index {
        terms.extend([
            Term::Register(Register(index)),
            Term::Const(scale.into()),
            Term::Binary(Binary::Mul),
            Term::Binary(Binary::Add),
        ]);
    }
    terms.push(Term::Deref(8));
    Some(LocationExpr(terms))
}

/// Returns the branch that a jump to the function's first instruction is, with its condition.
fn turn(instruction: &Instruction, entry: LinkAddr) -> Result<LoopBranch, String> {
    let address = LinkAddr(instruction.address());
    if address == entry {
        return Err(format!("the jump at {address} leads to itself"));
    }
    let condition = match instruction.jump_condition() {
        JumpCondition::Always => None,
        JumpCondition::Flags(condition) => Some(condition),
        JumpCondition::Other => {
            return Err(format!("the jump at {address} has no condition of flags"));
        }
    };
    Ok(LoopBranch { address, condition })
}

/// Returns the instructions of some ranges by address, or `None` if some bytes are not code.
fn instructions(
    files: &Files,
    ranges: &[(LinkAddr, LinkAddr)],
) -> Option<HashMap<u64, Instruction>> {
    let mut found = HashMap::new();
    for (begin, end) in ranges {
        let length = end
            .0
            .checked_sub(begin.0)
            .filter(|&length| length <= MAX_BYTES)?;
        let length = usize::try_from(length).ok()?;
        let bytes = files
            .initial_bytes(*begin, length)
            .filter(|bytes| bytes.len() == length)?;
        for instruction in decode(bytes, begin.0) {
            if !instruction.is_valid() {
                return None;
            }
            found.insert(instruction.address(), instruction);
        }
    }
    Some(found)
}
