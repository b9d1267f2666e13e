//! Numbers that the capture machine computes: small expression trees over
//! target registers and memory, and places made of them.
//!
//! Location expressions of the debug information and expressions of the user
//! both end up here. Knows no types and emits no ops.

use std::rc::Rc;

use tracer_common::float;
use tracer_common::op::{FS_BASE, TARGET_REGISTERS, alu, cond};

use super::limits::TERMS;
use super::regex::Automaton;
use super::thread_local::{self, TlsBlock};
use crate::address::Bias;
use crate::debuginfo::place::{Binary, Expr, Piece, Place, Source, Term};
use crate::unavailable::Unavailable;

/// Why a computation has no result, as the record marks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Failure {
    /// A read faulted: `CHUNK_FAULT`.
    Fault = tracer_common::record::CHUNK_FAULT,
    /// A null pointer was to be followed.
    Null = tracer_common::record::CHUNK_PLAN,
    /// An index was not below the length.
    Bounds = tracer_common::record::CHUNK_PLAN + 1,
    /// Division by zero.
    Division = tracer_common::record::CHUNK_PLAN + 2,
    /// The variant that has the field is not the one there is.
    Variant = tracer_common::record::CHUNK_PLAN + 3,
    /// A text was too long to be looked through.
    Long = tracer_common::record::CHUNK_PLAN + 4,
    /// No caller that says what it passed.
    Caller = tracer_common::record::CHUNK_PLAN + 5,
    /// It is not certain that the thread-local block is the module's.
    Thread = tracer_common::record::CHUNK_PLAN + 6,
    /// The thread has no thread-local block of the module yet.
    Untouched = tracer_common::record::CHUNK_PLAN + 7,
    /// A shift by as many bits as the number has, or more.
    Shift = tracer_common::record::CHUNK_PLAN + 8,
    /// It is an `int` or an `unsigned int`, which would differ.
    Sign = tracer_common::record::CHUNK_PLAN + 9,
    /// The integer part of a float has no place in the type.
    Range = tracer_common::record::CHUNK_PLAN + 10,
    /// The least number of a type by -1.
    Overflow = tracer_common::record::CHUNK_PLAN + 11,
    /// A division of a number below zero and one that no signed type has.
    Negative = tracer_common::record::CHUNK_PLAN + 12,
}

impl Failure {
    /// All but [`Failure::Fault`].
    pub(super) const MARKS: [Self; 13] = [
        Self::Null,
        Self::Bounds,
        Self::Division,
        Self::Variant,
        Self::Long,
        Self::Caller,
        Self::Thread,
        Self::Untouched,
        Self::Shift,
        Self::Sign,
        Self::Range,
        Self::Overflow,
        Self::Negative,
    ];

    /// What the user is told.
    pub(super) fn reason(self) -> Unavailable {
        match self {
            Self::Fault => Unavailable::Unreadable(None),
            Self::Null => Unavailable::Null,
            Self::Bounds => Unavailable::Invalid("index out of bounds".into()),
            Self::Division => Unavailable::Invalid("division by zero".into()),
            Self::Shift => Unavailable::Invalid("shift by all bits of the number or more".into()),
            Self::Range => Unavailable::Invalid("a float outside of the integer's range".into()),
            Self::Overflow => Unavailable::Invalid("overflow of a division".into()),
            Self::Negative => {
                let what = "division of a number below zero and an unsigned one";
                Unavailable::Invalid(what.into())
            }
            Self::Sign => {
                let what = "an enum that may be an `int` or an `unsigned int`, which differ here";
                Unavailable::Unsupported(what.into())
            }
            Self::Long => Unavailable::Unsupported("a search in a text as long as this".into()),
            Self::Caller => {
                let what = "the value at the function's entry, called from there";
                Unavailable::Unsupported(what.into())
            }
            Self::Thread => {
                let what = "thread-local storage that may be another module's";
                Unavailable::Unsupported(what.into())
            }
            Self::Untouched => Unavailable::Untouched,
            Self::Variant => Unavailable::Invalid("another variant is active".into()),
        }
    }
}

