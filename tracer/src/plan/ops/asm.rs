//! An assembler of ops: labels, registers, and the code of numbers and tests.
//!
//! It knows nothing of values and shapes.

use std::ops::Range;

use tracer_common::fetch::Fetch;
use tracer_common::op::{alu, cond, float, wide};

use crate::base::address::ModuleNumber;
use crate::base::unavailable::Unavailable;
use crate::plan::limits::PLAN_OPS;
use crate::plan::methods::search_budget::Search;
use crate::plan::ops::fast;
use crate::plan::ops::ir::{Failure, Ir, Matcher, Test, TextTest};
use crate::plan::shape::Slot;
use crate::program::{FetchedOps, Op, Program, Stated, Target};

/// The target of a jump until its label is placed.
pub(in crate::plan) const UNRESOLVED: Target = 0;
/// The register for unused results.
pub(in crate::plan) const SINK: u8 = 31;
/// The registers that may be taken.
const FREE: u32 = (1 << SINK) - 1;

/// A jump target. It may be placed after the jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Label(usize);

/// A state of an [`Asm`] to return to.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Checkpoint {
    ops: usize,
    free: u32,
}

/// Jump targets for computations that fail.
#[derive(Clone, Debug, Default)]
pub(in crate::plan) struct Exits {
    targets: Vec<(Failure, Label)>,
    all: Option<Label>,
}

impl Exits {
    /// All failures lead to one label.
    pub(in crate::plan) fn to(label: Label) -> Self {
        Self {
            targets: Vec::new(),
            all: Some(label),
        }
    }

    pub(in crate::plan) fn label(&mut self, asm: &mut Asm, failure: Failure) -> Label {
        if let Some(label) = self.all {
            return label;
        }
        if let Some((_, label)) = self.targets.iter().find(|(known, _)| *known == failure) {
            return *label;
        }
        let label = asm.label();
        self.targets.push((failure, label));
        label
    }

    /// The failures that may happen, each with its label.
    pub(in crate::plan) fn targets(&self) -> &[(Failure, Label)] {
        &self.targets
    }
}

/// The ops written so far.
#[derive(Debug)]
pub(in crate::plan) struct Asm {
    ops: Vec<Op>,
    /// Index of each label's op, once it is placed.
    labels: Vec<Option<u32>>,
    /// Ops that jump to a label.
    patches: Vec<(usize, Label)>,
    /// Searches of texts. One hit may run all of them.
    pub(in crate::plan) searches: Vec<Search>,
    free: u32,
    /// Where the current condition rejects a hit.
    rejection: Option<Label>,
    stated: Stated,
}

impl Asm {
    pub(in crate::plan) fn new() -> Self {
        Self {
            ops: Vec::new(),
            labels: Vec::new(),
            patches: Vec::new(),
            searches: Vec::new(),
            free: FREE,
            rejection: None,
            stated: Stated::default(),
        }
    }

