//! Finds the origin of an address from the code before an access: where it comes from, and which
//! bytes the thread has touched near it.
//!
//! A pointer may be invalid. But if the thread has just touched the bytes on both sides of an
//! access through the same pointer, the access does not fault: two bytes at most a page apart are
//! on the same page or on two adjacent ones, so everything between them is on these pages. Writes
//! prove the same for writes.
//!
//! The code is walked backward from the access, along the only way that leads there: straight back,
//! past conditional branches that were not taken, and across a branch if that alone leads to the
//! code after it. The address is followed through copies of registers and additions of constants.
//! An instruction that it cannot be followed through ends the walk. So does everything that may
//! take the memory away: calls, system calls, and instructions that order this thread's memory with
//! that of others (locked instructions, fences, exchanges), after which another thread may own it.
//! One risk remains: a thread that unmaps memory while this one is using it, a few instructions
//! apart.

use super::straight_run::{PointerOrigin, StraightRun};
use crate::arch::{
    Assignment, EffectReader, FRAME_POINTER, Flow, Instruction, MemoryAccess, MemoryPlace,
    PointerSum, PointerValue, STACK_POINTER, StackChange, StraightEffect,
};
use crate::base::address::LinkAddr;

/// Most instructions before an access, on all ways together.
const MAX_STEPS: usize = 256;

/// Most instructions on one way.
const MAX_WAY: usize = 64;

/// Most touched addresses that wait to be compared with the access.
const MAX_TOUCHES: usize = 24;

/// Bytes of the smallest page.
const PAGE: i64 = 4096;

/// Bytes of a register.
const WORD: u64 = 8;

/// The walk back from an access.
#[derive(Clone)]
struct BackwardWalk {
    size: i64,
    write: bool,
    address: PointerSum,
    /// The stack pointer at the access minus the current one.
    stack: Option<i64>,
    /// `rbp` is the same as at the access.
    framed: bool,
    /// Touched addresses, each with its number of bytes.
    touched: Vec<(PointerSum, i64)>,
    steps: usize,
}

