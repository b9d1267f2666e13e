//! Integer promotions and the usual arithmetic conversions of C and C++.
//!
//! `int` has 32 bits and `long` has 64. Overflow wraps, as it does in compiled code on x86-64.

use tracer_common::op::alu;

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{Language, TypeKind};
use crate::lang::ast::{BinaryOp, Expr, UnaryOp};
use crate::plan::expr::division::quotient;
use crate::plan::expr::operand::{Number, NumberKind, Operand};
use crate::plan::expr::resolver::Resolver;
use crate::plan::expr::wide::Side;
use crate::plan::ops::ir::{Failure, Ir};
use crate::plan::ops::spots::Spot;

/// The largest `int` plus one.
const INT_END: u64 = 1 << 31;

/// Facts about an integer that its type lacks and its promotion needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum IntegerOrigin {
    Plain,
    /// A bit field of that many bits.
    Bits(u8),
    /// An enum of C++ whose values all fit an `int`. Its underlying type is `int` or `unsigned
    /// int`; DWARF does not tell them apart.
    Enum,
}

impl Resolver<'_, '_> {
    /// The origin of an operand of an operator.
    pub(in crate::plan) fn origin(&self, side: &Side) -> IntegerOrigin {
        match side {
            Side::Other(operand) => self.origin_of(operand),
            Side::Wide(_) => IntegerOrigin::Plain,
        }
    }

    pub(in crate::plan) fn origin_of(&self, operand: &Operand) -> IntegerOrigin {
        let Operand::Place(spots, ty) = operand else {
            return IntegerOrigin::Plain;
        };
        if self.scope.language == Language::Cpp
            && let Some(Ok(scalar)) = self.scalar_at(spots, *ty)
            && let TypeKind::Enum {
                size: 4,
                signed: false,
                enumerators,
            } = &self.builder.resolve(scalar.ty).kind
            && enumerators
                .iter()
                .all(|(_, value)| *value < i128::from(INT_END))
        {
            return IntegerOrigin::Enum;
        }
        match &spots.0[..] {
            [(_, Spot::Bits(_, bits))] => IntegerOrigin::Bits(*bits),
            _ => IntegerOrigin::Plain,
        }
    }

    /// Applies the integer promotions: a number that fits an `int` becomes one.
    ///
    /// # Errors
    /// Compilers disagree about the type of this bit field.
    pub(in crate::plan) fn promoted(
        &self,
        expr: &Expr,
        number: Number,
        origin: IntegerOrigin,
    ) -> Result<Number, Diagnostic> {
        let (size, signed) = match (origin, number.kind) {
            (_, NumberKind::Pointer | NumberKind::Float) => return Ok(number),
            (IntegerOrigin::Enum, _) => {
                return Ok(Number {
                    ir: number.ir.extend(4, true),
                    size: 4,
                    signed: true,
                    kind: NumberKind::EitherInt,
                });
            }
            (IntegerOrigin::Bits(33..64), _) if self.scope.language == Language::C => {
                let message = "compilers differ in the arithmetic of a bit field of this size";
                return Err(
                    Diagnostic::at(&expr.span, message).hint("write a cast: `(unsigned long)x`")
                );
            }
            (IntegerOrigin::Bits(bits), _) if bits < 32 || bits == 32 && number.signed => (4, true),
            (IntegerOrigin::Bits(32), _) => (4, false),
            (_, NumberKind::EitherInt) => return Ok(number),
            (_, NumberKind::Bool) => (4, true),
            _ if number.size < 4 => (4, true),
            _ => (number.size, number.signed),
        };
        Ok(Number {
            ir: number.ir,
            size,
            signed,
            kind: NumberKind::Int,
        })
    }
}

impl Number {
    /// The number, which fails if it is not the same as `int` and as `unsigned int`.
    pub(in crate::plan) fn below_both(self) -> Self {
        match self.kind {
            NumberKind::EitherInt => Self {
                ir: self.ir.below(INT_END, Failure::Sign),
                ..self
            },
            _ => self,
        }
    }

