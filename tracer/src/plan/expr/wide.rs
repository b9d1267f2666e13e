//! Integers of 128 bits, in two halves.
//!
//! A result takes the type of the program's own 128-bit integer among the operands, so that it can
//! be shown, compared and computed with like that one. Numbers of up to 64 bits are sign-extended
//! or zero-extended.

use tracer_common::op::{alu, cond, float, wide};

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::{TypeId, TypeKind};
use crate::lang::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::plan::expr::division::overflow;
use crate::plan::expr::operand::{Number, NumberKind, Operand};
use crate::plan::expr::resolver::Resolver;
use crate::plan::ops::ir::{Failure, Ir, Test};
use crate::plan::ops::spots::{Spot, Spots};

/// Bytes of a 128-bit integer.
pub(in crate::plan) const SIZE: u64 = 16;

/// An integer of 128 bits.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Wide {
    low: Ir,
    high: Ir,
    /// The value may be negative.
    signed: bool,
    /// The value may exceed the largest signed number.
    large: bool,
    /// The program's type. `None` for a literal, or for a number of fewer bits.
    ty: Option<TypeId>,
}

impl Wide {
    fn known(value: u128, signed: bool) -> Self {
        Self {
            low: Ir::Const(value as u64),
            high: Ir::Const((value >> 64) as u64),
            signed,
            large: !signed && i128::try_from(value).is_err(),
            ty: None,
        }
    }

    fn extended(number: Number) -> Self {
        let high = match &number.ir {
            _ if !number.signed => Ir::Const(0),
            Ir::Const(value) => Ir::Const(((*value as i64) >> 63) as u64),
            ir => Ir::alu(alu::SAR, ir.clone(), Ir::Const(63)),
        };
        Self {
            low: number.ir,
            high,
            signed: number.signed,
            large: false,
            ty: None,
        }
    }

    /// The low half, truncated to `size` bytes.
    pub(in crate::plan) fn narrowed(self, size: u8, signed: bool) -> Ir {
        self.low.extend(size, signed)
    }

    /// The nearest float of `size` bytes.
    pub(in crate::plan) fn rounded(self, size: u8) -> Ir {
        let operation = match (size, self.signed) {
            (4, true) => float::SINGLE_FROM_WIDE_SIGNED,
            (4, false) => float::SINGLE_FROM_WIDE_UNSIGNED,
            (_, true) => float::FROM_WIDE_SIGNED,
            (_, false) => float::FROM_WIDE_UNSIGNED,
        };
        Ir::float(operation, self.low, self.high)
    }

    /// The value, which fails if it is negative.
    fn above_zero(mut self) -> Self {
        if self.signed {
            self.high = self.high.below(1 << 63, Failure::Negative);
        }
        self
    }

    /// Returns true if it is the constant with the least signed value.
    fn is_least(&self) -> bool {
        matches!((&self.low, &self.high), (Ir::Const(0), Ir::Const(high)) if *high == 1 << 63)
    }

    /// Returns true if it is the constant -1.
    fn is_minus_one(&self) -> bool {
        let all = Ir::Const(u64::MAX);
        self.low == all && self.high == all
    }

    /// The test that the value is not zero.
    pub(in crate::plan) fn non_zero(self) -> Test {
        let any = Ir::alu(alu::OR, self.low, self.high);
        Test::compare(cond::NE, any, Ir::Const(0))
    }
}

/// An operand of an operator. Each is compiled once.
pub(in crate::plan) enum Side {
    Wide(Wide),
    Other(Operand),
}

impl Side {
    /// Compiles an operand.
    ///
    /// # Errors
    /// The expression has no meaning here.
    pub(in crate::plan) fn new(
        resolver: &mut Resolver<'_, '_>,
        expr: &Expr,
    ) -> Result<Self, Diagnostic> {
        if let Some(wide) = literal(expr, u64::MAX) {
            return Ok(Self::Wide(wide));
        }
        let operand = resolver.operand(expr)?;
        Ok(Self::of(resolver, operand))
    }