impl StraightRun<'_> {
    /// The origin of the memory that the instruction at `index` accesses.
    pub(super) fn found(
        &self,
        index: usize,
        address: PointerSum,
        access: &MemoryAccess,
    ) -> PointerOrigin {
        let Ok(size @ 1..=PAGE) = i64::try_from(access.size) else {
            return PointerOrigin::Nothing;
        };
        let walk = BackwardWalk {
            size,
            write: access.write,
            address,
            stack: Some(0),
            framed: true,
            touched: Vec::new(),
            steps: 0,
        };
        let mut left = MAX_STEPS;
        self.walked(index, walk, &mut EffectReader::default(), &mut left)
    }

    fn walked(
        &self,
        index: usize,
        mut walk: BackwardWalk,
        effects: &mut EffectReader,
        left: &mut usize,
    ) -> PointerOrigin {
        let mut current = index;
        while walk.steps < MAX_WAY {
            if let Some(found) = walk.origin() {
                return found;
            }
            let ways = self.ways(current);
            let Some((before, others)) = ways.split_first() else {
                return PointerOrigin::Nothing;
            };
            let mut first = walk.clone();
            let first = match self.step(*before, &mut first, effects, left) {
                Some(PointerOrigin::Nothing) => return PointerOrigin::Nothing,
                Some(found) => found,
                None if others.is_empty() => {
                    (walk, current) = (first, *before);
                    continue;
                }
                None => self.walked(*before, first, effects, left),
            };
            // All ways must lead to the same origin.
            let same = first != PointerOrigin::Nothing
                && others.iter().all(|other| {
                    let mut walk = walk.clone();
                    let found = self.step(*other, &mut walk, effects, left);
                    found.unwrap_or_else(|| self.walked(*other, walk, effects, left)) == first
                });
            return if same { first } else { PointerOrigin::Nothing };
        }
        PointerOrigin::Nothing
    }

    /// Walks back across one instruction. `None` if the walk goes on.
    fn step(
        &self,
        index: usize,
        walk: &mut BackwardWalk,
        effects: &mut EffectReader,
        left: &mut usize,
    ) -> Option<PointerOrigin> {
        let (Some(instruction), Some(fewer)) = (self.at(index), left.checked_sub(1)) else {
            return Some(PointerOrigin::Nothing);
        };
        *left = fewer;
        walk.steps += 1;
        if instruction.flow() != Flow::Next {
            // Branches write no register, except for those that count.
            return instruction.counts_down().then_some(PointerOrigin::Nothing);
        }
        let Some(effect) = effects.effect(instruction) else {
            return Some(PointerOrigin::Nothing);
        };
        if effect.orders || !walk.undo(instruction, &effect) {
            return Some(PointerOrigin::Nothing);
        }
        effect.memory.iter().for_each(|access| walk.touch(access));
        walk.covers().then_some(PointerOrigin::Touched)
    }

    /// The predecessors of the instruction at `index`: the one before it, and branches. Empty if
    /// they are not all known.
    fn ways(&self, index: usize) -> Vec<usize> {
        self.known_ways(index).unwrap_or_default()
    }

    fn known_ways(&self, index: usize) -> Option<Vec<usize>> {
        let here = self.at(index)?;
        let address = LinkAddr(here.address());
        if address == self.function.entry {
            return None;
        }
        let before = index.checked_sub(1)?;
        let instruction = self.at(before)?;
        if instruction.next_address() != here.address() {
            return None;
        }
        let mut ways = Vec::new();
        match instruction.flow() {
            Flow::Next | Flow::ConditionalJump => ways.push(before),
            Flow::Jump | Flow::IndirectJump | Flow::Return | Flow::Exception => {}
            _ => return None,
        }
        // Nothing leads into the middle of the instruction before.
        let inside = LinkAddr(here.address().wrapping_sub(1));
        if self.entered(LinkAddr(instruction.address()), inside) {
            return None;
        }
        let mut long = 0;
        let branches = self.function.branches_to(address);
        for from in &branches {
            let branch = self.function.index_of(*from)?;
            long += usize::from(self.at(branch)?.has_far_reach());
            ways.push(branch);
        }
        // Any computed jump of the function may lead to a target of a table.
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

impl BackwardWalk {
    /// The origin of the address, if it needs no touching.
    fn origin(&self) -> Option<PointerOrigin> {
        let plus = self.address.plus;
        match (self.address.base, self.address.index) {
            (None, None) => Some(PointerOrigin::Static(plus as u64)),
            (Some(PointerValue::Thread), None) => Some(PointerOrigin::Thread(plus)),
            (Some(PointerValue::Register(STACK_POINTER)), None) => {
                let offset = self.stack.and_then(|stack| plus.checked_sub(stack));
                Some(offset.map_or(PointerOrigin::Nothing, PointerOrigin::Stack))
            }
            _ => None,
        }
    }

    /// Rewrites all addresses by the values before an instruction. False if that fails for the
    /// accessed one.
    fn undo(&mut self, instruction: &Instruction, effect: &StraightEffect) -> bool {
        self.stack = match effect.stack {
            StackChange::None => self.stack,
            StackChange::Add(bytes) => self.stack.and_then(|stack| stack.checked_add(bytes)),
            StackChange::Unknown => None,
        };
        self.framed &= effect.writes & (1 << FRAME_POINTER) == 0;
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

    fn undone(
        &self,
        sum: PointerSum,
        instruction: &Instruction,
        effect: &StraightEffect,
    ) -> Option<PointerSum> {
        let written = |register: u8| effect.writes & (1 << register) != 0;
        let mut before = sum;
        if let Some((register, scale)) = sum.index
            && written(register)
        {
            let was = self.source(instruction, effect, register)?;
            before.index = match (was.base, was.index) {
                (None, None) => None,
                (Some(PointerValue::Register(register)), None) => Some((register, scale)),
                _ => return None,
            };
            let times = was.plus.checked_mul(i64::from(scale))?;
            before.plus = before.plus.checked_add(times)?;
        }
        match sum.base {
            Some(PointerValue::Register(register)) if written(register) => {
                let was = self.source(instruction, effect, register)?;
                if was.index.is_some() && before.index.is_some() {
                    return None;
                }
                before.base = was.base;
                before.index = before.index.or(was.index);
                before.plus = before.plus.checked_add(was.plus)?;
            }
            Some(slot @ (PointerValue::Stack(_) | PointerValue::Frame(_))) => {
                before.base = Some(self.stored(slot, instruction, effect)?);
            }
            _ => {}
        }
        Some(before)
    }

    /// The eight bytes of the stack before an instruction that may write them.
    fn stored(
        &self,
        slot: PointerValue,
        instruction: &Instruction,
        effect: &StraightEffect,
    ) -> Option<PointerValue> {
        for access in effect.memory.iter().filter(|access| access.write) {
            let (here, wanted) = match (self.slot(access.operand)?, slot) {
                (PointerValue::Stack(here), PointerValue::Stack(wanted))
                | (PointerValue::Frame(here), PointerValue::Frame(wanted)) => (here, wanted),
                _ => return None,
            };
            let (here, wanted) = (i128::from(here), i128::from(wanted));
            let meets = here < wanted + i128::from(WORD) && wanted < here + i128::from(access.size);
            if !meets {
                continue;
            }
            let whole = here == wanted && access.size == WORD;
            let stored = whole.then(|| instruction.stored_register()).flatten();
            return stored.map(PointerValue::Register);
        }
        Some(slot)
    }

    /// A place on the stack, relative to the registers at the access.
    fn slot(&self, operand: MemoryPlace) -> Option<PointerValue> {
        match operand {
            MemoryPlace::Stack(offset) => {
                Some(PointerValue::Stack(offset.checked_sub(self.stack?)?))
            }
            MemoryPlace::Frame(offset) if self.framed => Some(PointerValue::Frame(offset)),
            _ => None,
        }
    }

    /// The value that an instruction gives to a register, in terms of the values before it.
    fn source(
        &self,
        instruction: &Instruction,
        effect: &StraightEffect,
        register: u8,
    ) -> Option<PointerSum> {
        let plain = |base: PointerValue, plus: i64| PointerSum {
            base: Some(base),
            index: None,
            plus,
        };
        let own = PointerValue::Register(register);
        if register == STACK_POINTER {
            return match effect.stack {
                StackChange::Add(plus) => Some(plain(own, plus)),
                _ => None,
            };
        }
        match instruction.assignment(register)? {
            Assignment::Sum(sum) => Some(sum),
            Assignment::Loaded => match effect.memory.as_slice() {
                [access] => match access.operand {
                    MemoryPlace::Thread(0) => Some(plain(PointerValue::Thread, 0)),
                    operand => Some(plain(self.slot(operand)?, 0)),
                },
                _ => None,
            },
        }
    }

    /// Records an earlier access.
    fn touch(&mut self, access: &MemoryAccess) {
        let sum = match access.operand {
            MemoryPlace::Pointer(sum) => sum,
            MemoryPlace::Frame(plus) => PointerSum::off(FRAME_POINTER, plus),
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

    /// Returns true if the thread touched bytes on both sides of the access, at most a page apart.
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
