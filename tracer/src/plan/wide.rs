//! Integers of 128 bits, in two halves.
//!
//! What is computed has the type of the program's own integer in it, so that it can be shown,
//! compared and computed with like one. Beside one of 128 bits, a number of up to 64 is extended
//! by its sign.

use tracer_common::op::{alu, cond, float, wide};

use super::PlanError;
use super::expr::overflow;
use super::expr::{Number, NumberKind, Operand, Resolver};
use super::ir::{Failure, Ir, Spot, Spots, Test};
use crate::debuginfo::types::{TypeId, TypeKind};
use crate::lang::ast::{BinaryOp, Expr, ExprKind, UnaryOp};

/// Bytes of them.
pub(super) const SIZE: u64 = 16;

/// An integer of 128 bits.
#[derive(Clone, Debug)]
pub(super) struct Wide {
    low: Ir,
    high: Ir,
    /// It may be below zero.
    signed: bool,
    /// It may be beyond the signed numbers.
    large: bool,
    /// The program's type; `None`: a number of the probe's, or one of fewer bits.
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

    /// The low half, as far as a number of `size` bytes has it.
    pub(super) fn narrowed(self, size: u8, signed: bool) -> Ir {
        self.low.extend(size, signed)
    }

    /// The nearest float of so many bytes.
    pub(super) fn rounded(self, size: u8) -> Ir {
        let operation = match (size, self.signed) {
            (4, true) => float::SINGLE_FROM_WIDE_SIGNED,
            (4, false) => float::SINGLE_FROM_WIDE_UNSIGNED,
            (_, true) => float::FROM_WIDE_SIGNED,
            (_, false) => float::FROM_WIDE_UNSIGNED,
        };
        Ir::float(operation, self.low, self.high)
    }

    /// The same, which fails below zero.
    fn above_zero(mut self) -> Self {
        if self.signed {
            self.high = self.high.below(1 << 63, Failure::Negative);
        }
        self
    }

    /// Known to be the least number of 128 bits.
    fn is_least(&self) -> bool {
        matches!((&self.low, &self.high), (Ir::Const(0), Ir::Const(high)) if *high == 1 << 63)
    }

    /// Known to be -1.
    fn is_minus_one(&self) -> bool {
        let all = Ir::Const(u64::MAX);
        self.low == all && self.high == all
    }

    /// It is not zero.
    pub(super) fn non_zero(self) -> Test {
        let any = Ir::alu(alu::OR, self.low, self.high);
        Test::compare(cond::NE, any, Ir::Const(0))
    }
}

/// A side of an operator, which is looked at once.
pub(super) enum Side {
    Wide(Wide),
    Other(Operand),
}

impl Side {
    /// # Errors
    /// The expression makes no sense.
    pub(super) fn new(resolver: &mut Resolver<'_, '_>, expr: &Expr) -> Result<Self, PlanError> {
        if let Some(wide) = literal(expr, u64::MAX) {
            return Ok(Self::Wide(wide));
        }
        let operand = resolver.operand(expr)?;
        Ok(Self::of(resolver, operand))
    }

    /// What has been looked at.
    pub(super) fn of(resolver: &Resolver<'_, '_>, operand: Operand) -> Self {
        match of_program(resolver, &operand) {
            Some(wide) => Self::Wide(wide),
            None => Self::Other(operand),
        }
    }

