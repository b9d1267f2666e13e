//! Expressions of the user: names, fields, indexes, arithmetic, with the type of each step.
//!
//! [`Resolver::operand`] gives the place or the number that an expression is. It is the entry of the
//! recursion: an operator compiles its parts by it. The files of this folder stand on three levels:
//!
//! 1. `operand` and `resolver` have the data; `integer_types`, `division` and `virtual_bases`
//!    know no resolver.
//! 2. `enum_variants`, `pointers`, `members`, `identifiers`, `numbers`, `conversions` and `redacted` work on
//!    places and numbers that are resolved already.
//! 3. `elements`, `casts`, `wide`, `floats`, `arithmetic`, `float_condition` and `condition` compile
//!    operators. They come back to [`Resolver::operand`] for the parts.
//!
//! `capture` brings the results into the record.

mod arithmetic;
mod casts;
pub(super) mod condition;
mod conversions;
mod division;
mod elements;
pub(super) mod enum_variants;
mod float_condition;
mod floats;
mod identifiers;
mod integer_types;
mod members;
mod numbers;
pub(super) mod operand;
pub(super) mod pointers;
mod redacted;
pub(super) mod resolver;
pub(super) mod returned;
mod virtual_bases;
mod wide;

use tracer_common::op::ELAPSED;

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::TypeId;
use crate::lang::ast::{Expr, ExprKind, Special};
use crate::plan::ops::ir::{Ir, Test};
use crate::plan::ops::spots::Spots;
use returned::Returned;

pub(super) use operand::{Number, NumberKind, Operand};
pub(super) use resolver::{Resolver, Scope};

/// Deepest nesting of an expression.
const DEPTH: u32 = 64;

impl Resolver<'_, '_> {
    /// Compiles an expression to a place, a number or a constant.
    ///
    /// # Errors
    /// The expression has no meaning at this site. The error says where and why, and suggests names
    /// that fit.
    pub(super) fn operand(&mut self, expr: &Expr) -> Result<Operand, Diagnostic> {
        if self.depth >= DEPTH {
            return Err(Diagnostic::at(&expr.span, "expression nested too deeply"));
        }
        self.depth += 1;
        let operand = self.kind(expr);
        self.depth -= 1;
        let operand = operand?;
        let too_large = match &operand {
            Operand::Number(number) => number.ir.is_too_large(),
            Operand::Place(spots, ty) => {
                self.note_content(spots, *ty);
                spots.is_too_large()
            }
            _ => false,
        };
        if too_large {
            return Err(Diagnostic::at(
                &expr.span,
                "this takes too many steps to compute",
            ));
        }
        Ok(operand)
    }

    fn kind(&mut self, expr: &Expr) -> Result<Operand, Diagnostic> {
        match &expr.kind {
            ExprKind::Name { path, shadow } => Ok(self.name(expr, path, *shadow)),
            ExprKind::Special(special) => self.special(expr, *special),
            ExprKind::Int(value) => self.integer(expr, *value),
            ExprKind::Bool(value) => Ok(Operand::Number(Number::truth(Test::Known(*value)))),
            ExprKind::Char(c) => Ok(Operand::Number(Number {
                ir: Ir::Const(u64::from(u32::from(*c))),
                size: 4,
                signed: self.is_c(),
                kind: NumberKind::Char,
            })),
            ExprKind::Str(text) => Ok(Operand::Text(text.clone())),
            ExprKind::Null => Ok(self.null(expr)),
            ExprKind::Float(_) => Ok(Operand::Number(self.float_literal(expr))),
            ExprKind::Field(base, name) => {
                let (spots, ty) = self.place(base.addressed().unwrap_or(base))?;
                self.field(expr, spots, ty, name)
            }
            ExprKind::Arrow(base, name) => {
                if let Some(object) = base.addressed() {
                    let (spots, ty) = self.place(object)?;
                    return self.field(expr, spots, ty, name);
                }
                let (spots, ty) = self.place(base)?;
                let (spots, ty) = self.deref(base, &spots, ty)?;
                self.field(expr, spots, ty, name)
            }
            ExprKind::Index(base, index) => self.index(expr, base, index),
            ExprKind::Len(base) => {
                let (spots, ty) = self.place(base)?;
                let len = self.length(base, &spots, ty)?;
                Ok(Operand::Number(Number::unsigned(len, 8)))
            }
            ExprKind::Unary(op, inner) => self.unary(expr, *op, inner),
            ExprKind::Binary(op, left, right) => self.binary(expr, *op, left, right),
            ExprKind::Chain(..) => Err(Diagnostic::at(
                &expr.span,
                "the order of these operators depends on the language",
            )),
            ExprKind::Cast(inner, ty) => {
                self.note_name(ty);
                self.cast(expr, inner, ty)
            }
            ExprKind::IsEmpty(_)
            | ExprKind::Is(..)
            | ExprKind::StartsWith(..)
            | ExprKind::EndsWith(..)
            | ExprKind::Contains(..)
            | ExprKind::Matches(..) => {
                let test = condition::truth(self, expr)?;
                Ok(Operand::Number(Number::truth(test)))
            }
            ExprKind::Slice(base, ..) => {
                let error = Diagnostic::at(&expr.span, "slices are not supported");
                let base = self.typed(base);
                let hint = format!("`{{{base}}}` shows its first elements, `{{{base}[0]}}` one");
                Err(error.hint(hint))
            }
        }
    }

