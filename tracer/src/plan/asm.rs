//! Writes ops: labels, registers, and the code of numbers and tests.
//!
//! Knows nothing of values and chunks beyond the ops that make them.

use tracer_common::op::{
    ALU, ALU_CONST, CONST, EXTEND, FLOAT, JUMP, JUMP_IF, JUMP_IF_CONST, LOAD, Op, WIDE, alu, cond,
    float, wide,
};

use super::ir::{Failure, Ir, Matcher, Test, TextTest};
use super::limits::PLAN_OPS;
use super::reach::Search;
use crate::unavailable::Unavailable;

/// Takes the results that nobody needs.
pub(super) const SINK: u8 = 31;
/// Registers that are handed out.
const FREE: u32 = (1 << SINK) - 1;

/// A place in the ops that is jumped to, maybe before it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A state of an [`Asm`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Checkpoint {
    ops: usize,
    free: u32,
}

/// Where a computation jumps that has no result.
#[derive(Clone, Debug, Default)]
pub(super) struct Exits {
    targets: Vec<(Failure, Label)>,
    all: Option<Label>,
}

impl Exits {
    /// Every failure goes to one label.
    pub(super) fn to(label: Label) -> Self {
        Self {
            targets: Vec::new(),
            all: Some(label),
        }
    }

    pub(super) fn label(&mut self, asm: &mut Asm, failure: Failure) -> Label {
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

    /// The failures that can happen, each with its label.
    pub(super) fn targets(&self) -> &[(Failure, Label)] {
        &self.targets
    }
}

/// The ops written so far.
#[derive(Debug)]
pub(super) struct Asm {
    ops: Vec<Op>,
    /// Op index of each label, once known.
    labels: Vec<Option<u32>>,
    /// Ops whose `a` is a label.
    patches: Vec<(usize, Label)>,
    /// Searches of texts; all may be executed at one hit.
    pub(super) searches: Vec<Search>,
    free: u32,
}

impl Asm {
    pub(super) fn new() -> Self {
        Self {
            ops: Vec::new(),
            labels: Vec::new(),
            patches: Vec::new(),
            searches: Vec::new(),
            free: FREE,
        }
    }