    /// Sorts an operand that is compiled already.
    pub(in crate::plan) fn of(resolver: &Resolver<'_, '_>, operand: Operand) -> Self {
        match of_program(resolver, &operand) {
            Some(wide) => Self::Wide(wide),
            None => Self::Other(operand),
        }
    }

    /// Casts the operand to a type of the program.
    ///
    /// # Errors
    /// It is not a number.
    pub(in crate::plan) fn cast(
        self,
        resolver: &Resolver<'_, '_>,
        expr: &Expr,
        ty: TypeId,
    ) -> Result<Operand, Diagnostic> {
        let (low, high) = match resolver.float_of(expr, &self)? {
            Some(number) => {
                let signed = matches!(
                    resolver.builder.resolve(ty).kind,
                    TypeKind::Int { signed: true }
                );
                let half = |half| resolver.truncated(number.clone(), half, signed);
                (half(float::LOWER), half(float::UPPER))
            }
            None => {
                let wide = self.wide(resolver, expr)?;
                (wide.low, wide.high)
            }
        };
        Ok(place(low, high, ty))
    }

    const fn is_wide(&self) -> bool {
        matches!(self, Self::Wide(_))
    }

    /// The operand as a number of 64 bits.
    ///
    /// # Errors
    /// It has more bits, or is not a number.
    pub(in crate::plan) fn number(
        self,
        resolver: &Resolver<'_, '_>,
        expr: &Expr,
    ) -> Result<Number, Diagnostic> {
        match self {
            Self::Wide(_) => Err(too_wide(expr, "numbers of more than 64 bits")),
            Self::Other(operand) => resolver.computable_of(expr, operand),
        }
    }

    fn wide(self, resolver: &Resolver<'_, '_>, expr: &Expr) -> Result<Wide, Diagnostic> {
        match self {
            Self::Wide(wide) => Ok(wide),
            // A negative literal keeps its value in 128 bits. In 64 bits it would wrap.
            Self::Other(operand) => match literal(expr, i64::MAX as u64) {
                Some(wide) => Ok(wide),
                None => Ok(Wide::extended(resolver.computable_of(expr, operand)?)),
            },
        }
    }
}

/// A literal above `most`, or its negative.
fn literal(expr: &Expr, most: u64) -> Option<Wide> {
    let is_beyond = |value: u128| value > u128::from(most);
    match &expr.kind {
        ExprKind::Int(value) if is_beyond(*value) => Some(Wide::known(*value, false)),
        ExprKind::Unary(UnaryOp::Neg, inner) => match inner.kind {
            ExprKind::Int(value) if is_beyond(value) && value <= 1 << 127 => {
                Some(Wide::known(value.wrapping_neg(), true))
            }
            _ => None,
        },
        _ => None,
    }
}

/// A 128-bit integer of the program.
fn of_program(resolver: &Resolver<'_, '_>, operand: &Operand) -> Option<Wide> {
    let Operand::Place(spots, ty) = operand else {
        return None;
    };
    let scalar = resolver.scalar_at(spots, *ty)?.ok()?;
    let half = |at| scalar.spots.project(at, 8).number().ok();
    (scalar.size == SIZE && scalar.kind == NumberKind::Int).then_some(())?;
    Some(Wide {
        low: half(0)?,
        high: half(8)?,
        signed: scalar.signed,
        large: !scalar.signed,
        ty: Some(scalar.ty),
    })
}

/// `left RELATION right` if one of them has 128 bits, else the two operands.
///
/// # Errors
/// The other operand is not a number.
pub(in crate::plan) fn compare(
    resolver: &Resolver<'_, '_>,
    relation: u8,
    a: Side,
    b: Side,
    left: &Expr,
    right: &Expr,
) -> Result<Result<Test, (Operand, Operand)>, Diagnostic> {
    let (a, b) = match (a, b) {
        (Side::Other(a), Side::Other(b)) => return Ok(Err((a, b))),
        (a, b) => (a.wide(resolver, left)?, b.wide(resolver, right)?),
    };
    // C and C++ convert the other operand to the unsigned type.
    if resolver.is_c() && (a.large || b.large) {
        return Ok(Ok(relate(relation, false, a, b)));
    }
    Ok(Ok(compared(relation, a, b)))
}

