//! What the code before an access says of its address: where it came from, and
//! which bytes there the thread has touched on the way.
//!
//! A pointer may lead to nothing. But when the thread has just read the bytes on
//! both sides of an access, through the same pointer, the access does not fault:
//! two bytes at most a page apart lie on the same page or on two that follow each
//! other, so whatever is between them is on one of those. The same holds for
//! writes after writes.
//!
//! The code is walked backwards from the access, along the only way that leads
//! there: straight back, past conditional branches that were not taken, and past
//! a branch where that alone leads to the code behind it. The address is followed
//! through copies of registers and additions of constants. What it cannot be
//! followed through ends the walk, and so does everything that could take the
//! memory away: calls, system calls, and whatever orders this thread's memory with
//! that of others (locked instructions, fences, exchanges), after which another
//! thread may own it. What is left is a thread that unmaps memory while this one
//! is in the middle of using it, a few instructions apart.

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};

use super::effect::{Access, Effect, Place, StackChange, bit};
use super::run::Run;
use crate::address::LinkAddr;

/// Instructions that are looked at before an access, on all ways to it together.
const MAX_STEPS: usize = 256;

/// Instructions on one way.
const MAX_WAY: usize = 64;

/// Touches that are remembered whose addresses are not yet known to be the same.
const MAX_TOUCHES: usize = 24;

/// Bytes of the smallest page.
const PAGE: i64 = 4096;

/// Bytes of a register.
const WORD: u64 = 8;

const RBP: u8 = 6;
const RSP: u8 = 7;

/// A value that addresses are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Of a register, by its DWARF number.
    Register(u8),
    /// The thread pointer.
    Thread,
    /// Of eight bytes this far from the stack pointer, as that is at the access.
    Stack(i64),
    /// Of eight bytes this far from `rbp`, as that is at the access.
    Frame(i64),
}

/// An address: values, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) base: Option<Value>,
    /// A register, and by what it is multiplied.
    pub(super) index: Option<(u8, u32)>,
    pub(super) plus: i64,
}

/// What was found of an access through a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is this far from the stack pointer, as that is at the access.
    Stack(i64),
    /// It is at this link address.
    Static(u64),
    /// It is this far from the thread pointer.
    Thread(i64),
    /// The thread has just touched bytes before and behind it.
    Touched,
    /// Nothing is known.
    Nothing,
}

/// The walk back from an access.
#[derive(Clone)]
struct Walk {
    size: i64,
    write: bool,
    address: Sum,
    /// The stack pointer at the access, less what it is here.
    stack: Option<i64>,
    /// `rbp` is what it is at the access.
    framed: bool,
    /// What was touched, and how many bytes.
    touched: Vec<(Sum, i64)>,
    steps: usize,
}