    /// What there is now, to come back to.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            ops: self.ops.len(),
            free: self.free,
        }
    }

    /// Takes back all ops and registers since then.
    pub(super) fn rollback(&mut self, checkpoint: Checkpoint) {
        self.ops.truncate(checkpoint.ops);
        self.patches.retain(|(at, _)| *at < checkpoint.ops);
        self.searches
            .retain(|search| search.is_before(checkpoint.ops));
        self.free = checkpoint.free;
    }

    /// Number of ops so far.
    pub(super) fn count(&self) -> usize {
        self.ops.len()
    }

    /// Whether a plan has room for more.
    pub(super) fn has_room(&self) -> bool {
        self.ops.len() < PLAN_OPS
    }

    /// Registers that can be taken.
    pub(super) fn free_registers(&self) -> u32 {
        self.free.count_ones()
    }

    /// A register of one's own, until it is given back.
    pub(super) fn take(&mut self) -> Result<u8, Unavailable> {
        let register = self.free.trailing_zeros();
        if register >= u32::from(SINK) {
            return Err(Unavailable::Unsupported("too many steps at once".into()));
        }
        self.free &= !(1 << register);
        Ok(register as u8)
    }

    /// Gives a register back.
    pub(super) fn give(&mut self, register: u8) {
        if register < SINK {
            self.free |= 1 << register;
        }
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// A label that is here.
    pub(super) fn here(&mut self) -> Label {
        let label = self.label();
        self.place(label);
        label
    }

    /// The label is here.
    pub(super) fn place(&mut self, label: Label) {
        let at = self.ops.len() as u32;
        if let Some(slot) = self.labels.get_mut(label.0) {
            *slot = Some(at);
        }
    }

    pub(super) fn emit(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// An op whose `a` is where the label will be.
    pub(super) fn emit_to(&mut self, op: Op, label: Label) {
        self.patches.push((self.ops.len(), label));
        self.ops.push(op);
    }

    pub(super) fn constant(&mut self, dst: u8, value: u64) {
        let op = Op {
            code: CONST,
            dst,
            ..Op::default()
        };
        self.emit(op.with_wide(value));
    }

    pub(super) fn alu_const(&mut self, operation: u32, dst: u8, src: u8, value: u64) {
        let op = Op {
            code: ALU_CONST,
            dst,
            src,
            a: operation,
            ..Op::default()
        };
        self.emit(op.with_wide(value));
    }

    pub(super) fn alu(&mut self, operation: u32, dst: u8, left: u8, right: u8) {
        self.emit(Op {
            code: ALU,
            dst,
            src: left,
            size: right,
            a: operation,
            ..Op::default()
        });
    }

    pub(super) fn jump(&mut self, label: Label) {
        let op = Op {
            code: JUMP,
            ..Op::default()
        };
        self.emit_to(op, label);
    }

    pub(super) fn jump_if(&mut self, left: u8, condition: u8, right: u8, label: Label) {
        let op = Op {
            code: JUMP_IF,
            dst: left,
            src: right,
            size: condition,
            ..Op::default()
        };
        self.emit_to(op, label);
    }

    pub(super) fn jump_if_const(&mut self, left: u8, condition: u8, value: u64, label: Label) {
        let op = Op {
            code: JUMP_IF_CONST,
            dst: left,
            size: condition,
            ..Op::default()
        };
        self.emit_to(op.with_wide(value), label);
    }

    /// The ops, with all labels resolved.
    pub(super) fn finish(mut self) -> Vec<Op> {
        for (at, label) in &self.patches {
            let target = self.labels.get(label.0).copied().flatten();
            if let (Some(op), Some(target)) = (self.ops.get_mut(*at), target) {
                op.a = target;
            }
        }
        for search in &self.searches {
            search.set_reach(&mut self.ops, self.searches.len());
        }
        self.ops
    }

    /// Register and offset of an address; the register is to be given back.
    ///
    /// # Errors
    /// The expression needs more registers than there are.
    pub(super) fn address(&mut self, ir: &Ir, exits: &mut Exits) -> Result<(u8, i32), Unavailable> {
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

    /// The register that holds a number; to be given back (which target
    /// registers take no notice of).
    ///
    /// # Errors
    /// As for [`Asm::address`].
    pub(super) fn value(&mut self, ir: &Ir, exits: &mut Exits) -> Result<u8, Unavailable> {
        match ir {
            Ir::Register(register) => Ok(*register),
            Ir::Const(value) => {
                let dst = self.take()?;
                self.constant(dst, *value);
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
                let fault = exits.label(self, Failure::Fault);
                let op = Op {
                    code: LOAD,
                    dst,
                    src: base,
                    size: *size,
                    offset,
                    len: u32::from(*signed),
                    ..Op::default()
                };
                self.emit_to(op, fault);
                Ok(dst)
            }
            Ir::Extend { of, size, signed } => {
                let src = self.value(of, exits)?;
                self.give(src);
                let dst = self.take()?;
                self.emit(Op {
                    code: EXTEND,
                    dst,
                    src,
                    size: *size,
                    a: u32::from(*signed),
                    ..Op::default()
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
            Ir::NonNull(of) => self.unless(of, (cond::EQ, 0), Failure::Null, exits),
            Ir::Below(of, limit, failure) => self.unless(of, (cond::GE, *limit), *failure, exits),
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

    /// A number, unless it is so to a constant.
    fn unless(
        &mut self,
        of: &Ir,
        (condition, constant): (u8, u64),
        failure: Failure,
        exits: &mut Exits,
    ) -> Result<u8, Unavailable> {
        let exit = exits.label(self, failure);
        let value = self.value(of, exits)?;
        let test = Op {
            code: JUMP_IF_CONST,
            dst: value,
            size: condition,
            ..Op::default()
        };
        self.emit_to(test.with_wide(constant), exit);
        Ok(value)
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

    /// A division that may have no result. Both sides are looked at once, so that they cannot change
    /// between the tests and the division.
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
        let op = Op {
            code: FLOAT,
            dst: self.take()?,
            src: a,
            size: b,
            len: operation,
            ..Op::default()
        };
        match operation {
            float::TRUNCATE_SIGNED | float::TRUNCATE_UNSIGNED => {
                let exit = exits.label(self, Failure::Range);
                self.emit_to(op, exit);
            }
            _ => self.emit(op),
        }
        Ok(op.dst)
    }

    fn float_order(&mut self, of: &Ir, exits: &mut Exits) -> Result<u8, Unavailable> {
        let bits = self.value(of, exits)?;
        let (sign, dst) = (self.take()?, self.take()?);
        self.alu_const(alu::SAR, sign, bits, 63);
        // All bits of a negative number but its sign are turned: it is larger where they are less.
        self.alu_const(alu::SHR, dst, sign, 1);
        self.alu(alu::XOR, dst, dst, bits);
        // The negative zero becomes the positive one, the other negative numbers move up with it.
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
        let op = Op {
            code: WIDE,
            dst: self.take()?,
            src: a,
            size: b,
            offset: i32::from_le_bytes([above_a, above_b, 0, 0]),
            len: operation,
            ..Op::default()
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
                // Nothing was written; of 0 and -1, the lower halves tell which it was.
                let by_zero = exits.label(self, Failure::Division);
                self.jump_if_const(b, cond::EQ, 0, by_zero);
                let overflow = exits.label(self, Failure::Overflow);
                self.jump(overflow);
                self.place(past);
            }
            _ => self.emit(op),
        }
        Ok(op.dst)
    }

    /// Goes on when the test holds, jumps to `no` when not.
    ///
    /// # Errors
    /// As for [`Asm::address`].
    pub(super) fn test(
        &mut self,
        test: &Test,
        no: Label,
        exits: &mut Exits,
    ) -> Result<(), Unavailable> {
        self.branch(test, false, no, exits)
    }

    /// Jumps to `to` when the test's outcome is `when`, goes on otherwise.
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
                    // A test is made of conditions alone.
                    cond::opposite(*condition).unwrap_or(*condition)
                };
                let a = self.value(left, exits)?;
                if let Ir::Const(value) = right {
                    self.jump_if_const(a, condition, *value, to);
                } else {
                    let b = self.value(right, exits)?;
                    self.jump_if(a, condition, b, to);
                    self.give(b);
                }
                self.give(a);
                Ok(())
            }
            Test::Not(inner) => self.branch(inner, !when, to, exits),
            // "and" that must hold, "or" that must not: the second is only
            // asked when the first does not decide.
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

    /// Goes on when the text is as asked, jumps to `different` when not.
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
        // How many bytes of the text come before those that are compared.
        let mut skipped = None;
        if let Some(length) = &test.length {
            let register = self.value(length, exits)?;
            self.jump_if_const(register, unlike, wanted, different);
            // The length may be in a register of the program's, which is not written.
            self.give(register);
            if matches!(test.matcher, Matcher::EndsWith(_)) {
                let before = self.take()?;
                self.alu_const(alu::SUB, before, register, wanted);
                skipped = Some(before);
            }
        }
        // A text that ends by a zero byte must not be read beyond it, so it is
        // compared byte by byte; one of known length eight bytes at a time.
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

    /// `size` bytes at `offset` from what a register points to.
    pub(super) fn load(&mut self, dst: u8, src: u8, offset: usize, size: u8, exits: &mut Exits) {
        let fault = exits.label(self, Failure::Fault);
        let op = Op {
            code: LOAD,
            dst,
            src,
            size,
            offset: offset as i32,
            ..Op::default()
        };
        self.emit_to(op, fault);
    }
}

/// Bytes in the pieces that they are compared in: offset, size, number.
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
