//! Comparisons of floats, which eBPF has no instructions for.
//!
//! The bytes of IEEE numbers, with their sign made two's complement, stand in
//! the order of the numbers; both zeroes are one number then, and what is no
//! number is tested apart.

use tracer_common::op::{alu, cond};

use super::PlanError;
use super::expr::{NumberKind, Operand, Resolver};
use super::ir::{Ir, Test};
use super::wide;
use crate::lang::ast::{Expr, ExprKind, UnaryOp};

/// One side of a comparison.
enum Side {
    /// The bytes, in the high end of 64 bits, and their number.
    Value(Ir, u8),
    /// Known now.
    Known(f64),
}

/// An expression, and what it was found to be.
type Seen<'s> = (&'s Expr, &'s Result<wide::Side, PlanError>);

/// `left RELATION right` when one of them is a float of the program that can be compared with the
/// other; `None` when none is.
pub(super) fn compare(
    resolver: &Resolver<'_, '_>,
    relation: u8,
    left: Seen<'_>,
    right: Seen<'_>,
) -> Option<Test> {
    let (a, b) = (side(resolver, left)?, side(resolver, right)?);
    match (a, b) {
        (Side::Value(a, size), Side::Known(b)) => Some(with_known(relation, a, size, b)),
        (Side::Known(a), Side::Value(b, size)) => Some(with_known(mirrored(relation), b, size, a)),
        (Side::Value(a, size), Side::Value(b, other)) if size == other => {
            let numbers = Test::And(Box::new(is_number(&a, size)), Box::new(is_number(&b, size)));
            let ordered = Test::compare(order(relation), key(a), key(b));
            Some(apart_from_nan(relation, numbers, ordered))
        }
        // Two integers are compared as such, in the types that they have.
        (Side::Known(a), Side::Known(b)) if has_fraction(left.0) || has_fraction(right.0) => {
            Some(Test::Known(holds(relation, a, b)))
        }
        _ => None,
    }
}

fn side(resolver: &Resolver<'_, '_>, (expr, seen): Seen<'_>) -> Option<Side> {
    if let Some(known) = literal(expr) {
        return Some(Side::Known(known));
    }
    // Whatever it is else, and whatever is wrong with it, is for others.
    let Ok(wide::Side::Other(Operand::Place(spots, ty))) = seen else {
        return None;
    };
    let number = resolver.number_at(expr, spots, *ty).ok()?;
    (number.kind == NumberKind::Float).then_some(())?;
    let shift = 64 - u64::from(number.size) * 8;
    let bits = match shift {
        0 => number.ir,
        shift => Ir::alu(alu::SHL, number.ir, Ir::Const(shift)),
    };
    Some(Side::Value(bits, number.size))
}

fn literal(expr: &Expr) -> Option<f64> {
    match &expr.kind {
        ExprKind::Float(value) => Some(*value),
        ExprKind::Int(value) if *value <= 1 << 53 => Some(*value as f64),
        ExprKind::Unary(UnaryOp::Neg, inner) => literal(inner).map(|value| -value),
        _ => None,
    }
}

/// Whether a literal is written as a float.
fn has_fraction(literal: &Expr) -> bool {
    match &literal.kind {
        ExprKind::Float(_) => true,
        ExprKind::Unary(_, inner) => has_fraction(inner),
        _ => false,
    }
}

/// Signed numbers that stand in the order of the floats.
fn key(bits: Ir) -> Ir {
    let sign = Ir::alu(alu::SAR, bits.clone(), Ir::Const(63));
    let flipped = Ir::alu(alu::SHR, sign.clone(), Ir::Const(1));
    let ordered = Ir::alu(alu::XOR, bits, flipped);
    // The negative zero becomes the positive one, the other negative numbers move up with it.
    Ir::alu(alu::SUB, ordered, sign)
}

fn key_of(bits: u64) -> u64 {
    let sign = ((bits as i64) >> 63) as u64;
    (bits ^ (sign >> 1)).wrapping_sub(sign)
}

/// Not "not a number".
fn is_number(bits: &Ir, size: u8) -> Test {
    let magnitude = Ir::alu(alu::AND, bits.clone(), Ir::Const(u64::MAX >> 1));
    Test::compare(cond::LE, magnitude, Ir::Const(bits_of(f64::INFINITY, size)))
}

/// Bytes of a float that both sizes have, in the high end of 64 bits.
fn bits_of(value: f64, size: u8) -> u64 {
    if size == 4 {
        u64::from((value as f32).to_bits()) << 32
    } else {
        value.to_bits()
    }
}

fn with_known(relation: u8, bits: Ir, size: u8, known: f64) -> Test {
    let numbers = is_number(&bits, size);
    if known.is_nan() {
        return Test::Known(relation == cond::NE);
    }
    if size == 8 || f64::from(known as f32) == known {
        let at = Ir::Const(key_of(bits_of(known, size)));
        return apart_from_nan(
            relation,
            numbers,
            Test::compare(order(relation), key(bits), at),
        );
    }
    // Between two floats of 4 bytes: above the lower, below the upper, and equal to none.
    let near = known as f32;
    let upper = if f64::from(near) > known {
        near
    } else {
        near.next_up()
    };
    let at = Ir::Const(key_of(bits_of(f64::from(upper), size)));
    let test = match relation {
        cond::EQ => return Test::Known(false),
        cond::NE => return Test::Known(true),
        cond::LT | cond::LE => Test::compare(cond::SLT, key(bits), at),
        _ => Test::compare(cond::SGE, key(bits), at),
    };
    apart_from_nan(relation, numbers, test)
}

/// What is no number is not equal to anything, and in no order.
fn apart_from_nan(relation: u8, numbers: Test, ordered: Test) -> Test {
    if relation == cond::NE {
        Test::Or(Box::new(numbers.negate()), Box::new(ordered))
    } else {
        Test::And(Box::new(numbers), Box::new(ordered))
    }
}

const fn order(relation: u8) -> u8 {
    match relation {
        cond::LT => cond::SLT,
        cond::LE => cond::SLE,
        cond::GT => cond::SGT,
        cond::GE => cond::SGE,
        other => other,
    }
}

const fn mirrored(relation: u8) -> u8 {
    match relation {
        cond::LT => cond::GT,
        cond::LE => cond::GE,
        cond::GT => cond::LT,
        cond::GE => cond::LE,
        other => other,
    }
}

#[expect(clippy::float_cmp, reason = "this is what the comparison means")]
fn holds(relation: u8, a: f64, b: f64) -> bool {
    match relation {
        cond::EQ => a == b,
        cond::NE => a != b,
        cond::LT => a < b,
        cond::LE => a <= b,
        cond::GT => a > b,
        _ => a >= b,
    }
}
