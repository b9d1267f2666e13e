//! Conditions: comparisons and their combinations, with the conversions of Rust, C and C++.

use tracer_common::op::{COMM, alu, cond};

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::TypeId;
use crate::lang::ast::{BinaryOp, Expr, ExprKind, Predicate, Special, UnaryOp};
use crate::plan::expr::conversions::{IntegerOrigin, common};
use crate::plan::expr::enum_variants::{variant, variant_names};
use crate::plan::expr::float_condition;
use crate::plan::expr::operand::{Number, NumberKind, Operand};
use crate::plan::expr::resolver::Resolver;
use crate::plan::expr::wide;
use crate::plan::expr::wide::Side;
use crate::plan::methods::predicates;
use crate::plan::methods::texts::{Question, text_of, text_test};
use crate::plan::ops::ir::{Ir, Test};
use crate::plan::ops::spots::Spots;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;

/// Most bytes of a thread's name.
const THREAD_NAME: usize = 15;

/// Compiles an expression to a test.
///
/// # Errors
/// The expression is neither true nor false, or it compares two types that cannot be compared.
pub(in crate::plan) fn truth(
    resolver: &mut Resolver<'_, '_>,
    expr: &Expr,
) -> Result<Test, Diagnostic> {
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

/// A question about a text: whether it begins with, ends with, contains or matches a text in
/// quotes.
fn asks(
    resolver: &mut Resolver<'_, '_>,
    base: &Expr,
    text: &Expr,
    question: Question,
) -> Result<Test, Diagnostic> {
    let ExprKind::Str(wanted) = &text.kind else {
        let error = Diagnostic::at(&text.span, "expected a text in quotes");
        return Err(error.maybe_hint(match &text.kind {
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

/// A test of the thread's name. The machine has the name in two registers.
fn thread_name(expr: &Expr, wanted: &str, question: Question) -> Result<Test, Diagnostic> {
    let bytes = wanted.as_bytes();
    let refused = match question {
        Question::Contains => Some("contains"),
        Question::EndsWith => Some("ends_with"),
        Question::Matches => Some("matches"),
        Question::Equal | Question::StartsWith => None,
    };
    if let Some(name) = refused {
        let error = Diagnostic::at(
            &expr.span,
            format!("`{name}` does not support the thread's name"),
        );
        return Err(error.hint("use `starts_with` or `==`"));
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

/// The truth of an operand: a boolean, or in C any number, where zero is false.
fn truth_of(resolver: &mut Resolver<'_, '_>, expr: &Expr) -> Result<Test, Diagnostic> {
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
            return Ok(float_condition::non_zero(number));
        }
        let error = Diagnostic::at(&expr.span, "a float is neither true nor false");
        return Err(error.hint("compare it: `x != 0.0`"));
    }
    Ok(match number.ir {
        Ir::Truth(test) => *test,
        ir => Test::compare(cond::NE, ir, Ir::Const(0)),
    })
}

/// The relation for unsigned numbers. The signed relations follow six further on.
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
) -> Result<Test, Diagnostic> {
    // Each side is compiled once. A second time would double the work with each level of nesting.
    let (a, b) = (Side::new(resolver, left), Side::new(resolver, right));
    if let Some(test) = float_condition::compare(resolver, relation, (left, &a), (right, &b))? {
        return Ok(test);
    }
    let (a, b) = match wide::compare(resolver, relation, a?, b?, left, right)? {
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
        // A C bit field of 33 to 63 bits has its own type or its declared one, depending on the
        // compiler. Compared with a constant that is not negative, both give the same result.
        let alike = |origin, field: &Number, other: &Number| {
            matches!(origin, IntegerOrigin::Bits(33..64))
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
            // Rust's `match` looks through references, so this does, too.
            let (spots, ty) = resolver.behind_references(spots, ty);
            match variant(resolver.builder, &spots, ty, name) {
                Some(Ok(test)) => test,
                Some(Err(why)) => return Err(Diagnostic::at(&place_expr.span, why.to_string())),
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
        // A pointer, and in C any integer, can be compared with zero.
        Operand::Null if can_be_zero(resolver, spots, ty) => return numbers(resolver, a, b),
        Operand::Null => predicates::is_at(resolver, place_expr, spots, ty, Predicate::None)?,
        Operand::Text(text) => {
            let parts = text_of(resolver, place_expr, spots, ty, text)?;
            text_test(other_expr, parts, text, Question::Equal)?
        }
        _ => return numbers(resolver, a, b),
    };
    match relation {
        cond::EQ => Ok(test),
        cond::NE => Ok(test.negate()),
        _ => Err(Diagnostic::at(
            &expr.span,
            "these can only be compared with `==` and `!=`",
        )),
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
    error: Diagnostic,
) -> Diagnostic {
    let known = variant_names(builder, ty);
    if known.is_empty() {
        return error;
    }
    let ty = builder.resolve(ty);
    let type_name = display_names::short(&ty.name);
    let error = Diagnostic::at(&expr.span, format!("no variant `{name}` in `{type_name}`"));
    let none = matches!(name, "nil" | "undefined" | "none" | "Nothing" | "False");
    if none && known.iter().any(|one| one == "None") {
        return error.hint("write `None`");
    }
    error.maybe_hint(display_names::hint(
        display_names::short(name),
        known.iter().map(String::as_str),
    ))
}

fn numbers(expr: &Expr, relation: u8, a: Number, b: Number) -> Result<Test, Diagnostic> {
    if a.kind == NumberKind::Float || b.kind == NumberKind::Float {
        return Err(Diagnostic::at(
            &expr.span,
            "a float cannot be compared with this",
        ));
    }
    Ok(relate(relation, a, b))
}

/// `a RELATION b` of promoted numbers of C and C++, in their common type.
fn c_numbers(relation: u8, a: Number, b: Number) -> Test {
    let (a, b) = common(a, b);
    if matches!(relation, cond::EQ | cond::NE) {
        return Test::compare(relation, a.ir, b.ir);
    }
    let (a, b) = (a.below_both(), b.below_both());
    let relation = if a.signed { signed(relation) } else { relation };
    Test::compare(relation, a.ir, b.ir)
}

/// `a RELATION b` by the values of the numbers, whatever their types.
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
    // One side may be negative, and the other beyond the signed numbers. No 64-bit comparison is
    // right for both, so the sign of the signed side is tested as well.
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
    // The plain comparison comes first because it reads both sides: a fault of either must not be
    // skipped.
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