fn compared(relation: u8, a: Wide, b: Wide) -> Test {
    if !a.signed && !b.signed {
        return relate(relation, false, a, b);
    }
    if !a.large && !b.large {
        return relate(relation, true, a, b);
    }
    // One side may be negative, and the other beyond the signed numbers, so the sign is tested as
    // well.
    let (negative, outcome) = if a.signed {
        (&a, matches!(relation, cond::LT | cond::LE | cond::NE))
    } else {
        (&b, matches!(relation, cond::GT | cond::GE | cond::NE))
    };
    let below = Test::compare(cond::SLT, negative.high.clone(), Ir::Const(0));
    let plain = relate(relation, false, a, b);
    if outcome {
        Test::Or(Box::new(plain), Box::new(below))
    } else {
        Test::And(Box::new(plain), Box::new(below.negate()))
    }
}

/// The high halves decide. If they are equal, the low halves do.
fn relate(relation: u8, signed: bool, a: Wide, b: Wide) -> Test {
    let same = Test::compare(cond::EQ, a.high.clone(), b.high.clone());
    let low = Test::compare(relation, a.low, b.low);
    let (same, low) = (Box::new(same), Box::new(low));
    let strict = match (relation, signed) {
        (cond::EQ, _) => return Test::And(same, low),
        (cond::NE, _) => return Test::Or(Box::new(same.negate()), low),
        (cond::LT | cond::LE, false) => cond::LT,
        (cond::LT | cond::LE, true) => cond::SLT,
        (_, false) => cond::GT,
        (_, true) => cond::SGT,
    };
    let high = Test::compare(strict, a.high, b.high);
    Test::Or(Box::new(high), Box::new(Test::And(same, low)))
}

/// `left OP right` in 128 bits, or the two numbers of 64 bits.
///
/// # Errors
/// An operand is not a number, the kernel side lacks the operation, or the program has no 128-bit
/// type for the result.
pub(in crate::plan) fn binary(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    op: BinaryOp,
    a: Side,
    b: Side,
    left: &Expr,
    right: &Expr,
) -> Result<Result<Operand, (Number, Number)>, Diagnostic> {
    if !a.is_wide() && !b.is_wide() {
        let (a, b) = (a.number(resolver, left)?, b.number(resolver, right)?);
        return Ok(Err((a, b)));
    }
    if matches!(op, BinaryOp::Shl | BinaryOp::Shr) {
        return shifted(resolver, expr, op, a, b, left, right).map(Ok);
    }
    let (mut a, mut b) = (a.wide(resolver, left)?, b.wide(resolver, right)?);
    let signed = !a.large && !b.large;
    if matches!(op, BinaryOp::Div | BinaryOp::Rem) {
        if signed && a.is_least() && b.is_minus_one() {
            return Err(overflow(expr));
        }
        // C and C++ convert a negative operand to the unsigned type. Rust has no such quotient, so
        // it fails.
        if !signed && !resolver.is_c() {
            (a, b) = (a.above_zero(), b.above_zero());
        }
    }
    let halves = |low, high| {
        let of = [&a.low, &a.high, &b.low, &b.high].map(Ir::clone);
        let half = |operation| Ir::Wide(operation, Box::new(of.clone()));
        (half(low), half(high))
    };
    let ty = match resolver.is_c() && b.large {
        true => b.ty.or(a.ty),
        false => a.ty.or(b.ty),
    };
    let Some(ty) = ty else {
        return Err(too_wide(expr, "numbers of more than 64 bits"));
    };
    let each = |operation| {
        (
            Ir::alu(operation, a.low.clone(), b.low.clone()).folded(),
            Ir::alu(operation, a.high.clone(), b.high.clone()).folded(),
        )
    };
    let carried = |(low, high): (Ir, Ir), operation, carry: Test| {
        let carry = match carry {
            Test::Known(known) => Ir::Const(u64::from(known)),
            test => Ir::Truth(Box::new(test)),
        };
        (low, Ir::alu(operation, high, carry))
    };
    let (low, high) = match op {
        BinaryOp::Add => {
            let sum = each(alu::ADD);
            let carry = Test::compare(cond::LT, sum.0.clone(), b.low.clone());
            carried(sum, alu::ADD, carry)
        }
        BinaryOp::Sub => {
            let borrow = Test::compare(cond::LT, a.low.clone(), b.low.clone());
            carried(each(alu::SUB), alu::SUB, borrow)
        }
        BinaryOp::BitAnd => each(alu::AND),
        BinaryOp::BitOr => each(alu::OR),
        BinaryOp::BitXor => each(alu::XOR),
        BinaryOp::Mul => {
            let low = Ir::alu(alu::MUL, a.low.clone(), b.low.clone());
            (low, halves(wide::MUL_HIGH, wide::MUL_HIGH).1)
        }
        BinaryOp::Div if signed => halves(wide::SDIV_LOW, wide::SDIV_HIGH),
        BinaryOp::Div => halves(wide::DIV_LOW, wide::DIV_HIGH),
        _ if signed => halves(wide::SREM_LOW, wide::SREM_HIGH),
        _ => halves(wide::REM_LOW, wide::REM_HIGH),
    };
    Ok(Ok(place(low, high, ty)))
}

