//! From where on in a function somebody else may know an address of its frame.
//!
//! Another thread reaches a frame only by an address that the function has formed
//! and given away. The code is searched for both. *Formed* is an address by every
//! instruction that makes something else of the stack pointer, or of the frame
//! pointer, than a stack or frame pointer: of `rbp` where the call frame information
//! does not say that the canonical frame address is off `rsp`. What is made
//! of a formed address is not followed: whatever comes after one may have it.
//! *Given away* it can be by what comes then and lets anything out of the frame: a
//! call, a jump through a register, a system call, an instruction that is not
//! understood, and every store that is not known to be to the frame itself.
//!
//! Nothing is said of single objects. How far the one behind an address reaches is
//! not in the code, and debug information does not tell either: what it names may
//! be a part of something that it does not name, or share its bytes with that at
//! another time. So with the first address everything in the frame is taken for known.
//!
//! "After" is along every way through the code: branches, landing pads from anywhere, and
//! everything when a jump computes where it goes. A branch out of the function is a tail
//! call, before which the frame is given back. In C and C++ a call to what
//! is not compiled code of the module may be of the kind of `setjmp` and return once more,
//! so what is behind it counts as after everything.

use std::cell::Cell;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use super::effect::{Effect, Place};
use super::function::Function;
use crate::address::LinkAddr;
use crate::debuginfo::Module;
use crate::debuginfo::place::{Binary, Expr, Term};
use crate::debuginfo::types::Language;

const RBP: u8 = 6;
const RSP: u8 = 7;

/// Rules of call frame information that are asked for in one function, at most: what is not known is
/// taken for the worst.
const MAX_RULES: usize = 1024;

/// The register that the canonical frame address is off, and by how much.
pub(super) type Off = Option<(u8, i64)>;

/// The canonical frame address at instructions of a function.
struct Canonical<'a> {
    module: &'a Module,
    /// The last answer, and where it holds.
    last: Cell<(u64, u64, Off)>,
    left: Cell<usize>,
}

/// The register that the canonical frame address is off at an instruction, by how much, and up to
/// where.
fn rule(module: &Module, address: LinkAddr) -> (Off, u64) {
    match module.cfa_until(address) {
        Ok((Expr(terms), end)) => match terms.as_slice() {
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

/// The register that the canonical frame address is off at an instruction, and by how much.
pub(super) fn canonical(module: &Module, address: LinkAddr) -> Off {
    rule(module, address).0
}

impl Canonical<'_> {
    fn at(&self, address: LinkAddr) -> Off {
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

/// For each instruction of a function, whether an address of the frame may be known outside of it
/// when that instruction is executed.
pub(super) fn published(
    module: &Module,
    function: &Function,
    language: Language,
    pads: &[LinkAddr],
) -> Vec<bool> {
    let instructions = &function.instructions;
    let all = || vec![true; instructions.len()];
    let that = |holds: &dyn Fn(usize, &Instruction) -> bool| -> Vec<usize> {
        let each = instructions.iter().enumerate();
        each.filter(|(index, instruction)| holds(*index, instruction))
            .map(|(index, _)| index)
            .collect()
    };
    let canonical = Canonical {
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
    let mut factory = InstructionInfoFactory::new();
    let mut publishing = forming;
    publishing.extend(that(&|index, _| formed.get(index) == Some(&true)));
    publishing.retain(|index| {
        let instruction = instructions.get(*index);
        instruction.is_none_or(|instruction| lets_out(&canonical, instruction, &mut factory))
    });
    if publishing.is_empty() {
        return vec![false; instructions.len()];
    }
    after(function, pads, &[&publishing, &returning_again]).unwrap_or_else(all)
}

/// Whether an instruction makes an address of the frame into a value like any other.
fn forms_address(canonical: &Canonical<'_>, instruction: &Instruction) -> bool {
    use Mnemonic as M;
    let mnemonic = instruction.mnemonic();
    let is = |operand: u32, register: Register| {
        instruction.op_kind(operand) == OpKind::Register
            && instruction.op_register(operand).full_register() == register
    };
    let in_lea = |register: Register| {
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        mnemonic == M::Lea
            && [base, index]
                .map(Register::full_register)
                .contains(&register)
    };
    let operands = |from: u32, register: Register| {
        (from..instruction.op_count()).any(|operand| is(operand, register)) || in_lea(register)
    };
    let to_stack_pointer = instruction.op_count() > 0
        && is(0, Register::RSP)
        && matches!(
            mnemonic,
            M::Mov | M::Lea | M::Add | M::Sub | M::And | M::Pop
        );
    if to_stack_pointer || matches!(mnemonic, M::Cmp | M::Test) {
        return false;
    }
    if mnemonic == M::Enter {
        return true;
    }
    if operands(0, Register::RSP) {
        let makes_frame_pointer = mnemonic == M::Mov
            && instruction.op0_register() == Register::RBP
            && instruction.op1_register() == Register::RSP;
        let next = LinkAddr(instruction.next_ip());
        return !(makes_frame_pointer && matches!(canonical.at(next), Some((RBP, _))));
    }
    // What an instruction of these puts into its first operand does not depend on what was there.
    let first = match mnemonic {
        M::Mov | M::Movzx | M::Movsx | M::Movsxd | M::Lea | M::Pop if is(0, Register::RBP) => 1,
        _ => 0,
    };
    let address = LinkAddr(instruction.ip());
    operands(first, Register::RBP) && !matches!(canonical.at(address), Some((RSP, _)))
}

/// Whether what is called may return more than once: compiled functions do not.
fn may_return_again(module: &Module, instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::IndirectCall => true,
        FlowControl::Call => {
            let called = LinkAddr(instruction.near_branch_target());
            let code = module.function_code_at(called);
            code.is_none_or(|code| code.language == Language::Other)
        }
        _ => false,
    }
}

/// Whether anything that the function knows can get out of its frame by an instruction.
fn lets_out(
    canonical: &Canonical<'_>,
    instruction: &Instruction,
    factory: &mut InstructionInfoFactory,
) -> bool {
    match instruction.flow_control() {
        FlowControl::Next => {}
        FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => return false,
        _ => return true,
    }
    let Some(effect) = Effect::of(instruction, factory) else {
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
    let canonical = canonical.at(LinkAddr(instruction.ip()));
    let own = |(offset, above): (i64, i64), size: u64| below(offset, size, above);
    !writes.all(|access| match (access.place, canonical) {
        (Place::Stack(offset), Some((RSP, above))) | (Place::Frame(offset), Some((RBP, above))) => {
            own((offset, above), access.size)
        }
        _ => false,
    })
}

/// Whether bytes off a register end below the canonical frame address, which is `above` it.
pub(super) const fn below(offset: i64, size: u64, above: i64) -> bool {
    offset.saturating_add_unsigned(size) <= above
}

/// Which instructions can be executed after one of some; `None`: a jump goes who knows where.
fn after(function: &Function, pads: &[LinkAddr], some: &[&[usize]]) -> Option<Vec<bool>> {
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
        let flow = instruction.flow_control();
        match flow {
            FlowControl::Return | FlowControl::Exception => {}
            FlowControl::IndirectBranch => return None,
            FlowControl::UnconditionalBranch => targets.push(instruction.near_branch_target()),
            _ => targets.push(instruction.next_ip()),
        }
        if flow == FlowControl::ConditionalBranch {
            targets.push(instruction.near_branch_target());
        }
    }
}