/// A 64-bit number known at the hit.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ir {
    /// Known now.
    Const(u64),
    /// A register of the capture machine.
    Register(u8),
    /// `size` (1, 2, 4, 8) bytes of user memory.
    Load {
        /// Run address.
        address: Box<Ir>,
        /// Bytes.
        size: u8,
        /// Extend the sign.
        signed: bool,
    },
    /// The low `size` bytes, extended.
    Extend {
        /// Of what.
        of: Box<Ir>,
        /// Bytes.
        size: u8,
        /// Extend the sign.
        signed: bool,
    },
    /// `alu::…` of two.
    Alu(u32, Box<Ir>, Box<Ir>),
    /// A division of two by `alu::…`. By zero it fails as a [`Failure::Division`]; of the least number,
    /// if there is one, by -1 as a [`Failure::Overflow`].
    Divide(u32, Box<[Ir; 2]>, Option<u64>),
    /// `float::…` of two; one that has no result fails as a [`Failure::Range`].
    Float(u32, Box<Ir>, Box<Ir>),
    /// A signed number for the bytes of a float in the high end: they stand in the order of the floats, what is
    /// no number beyond both ends, and both zeroes are 0.
    FloatOrder(Box<Ir>),
    /// `wide::…` of two, each its lower and its upper half; fails as [`Ir::Divide`] does.
    Wide(u32, Box<[Ir; 4]>),
    /// 1 when the test holds, 0 when not.
    Truth(Box<Test>),
    /// The second, after the test held.
    Guard(Box<Test>, Failure, Box<Ir>),
    /// The same, which must not be 0.
    NonNull(Box<Ir>),
    /// The same, which must be below a limit.
    Below(Box<Ir>, u64, Failure),
    /// The first, which must be below the second.
    Within(Box<[Ir; 2]>, Failure),
    /// The first when the test holds, else the second; the other is not computed.
    Choose(Box<Test>, Box<Ir>, Box<Ir>),
}

/// A truth known at the hit; evaluated with short circuit.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// Known now.
    Known(bool),
    /// `cond::…` of two.
    Compare(u8, Ir, Ir),
    /// Not.
    Not(Box<Test>),
    /// Both; the second only when the first holds.
    And(Box<Test>, Box<Test>),
    /// One; the second only when the first fails.
    Or(Box<Test>, Box<Test>),
    /// The bytes of a text against a text that is known now.
    Text(TextTest),
}

/// A question about a text in memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextTest {
    /// Where the bytes are.
    pub(super) pointer: Ir,
    /// How many there are; `None`: up to a zero byte.
    pub(super) length: Option<Ir>,
    /// Of a text up to a zero byte: how many bytes there are without one. `None`: any number.
    pub(super) most: Option<u64>,
    /// The question.
    pub(super) matcher: Matcher,
}

/// A question about a text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Matcher {
    /// Whether it is this one.
    Equal(Vec<u8>),
    /// Whether it begins with this one.
    StartsWith(Vec<u8>),
    /// Whether it ends with this one, of a text whose length is known.
    EndsWith(Vec<u8>),
    /// Whether an automaton accepts it.
    Automaton(Rc<Automaton>),
}