impl Run<'_> {
    /// What the code before the instruction at `index` says of memory that it touches.
    pub(super) fn found(&self, index: usize, address: Sum, access: &Access) -> Found {
        let Ok(size @ 1..=PAGE) = i64::try_from(access.size) else {
            return Found::Nothing;
        };
        let walk = Walk {
            size,
            write: access.write,
            address,
            stack: Some(0),
            framed: true,
            touched: Vec::new(),
            steps: 0,
        };
        let mut left = MAX_STEPS;
        self.walked(index, walk, &mut InstructionInfoFactory::new(), &mut left)
    }

    fn walked(
        &self,
        index: usize,
        mut walk: Walk,
        factory: &mut InstructionInfoFactory,
        left: &mut usize,
    ) -> Found {
        let mut current = index;
        while walk.steps < MAX_WAY {
            if let Some(found) = walk.origin() {
                return found;
            }
            let ways = self.ways(current);
            let Some((before, others)) = ways.split_first() else {
                return Found::Nothing;
            };
            let mut first = walk.clone();
            let first = match self.step(*before, &mut first, factory, left) {
                Some(Found::Nothing) => return Found::Nothing,
                Some(found) => found,
                None if others.is_empty() => {
                    (walk, current) = (first, *before);
                    continue;
                }
                None => self.walked(*before, first, factory, left),
            };
            // Whichever way was taken: it must be the same on all.
            let same = first != Found::Nothing
                && others.iter().all(|other| {
                    let mut walk = walk.clone();
                    let found = self.step(*other, &mut walk, factory, left);
                    found.unwrap_or_else(|| self.walked(*other, walk, factory, left)) == first
                });
            return if same { first } else { Found::Nothing };
        }
        Found::Nothing
    }

    /// Walks back across one instruction; `None` when nothing is found yet.
    fn step(
        &self,
        index: usize,
        walk: &mut Walk,
        factory: &mut InstructionInfoFactory,
        left: &mut usize,
    ) -> Option<Found> {
        let (Some(instruction), Some(fewer)) = (self.at(index), left.checked_sub(1)) else {
            return Some(Found::Nothing);
        };
        *left = fewer;
        walk.steps += 1;
        if instruction.flow_control() != FlowControl::Next {
            // Branches write no register, but for those that count.
            let counts = matches!(
                instruction.mnemonic(),
                Mnemonic::Loop | Mnemonic::Loope | Mnemonic::Loopne
            );
            return counts.then_some(Found::Nothing);
        }
        let Some(effect) = Effect::of(instruction, factory) else {
            return Some(Found::Nothing);
        };
        if effect.orders || !walk.undo(instruction, &effect) {
            return Some(Found::Nothing);
        }
        effect.memory.iter().for_each(|access| walk.touch(access));
        walk.covers().then_some(Found::Touched)
    }

    /// Every instruction after which the one at `index` can be executed: the one
    /// before it, and branches. None when they are not all known.
    fn ways(&self, index: usize) -> Vec<usize> {
        self.known_ways(index).unwrap_or_default()
    }

    fn known_ways(&self, index: usize) -> Option<Vec<usize>> {
        let here = self.at(index)?;
        let address = LinkAddr(here.ip());
        if address == self.function.entry {
            return None;
        }
        let before = index.checked_sub(1)?;
        let instruction = self.at(before)?;
        if instruction.next_ip() != here.ip() {
            return None;
        }
        let mut ways = Vec::new();
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::ConditionalBranch => ways.push(before),
            FlowControl::UnconditionalBranch
            | FlowControl::IndirectBranch
            | FlowControl::Return
            | FlowControl::Exception => {}
            _ => return None,
        }
        // Nothing leads into the middle of the instruction before.
        let inside = LinkAddr(here.ip().wrapping_sub(1));
        if self.entered(LinkAddr(instruction.ip()), inside) {
            return None;
        }
        let mut long = 0;
        let branches = self.function.branches_to(address);
        for from in &branches {
            let branch = self.function.index_of(*from)?;
            long += usize::from(self.at(branch)?.len() >= 5);
            ways.push(branch);
        }
        // What a table leads to, any of the function's computed jumps may.
        let by_table = self.function.table_entries_at(address);
        if by_table > 0 {
            for from in &self.function.computed {
                ways.push(self.function.index_of(*from)?);
            }
        }
        let all = self.function.targets_at(address) == branches.len().saturating_add(by_table)
            && self.entries.count_at(address) == long;
        all.then_some(ways)
    }
}

impl Walk {
    /// Where the address comes from, when it is one that needs no touching.
    fn origin(&self) -> Option<Found> {
        let plus = self.address.plus;
        match (self.address.base, self.address.index) {
            (None, None) => Some(Found::Static(plus as u64)),
            (Some(Value::Thread), None) => Some(Found::Thread(plus)),
            (Some(Value::Register(RSP)), None) => {
                let offset = self.stack.and_then(|stack| plus.checked_sub(stack));
                Some(offset.map_or(Found::Nothing, Found::Stack))
            }
            _ => None,
        }
    }