    /// The current state.
    pub(in crate::plan) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            ops: self.ops.len(),
            free: self.free,
        }
    }

    /// Removes all ops and registers since a checkpoint.
    pub(in crate::plan) fn rollback(&mut self, checkpoint: Checkpoint) {
        self.ops.truncate(checkpoint.ops);
        self.patches.retain(|(at, _)| *at < checkpoint.ops);
        self.searches
            .retain(|search| search.is_before(checkpoint.ops));
        self.stated
            .fetches
            .retain(|chunk| chunk.end <= checkpoint.ops);
        self.free = checkpoint.free;
    }

    /// Number of ops so far.
    pub(in crate::plan) fn count(&self) -> usize {
        self.ops.len()
    }

    /// Returns true if the plan has room for more ops.
    pub(in crate::plan) fn has_room(&self) -> bool {
        self.ops.len() < PLAN_OPS
    }

    /// Number of free registers.
    pub(in crate::plan) fn free_registers(&self) -> u32 {
        self.free.count_ones()
    }

    /// Takes a free register.
    pub(in crate::plan) fn take(&mut self) -> Result<u8, Unavailable> {
        let register = self.free.trailing_zeros();
        if register >= u32::from(SINK) {
            return Err(Unavailable::Unsupported("too many steps at once".into()));
        }
        self.free &= !(1 << register);
        Ok(register as u8)
    }

    /// Gives a register back.
    pub(in crate::plan) fn give(&mut self, register: u8) {
        if register < SINK {
            self.free |= 1 << register;
        }
    }

    pub(in crate::plan) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// A new label at this point.
    pub(in crate::plan) fn here(&mut self) -> Label {
        let label = self.label();
        self.place(label);
        label
    }

    /// Places a label at this point.
    pub(in crate::plan) fn place(&mut self, label: Label) {
        let at = self.ops.len() as u32;
        if let Some(slot) = self.labels.get_mut(label.0) {
            *slot = Some(at);
        }
    }

    pub(in crate::plan) fn emit(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Emits an op that jumps to a label.
    pub(in crate::plan) fn emit_to(&mut self, op: Op, label: Label) {
        self.patches.push((self.ops.len(), label));
        self.ops.push(op);
    }

    pub(in crate::plan) fn constant(&mut self, dst: u8, value: u64) {
        self.emit(Op::Const { dst, value });
    }

    pub(in crate::plan) fn alu_const(&mut self, operation: u32, dst: u8, src: u8, value: u64) {
        self.emit(Op::AluConst {
            operation,
            dst,
            left: src,
            right: value,
        });
    }

    pub(in crate::plan) fn alu(&mut self, operation: u32, dst: u8, left: u8, right: u8) {
        self.emit(Op::Alu {
            operation,
            dst,
            left,
            right,
        });
    }

    /// The bias of a module in the process of the hit. Jumps if it is not known.
    pub(in crate::plan) fn module(
        &mut self,
        dst: u8,
        ModuleNumber(module): ModuleNumber,
        must_be_loaded: bool,
        unknown: Label,
    ) {
        let op = Op::Module {
            module,
            dst,
            must_be_loaded,
            unknown: UNRESOLVED,
        };
        self.emit_to(op, unknown);
    }

    pub(in crate::plan) fn jump(&mut self, label: Label) {
        self.emit_to(Op::Jump { to: UNRESOLVED }, label);
    }

    pub(in crate::plan) fn jump_if(&mut self, left: u8, condition: u8, right: u8, label: Label) {
        let op = Op::JumpIf {
            condition,
            left,
            right,
            to: UNRESOLVED,
        };
        self.emit_to(op, label);
    }

    pub(in crate::plan) fn jump_if_const(
        &mut self,
        left: u8,
        condition: u8,
        value: u64,
        label: Label,
    ) {
        let op = Op::JumpIfConst {
            condition,
            left,
            right: value,
            to: UNRESOLVED,
        };
        self.emit_to(op, label);
    }

    /// Emits one chunk with several registers.
    pub(in crate::plan) fn emit_words(&mut self, slot: Slot, registers: Range<u8>) {
        let size = 8;
        for src in registers.clone() {
            self.emit(if src == registers.start {
                let dst = SINK;
                Op::Emit {
                    slot,
                    dst,
                    src,
                    size,
                }
            } else {
                Op::Append { slot, src, size }
            });
        }
    }

    /// Declares that the ops from `first` on make a chunk that the kernel side can fetch without
    /// the machine.
    pub(in crate::plan) fn state_fetch(&mut self, first: usize, fetch: Fetch) {
        let end = self.ops.len();
        self.stated.fetches.push(FetchedOps { fetch, first, end });
    }

    /// The program with resolved labels. `flags` are added to those of the ops.
    pub(in crate::plan) fn finish(mut self, flags: u32) -> Program {
        for (at, label) in &self.patches {
            let place = self.labels.get(label.0).copied().flatten();
            let target = self.ops.get_mut(*at).and_then(Op::target_mut);
            if let (Some(target), Some(place)) = (target, place) {
                *target = place;
            }
        }
        for search in &self.searches {
            search.set_reach(&mut self.ops, self.searches.len());
        }
        self.stated.flags |= flags;
        Program::new(&self.ops, &self.stated)
    }

    /// The program of a branch site: the branch's condition, without ops.
    pub(in crate::plan) fn finish_turn(mut self, flags: u32, condition: u32) -> Program {
        self.stated.turn_condition = condition;
        self.finish(flags)
    }

    /// Register and offset of an address. The caller gives the register back.
    ///
    /// # Errors
    /// The expression needs too many registers.
    pub(in crate::plan) fn address(
        &mut self,
        ir: &Ir,
        exits: &mut Exits,
    ) -> Result<(u8, i32), Unavailable> {
        if let Some(simple) = ir.simple_address() {
            return Ok(simple);
        }
        if let Ir::Alu(alu::ADD, base, offset) = ir
            && let Ir::Const(offset) = **offset
            && let Ok(offset) = i32::try_from(offset as i64)
        {
            return Ok((self.value(base, exits)?, offset));
        }
        Ok((self.value(ir, exits)?, 0))
    }

    /// A register with a number. The caller gives it back, which has no effect on registers of the
    /// target.
    ///
    /// # Errors
    /// Fails as [`Asm::address`] does.
    pub(in crate::plan) fn value(&mut self, ir: &Ir, exits: &mut Exits) -> Result<u8, Unavailable> {
        match ir {
            Ir::Register(register) => Ok(*register),
            Ir::Const(value) => {
                let dst = self.take()?;
                self.constant(dst, *value);
                Ok(dst)
            }
            Ir::Module {
                module,
                must_be_loaded,
            } => {
                let dst = self.take()?;
                // The kernel side notes the reason as for a read.
                let unknown = exits.label(self, Failure::Fault);
                self.module(dst, *module, *must_be_loaded, unknown);
                Ok(dst)
            }
            Ir::Load {
                address,
                size,
                signed,
            } => {
                let (base, offset) = self.address(address, exits)?;
                self.give(base);
                let dst = self.take()?;
                let op = Op::Load {
                    dst,
                    base,
                    offset,
                    size: *size,
                    signed: *signed,
                    fault: UNRESOLVED,
                };
                let fault = exits.label(self, Failure::Fault);
                self.emit_to(op, fault);
                Ok(dst)
            }
            Ir::Extend { of, size, signed } => {
                let src = self.value(of, exits)?;
                self.give(src);
                let dst = self.take()?;
                self.emit(Op::Extend {
                    dst,
                    src,
                    size: *size,
                    signed: *signed,
                });
                Ok(dst)
            }
            Ir::Alu(operation, left, right) => self.binary(*operation, left, right, exits),
            Ir::Divide(operation, of, least) => self.divide(*operation, of, *least, exits),
            Ir::Float(operation, left, right) => self.float(*operation, left, right, exits),
            Ir::FloatOrder(of) => self.float_order(of, exits),
            Ir::Wide(operation, of) => self.wide(*operation, of, exits),
            Ir::Truth(test) => {
                let (no, end) = (self.label(), self.label());
                self.test(test, no, exits)?;
                let dst = self.take()?;
                self.constant(dst, 1);
                self.jump(end);
                self.place(no);
                self.constant(dst, 0);
                self.place(end);
                Ok(dst)
            }
            Ir::Guard(test, failure, then) => {
                let exit = exits.label(self, *failure);
                self.test(test, exit, exits)?;
                self.value(then, exits)
            }
            Ir::Choose(test, yes, no) => self.choice(test, yes, no, exits),
            Ir::NonNull(of) => {
                let exit = exits.label(self, Failure::Null);
                let value = self.value(of, exits)?;
                self.jump_if_const(value, cond::EQ, 0, exit);
                Ok(value)
            }
            Ir::Below(of, limit, failure) => {
                let exit = exits.label(self, *failure);
                let value = self.value(of, exits)?;
                self.jump_if_const(value, cond::GE, *limit, exit);
                Ok(value)
            }
            Ir::Within(of, failure) => {
                let [of, limit] = &**of;
                let exit = exits.label(self, *failure);
                let (value, limit) = (self.value(of, exits)?, self.value(limit, exits)?);
                self.jump_if(value, cond::GE, limit, exit);
                self.give(limit);
                Ok(value)
            }
        }
    }

    fn choice(
        &mut self,
        test: &Test,
        yes: &Ir,
        no: &Ir,
        exits: &mut Exits,
    ) -> Result<u8, Unavailable> {
        let (other, end) = (self.label(), self.label());
        self.test(test, other, exits)?;
        let first = self.value(yes, exits)?;
        self.give(first);
        let dst = self.take()?;
        self.copied(dst, first);
        self.jump(end);
        self.place(other);
        let second = self.value(no, exits)?;
        self.copied(dst, second);
        self.give(second);
        self.place(end);
        Ok(dst)
    }

    fn copied(&mut self, dst: u8, src: u8) {
        if dst != src {
            self.alu_const(alu::ADD, dst, src, 0);
        }
    }

    fn binary(
        &mut self,
        operation: u32,
        left: &Ir,
        right: &Ir,
        exits: &mut Exits,
    ) -> Result<u8, Unavailable> {
        let a = self.value(left, exits)?;
        if let Ir::Const(value) = right {
            self.give(a);
            let dst = self.take()?;
            self.alu_const(operation, dst, a, *value);
            return Ok(dst);
        }
        let b = self.value(right, exits)?;
        self.give(a);
        self.give(b);
        let dst = self.take()?;
        self.alu(operation, dst, a, b);
        Ok(dst)
    }

    /// A division that may fail. Both sides are evaluated once, so that they cannot change between
    /// the checks and the division.
    fn divide(
        &mut self,
        operation: u32,
        [left, right]: &[Ir; 2],
        least: Option<u64>,
        exits: &mut Exits,
    ) -> Result<u8, Unavailable> {
        let (a, b) = (self.value(left, exits)?, self.value(right, exits)?);
        let by_zero = exits.label(self, Failure::Division);
        self.jump_if_const(b, cond::EQ, 0, by_zero);
        if let Some(least) = least {
            let past = self.label();
            self.jump_if_const(b, cond::NE, u64::MAX, past);
            let overflow = exits.label(self, Failure::Overflow);
            self.jump_if_const(a, cond::EQ, least, overflow);
            self.place(past);
        }
        self.give(a);
        self.give(b);
        let dst = self.take()?;
        self.alu(operation, dst, a, b);
        Ok(dst)
    }

    fn float(
        &mut self,
        operation: u32,
        left: &Ir,
        right: &Ir,
        exits: &mut Exits,
    ) -> Result<u8, Unavailable> {
        let a = self.value(left, exits)?;
        let b = self.value(right, exits)?;
        self.give(a);
        self.give(b);
        let dst = self.take()?;
        let op = Op::Float {
            operation,
            dst,
            left: a,
            right: b,
            no_result: UNRESOLVED,
        };
        match operation {
            float::TRUNCATE_SIGNED | float::TRUNCATE_UNSIGNED => {
                let exit = exits.label(self, Failure::Range);
                self.emit_to(op, exit);
            }
            _ => self.emit(op),
        }
        Ok(dst)
    }

    fn float_order(&mut self, of: &Ir, exits: &mut Exits) -> Result<u8, Unavailable> {
        let bits = self.value(of, exits)?;
        let (sign, dst) = (self.take()?, self.take()?);
        self.alu_const(alu::SAR, sign, bits, 63);
        // For negative numbers all bits but the sign are inverted, since a larger magnitude is a
        // smaller number.
        self.alu_const(alu::SHR, dst, sign, 1);
        self.alu(alu::XOR, dst, dst, bits);
        // Negative zero becomes zero, and the other negative numbers move up by one.
        self.alu(alu::SUB, dst, dst, sign);
        self.give(bits);
        self.give(sign);
        Ok(dst)
    }

    fn wide(&mut self, operation: u32, of: &[Ir; 4], exits: &mut Exits) -> Result<u8, Unavailable> {
        let mut registers = [0; 4];
        for (register, half) in registers.iter_mut().zip(of) {
            *register = self.value(half, exits)?;
        }
        for register in registers {
            self.give(register);
        }
        let [a, above_a, b, above_b] = registers;
        let dst = self.take()?;
        let op = Op::Wide {
            operation,
            dst,
            left: [a, above_a],
            right: [b, above_b],
            no_result: UNRESOLVED,
        };
        match operation {
            wide::DIV_LOW..=wide::REM_HIGH => {
                let exit = exits.label(self, Failure::Division);
                self.emit_to(op, exit);
            }
            wide::SDIV_LOW..=wide::SREM_HIGH => {
                let (without, past) = (self.label(), self.label());
                self.emit_to(op, without);
                self.jump(past);
                self.place(without);
                // The operation failed without a result. The lower half of the divisor tells 0 from
                // -1.
                let by_zero = exits.label(self, Failure::Division);
                self.jump_if_const(b, cond::EQ, 0, by_zero);
                let overflow = exits.label(self, Failure::Overflow);
                self.jump(overflow);
                self.place(past);
            }
            _ => self.emit(op),
        }
        Ok(dst)
    }

    /// Continues if a condition holds, else rejects the hit.
    ///
    /// If the condition comes first in a program and begins with a comparison of a target's number
    /// with a constant, the program gets a guard: the kernel side decides that comparison without
    /// the machine.
    ///
    /// # Errors
    /// Fails as [`Asm::address`] does.
    pub(in crate::plan) fn condition(
        &mut self,
        test: &Test,
        reject: Label,
        exits: &mut Exits,
    ) -> Result<(), Unavailable> {
        self.rejection = Some(reject);
        let written = self.branch(test, false, reject, exits);
        self.rejection = None;
        written
    }

    /// Continues if the test holds, else jumps to `no`.
    ///
    /// # Errors
    /// Fails as [`Asm::address`] does.
    pub(in crate::plan) fn test(
        &mut self,
        test: &Test,
        no: Label,
        exits: &mut Exits,
    ) -> Result<(), Unavailable> {
        self.branch(test, false, no, exits)
    }

    /// Jumps to `to` if the test's outcome is `when`, else continues.
    fn branch(
        &mut self,
        test: &Test,
        when: bool,
        to: Label,
        exits: &mut Exits,
    ) -> Result<(), Unavailable> {
        match test {
            Test::Known(value) => {
                if *value == when {
                    self.jump(to);
                }
                Ok(())
            }
            Test::Compare(condition, left, right) => {
                let condition = if when {
                    *condition
                } else {
                    // Every condition of a test has an opposite.
                    cond::opposite(*condition).unwrap_or(*condition)
                };
                let decides = self.ops.is_empty() && self.rejection == Some(to);
                let a = self.value(left, exits)?;
                if let Ir::Const(value) = right {
                    self.jump_if_const(a, condition, *value, to);
                    if decides && let Some(guard) = fast::guard(left, condition, *value) {
                        self.stated.guard = Some((guard, self.ops.len()));
                    }
                } else {
                    let b = self.value(right, exits)?;
                    self.jump_if(a, condition, b, to);
                    self.give(b);
                }
                self.give(a);
                Ok(())
            }
            Test::Not(inner) => self.branch(inner, !when, to, exits),
            // Short circuit: the second side is evaluated only if the first does not decide.
            Test::And(a, b) | Test::Or(a, b) => {
                let and = matches!(test, Test::And(..));
                if and != when {
                    self.branch(a, when, to, exits)?;
                    return self.branch(b, when, to, exits);
                }
                let past = self.label();
                self.branch(a, !when, past, exits)?;
                self.branch(b, when, to, exits)?;
                self.place(past);
                Ok(())
            }
            Test::Text(text) => {
                let (different, end) = (self.label(), self.label());
                self.text(text, different, exits)?;
                if when {
                    self.jump(to);
                    self.place(different);
                } else {
                    self.jump(end);
                    self.place(different);
                    self.jump(to);
                }
                self.place(end);
                Ok(())
            }
        }
    }

    /// Continues if the text matches, else jumps to `different`.
    fn text(
        &mut self,
        test: &TextTest,
        different: Label,
        exits: &mut Exits,
    ) -> Result<(), Unavailable> {
        let (text, unlike) = match &test.matcher {
            Matcher::Automaton(automaton) => return self.search(automaton, test, different, exits),
            Matcher::Equal(text) => (text, cond::NE),
            Matcher::StartsWith(text) | Matcher::EndsWith(text) => (text, cond::LT),
        };
        let wanted = text.len() as u64;
        // The number of bytes before the compared ones.
        let mut skipped = None;
        if let Some(length) = &test.length {
            let register = self.value(length, exits)?;
            self.jump_if_const(register, unlike, wanted, different);
            // The length may be in a register of the target, which must not be written.
            self.give(register);
            if matches!(test.matcher, Matcher::EndsWith(_)) {
                let before = self.take()?;
                self.alu_const(alu::SUB, before, register, wanted);
                skipped = Some(before);
            }
        }
        // A text with a zero byte at its end must not be read beyond it, so it is compared byte by
        // byte. Other texts are compared eight bytes at a time.
        let ended = test.length.is_none();
        let mut bytes = text.clone();
        if ended && test.most.is_some_and(|most| wanted > most) {
            self.jump(different);
            return Ok(());
        }
        if ended && matches!(test.matcher, Matcher::Equal(_)) && test.most != Some(wanted) {
            bytes.push(0);
        }
        if bytes.is_empty() {
            if let Some(register) = skipped {
                self.give(register);
            }
            return Ok(());
        }
        let mut pointer = self.value(&test.pointer, exits)?;
        if let Some(register) = skipped {
            self.give(pointer);
            self.give(register);
            let end = self.take()?;
            self.alu(alu::ADD, end, pointer, register);
            pointer = end;
        }
        for (offset, size, number) in words(&bytes, ended) {
            let dst = self.take()?;
            self.load(dst, pointer, offset, size, exits);
            self.jump_if_const(dst, cond::NE, number, different);
            self.give(dst);
        }
        self.give(pointer);
        Ok(())
    }

    /// Loads `size` bytes at `offset` from the address in a register.
    pub(in crate::plan) fn load(
        &mut self,
        dst: u8,
        src: u8,
        offset: usize,
        size: u8,
        exits: &mut Exits,
    ) {
        let op = Op::Load {
            dst,
            base: src,
            offset: offset as i32,
            size,
            signed: false,
            fault: UNRESOLVED,
        };
        let fault = exits.label(self, Failure::Fault);
        self.emit_to(op, fault);
    }
}

/// Splits bytes into the numbers that are compared: offset, size, number.
fn words(bytes: &[u8], single: bool) -> Vec<(usize, u8, u64)> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let size = match rest.len() {
            _ if single => 1,
            8.. => 8,
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        let mut wide = [0; 8];
        for (to, from) in wide.iter_mut().zip(rest.iter().take(size)) {
            *to = *from;
        }
        pieces.push((at, size as u8, u64::from_le_bytes(wide)));
        at += size;
    }
    pieces
}