    /// The number with a sign that is certain.
    pub(in crate::plan) fn settled(self) -> Self {
        match self.kind {
            NumberKind::EitherInt => Self {
                kind: NumberKind::Int,
                ..self.below_both()
            },
            _ => self,
        }
    }

    fn converted(self, size: u8, signed: bool) -> Self {
        let number = if size == 8 { self.below_both() } else { self };
        let ir = match (size, number.signed, signed) {
            (4, true, false) => number.ir.extend(4, false),
            _ => number.ir,
        };
        Self {
            ir,
            size,
            signed,
            kind: NumberKind::Int,
        }
    }
}

/// Converts two promoted numbers to their common type.
pub(in crate::plan) fn common(a: Number, b: Number) -> (Number, Number) {
    let size = a.size.max(b.size);
    let is_unsigned = |one: &Number| one.size == size && !one.signed;
    let signed = !is_unsigned(&a) && !is_unsigned(&b);
    let either = [&a, &b]
        .into_iter()
        .any(|one| one.kind == NumberKind::EitherInt);
    let (mut a, mut b) = (a.converted(size, signed), b.converted(size, signed));
    if either && signed && size == 4 {
        (a.kind, b.kind) = (NumberKind::EitherInt, NumberKind::EitherInt);
    }
    (a, b)
}

/// `left OP right` of two promoted numbers. Pointers and shifts have functions of their own.
///
/// # Errors
/// Fails as [`quotient`] does.
pub(super) fn arithmetic(
    expr: &Expr,
    op: BinaryOp,
    a: Number,
    b: Number,
) -> Result<Number, Diagnostic> {
    let (mut a, mut b) = common(a, b);
    if matches!(op, BinaryOp::Div | BinaryOp::Rem) {
        (a, b) = (a.below_both(), b.below_both());
    }
    let (size, signed, kind) = (a.size, a.signed, a.kind);
    // The bitwise operators and the quotient keep the extension of their operands. The other
    // results must be extended again.
    let (ir, extended) = match op {
        BinaryOp::Sub => (Ir::alu(alu::SUB, a.ir, b.ir), false),
        BinaryOp::Mul => (Ir::alu(alu::MUL, a.ir, b.ir), false),
        BinaryOp::Div | BinaryOp::Rem => (quotient(expr, op, signed, a, b)?, true),
        BinaryOp::BitAnd => (Ir::alu(alu::AND, a.ir, b.ir), true),
        BinaryOp::BitOr => (Ir::alu(alu::OR, a.ir, b.ir), true),
        BinaryOp::BitXor => (Ir::alu(alu::XOR, a.ir, b.ir), true),
        _ => (Ir::alu(alu::ADD, a.ir, b.ir), false),
    };
    let ir = ir.folded();
    let ir = if extended {
        ir
    } else {
        ir.extend(size, signed)
    };
    let number = Number {
        ir,
        size,
        signed,
        kind,
    };
    Ok(number.below_both())
}

/// A promoted number shifted by `count` bits. `count` is below the width of the number.
pub(super) fn shift(op: BinaryOp, number: Number, count: Ir) -> Number {
    let number = number.below_both();
    let (size, signed) = (number.size, number.signed);
    let ir = match op {
        BinaryOp::Shl => {
            let shifted = Ir::alu(alu::SHL, number.ir, count).folded();
            shifted.extend(size, signed)
        }
        _ if signed => Ir::alu(alu::SAR, number.ir, count).folded(),
        _ => Ir::alu(alu::SHR, number.ir, count).folded(),
    };
    Number { ir, ..number }.below_both()
}

/// `-` or `~` of a promoted number.
pub(super) fn unary(op: UnaryOp, number: Number) -> Number {
    let ir = match op {
        UnaryOp::Neg => Ir::alu(alu::SUB, Ir::Const(0), number.ir),
        _ => Ir::alu(alu::XOR, number.ir, Ir::Const(u64::MAX)),
    };
    let ir = ir.folded().extend(number.size, number.signed);
    Number { ir, ..number }.below_both()
}