    /// Says all addresses in the values as they were before an instruction; false when
    /// that cannot be said of the one that is looked for.
    fn undo(&mut self, instruction: &Instruction, effect: &Effect) -> bool {
        self.stack = match effect.stack {
            StackChange::None => self.stack,
            StackChange::Add(bytes) => self.stack.and_then(|stack| stack.checked_add(bytes)),
            StackChange::Unknown => None,
        };
        self.framed &= effect.writes & (1 << RBP) == 0;
        let touched = std::mem::take(&mut self.touched);
        self.touched = touched
            .into_iter()
            .filter_map(|(sum, size)| Some((self.undone(sum, instruction, effect)?, size)))
            .collect();
        match self.undone(self.address, instruction, effect) {
            Some(address) => self.address = address,
            None => return false,
        }
        true
    }

    fn undone(&self, sum: Sum, instruction: &Instruction, effect: &Effect) -> Option<Sum> {
        let written = |register: u8| effect.writes & (1 << register) != 0;
        let mut before = sum;
        if let Some((register, scale)) = sum.index
            && written(register)
        {
            let was = self.source(instruction, effect, register)?;
            before.index = match (was.base, was.index) {
                (None, None) => None,
                (Some(Value::Register(register)), None) => Some((register, scale)),
                _ => return None,
            };
            let times = was.plus.checked_mul(i64::from(scale))?;
            before.plus = before.plus.checked_add(times)?;
        }
        match sum.base {
            Some(Value::Register(register)) if written(register) => {
                let was = self.source(instruction, effect, register)?;
                if was.index.is_some() && before.index.is_some() {
                    return None;
                }
                before.base = was.base;
                before.index = before.index.or(was.index);
                before.plus = before.plus.checked_add(was.plus)?;
            }
            Some(slot @ (Value::Stack(_) | Value::Frame(_))) => {
                before.base = Some(self.stored(slot, instruction, effect)?);
            }
            _ => {}
        }
        Some(before)
    }

    /// What eight bytes of the stack were before an instruction that may write them.
    fn stored(&self, slot: Value, instruction: &Instruction, effect: &Effect) -> Option<Value> {
        for access in effect.memory.iter().filter(|access| access.write) {
            let (here, wanted) = match (self.slot(access.place)?, slot) {
                (Value::Stack(here), Value::Stack(wanted))
                | (Value::Frame(here), Value::Frame(wanted)) => (here, wanted),
                _ => return None,
            };
            let (here, wanted) = (i128::from(here), i128::from(wanted));
            let meets = here < wanted + i128::from(WORD) && wanted < here + i128::from(access.size);
            if !meets {
                continue;
            }
            let whole = here == wanted
                && access.size == WORD
                && instruction.mnemonic() == Mnemonic::Mov
                && instruction.op1_kind() == OpKind::Register;
            return if whole {
                Some(Value::Register(number(instruction.op1_register())?))
            } else {
                None
            };
        }
        Some(slot)
    }

    /// A place on the stack, off what the registers are at the access.
    fn slot(&self, place: Place) -> Option<Value> {
        match place {
            Place::Stack(offset) => Some(Value::Stack(offset.checked_sub(self.stack?)?)),
            Place::Frame(offset) if self.framed => Some(Value::Frame(offset)),
            _ => None,
        }
    }

