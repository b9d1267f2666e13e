//! Comparisons of floats, which eBPF has no instructions for.
//!
//! An op of the machine compares any two. Beside a number that is known, what is read needs none:
//! the bytes of IEEE numbers, with their sign made two's complement, stand in the order of the
//! numbers, what is no number at both ends, and both zeroes are one. Each side is looked at once, so
//! that it cannot change on the way.

use tracer_common::op::{alu, cond, float};

use super::PlanError;
use super::expr::{Number, NumberKind, Operand, Resolver};
use super::ir::{Ir, Test};
use super::wide;
use crate::lang::ast::Expr;

/// One side of a comparison.
enum Side {
    /// The bytes, in the high end of 64 bits, and their number.
    Value(Ir, u8),
    /// Known now: beside a float of eight bytes, and of four.
    Known(f64, f64),
}

/// An expression, and what it was found to be.
type Seen<'s> = (&'s Expr, &'s Result<wide::Side, PlanError>);

/// `left RELATION right` when one of them is a float; `None` when none is.
///
/// # Errors
/// A float cannot be compared with the other.
pub(super) fn compare(
    resolver: &Resolver<'_, '_>,
    relation: u8,
    left: Seen<'_>,
    right: Seen<'_>,
) -> Result<Option<Test>, PlanError> {
    if let Some(test) = plain(resolver, relation, left, right) {
        return Ok(Some(test));
    }
    // What is wrong with one is for others to say.
    let (Ok(a), Ok(b)) = (left.1, right.1) else {
        return Ok(None);
    };
    let pair = resolver.float_pair((left.0, a), (right.0, b))?;
    Ok(pair.map(|(a, b)| computed(relation, a, b)))
}

/// The same of a float as it is in the program, and a number that is known.
fn plain(
    resolver: &Resolver<'_, '_>,
    relation: u8,
    left: Seen<'_>,
    right: Seen<'_>,
) -> Option<Test> {
    let (a, b) = (side(resolver, left)?, side(resolver, right)?);
    let beside = |size, double, single| if size == 4 { single } else { double };
    match (a, b) {
        (Side::Value(a, size), Side::Known(double, single)) => {
            Some(with_known(relation, a, size, beside(size, double, single)))
        }
        (Side::Known(double, single), Side::Value(b, size)) => {
            let known = beside(size, double, single);
            Some(with_known(mirrored(relation), b, size, known))
        }
        // In the type of both, whatever that is.
        (Side::Known(..), Side::Known(..)) | (Side::Value(..), Side::Value(..)) => None,
    }
}

/// `a RELATION b` of floats of any sizes, each of which is computed once.
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

/// Whether it is none of the two zeroes, as C and C++ take a float for a truth.
pub(super) fn non_zero(number: Number) -> Test {
    let sign = 65 - u64::from(number.size) * 8;
    let magnitude = Ir::alu(alu::SHL, number.ir, Ir::Const(sign)).folded();
    Test::compare(cond::NE, magnitude, Ir::Const(0))
}

fn side(resolver: &Resolver<'_, '_>, (expr, seen): Seen<'_>) -> Option<Side> {
    if let Some((double, single)) = resolver.known_float(expr) {
        return Some(Side::Known(double, single));
    }
    // Whatever it is else, and whatever is wrong with it, is for others.
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
    Some(Side::Value(bits, number.size))
}

/// The signed number in whose order the floats stand.
fn key_of(bits: u64) -> u64 {
    let sign = ((bits as i64) >> 63) as u64;
    (bits ^ (sign >> 1)).wrapping_sub(sign)
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
    if known.is_nan() {
        return Test::Known(relation == cond::NE);
    }
    let near = known as f32;
    let exact = size == 8 || f64::from(near) == known;
    // Between two floats of 4 bytes: above the lower, below the upper, and equal to none.
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
    // As unsigned numbers counted from one end, what is beyond the other is beyond all, too.
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
