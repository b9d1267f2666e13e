//! What is true or false of the program's values: comparisons and their
//! combinations, with the types that Rust, C and C++ would compare.

use tracer_common::op::{COMM, alu, cond};

use super::PlanError;
use super::build::Builder;
use super::expr::conversions::{Origin, common};
use super::expr::{Number, NumberKind, Operand, Resolver};
use super::ir::{Ir, Spots, Test};
use super::shape::{EMPTY_ENUM, NO_DISCRIMINANT};
use super::texts::{Question, text_of, text_test};
use super::wide::{self, Side};
use super::{float, names, predicates};
use crate::debuginfo::types::{TypeId, TypeKind, VariantPart};
use crate::lang::ast::{Asked, BinaryOp, Expr, ExprKind, Special, UnaryOp};
use crate::unavailable::Unavailable;

/// Bytes that the name of a thread may have.
const THREAD_NAME: usize = 15;

/// The truth of an expression.
///
/// # Errors
/// It is neither true nor false, or compares what cannot be compared.
pub(super) fn truth(resolver: &mut Resolver<'_, '_>, expr: &Expr) -> Result<Test, PlanError> {
    match &expr.kind {
        ExprKind::Unary(UnaryOp::Not, inner) => match resolver.rust_integer(inner)? {
            Some(number) => {
                let not = resolver.bit_not(number);
                Ok(Test::compare(cond::NE, not.ir, Ir::Const(0)))
            }
            None => Ok(truth_of(resolver, inner)?.negate()),
        },
        ExprKind::Binary(BinaryOp::And, left, right) => {
            let left = truth_of(resolver, left)?;
            let right = truth_of(resolver, right)?;
            Ok(match (left, right) {
                (Test::Known(true), other) => other,
                (Test::Known(false), _) => Test::Known(false),
                (left, right) => Test::And(Box::new(left), Box::new(right)),
            })
        }
        ExprKind::Binary(BinaryOp::Or, left, right) => {
            let left = truth_of(resolver, left)?;
            let right = truth_of(resolver, right)?;
            Ok(match (left, right) {
                (Test::Known(false), other) => other,
                (Test::Known(true), _) => Test::Known(true),
                (left, right) => Test::Or(Box::new(left), Box::new(right)),
            })
        }
        ExprKind::Binary(op, left, right) => match comparison(*op) {
            Some(relation) => compare(resolver, expr, relation, left, right),
            None => truth_of(resolver, expr),
        },
        ExprKind::IsEmpty(base) => predicates::is_empty(resolver, base),
        ExprKind::Is(asked, base) => predicates::is(resolver, base, *asked),
        ExprKind::StartsWith(base, text) => asks(resolver, base, text, Question::StartsWith),
        ExprKind::EndsWith(base, text) => asks(resolver, base, text, Question::EndsWith),
        ExprKind::Contains(base, text) => asks(resolver, base, text, Question::Contains),
        ExprKind::Matches(base, pattern) => asks(resolver, base, pattern, Question::Matches),
        _ => truth_of(resolver, expr),
    }
}

/// Whether a text of the program begins with, or has, a text in quotes.
fn asks(
    resolver: &mut Resolver<'_, '_>,
    base: &Expr,
    text: &Expr,
    question: Question,
) -> Result<Test, PlanError> {
    let ExprKind::Str(wanted) = &text.kind else {
        let error = PlanError::at(text, "this must be a text in quotes");
        return Err(error.hint(match &text.kind {
            ExprKind::Char(c) => Some(format!("write `\"{c}\"`")),
            _ => None,
        }));
    };
    if let Operand::Special(Special::Thread) = resolver.operand(base)? {
        return thread_name(text, wanted, question);
    }
    let (spots, ty) = resolver.place(base)?;
    let parts = text_of(resolver, base, &spots, ty, wanted)?;
    text_test(text, parts, wanted, question)
}

/// A test of the thread's name, which is in two registers.
fn thread_name(expr: &Expr, wanted: &str, question: Question) -> Result<Test, PlanError> {
    let bytes = wanted.as_bytes();
    let refused = match question {
        Question::Contains => Some("contains"),
        Question::EndsWith => Some("ends_with"),
        Question::Matches => Some("matches"),
        Question::Equal | Question::StartsWith => None,
    };
    if let Some(name) = refused {
        let error = PlanError::at(expr, format!("`{name}` cannot look into the thread's name"));
        return Err(error.hint(Some("`starts_with` and `==` can".into())));
    }
    if bytes.len() > THREAD_NAME {
        return Ok(Test::Known(false));
    }
    let compared = match question {
        Question::Equal => THREAD_NAME + 1,
        _ => bytes.len(),
    };
    let mut test = Test::Known(true);
    for (register, at) in [(COMM, 0), (COMM + 1, 8)] {
        let (mut word, mut mask) = ([0; 8], [0; 8]);
        for (index, (word, mask)) in word.iter_mut().zip(&mut mask).enumerate() {
            *word = bytes.get(at + index).copied().unwrap_or(0);
            *mask = if at + index < compared { 0xff } else { 0 };
        }
        let (word, mask) = (u64::from_le_bytes(word), u64::from_le_bytes(mask));
        let name = match mask {
            0 => continue,
            u64::MAX => Ir::Register(register),
            mask => Ir::alu(alu::AND, Ir::Register(register), Ir::Const(mask)),
        };
        let same = Test::compare(cond::EQ, name, Ir::Const(word));
        test = match test {
            Test::Known(true) => same,
            test => Test::And(Box::new(test), Box::new(same)),
        };
    }
    Ok(test)
}