    /// The same number, as a type of the program's.
    ///
    /// # Errors
    /// It is no integer.
    pub(super) fn cast(
        self,
        resolver: &Resolver<'_, '_>,
        expr: &Expr,
        ty: TypeId,
    ) -> Result<Operand, PlanError> {
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

    /// As a number of 64 bits.
    ///
    /// # Errors
    /// It has more, or is none.
    pub(super) fn number(
        self,
        resolver: &Resolver<'_, '_>,
        expr: &Expr,
    ) -> Result<Number, PlanError> {
        match self {
            Self::Wide(_) => Err(too_wide(expr, "numbers of more than 64 bits")),
            Self::Other(operand) => resolver.computable_of(expr, operand),
        }
    }

    fn wide(self, resolver: &Resolver<'_, '_>, expr: &Expr) -> Result<Wide, PlanError> {
        match self {
            Self::Wide(wide) => Ok(wide),
            // Beside 128 bits, a negative number is what it is, where 64 would wrap it.
            Self::Other(operand) => match literal(expr, i64::MAX as u64) {
                Some(wide) => Ok(wide),
                None => Ok(Wide::extended(resolver.computable_of(expr, operand)?)),
            },
        }
    }
}

/// A number in the probe's text that is beyond `most`, or beyond it below zero.
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

/// An integer of the program's that has 128 bits.
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

/// `left RELATION right` of the numbers themselves, when one of them is of 128 bits; else the two
/// as they are.
///
/// # Errors
/// The other one is no number.
pub(super) fn compare(
    resolver: &Resolver<'_, '_>,
    relation: u8,
    sides: (Side, Side),
    (left, right): (&Expr, &Expr),
) -> Result<Result<Test, (Operand, Operand)>, PlanError> {
    let (a, b) = match sides {
        (Side::Other(a), Side::Other(b)) => return Ok(Err((a, b))),
        (a, b) => (a.wide(resolver, left)?, b.wide(resolver, right)?),
    };
    // C and C++ convert the other one to the type that has no sign.
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
    // One may be negative, the other may be beyond the signed numbers.
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

/// The high halves decide, and where they are the same the low ones do.
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

/// `left OP right`: of 128 bits, or the two numbers of 64.
///
/// # Errors
/// A side is no number, the operation is too much for the kernel, or none of them has a type
/// that the program knows.
pub(super) fn binary(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    op: BinaryOp,
    (a, b): (Side, Side),
    (left, right): (&Expr, &Expr),
) -> Result<Result<Operand, (Number, Number)>, PlanError> {
    if !a.is_wide() && !b.is_wide() {
        let (a, b) = (a.number(resolver, left)?, b.number(resolver, right)?);
        return Ok(Err((a, b)));
    }
    if matches!(op, BinaryOp::Shl | BinaryOp::Shr) {
        return shifted(resolver, expr, op, (a, b), (left, right)).map(Ok);
    }
    let (mut a, mut b) = (a.wide(resolver, left)?, b.wide(resolver, right)?);
    let signed = !a.large && !b.large;
    if matches!(op, BinaryOp::Div | BinaryOp::Rem) {
        if signed && a.is_least() && b.is_minus_one() {
            return Err(overflow(expr));
        }
        // C and C++ convert it to the type that has no sign; as a number it has no quotient.
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

/// A number of 128 bits shifted by fewer bits than that.
fn shifted(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    op: BinaryOp,
    (a, count): (Side, Side),
    (left, right): (&Expr, &Expr),
) -> Result<Operand, PlanError> {
    let count = match count {
        Side::Other(operand) => resolver.computable_of(right, operand)?,
        Side::Wide(_) => return Err(too_wide(right, "shifts by numbers of more than 64 bits")),
    };
    let a = a.wide(resolver, left)?;
    let Some(ty) = a.ty else {
        return Err(too_wide(expr, "numbers of more than 64 bits"));
    };
    let count = resolver.shift_by(expr, (128, a.signed), count)?;
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

/// `-` or `~` of one; `None`: the program has no type for it.
pub(super) fn unary(op: UnaryOp, wide: Wide) -> Option<Operand> {
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

/// A number of more than 64 bits is asked for where only 64 can be computed with.
pub(super) fn too_wide(expr: &Expr, what: &str) -> PlanError {
    let error = PlanError::at(expr, format!("{what} cannot be computed with here"));
    error.hint(Some(
        "integers of 128 bits are computed with beside one of the program's; `x as u64` has the low half".into(),
    ))
}
