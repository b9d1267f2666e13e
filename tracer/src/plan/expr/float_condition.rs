//! Comparisons of floats, for which eBPF has no instructions.
//!
//! The machine has an op that compares any two floats. A comparison with a constant does without
//! it: if the bytes of IEEE numbers are converted from sign and magnitude to two's complement, they
//! sort in the order of the numbers. NaNs are at both ends, and both zeroes are 0. Each side is
//! evaluated once, so that it cannot change halfway.

use tracer_common::op::{alu, cond, float};

use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::Expr;
use crate::plan::expr::operand::{Number, NumberKind, Operand};
use crate::plan::expr::resolver::Resolver;
use crate::plan::expr::wide;
use crate::plan::ops::ir::{Ir, Test};

/// One side of a comparison with a constant.
enum ComparedFloat {
    /// The bytes of a float in the high end of 64 bits, and their number.
    Value(Ir, u8),
    /// A constant: its value beside a float of eight bytes, and beside one of four.
    Known(f64, f64),
}

/// An expression, and the result of compiling it.
type Seen<'s> = (&'s Expr, &'s Result<wide::Side, Diagnostic>);

/// `left RELATION right` if one of them is a float. `None` if neither is.
///
/// # Errors
/// The float cannot be compared with the other side.
pub(in crate::plan) fn compare(
    resolver: &Resolver<'_, '_>,
    relation: u8,
    left: Seen<'_>,
    right: Seen<'_>,
) -> Result<Option<Test>, Diagnostic> {
    if let Some(test) = plain(resolver, relation, left, right) {
        return Ok(Some(test));
    }
    // The caller reports errors of a single side.
    let (Ok(a), Ok(b)) = (left.1, right.1) else {
        return Ok(None);
    };
    let pair = resolver.float_pair((left.0, a), (right.0, b))?;
    Ok(pair.map(|(a, b)| computed(relation, a, b)))
}

/// The comparison of a float of the program with a constant.
fn plain(
    resolver: &Resolver<'_, '_>,
    relation: u8,
    left: Seen<'_>,
    right: Seen<'_>,
) -> Option<Test> {
    let (a, b) = (side(resolver, left)?, side(resolver, right)?);
    let beside = |size, double, single| if size == 4 { single } else { double };
    match (a, b) {
        (ComparedFloat::Value(a, size), ComparedFloat::Known(double, single)) => {
            Some(with_known(relation, a, size, beside(size, double, single)))
        }
        (ComparedFloat::Known(double, single), ComparedFloat::Value(b, size)) => {
            let known = beside(size, double, single);
            Some(with_known(mirrored(relation), b, size, known))
        }
        // Two constants, and two floats of the program, are compared in their common type.
        (ComparedFloat::Known(..), ComparedFloat::Known(..))
        | (ComparedFloat::Value(..), ComparedFloat::Value(..)) => None,
    }
}

/// `a RELATION b` of two floats of any sizes, by the machine's op.
fn computed(relation: u8, a: Number, b: Number) -> Test {
    let outcome = Ir::float(float::COMPARE, a.widened(), b.widened());
    let is = |outcome, this| Test::compare(cond::EQ, outcome, Ir::Const(this));
    let is_one = |outcome, of| {
        let found = Ir::alu(alu::AND, outcome, Ir::Const(of)).folded();
        Test::compare(cond::NE, found, Ir::Const(0))
    };
    match relation {
        cond::EQ => is(outcome, float::EQUAL),
        cond::NE => is(outcome, float::EQUAL).negate(),
        cond::LT => is(outcome, float::LESS),
        cond::GT => is(outcome, float::GREATER),
        cond::LE => is_one(outcome, float::LESS | float::EQUAL),
        _ => is_one(outcome, float::GREATER | float::EQUAL),
    }
}

/// The test that a float is neither of the two zeroes. C and C++ take such a float as true.
pub(in crate::plan) fn non_zero(number: Number) -> Test {
    let sign = 65 - u64::from(number.size) * 8;
    let magnitude = Ir::alu(alu::SHL, number.ir, Ir::Const(sign)).folded();
    Test::compare(cond::NE, magnitude, Ir::Const(0))
}

fn side(resolver: &Resolver<'_, '_>, (expr, seen): Seen<'_>) -> Option<ComparedFloat> {
    if let Some((double, single)) = resolver.known_float(expr) {
        return Some(ComparedFloat::Known(double, single));
    }
    // The caller handles other operands, and reports their errors.
    let Ok(wide::Side::Other(Operand::Place(spots, ty))) = seen else {
        return None;
    };
    let number = resolver.number_at(expr, spots, *ty).ok()?;
    let is_known_size = matches!(number.size, 4 | 8);
    (number.kind == NumberKind::Float && is_known_size).then_some(())?;
    let shift = 64 - u64::from(number.size) * 8;
    let bits = match shift {
        0 => number.ir,
        shift => Ir::alu(alu::SHL, number.ir, Ir::Const(shift)),
    };
    Some(ComparedFloat::Value(bits, number.size))
}

/// The integer that sorts as the float of these bytes does.
fn key_of(bits: u64) -> u64 {
    let sign = ((bits as i64) >> 63) as u64;
    (bits ^ (sign >> 1)).wrapping_sub(sign)
}

/// The bytes of a float of either size, in the high end of 64 bits.
fn bits_of(value: f64, size: u8) -> u64 {
    if size == 4 {
        u64::from((value as f32).to_bits()) << 32
    } else {
        value.to_bits()
    }
}

fn with_known(relation: u8, bits: Ir, size: u8, known: f64) -> Test {
    if known.is_nan() {
        return Test::Known(relation == cond::NE);
    }
    let near = known as f32;
    let exact = size == 8 || f64::from(near) == known;
    // The constant lies between two floats of 4 bytes. It is above the lower one, below the upper
    // one, and equal to none.
    let relation = match relation {
        _ if exact => relation,
        cond::EQ | cond::NE => return Test::Known(relation == cond::NE),
        cond::LT | cond::LE => cond::LT,
        _ => cond::GE,
    };
    let beside = match exact {
        true => known,
        false if f64::from(near) > known => near.into(),
        false => near.next_up().into(),
    };
    let of = |value| key_of(bits_of(value, size));
    let (least, at, most) = (of(f64::NEG_INFINITY), of(beside), of(f64::INFINITY));
    let key = Ir::FloatOrder(Box::new(bits));
    // The range is counted from its lower end in unsigned numbers. NaNs are beyond both ends, so
    // they fall outside of it in either direction.
    let (relation, from, to) = match relation {
        cond::LT | cond::LE => (relation, least, at),
        cond::GT => (cond::LT, at.wrapping_add(1), most.wrapping_add(1)),
        cond::GE => (cond::LE, at, most),
        _ => (relation, 0, at),
    };
    let key = Ir::alu(alu::SUB, key, Ir::Const(from));
    Test::compare(relation, key, Ir::Const(to.wrapping_sub(from)))
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