/// A 128-bit number shifted by fewer than 128 bits.
fn shifted(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    op: BinaryOp,
    a: Side,
    count: Side,
    left: &Expr,
    right: &Expr,
) -> Result<Operand, Diagnostic> {
    let count = match count {
        Side::Other(operand) => resolver.computable_of(right, operand)?,
        Side::Wide(_) => return Err(too_wide(right, "shifts by numbers of more than 64 bits")),
    };
    let a = a.wide(resolver, left)?;
    let Some(ty) = a.ty else {
        return Err(too_wide(expr, "numbers of more than 64 bits"));
    };
    let count = resolver.shift_by(expr, 128, a.signed, count)?;
    let half = |operation| {
        let of = [a.low.clone(), a.high.clone(), count.clone(), Ir::Const(0)];
        Ir::Wide(operation, Box::new(of))
    };
    let (low, high) = match op {
        BinaryOp::Shl => (wide::SHL_LOW, wide::SHL_HIGH),
        _ if a.signed => (wide::SAR_LOW, wide::SAR_HIGH),
        _ => (wide::SHR_LOW, wide::SHR_HIGH),
    };
    Ok(place(half(low), half(high), ty))
}

/// `-` or `~` of a number. `None` if the program has no type for the result.
pub(in crate::plan) fn unary(op: UnaryOp, wide: Wide) -> Option<Operand> {
    let ty = wide.ty?;
    let (low, high) = if op == UnaryOp::Neg {
        let borrow = Test::compare(cond::NE, wide.low.clone(), Ir::Const(0));
        let high = Ir::alu(alu::SUB, Ir::Const(0), wide.high);
        (
            Ir::alu(alu::SUB, Ir::Const(0), wide.low),
            Ir::alu(alu::SUB, high, Ir::Truth(Box::new(borrow))),
        )
    } else {
        (
            Ir::alu(alu::XOR, wide.low, Ir::Const(u64::MAX)),
            Ir::alu(alu::XOR, wide.high, Ir::Const(u64::MAX)),
        )
    };
    Some(place(low, high, ty))
}

fn place(low: Ir, high: Ir, ty: TypeId) -> Operand {
    let halves = vec![(8, Spot::Number(low)), (8, Spot::Number(high))];
    Operand::Place(Spots(halves), ty)
}

/// The error for a number of more than 64 bits where only 64 are supported.
pub(in crate::plan) fn too_wide(expr: &Expr, what: &str) -> Diagnostic {
    let error = Diagnostic::at(&expr.span, format!("{what} cannot be computed with here"));
    error.hint(
        "128-bit arithmetic needs a 128-bit integer of the program; `x as u64` is the low half",
    )
}