impl Test {
    /// The opposite.
    pub(super) fn negate(self) -> Self {
        match self {
            Self::Known(value) => Self::Known(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// A comparison, decided now when both sides are known.
    pub(super) fn compare(condition: u8, left: Ir, right: Ir) -> Self {
        if let (Ir::Const(a), Ir::Const(b)) = (&left, &right) {
            return Self::Known(holds(condition, *a, *b));
        }
        Self::Compare(condition, left, right)
    }
}

/// Whether `a COND b`.
pub(super) fn holds(condition: u8, a: u64, b: u64) -> bool {
    let (x, y) = (a as i64, b as i64);
    match condition {
        cond::EQ => a == b,
        cond::NE => a != b,
        cond::LT => a < b,
        cond::LE => a <= b,
        cond::GT => a > b,
        cond::GE => a >= b,
        cond::SLT => x < y,
        cond::SLE => x <= y,
        cond::SGT => x > y,
        cond::SGE => x >= y,
        _ => false,
    }
}

impl Ir {
    /// `self + bytes`, folded.
    pub(super) fn plus(self, bytes: u64) -> Self {
        match self {
            Self::Const(value) => Self::Const(value.wrapping_add(bytes)),
            other if bytes == 0 => other,
            Self::Alu(alu::ADD, left, right) => match *right {
                Self::Const(value) => left.plus(value.wrapping_add(bytes)),
                right => Self::Alu(
                    alu::ADD,
                    Box::new(Self::Alu(alu::ADD, left, Box::new(right))),
                    Box::new(Self::Const(bytes)),
                ),
            },
            Self::Guard(test, why, then) => Self::Guard(test, why, Box::new(then.plus(bytes))),
            other => Self::Alu(alu::ADD, Box::new(other), Box::new(Self::Const(bytes))),
        }
    }

    /// `self OP other`, folded where both are known and where adding.
    pub(super) fn alu(operation: u32, left: Self, right: Self) -> Self {
        match (operation, &left, &right) {
            (alu::ADD, _, Self::Const(value)) => {
                let value = *value;
                return left.plus(value);
            }
            (alu::ADD, Self::Const(value), _) => {
                let value = *value;
                return right.plus(value);
            }
            (alu::SUB, _, Self::Const(value)) => {
                let value = value.wrapping_neg();
                return left.plus(value);
            }
            (alu::MUL, Self::Const(a), Self::Const(b)) => return Self::Const(a.wrapping_mul(*b)),
            (alu::MUL, _, Self::Const(1)) => return left,
            (alu::SHR, _, Self::Const(0)) => return left,
            _ => {}
        }
        Self::Alu(operation, Box::new(left), Box::new(right))
    }

    /// `self OP other` as it is: for operations that folding knows nothing of.
    pub(super) fn raw(operation: u32, left: Self, right: Self) -> Self {
        Self::Alu(operation, Box::new(left), Box::new(right))
    }

    /// `left OP right` of floats, which are folded where both are known.
    pub(super) fn float(operation: u32, left: Self, right: Self) -> Self {
        if let (Self::Const(a), Self::Const(b)) = (&left, &right)
            && float::has_result(operation, *a, *b)
        {
            return Self::Const(float::calculate(operation, *a, *b));
        }
        Self::Float(operation, Box::new(left), Box::new(right))
    }

    /// The same, which fails at `limit` and above.
    ///
    /// It is looked at once, so that it cannot change between the test and its use.
    pub(super) fn below(self, limit: u64, failure: Failure) -> Self {
        if self.most() < limit {
            return self;
        }
        Self::Below(Box::new(self), limit, failure)
    }

    /// What it cannot be above, as far as its operations say so.
    fn most(&self) -> u64 {
        match self {
            Self::Const(value) => *value,
            Self::Truth(_) => 1,
            Self::Alu(alu::AND, a, b) => a.most().min(b.most()),
            Self::Alu(alu::REM, a, b) => match **b {
                Self::Const(by @ 1..) => a.most().min(by - 1),
                _ => u64::MAX,
            },
            Self::Extend {
                of, signed: false, ..
            } => of.most(),
            _ => u64::MAX,
        }
    }

    /// The 64-bit number in memory at `self`.
    pub(super) fn load(self, size: u8, signed: bool) -> Self {
        Self::Load {
            address: Box::new(self),
            size,
            signed,
        }
    }

    /// The low `size` bytes, extended to 64 bits.
    pub(super) fn extend(self, size: u8, signed: bool) -> Self {
        match self {
            value if size >= 8 => value,
            Self::Const(value) => Self::Const(extended(value, size, signed)),
            Self::Load {
                address,
                size: loaded,
                ..
            } if loaded == size => Self::Load {
                address,
                size,
                signed,
            },
            of => Self::Extend {
                of: Box::new(of),
                size,
                signed,
            },
        }
    }

    /// A register and an offset, when it is no more than that.
    pub(super) fn simple_address(&self) -> Option<(u8, i32)> {
        match self {
            Self::Register(register) => Some((*register, 0)),
            Self::Alu(alu::ADD, left, right) => match (&**left, &**right) {
                (Self::Register(register), Self::Const(value)) => {
                    Some((*register, i32::try_from(*value as i64).ok()?))
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// The low `size` bytes of `value`, sign- or zero-extended.
pub(super) fn extended(value: u64, size: u8, signed: bool) -> u64 {
    if size == 0 {
        return 0;
    }
    if size >= 8 {
        return value;
    }
    let shift = 64 - u32::from(size) * 8;
    if signed {
        (((value << shift) as i64) >> shift) as u64
    } else {
        (value << shift) >> shift
    }
}

/// Where some bytes of a value are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Spot {
    /// In memory at a run address.
    Memory(Ir),
    /// The low bytes of a number.
    Number(Ir),
    /// The number in a bit field of so many bits.
    Bits(Ir, u8),
    /// Known now.
    Bytes(Vec<u8>),
    /// A pointer to something that has no address: its place, the offset into it.
    Implicit(Box<Spots>, i64),
    /// Not known.
    Missing(Unavailable),
}

/// Where all bytes of a value are, in order; each with its number of bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spots(pub(super) Vec<(u64, Spot)>);

/// What turns places of the debug information into [`Spots`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    /// Run address minus link address of the module.
    pub(super) bias: Bias,
    /// Its thread-local storage.
    pub(super) tls: Option<TlsBlock>,
}

impl Spots {
    /// A value of `size` bytes at one spot.
    pub(super) fn whole(size: u64, spot: Spot) -> Self {
        Self(vec![(size, spot)])
    }

    /// The place of a value of `size` bytes.
    pub(super) fn of(place: &Place, size: u64, process: Process) -> Self {
        Self::nested(place, size, process, 0)
    }

    fn nested(place: &Place, size: u64, process: Process, level: u32) -> Self {
        let mut spots = Vec::new();
        let mut left = size;
        for piece in place.pieces.iter().take(64) {
            let bytes = piece.size.unwrap_or(left).min(left);
            if bytes == 0 && size != 0 {
                continue;
            }
            spots.push((bytes, spot_of(piece, bytes, process, level)));
            left -= bytes;
        }
        if left > 0 {
            let why = Unavailable::BadDebugInfo("pieces smaller than the variable".into());
            spots.push((left, Spot::Missing(why)));
        }
        Self(spots)
    }

    /// Why no part of it is anywhere; `None` when some part is, or there is none.
    pub(super) fn nowhere(&self) -> Option<&Unavailable> {
        if self.0.iter().all(|(size, _)| *size == 0) {
            // A value without bytes needs no place.
            return None;
        }
        let mut reasons = self.0.iter().map(|(_, spot)| match spot {
            Spot::Missing(why) => Some(why),
            _ => None,
        });
        let first = reasons.next()??;
        reasons.all(|reason| reason.is_some()).then_some(first)
    }

    /// The part of `size` bytes from `offset` on.
    pub(super) fn project(&self, offset: u64, size: u64) -> Self {
        if let [(_, Spot::Memory(address))] = &self.0[..] {
            return Self::whole(size, Spot::Memory(address.clone().plus(offset)));
        }
        let end = offset.saturating_add(size);
        let mut parts = Vec::new();
        let mut at = 0u64;
        for (bytes, spot) in &self.0 {
            let next = at.saturating_add(*bytes);
            let (from, to) = (offset.max(at), end.min(next));
            if from < to {
                parts.push((to - from, spot.part(from - at, to - from, *bytes)));
            }
            at = next;
        }
        if end > at && size > 0 {
            let missing = end - offset.max(at);
            let why = Unavailable::BadDebugInfo("member outside of its value".into());
            parts.push((missing, Spot::Missing(why)));
        }
        Self(parts)
    }

    /// The number in these bytes, at most eight, zero-extended.
    ///
    /// # Errors
    /// Why there is no number: it is not in one place, or not known.
    pub(super) fn number(&self) -> Result<Ir, Unavailable> {
        match &self.0[..] {
            [(size @ 1..=8, spot)] => spot.number(*size as u8),
            [(_, Spot::Missing(why))] => Err(why.clone()),
            _ => Err(Unavailable::Unsupported(
                "a number in more than one place".into(),
            )),
        }
    }

    /// Its run address, when it has one.
    pub(super) fn address(&self) -> Option<&Ir> {
        match &self.0[..] {
            [(_, Spot::Memory(address))] => Some(address),
            _ => None,
        }
    }
}

impl Spot {
    fn part(&self, offset: u64, size: u64, of: u64) -> Self {
        match self {
            Self::Memory(address) => Self::Memory(address.clone().plus(offset)),
            Self::Number(number) | Self::Bits(number, _) if offset < 8 => {
                Self::Number(Ir::alu(alu::SHR, number.clone(), Ir::Const(offset * 8)))
            }
            Self::Number(_) | Self::Bits(..) => Self::Missing(Unavailable::BadDebugInfo(
                "value larger than its register".into(),
            )),
            Self::Bytes(bytes) => {
                let part = usize::try_from(offset)
                    .ok()
                    .zip(usize::try_from(offset.saturating_add(size)).ok())
                    .and_then(|(from, to)| bytes.get(from..to));
                match part {
                    Some(part) => Self::Bytes(part.to_vec()),
                    None => Self::Missing(Unavailable::BadDebugInfo(
                        "constant shorter than its type".into(),
                    )),
                }
            }
            Self::Implicit(..) if offset == 0 && size == of => self.clone(),
            Self::Implicit(..) => Self::Missing(Unavailable::OptimisedOut),
            Self::Missing(why) => Self::Missing(why.clone()),
        }
    }

    fn number(&self, size: u8) -> Result<Ir, Unavailable> {
        match self {
            Self::Memory(address) if matches!(size, 1 | 2 | 4 | 8) => {
                Ok(address.clone().load(size, false))
            }
            Self::Memory(_) => Err(Unavailable::Unsupported(format!(
                "a number of {size} bytes"
            ))),
            Self::Number(number) | Self::Bits(number, _) => Ok(number.clone().extend(size, false)),
            Self::Bytes(bytes) => {
                let mut wide = [0; 8];
                for (to, from) in wide.iter_mut().zip(bytes.iter().take(usize::from(size))) {
                    *to = *from;
                }
                Ok(Ir::Const(u64::from_le_bytes(wide)))
            }
            Self::Implicit(..) => Err(Unavailable::OptimisedOut),
            Self::Missing(why) => Err(why.clone()),
        }
    }
}

fn spot_of(piece: &Piece, bytes: u64, process: Process, level: u32) -> Spot {
    let number = |ir: Result<Ir, Unavailable>| match ir {
        Err(why) => Spot::Missing(why),
        Ok(_) if bytes > 8 => Spot::Missing(Unavailable::BadDebugInfo(
            "value larger than its register".into(),
        )),
        Ok(ir) => Spot::Number(ir),
    };
    match &piece.source {
        Source::Memory(expr) => match tree(expr, process) {
            Ok(address) => Spot::Memory(address),
            Err(why) => Spot::Missing(why),
        },
        Source::Register(register) => number(machine_register(register.0)),
        Source::Value(expr) => number(tree(expr, process)),
        Source::Bytes(known) if (known.len() as u64) < bytes => Spot::Missing(
            Unavailable::BadDebugInfo("constant shorter than its type".into()),
        ),
        Source::Bytes(known) => Spot::Bytes(known.clone()),
        Source::ImplicitPointer(place, offset) if level < 4 => {
            // The object's size is not known here; its type's, which the plan
            // asks for later, bounds what is read of it.
            let size = place.pieces.iter().fold(0u64, |sum, piece| {
                sum.saturating_add(piece.size.unwrap_or(match &piece.source {
                    Source::Memory(_) => u64::from(u32::MAX),
                    Source::Bytes(bytes) => bytes.len() as u64,
                    _ => 8,
                }))
            });
            let spots = Spots::nested(place, size, process, level + 1);
            Spot::Implicit(Box::new(spots), *offset)
        }
        Source::ImplicitPointer(..) => Spot::Missing(Unavailable::OptimisedOut),
        Source::Unavailable(why) => Spot::Missing(why.clone()),
    }
}

fn machine_register(number: u8) -> Result<Ir, Unavailable> {
    if number > 16 {
        return Err(Unavailable::Register(format!("number {number}")));
    }
    Ok(Ir::Register(TARGET_REGISTERS + number))
}

/// The tree of a postfix expression.
fn tree(expr: &Expr, process: Process) -> Result<Ir, Unavailable> {
    if expr.0.len() > TERMS {
        return Err(many_steps());
    }
    let bad = || Unavailable::BadDebugInfo("location expression out of operands".into());
    let mut stack: Vec<Ir> = Vec::new();
    for term in &expr.0 {
        let value = match *term {
            Term::Const(value) => Ir::Const(value),
            Term::Address(link) => Ir::Const(process.bias.run(link).0),
            Term::Register(register) => machine_register(register.0)?,
            Term::ThreadPointer => Ir::Register(FS_BASE),
            Term::Tls => thread_local::address(stack.pop().ok_or_else(bad)?, process.tls)?,
            Term::Deref(size) => deref(stack.pop().ok_or_else(bad)?, size)?,
            Term::SignExtend(size) => stack.pop().ok_or_else(bad)?.extend(size, true),
            Term::ZeroExtend(size) => stack.pop().ok_or_else(bad)?.extend(size, false),
            Term::Binary(operation) => {
                let right = stack.pop().ok_or_else(bad)?;
                let left = stack.pop().ok_or_else(bad)?;
                binary(operation, left, right)
            }
            Term::Choose => {
                let test = truth(stack.pop().ok_or_else(bad)?);
                let no = stack.pop().ok_or_else(bad)?;
                let yes = stack.pop().ok_or_else(bad)?;
                Ir::Choose(Box::new(test), Box::new(yes), Box::new(no))
            }
            Term::KnownCaller => {
                let test = truth(stack.pop().ok_or_else(bad)?);
                let value = stack.pop().ok_or_else(bad)?;
                Ir::Guard(Box::new(test), Failure::Caller, Box::new(value))
            }
        };
        // What some terms use twice.
        let twice = matches!(term, Term::Binary(_) | Term::Deref(_) | Term::Tls);
        if twice && value.is_too_large() {
            return Err(many_steps());
        }
        stack.push(value);
    }
    stack.pop().ok_or_else(bad)
}

fn many_steps() -> Unavailable {
    Unavailable::Unsupported("a location of many steps".into())
}

/// Whether a number is not 0.
fn truth(number: Ir) -> Test {
    match number {
        Ir::Truth(test) => *test,
        number => Test::compare(cond::NE, number, Ir::Const(0)),
    }
}

fn deref(address: Ir, size: u8) -> Result<Ir, Unavailable> {
    match size {
        1 | 2 | 4 | 8 => Ok(address.load(size, false)),
        3 | 5..=7 => {
            // Two reads, so that no byte beyond is touched.
            let low = if size == 3 { 2 } else { 4 };
            let high = size - low;
            let upper = deref(address.clone().plus(u64::from(low)), high)?;
            let upper = Ir::alu(alu::SHL, upper, Ir::Const(u64::from(low) * 8));
            Ok(Ir::alu(alu::OR, address.load(low, false), upper))
        }
        _ => Err(Unavailable::BadDebugInfo(format!("a read of {size} bytes"))),
    }
}

fn binary(operation: Binary, left: Ir, right: Ir) -> Ir {
    let compare = |condition| {
        Ir::Truth(Box::new(Test::compare(
            condition,
            left.clone(),
            right.clone(),
        )))
    };
    match operation {
        Binary::Add => Ir::alu(alu::ADD, left, right),
        Binary::Sub => Ir::alu(alu::SUB, left, right),
        Binary::Mul => Ir::alu(alu::MUL, left, right),
        Binary::Div => divide(alu::SDIV, left, right, None),
        Binary::Mod => divide(alu::REM, left, right, None),
        Binary::And => Ir::alu(alu::AND, left, right),
        Binary::Or => Ir::alu(alu::OR, left, right),
        Binary::Xor => Ir::alu(alu::XOR, left, right),
        Binary::Shl => shift(alu::SHL, left, right),
        Binary::Shr => shift(alu::SHR, left, right),
        Binary::Sar => shift(alu::SAR, left, right),
        Binary::Eq => compare(cond::EQ),
        Binary::Ne => compare(cond::NE),
        Binary::Lt => compare(cond::SLT),
        Binary::Le => compare(cond::SLE),
        Binary::Gt => compare(cond::SGT),
        Binary::Ge => compare(cond::SGE),
    }
}

/// DWARF shifts by 64 or more give zero (or all sign bits), the machine takes
/// the count's low bits: counts that are known are folded, others are taken
/// as the compilers mean them, below 64.
fn shift(operation: u32, left: Ir, right: Ir) -> Ir {
    match right {
        Ir::Const(count) if count >= 64 && operation == alu::SAR => {
            Ir::alu(alu::SAR, left, Ir::Const(63))
        }
        Ir::Const(count) if count >= 64 => Ir::Const(0),
        Ir::Const(_) => Ir::alu(operation, left, right),
        right => Ir::alu(operation, left, right.below(64, Failure::Shift)),
    }
}

/// A division, which has no result by zero, nor of the least number by -1 where one is given.
pub(super) fn divide(operation: u32, left: Ir, right: Ir, least: Option<u64>) -> Ir {
    match right {
        Ir::Const(by) if by != 0 && (by != u64::MAX || least.is_none()) => {
            Ir::alu(operation, left, right)
        }
        _ => Ir::Divide(operation, Box::new([left, right]), least),
    }
}

/// The least number of a signed type of so many bytes, extended.
pub(super) const fn least(size: u8) -> u64 {
    u64::MAX << (if size < 8 { size as u32 * 8 - 1 } else { 63 })
}
