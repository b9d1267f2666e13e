//! Finds the point in a function from which on somebody else may know an address of its frame.
//!
//! Another thread reaches a frame only by an address that the function has formed and given away.
//! The code is searched for both. An instruction *forms* an address if it makes anything from the
//! stack pointer or the frame pointer but another stack or frame pointer. `rbp` counts as a frame
//! pointer unless the call frame information defines the canonical frame address by `rsp`. Copies
//! of a formed address are not followed: any later instruction may have one. An address may be
//! *given away* by each later instruction that lets data out of the frame: a call, a jump through a
//! register, a system call, an instruction that is not understood, and each store that may be
//! outside of the frame.
//!
//! Single objects are not told apart. The code does not show how far the object at an address
//! extends. Debug information does not tell, either: a variable may be a part of an object without
//! a name, or share its bytes with one at another time. So the first address makes the whole frame
//! known.
//!
//! "Later" includes every path through the code: branches, landing pads from anywhere, and all of
//! the function if a jump computes its target. A branch out of the function is a tail call, which
//! releases the frame first. In C and C++ a callee without compiled code in the module may be like
//! `setjmp` and return again, so the code after such a call counts as later than everything.

use std::cell::Cell;

use super::decoded_function::DecodedFunction;
use crate::arch::{
    EffectReader, FRAME_POINTER, Flow, FrameUse, Instruction, MemoryPlace, STACK_POINTER,
};
use crate::base::address::LinkAddr;
use crate::debuginfo::Module;
use crate::debuginfo::place::{Binary, LocationExpr, Term};
use crate::debuginfo::types::Language;

/// Most rules of call frame information for one function. With more, the frame counts as known.
const MAX_RULES: usize = 1024;

/// The register that defines the canonical frame address, and the offset from it.
pub(super) type FrameBase = Option<(u8, i64)>;

/// The canonical frame address at instructions of a function.
struct CanonicalFrames<'a> {
    module: &'a Module,
    /// The last answer, and its address range.
    last: Cell<(u64, u64, FrameBase)>,
    left: Cell<usize>,
}

/// The definition of the canonical frame address at an instruction, and the end of its range.
fn rule(module: &Module, address: LinkAddr) -> (FrameBase, u64) {
    match module.cfa_until(address) {
        Ok((LocationExpr(terms), end)) => match terms.as_slice() {
            [
                Term::Register(register),
                Term::Const(offset),
                Term::Binary(Binary::Add),
            ] => (Some((register.0, *offset as i64)), end.0),
            _ => (None, end.0),
        },
        Err(_) => (None, address.0.saturating_add(1)),
    }
}

/// The definition of the canonical frame address at an instruction.
pub(super) fn canonical(module: &Module, address: LinkAddr) -> FrameBase {
    rule(module, address).0
}

impl CanonicalFrames<'_> {
    fn at(&self, address: LinkAddr) -> FrameBase {
        let (begin, end, known) = self.last.get();
        if (begin..end).contains(&address.0) {
            return known;
        }
        self.left.set(self.left.get().checked_sub(1)?);
        let (found, end) = rule(self.module, address);
        self.last.set((address.0, end, found));
        found
    }
}

/// For each instruction: whether an address of the frame may be known outside when it is executed.
pub(super) fn published(
    module: &Module,
    function: &DecodedFunction,
    language: Language,
) -> Vec<bool> {
    let pads = &function.pads;
    let instructions = &function.instructions;
    let all = || vec![true; instructions.len()];
    let that = |holds: &dyn Fn(usize, &Instruction) -> bool| -> Vec<usize> {
        let each = instructions.iter().enumerate();
        each.filter(|(index, instruction)| holds(*index, instruction))
            .map(|(index, _)| index)
            .collect()
    };
    let canonical = CanonicalFrames {
        module,
        last: Cell::new((0, 0, None)),
        left: Cell::new(MAX_RULES),
    };
    let forming = that(&|_, instruction| forms_address(&canonical, instruction));
    if forming.is_empty() {
        return vec![false; instructions.len()];
    }
    let returning_again = match language {
        Language::Rust => Vec::new(),
        _ => that(&|_, instruction| may_return_again(module, instruction)),
    };
    let Some(formed) = after(function, pads, &[&forming, &returning_again]) else {
        return all();
    };
    let mut effects = EffectReader::default();
    let mut publishing = forming;
    publishing.extend(that(&|index, _| formed.get(index) == Some(&true)));
    publishing.retain(|index| {
        let instruction = instructions.get(*index);
        instruction.is_none_or(|instruction| lets_out(&canonical, instruction, &mut effects))
    });
    if publishing.is_empty() {
        return vec![false; instructions.len()];
    }
    after(function, pads, &[&publishing, &returning_again]).unwrap_or_else(all)
}