/// The truth of an operand: a bool, or of C anything that can be zero.
fn truth_of(resolver: &mut Resolver<'_, '_>, expr: &Expr) -> Result<Test, PlanError> {
    let direct = match &expr.kind {
        ExprKind::Unary(UnaryOp::Not, _)
        | ExprKind::IsEmpty(_)
        | ExprKind::Is(..)
        | ExprKind::StartsWith(..)
        | ExprKind::EndsWith(..)
        | ExprKind::Contains(..)
        | ExprKind::Matches(..) => true,
        ExprKind::Binary(op, ..) => {
            comparison(*op).is_some() || matches!(op, BinaryOp::And | BinaryOp::Or)
        }
        _ => false,
    };
    if direct {
        return truth(resolver, expr);
    }
    let number = match Side::new(resolver, expr)? {
        Side::Wide(wide) => return Ok(wide.non_zero()),
        Side::Other(Operand::Place(spots, ty)) => resolver
            .number_at(expr, &spots, ty)
            .map_err(|error| predicates::no_truth(resolver, expr, error, &spots, ty))?,
        Side::Other(operand) => resolver.number_of(expr, operand)?,
    };
    if number.kind == NumberKind::Float {
        if resolver.is_c() {
            return Ok(float::non_zero(number));
        }
        let error = PlanError::at(expr, "a float is neither true nor false");
        return Err(error.hint(Some("compare it: `x != 0.0`".into())));
    }
    Ok(match number.ir {
        Ir::Truth(test) => *test,
        ir => Test::compare(cond::NE, ir, Ir::Const(0)),
    })
}

/// The relation, for unsigned numbers; signed ones are six further on.
fn comparison(op: BinaryOp) -> Option<u8> {
    Some(match op {
        BinaryOp::Eq => cond::EQ,
        BinaryOp::Ne => cond::NE,
        BinaryOp::Lt => cond::LT,
        BinaryOp::Le => cond::LE,
        BinaryOp::Gt => cond::GT,
        BinaryOp::Ge => cond::GE,
        _ => return None,
    })
}

fn compare(
    resolver: &mut Resolver<'_, '_>,
    expr: &Expr,
    relation: u8,
    left: &Expr,
    right: &Expr,
) -> Result<Test, PlanError> {
    // Each side is looked at once: more would double with each level.
    let (a, b) = (Side::new(resolver, left), Side::new(resolver, right));
    if let Some(test) = float::compare(resolver, relation, (left, &a), (right, &b))? {
        return Ok(test);
    }
    let (a, b) = match wide::compare(resolver, relation, (a?, b?), (left, right))? {
        Ok(test) => return Ok(test),
        Err(operands) => operands,
    };
    let equality = matches!(relation, cond::EQ | cond::NE);
    if let (Operand::Special(Special::Thread), Operand::Text(text))
    | (Operand::Text(text), Operand::Special(Special::Thread)) = (&a, &b)
        && equality
    {
        let test = thread_name(expr, text, Question::Equal)?;
        return Ok(if relation == cond::EQ {
            test
        } else {
            test.negate()
        });
    }
    let numbers = |resolver: &Resolver<'_, '_>, a, b| {
        let origins = (resolver.origin_of(&a), resolver.origin_of(&b));
        let (a, b) = (resolver.number_of(left, a)?, resolver.number_of(right, b)?);
        // However the compiler has it, one compares alike with a number not below zero.
        let alike = |origin, field: &Number, other: &Number| {
            matches!(origin, Origin::Bits(33..64))
                && matches!(other.ir, Ir::Const(value) if value as i64 >= 0)
                && (!field.signed || other.signed)
        };
        if !resolver.is_c() || alike(origins.0, &a, &b) || alike(origins.1, &b, &a) {
            return numbers(expr, relation, a, b);
        }
        let a = resolver.promoted(left, a, origins.0)?;
        let b = resolver.promoted(right, b, origins.1)?;
        let computed = |one: &Number| !matches!(one.kind, NumberKind::Pointer | NumberKind::Float);
        if computed(&a) && computed(&b) {
            return Ok(c_numbers(relation, a, b));
        }
        numbers(expr, relation, a.settled(), b.settled())
    };
    let (place, place_expr, other, other_expr) = match (&a, &b) {
        (Operand::Place(spots, ty), other) => ((spots, *ty), left, other, right),
        (other, Operand::Place(spots, ty)) if equality => ((spots, *ty), right, other, left),
        _ => return numbers(resolver, a, b),
    };
    let (spots, ty) = place;
    let test = match other {
        Operand::Unknown(name, error) => {
            // As Rust's `match` does, through references.
            let (spots, ty) = resolver.behind_references(spots, ty);
            match variant(resolver.builder, &spots, ty, name) {
                Some(Ok(test)) => test,
                Some(Err(why)) => return Err(PlanError::at(place_expr, why.to_string())),
                None => {
                    return Err(unknown_variant(
                        resolver.builder,
                        ty,
                        name,
                        other_expr,
                        error.clone(),
                    ));
                }
            }
        }
        // An address or, in C, a number can be zero.
        Operand::Null if can_be_zero(resolver, spots, ty) => return numbers(resolver, a, b),
        Operand::Null => predicates::is_at(resolver, place_expr, spots, ty, Asked::None)?,
        Operand::Text(text) => {
            let parts = text_of(resolver, place_expr, spots, ty, text)?;
            text_test(other_expr, parts, text, Question::Equal)?
        }
        _ => return numbers(resolver, a, b),
    };
    match relation {
        cond::EQ => Ok(test),
        cond::NE => Ok(test.negate()),
        _ => Err(PlanError::at(expr, "these can only be equal or not")),
    }
}