    /// Refuses an expression that may lead to memory that no type describes, where only such memory may be read.
    fn unconfined(&self, expr: &Expr, what: &str) -> Result<(), Diagnostic> {
        match self.builder.limits().confined {
            false => Ok(()),
            true => Err(Diagnostic::at(
                &expr.span,
                format!("{what} are not allowed here: they can read any memory"),
            )),
        }
    }

    /// A special name, such as `$return`.
    fn special(&self, expr: &Expr, special: Special) -> Result<Operand, Diagnostic> {
        match special {
            Special::Return => match self.scope.returned {
                Some(Returned { redacted: true, .. }) if self.builder.limits().confined => Err(
                    Diagnostic::at(&expr.span, "the result of this function is redacted"),
                ),
                Some(returned @ Returned { ty: Some(ty), .. }) => {
                    if returned.redacted {
                        self.note_redacted();
                    }
                    let spots = returned::place(self.builder, ty, returned);
                    Ok(Operand::Place(spots, ty))
                }
                Some(Returned { unknown: true, .. }) => Err(Diagnostic::at(
                    &expr.span,
                    "the type of the returned value is unknown",
                )),
                Some(_) => Err(Diagnostic::at(&expr.span, "the function returns nothing")),
                None => Err(
                    Diagnostic::at(&expr.span, "`$return` is known at returns only")
                        .hint("use the location `FUNCTION%return`"),
                ),
            },
            Special::Elapsed if self.scope.elapsed => Ok(Operand::Number(Number {
                ir: Ir::Register(ELAPSED),
                size: 8,
                signed: true,
                kind: NumberKind::Duration,
            })),
            Special::Elapsed => {
                let error = Diagnostic::at(
                    &expr.span,
                    "`$elapsed` is known only at the end of a `time` probe",
                );
                Err(error.hint("`time FUNCTION` and `time A..B` measure it"))
            }
            special => Ok(Operand::Special(special)),
        }
    }

    fn integer(&self, expr: &Expr, value: u128) -> Result<Operand, Diagnostic> {
        match u64::try_from(value) {
            Ok(value) => {
                let text = self.scope.text.get(expr.span.clone()).unwrap_or_default();
                let (size, signed) = if self.is_c() {
                    integer_types::literal_type(text, value)
                } else {
                    (8, i64::try_from(value).is_ok())
                };
                Ok(Operand::Number(Number {
                    ir: Ir::Const(value).extend(size, signed),
                    size,
                    signed,
                    kind: NumberKind::Int,
                }))
            }
            Err(_) => Err(wide::too_wide(expr, "numbers of more than 64 bits")),
        }
    }

    /// Compiles an expression that must be a value of the program.
    pub(super) fn place(&mut self, expr: &Expr) -> Result<(Spots, TypeId), Diagnostic> {
        match self.operand(expr)? {
            Operand::Place(spots, ty) => Ok((spots, ty)),
            Operand::Unknown(_, error) => Err(error),
            _ => Err(Diagnostic::at(
                &expr.span,
                "this is not a value of the program",
            )),
        }
    }

    /// Compiles an expression that must be a number.
    pub(super) fn number(&mut self, expr: &Expr) -> Result<Number, Diagnostic> {
        let operand = self.operand(expr)?;
        self.number_of(expr, operand)
    }
}