/// Returns true if an instruction makes an ordinary value from an address of the frame.
fn forms_address(canonical: &CanonicalFrames<'_>, instruction: &Instruction) -> bool {
    match instruction.frame_use() {
        FrameUse::None => false,
        FrameUse::StackPointer => true,
        FrameUse::SetsFramePointer => {
            let next = LinkAddr(instruction.next_address());
            !matches!(canonical.at(next), Some((FRAME_POINTER, _)))
        }
        FrameUse::FramePointer => {
            let address = LinkAddr(instruction.address());
            !matches!(canonical.at(address), Some((STACK_POINTER, _)))
        }
    }
}

/// Returns true if the callee may return more than once. Compiled functions do not.
fn may_return_again(module: &Module, instruction: &Instruction) -> bool {
    match instruction.flow() {
        Flow::IndirectCall => true,
        Flow::Call => {
            let called = LinkAddr(instruction.target().unwrap_or(0));
            let code = module.function_code_at(called);
            code.is_none_or(|code| code.language == Language::Other)
        }
        _ => false,
    }
}

/// Returns true if an instruction can let data out of the frame.
fn lets_out(
    canonical: &CanonicalFrames<'_>,
    instruction: &Instruction,
    effects: &mut EffectReader,
) -> bool {
    match instruction.flow() {
        Flow::Next => {}
        Flow::ConditionalJump | Flow::Jump => return false,
        _ => return true,
    }
    let Some(effect) = effects.effect(instruction) else {
        return true;
    };
    let mut writes = effect
        .memory
        .iter()
        .filter(|access| access.write)
        .peekable();
    if writes.peek().is_none() {
        return false;
    }
    let canonical = canonical.at(LinkAddr(instruction.address()));
    let own = |(offset, above): (i64, i64), size: u64| below(offset, size, above);
    !writes.all(|access| match (access.operand, canonical) {
        (MemoryPlace::Stack(offset), Some((STACK_POINTER, above)))
        | (MemoryPlace::Frame(offset), Some((FRAME_POINTER, above))) => {
            own((offset, above), access.size)
        }
        _ => false,
    })
}

/// Returns true if bytes relative to a register end below the canonical frame address, which is
/// `above` the register.
pub(super) const fn below(offset: i64, size: u64, above: i64) -> bool {
    offset.saturating_add_unsigned(size) <= above
}

/// The instructions that may be executed after one of some. `None` if a jump's target is unknown.
fn after(function: &DecodedFunction, pads: &[LinkAddr], some: &[&[usize]]) -> Option<Vec<bool>> {
    let mut found = vec![false; function.instructions.len()];
    let mut pending: Vec<usize> = some.concat();
    let mut targets: Vec<u64> = pads.iter().map(|pad| pad.0).collect();
    loop {
        for target in targets.drain(..) {
            if let Some(index) = function.index_of(LinkAddr(target))
                && let Some(known @ false) = found.get_mut(index)
            {
                *known = true;
                pending.push(index);
            }
        }
        let Some(index) = pending.pop() else {
            return Some(found);
        };
        let instruction = function.instructions.get(index)?;
        let flow = instruction.flow();
        match flow {
            Flow::Return | Flow::Exception => {}
            Flow::IndirectJump => return None,
            Flow::Jump => targets.push(instruction.target().unwrap_or(0)),
            _ => targets.push(instruction.next_address()),
        }
        if flow == Flow::ConditionalJump {
            targets.push(instruction.target().unwrap_or(0));
        }
    }
}