fn can_be_zero(resolver: &Resolver<'_, '_>, spots: &Spots, ty: TypeId) -> bool {
    match resolver.scalar_at(spots, ty) {
        Some(Ok(scalar)) => match scalar.kind {
            NumberKind::Pointer => true,
            NumberKind::Int | NumberKind::EitherInt => resolver.is_c(),
            _ => false,
        },
        _ => false,
    }
}

fn unknown_variant(
    builder: &Builder<'_>,
    ty: TypeId,
    name: &str,
    expr: &Expr,
    error: PlanError,
) -> PlanError {
    let known = variant_names(builder, ty);
    if known.is_empty() {
        return error;
    }
    let ty = builder.resolve(ty);
    let type_name = names::short(&ty.name);
    let error = PlanError::at(expr, format!("no variant `{name}` in `{type_name}`"));
    let none = matches!(name, "nil" | "undefined" | "none" | "Nothing" | "False");
    if none && known.iter().any(|one| one == "None") {
        return error.hint(Some("write `None`".into()));
    }
    error.hint(names::hint(
        names::short(name),
        known.iter().map(String::as_str),
    ))
}

/// The names of an enum's variants, without their paths; none for another type.
pub(super) fn variant_names(builder: &Builder<'_>, ty: TypeId) -> Vec<String> {
    match &builder.resolve(ty).kind {
        TypeKind::Enum { enumerators, .. } => enumerators
            .iter()
            .map(|(name, _)| names::short(name).to_owned())
            .collect(),
        TypeKind::Struct(body) => body
            .variants
            .iter()
            .flat_map(|part| &part.variants)
            .map(|variant| variant.name.clone())
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether an enum is at the variant of that name (its path ignored);
/// `None` when the type has none such.
fn variant(
    builder: &Builder<'_>,
    spots: &Spots,
    ty: TypeId,
    name: &str,
) -> Option<Result<Test, Unavailable>> {
    let name = names::short(name);
    match &builder.resolve(ty).kind {
        TypeKind::Enum {
            enumerators,
            size,
            signed,
            ..
        } => {
            let (_, value) = enumerators
                .iter()
                .find(|(known, _)| names::short(known) == name)?;
            let size = u8::try_from(*size).ok().filter(|size| *size <= 8)?;
            let number = spots.project(0, u64::from(size)).number();
            Some(number.map(|number| {
                let number = number.extend(size, *signed);
                Test::compare(cond::EQ, number, Ir::Const(*value as u64))
            }))
        }
        TypeKind::Struct(body) => {
            let part = body.variants.as_ref()?;
            part.variants.iter().find(|variant| variant.name == name)?;
            Some(variant_test(builder, spots, part, name))
        }
        _ => None,
    }
}

/// Whether an enum with data is at a variant.
///
/// # Errors
/// Why its discriminant is not known.
pub(super) fn variant_test(
    builder: &Builder<'_>,
    spots: &Spots,
    part: &VariantPart,
    name: &str,
) -> Result<Test, Unavailable> {
    let Some(discriminant) = &part.discriminant else {
        return match part.variants.as_slice() {
            [] => Err(Unavailable::Invalid(EMPTY_ENUM.to_owned())),
            [only] => Ok(Test::Known(only.name == name)),
            _ => Err(Unavailable::BadDebugInfo(NO_DISCRIMINANT.to_owned())),
        };
    };
    let size = builder.size(discriminant.ty).unwrap_or(0);
    let tag = spots.project(discriminant.offset, size).number()?;
    let mask = u128::MAX >> (128 - size.clamp(1, 16) * 8);
    let within = |values: &[(u128, u128)]| -> Test {
        values.iter().fold(Test::Known(false), |test, (low, high)| {
            let (low, high) = ((low & mask) as u64, (high & mask) as u64);
            let one = if low == high {
                Test::compare(cond::EQ, tag.clone(), Ir::Const(low))
            } else {
                let above = Test::compare(cond::GE, tag.clone(), Ir::Const(low));
                let below = Test::compare(cond::LE, tag.clone(), Ir::Const(high));
                Test::And(Box::new(above), Box::new(below))
            };
            match test {
                Test::Known(false) => one,
                test => Test::Or(Box::new(test), Box::new(one)),
            }
        })
    };
    let Some(wanted) = part.variants.iter().find(|variant| variant.name == name) else {
        return Ok(Test::Known(false));
    };
    if !wanted.values.is_empty() {
        return Ok(within(&wanted.values));
    }
    let others: Vec<(u128, u128)> = part
        .variants
        .iter()
        .flat_map(|variant| variant.values.iter().copied())
        .collect();
    Ok(within(&others).negate())
}

fn numbers(expr: &Expr, relation: u8, a: Number, b: Number) -> Result<Test, PlanError> {
    if a.kind == NumberKind::Float || b.kind == NumberKind::Float {
        return Err(PlanError::at(expr, "a float cannot be compared with this"));
    }
    Ok(relate(relation, a, b))
}

/// `a RELATION b` of promoted numbers of C and C++, in the type that these have in common.
fn c_numbers(relation: u8, a: Number, b: Number) -> Test {
    let (a, b) = common(a, b);
    if matches!(relation, cond::EQ | cond::NE) {
        return Test::compare(relation, a.ir, b.ir);
    }
    let (a, b) = (a.below_both(), b.below_both());
    let relation = if a.signed { signed(relation) } else { relation };
    Test::compare(relation, a.ir, b.ir)
}

/// `a RELATION b` of the numbers themselves, whatever their types.
fn relate(relation: u8, a: Number, b: Number) -> Test {
    if matches!(relation, cond::EQ | cond::NE) && a.signed == b.signed {
        return Test::compare(relation, a.ir, b.ir);
    }
    let positive = |n: &Number| matches!(n.ir, Ir::Const(value) if value as i64 >= 0);
    let fits = |n: &Number| n.signed || n.size < 8 || positive(n);
    if (!a.signed || positive(&a)) && (!b.signed || positive(&b)) {
        return Test::compare(relation, a.ir, b.ir);
    }
    if fits(&a) && fits(&b) {
        return Test::compare(signed(relation), a.ir, b.ir);
    }
    // One may be negative, the other may be beyond the signed numbers.
    let (negative, outcome) = if a.signed {
        (
            a.ir.clone(),
            matches!(relation, cond::LT | cond::LE | cond::NE),
        )
    } else {
        (
            b.ir.clone(),
            matches!(relation, cond::GT | cond::GE | cond::NE),
        )
    };
    let below = Test::compare(cond::SLT, negative, Ir::Const(0));
    let plain = Test::compare(relation, a.ir, b.ir);
    // The plain comparison first: it reads both sides, so that neither fault is passed over.
    if outcome {
        Test::Or(Box::new(plain), Box::new(below))
    } else {
        Test::And(Box::new(plain), Box::new(below.negate()))
    }
}

fn signed(relation: u8) -> u8 {
    match relation {
        cond::LT => cond::SLT,
        cond::LE => cond::SLE,
        cond::GT => cond::SGT,
        cond::GE => cond::SGE,
        other => other,
    }
}

impl Ir {
    /// With both sides known, the result.
    pub(super) fn folded(self) -> Self {
        let Self::Alu(operation, left, right) = &self else {
            return self;
        };
        let (Self::Const(a), Self::Const(b)) = (&**left, &**right) else {
            return self;
        };
        let value = match *operation {
            alu::ADD => a.wrapping_add(*b),
            alu::SUB => a.wrapping_sub(*b),
            alu::MUL => a.wrapping_mul(*b),
            alu::AND => a & b,
            alu::OR => a | b,
            alu::XOR => a ^ b,
            alu::SHL => a.wrapping_shl((*b & 63) as u32),
            alu::SHR => a.wrapping_shr((*b & 63) as u32),
            alu::SAR => ((*a as i64) >> (b & 63)) as u64,
            _ => return self,
        };
        Self::Const(value)
    }
}