    /// What an instruction makes of a register that it writes, said in the values before it.
    fn source(&self, instruction: &Instruction, effect: &Effect, register: u8) -> Option<Sum> {
        let plain = |base: Value, plus: i64| Sum {
            base: Some(base),
            index: None,
            plus,
        };
        let own = Value::Register(register);
        if register == RSP {
            return match effect.stack {
                StackChange::Add(plus) => Some(plain(own, plus)),
                _ => None,
            };
        }
        let to = instruction.op0_register();
        if instruction.op0_kind() != OpKind::Register || bit(to) != 1 << register {
            return None;
        }
        let from = instruction.op1_kind();
        if instruction.mnemonic() == Mnemonic::Mov && from == OpKind::Immediate32 && to.is_gpr32() {
            // The upper half is cleared.
            return Some(Sum {
                base: None,
                index: None,
                plus: i64::from(instruction.immediate32()),
            });
        }
        if !to.is_gpr64() {
            return None;
        }
        let immediate = matches!(from, OpKind::Immediate8to64 | OpKind::Immediate32to64);
        match instruction.mnemonic() {
            Mnemonic::Mov if from == OpKind::Register => {
                let from = number(instruction.op1_register())?;
                Some(plain(Value::Register(from), 0))
            }
            Mnemonic::Mov if from == OpKind::Memory => match effect.memory.as_slice() {
                [access] => match access.place {
                    Place::Thread(0) => Some(plain(Value::Thread, 0)),
                    place => Some(plain(self.slot(place)?, 0)),
                },
                _ => None,
            },
            Mnemonic::Add if immediate => Some(plain(own, instruction.immediate(1) as i64)),
            Mnemonic::Sub if immediate => {
                Some(plain(own, (instruction.immediate(1) as i64).checked_neg()?))
            }
            Mnemonic::Inc => Some(plain(own, 1)),
            Mnemonic::Dec => Some(plain(own, -1)),
            Mnemonic::Lea => Sum::of(
                instruction.memory_base(),
                instruction.memory_index(),
                instruction.memory_index_scale(),
                instruction.memory_displacement64(),
            ),
            _ => None,
        }
    }

    /// Takes note of an access that was executed before.
    fn touch(&mut self, access: &Access) {
        let sum = match access.place {
            Place::Pointer(sum) => sum,
            Place::Frame(plus) => Sum::off(RBP, plus),
            _ => return,
        };
        let counts = access.certain && (access.write || !self.write);
        if counts
            && self.touched.len() < MAX_TOUCHES
            && let Ok(size @ 1..=PAGE) = i64::try_from(access.size)
        {
            self.touched.push((sum, size));
        }
    }

    /// Whether bytes were touched on both sides of the access, at most a page apart.
    fn covers(&self) -> bool {
        let end = self.size - 1;
        let (mut low, mut high) = (None, None);
        for (sum, size) in &self.touched {
            if (sum.base, sum.index) != (self.address.base, self.address.index) {
                continue;
            }
            let Some(first) = sum.plus.checked_sub(self.address.plus) else {
                continue;
            };
            let Some(last) = first.checked_add(size - 1) else {
                continue;
            };
            if first <= 0 {
                low = low.max(Some(last.min(0)));
            }
            if last >= end {
                let nearest = first.max(end);
                high = Some(high.map_or(nearest, |high: i64| high.min(nearest)));
            }
        }
        match (low, high) {
            (Some(low), Some(high)) => high.checked_sub(low).is_some_and(|span| span <= PAGE),
            _ => false,
        }
    }
}

impl Sum {
    /// A register and an offset.
    pub(super) const fn off(register: u8, plus: i64) -> Self {
        Self {
            base: Some(Value::Register(register)),
            index: None,
            plus,
        }
    }

    /// Of an operand's parts; `None` when they are not of 64 bits.
    pub(super) fn of(base: Register, index: Register, scale: u32, plus: u64) -> Option<Self> {
        let base = match base {
            Register::None | Register::RIP => None,
            other => Some(Value::Register(number(other)?)),
        };
        let index = match index {
            Register::None => None,
            other => Some((number(other)?, scale)),
        };
        Some(Self {
            base,
            index,
            plus: plus as i64,
        })
    }
}

/// The DWARF number of a register of 64 bits.
fn number(register: Register) -> Option<u8> {
    let number = u8::try_from(bit(register).trailing_zeros()).ok()?;
    (register.is_gpr64() && number < 16).then_some(number)
}
