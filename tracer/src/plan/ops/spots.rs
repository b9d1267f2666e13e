//! The bytes of a value at a hit: in memory, computed, constant, or missing.
//!
//! They come from DWARF location descriptions.

use tracer_common::op::{TARGET_REGISTERS, THREAD_POINTER, alu, cond};

use crate::base::unavailable::Unavailable;
use crate::debuginfo::place::{Binary, LocationExpr, Piece, PieceSource, Place, Term};
use crate::plan::limits::TERMS;
use crate::plan::ops::addresses::AddressBase;
use crate::plan::ops::ir::{Failure, Ir, Test, divide};
use crate::plan::ops::thread_local;
use crate::plan::ops::thread_local::TlsBlock;

/// The place of some bytes of a value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::plan) enum Spot {
    /// In memory at a run address.
    Memory(Ir),
    /// The low bytes of a computed number.
    Number(Ir),
    /// The number in a bit field of that many bits.
    Bits(Ir, u8),
    /// Constant bytes.
    Bytes(Vec<u8>),
    /// A pointer to an object without an address: the object's place, and the offset into it.
    Implicit(Box<Spots>, i64),
    /// Unavailable.
    Missing(Unavailable),
}

/// The places of a value's bytes in order, each with its number of bytes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::plan) struct Spots(pub(in crate::plan) Vec<(u64, Spot)>);

/// The addresses of a module in a process, which turn places of the debug information into [`Spots`].
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct ModuleAddresses {
    /// The base of the module's addresses.
    pub(in crate::plan) base: AddressBase,
    /// The module's thread-local storage.
    pub(in crate::plan) tls: Option<TlsBlock>,
}

impl Spots {
    /// A value of `size` bytes at one spot.
    pub(in crate::plan) fn whole(size: u64, spot: Spot) -> Self {
        Self(vec![(size, spot)])
    }

    /// The place of a value of `size` bytes.
    pub(in crate::plan) fn of(place: &Place, size: u64, process: ModuleAddresses) -> Self {
        Self::nested(place, size, process, 0)
    }

    fn nested(place: &Place, size: u64, process: ModuleAddresses, level: u32) -> Self {
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

    /// The reason why no part of the value has a place. `None` if some part has one, or if the
    /// value is empty.
    pub(in crate::plan) fn nowhere(&self) -> Option<&Unavailable> {
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

    /// The places of `size` bytes from `offset` on.
    pub(in crate::plan) fn project(&self, offset: u64, size: u64) -> Self {
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

    /// The number in these bytes, zero-extended. At most eight bytes.
    ///
    /// # Errors
    /// The bytes are not in one place, or they are unavailable.
    pub(in crate::plan) fn number(&self) -> Result<Ir, Unavailable> {
        match &self.0[..] {
            [(size @ 1..=8, spot)] => spot.number(*size as u8),
            [(_, Spot::Missing(why))] => Err(why.clone()),
            _ => Err(Unavailable::Unsupported(
                "a number in more than one place".into(),
            )),
        }
    }

    /// The run address, if the value has one.
    pub(in crate::plan) fn address(&self) -> Option<&Ir> {
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

fn spot_of(piece: &Piece, bytes: u64, process: ModuleAddresses, level: u32) -> Spot {
    let number = |ir: Result<Ir, Unavailable>| match ir {
        Err(why) => Spot::Missing(why),
        Ok(_) if bytes > 8 => Spot::Missing(Unavailable::BadDebugInfo(
            "value larger than its register".into(),
        )),
        Ok(ir) => Spot::Number(ir),
    };
    match &piece.source {
        PieceSource::Memory(expr) => match tree(expr, process) {
            Ok(address) => Spot::Memory(address),
            Err(why) => Spot::Missing(why),
        },
        PieceSource::Register(register) => number(machine_register(register.0)),
        PieceSource::Value(expr) => number(tree(expr, process)),
        PieceSource::Bytes(known) if (known.len() as u64) < bytes => Spot::Missing(
            Unavailable::BadDebugInfo("constant shorter than its type".into()),
        ),
        PieceSource::Bytes(known) => Spot::Bytes(known.clone()),
        PieceSource::ImplicitPointer(place, offset) if level < 4 => {
            // The object's size is unknown here. The plan later reads no more than its type's size.
            let size = place.pieces.iter().fold(0u64, |sum, piece| {
                sum.saturating_add(piece.size.unwrap_or(match &piece.source {
                    PieceSource::Memory(_) => u64::from(u32::MAX),
                    PieceSource::Bytes(bytes) => bytes.len() as u64,
                    _ => 8,
                }))
            });
            let spots = Spots::nested(place, size, process, level + 1);
            Spot::Implicit(Box::new(spots), *offset)
        }
        PieceSource::ImplicitPointer(..) => Spot::Missing(Unavailable::OptimisedOut),
        PieceSource::Unavailable(why) => Spot::Missing(why.clone()),
    }
}

fn machine_register(number: u8) -> Result<Ir, Unavailable> {
    if number > 16 {
        return Err(Unavailable::Register(format!("number {number}")));
    }
    Ok(Ir::Register(TARGET_REGISTERS + number))
}

/// The expression tree of a DWARF postfix expression.
fn tree(expr: &LocationExpr, process: ModuleAddresses) -> Result<Ir, Unavailable> {
    if expr.0.len() > TERMS {
        return Err(many_steps());
    }
    let bad = || Unavailable::BadDebugInfo("location expression out of operands".into());
    let mut stack: Vec<Ir> = Vec::new();
    for term in &expr.0 {
        let value = match *term {
            Term::Const(value) => Ir::Const(value),
            Term::Address(link) => process.base.run(link),
            // A module that is not loaded must not keep others from being compared.
            Term::AddressIn(module, link) => Ir::Module {
                module,
                must_be_loaded: false,
            }
            .plus(link.0),
            Term::Register(register) => machine_register(register.0)?,
            Term::ThreadPointer => Ir::Register(THREAD_POINTER),
            Term::Tls => {
                let offset = stack.pop().ok_or_else(bad)?;
                thread_local::address(offset, process.tls, process.base)?
            }
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
        // Limits the size, since some terms emit their operand twice.
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

/// A test that holds if a number is not 0.
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
            // Two reads, since a single one would touch bytes beyond the number.
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

/// DWARF defines shifts by 64 or more as 0, or as all sign bits. The machine uses the low bits of
/// the count. Constant counts are folded by DWARF's rule. Compilers keep other counts below 64.
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
