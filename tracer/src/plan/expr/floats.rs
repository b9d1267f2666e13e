//! Arithmetic on floats with the rules of Rust, C and C++, by ops of the machine.
//!
//! Floats of four bytes are computed as floats of eight bytes and rounded. That gives the same
//! result for these operations, since eight bytes have more than twice the digits.

use tracer_common::op::{alu, float};

use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::types::TypeKind;
use crate::lang::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use crate::lang::lexer;
use crate::plan::expr::integer_types;
use crate::plan::expr::operand::{Number, NumberKind, Operand};
use crate::plan::expr::resolver::Resolver;
use crate::plan::expr::wide::Side;
use crate::plan::ops::ir::Ir;

/// An expression, and the result of compiling it.
type Seen<'s> = (&'s Expr, &'s Side);

/// Hint for a float of another size.
const SIZES: &str = "only floats of four and eight bytes can be";
/// Floats of eight bytes hold all integers up to here.
const EXACT: u128 = 1 << 53;

impl Number {
    fn float(ir: Ir, size: u8) -> Self {
        Self {
            ir,
            size,
            signed: false,
            kind: NumberKind::Float,
        }
    }

    /// The number as a float of eight bytes.
    pub(in crate::plan) fn widened(self) -> Ir {
        match self.size {
            4 => Ir::float(float::FROM_SINGLE, self.ir, Ir::Const(0)),
            _ => self.ir,
        }
    }

    /// The nearest float of `size` bytes.
    fn resized(self, size: u8) -> Self {
        let ir = match (self.size, size) {
            (8, 4) => Ir::float(float::TO_SINGLE, self.ir, Ir::Const(0)),
            (4, 8) => self.widened(),
            _ => self.ir,
        };
        Self::float(ir, size)
    }
}

/// A constant float of `size` bytes.
fn known(value: f64, size: u8) -> Number {
    let bits = match size {
        4 => u64::from((value as f32).to_bits()),
        _ => value.to_bits(),
    };
    Number::float(Ir::Const(bits), size)
}

/// Bytes of the float type of that name.
pub(super) fn size_of(ty: &str) -> Option<u8> {
    match ty {
        "f32" | "float" => Some(4),
        "f64" | "double" => Some(8),
        _ => None,
    }
}

impl Resolver<'_, '_> {
    /// A float literal.
    pub(super) fn float_literal(&self, expr: &Expr) -> Number {
        let (double, single) = self.written(expr);
        if self.suffix(expr).is_some_and(|suffix| suffix != "f64") {
            known(single, 4)
        } else {
            known(double, 8)
        }
    }

    /// The value of a literal, and the `f32` of its text. Rounding the value to `f32` can give
    /// another number.
    fn written(&self, expr: &Expr) -> (f64, f64) {
        let ExprKind::Float(value) = expr.kind else {
            return (0.0, 0.0);
        };
        let text = self.literal_text(expr);
        let digits = text.len() - self.suffix(expr).map_or(0, str::len);
        let digits = text.get(..digits).unwrap_or_default();
        let single = lexer::single(digits).unwrap_or(value as f32);
        (value, f64::from(single))
    }

    /// The text of a literal. Its span includes parentheses around it.
    fn literal_text(&self, expr: &Expr) -> &str {
        let text = self.scope.text.get(expr.span.clone()).unwrap_or_default();
        text.trim_matches(|c: char| c == '(' || c == ')' || c.is_whitespace())
    }

    fn suffix(&self, expr: &Expr) -> Option<&'static str> {
        let text = self.literal_text(expr).to_ascii_lowercase();
        let mut suffixes = ["f32", "f64", "f"].into_iter();
        suffixes.find(|suffix| text.ends_with(suffix))
    }

    /// A constant, as compared with a float of eight bytes and with one of four.
    pub(in crate::plan) fn known_float(&self, expr: &Expr) -> Option<(f64, f64)> {
        if !self.is_c() {
            return self.untyped(expr, false).zip(self.untyped(expr, true));
        }
        match &expr.kind {
            ExprKind::Float(_) => match (self.suffix(expr), self.written(expr)) {
                (None | Some("f64"), (double, _)) => Some((double, double)),
                (_, (_, single)) => Some((single, single)),
            },
            // An integer takes the type of the float beside it. A float of eight bytes keeps its
            // own.
            ExprKind::Int(value) if *value <= EXACT => {
                Some((*value as f64, f64::from(*value as f32)))
            }
            // The negative of an unsigned number is not negative.
            ExprKind::Unary(UnaryOp::Neg, inner) if self.has_sign(inner) => {
                let (double, single) = self.known_float(inner)?;
                Some((-double, -single))
            }
            _ => None,
        }
    }

    /// Returns true if a literal of C is a float, or has a signed type.
    fn has_sign(&self, literal: &Expr) -> bool {
        match &literal.kind {
            ExprKind::Int(value) => u64::try_from(*value).is_ok_and(|value| {
                integer_types::literal_type(self.literal_text(literal), value).1
            }),
            ExprKind::Unary(_, inner) => self.has_sign(inner),
            _ => true,
        }
    }

    /// The value of a Rust expression of literals alone. Such literals take the type of the other
    /// operand.
    fn untyped(&self, expr: &Expr, single: bool) -> Option<f64> {
        let rounded = |value: f64| {
            if single {
                f64::from(value as f32)
            } else {
                value
            }
        };
        match &expr.kind {
            ExprKind::Float(_) => {
                let (double, nearest) = self.written(expr);
                let value = if single { nearest } else { double };
                self.suffix(expr).is_none().then_some(value)
            }
            ExprKind::Int(value) if single => Some(f64::from(*value as f32)),
            ExprKind::Int(value) => Some(*value as f64),
            ExprKind::Unary(UnaryOp::Neg, inner) => {
                let value = self.untyped(inner, single)?;
                // Integers have no negative zero.
                Some(if value == 0.0 && !is_float(inner) {
                    value
                } else {
                    -value
                })
            }
            // Integers follow other rules of arithmetic.
            ExprKind::Binary(op, left, right) if is_float(left) && is_float(right) => {
                let (a, b) = (self.untyped(left, single)?, self.untyped(right, single)?);
                Some(rounded(match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div => a / b,
                    BinaryOp::Rem => a % b,
                    _ => return None,
                }))
            }
            _ => None,
        }
    }

    /// The float that an operand is. `None` if it is not a float.
    ///
    /// # Errors
    /// The float has an unsupported size, or no value.
    pub(in crate::plan) fn float_of(
        &self,
        expr: &Expr,
        side: &Side,
    ) -> Result<Option<Number>, Diagnostic> {
        match side {
            Side::Other(Operand::Number(number)) if number.kind == NumberKind::Float => {
                Ok(Some(number.clone()))
            }
            Side::Other(Operand::Place(spots, ty)) => match self.scalar_at(spots, *ty) {
                Some(Ok(scalar)) if scalar.kind == NumberKind::Float => {
                    if !matches!(scalar.size, 4 | 8) {
                        let size = scalar.size;
                        let message = format!("a float of {size} bytes cannot be computed with");
                        return Err(Diagnostic::at(&expr.span, message).hint(SIZES));
                    }
                    self.number_at(expr, spots, *ty).map(Some)
                }
                _ => Ok(None),
            },
            Side::Other(_) | Side::Wide(_) => Ok(None),
        }
    }

    /// Both operands as floats of one size. `None` if neither is a float.
    ///
    /// # Errors
    /// The language does not combine these types, or an operand has no value.
    pub(in crate::plan) fn float_pair(
        &self,
        left: Seen<'_>,
        right: Seen<'_>,
    ) -> Result<Option<(Number, Number)>, Diagnostic> {
        let (a, b) = (
            self.float_of(left.0, left.1)?,
            self.float_of(right.0, right.1)?,
        );
        if a.is_none() && b.is_none() {
            return Ok(None);
        }
        if self.is_c() {
            let size = [&a, &b].into_iter().flatten().map(|one| one.size).max();
            let size = size.unwrap_or(8);
            let (a, b) = (self.as_float(left, size)?, self.as_float(right, size)?);
            return Ok(Some((a, b)));
        }
        let typed = |(expr, _): Seen<'_>, number: &Option<Number>| match number {
            Some(number) if self.untyped(expr, false).is_none() => Some(number.size),
            _ => None,
        };
        let sizes = (typed(left, &a), typed(right, &b));
        if let (Some(a), Some(b)) = sizes
            && a != b
        {
            let smaller = if a < b { left.0 } else { right.0 };
            let error = Diagnostic::at(&smaller.span, "an `f32` and an `f64` cannot be combined");
            return Err(error.hint("`x as f64` has the same value"));
        }
        let size = sizes.0.or(sizes.1).unwrap_or(8);
        let side = |seen: Seen<'_>, number: Option<Number>| {
            match (self.untyped(seen.0, size == 4), number) {
                (Some(value), _) => Ok(known(value, size)),
                (None, Some(number)) => Ok(number),
                (None, None) => {
                    // An error of the operand itself comes first.
                    self.as_float(seen, size)?;
                    let error =
                        Diagnostic::at(&seen.0.span, "an integer and a float cannot be combined");
                    let ty = if size == 4 { "f32" } else { "f64" };
                    Err(error.hint(format!("write `n as {ty}`")))
                }
            }
        };
        Ok(Some((side(left, a)?, side(right, b)?)))
    }

    /// `left OP right` if one operand is a float.
    ///
    /// # Errors
    /// The language has no such operator, or the reasons of [`Resolver::float_pair`].
    pub(super) fn float_binary(
        &self,
        expr: &Expr,
        op: BinaryOp,
        left: Seen<'_>,
        right: Seen<'_>,
    ) -> Result<Option<Number>, Diagnostic> {
        let is_float = |(expr, side)| self.float_of(expr, side).map(|found| found.is_some());
        if !is_float(left)? && !is_float(right)? {
            return Ok(None);
        }
        // The error for a missing operator comes before those of its operands.
        let operation = operation(expr, op, self.is_c())?;
        let pair = self.float_pair(left, right)?;
        Ok(pair.map(|(a, b)| {
            let size = a.size;
            let result = Ir::float(operation, a.widened(), b.widened());
            Number::float(result, 8).resized(size)
        }))
    }

    /// Any number as a float.
    fn as_float(&self, (expr, side): Seen<'_>, size: u8) -> Result<Number, Diagnostic> {
        if let Some(number) = self.float_of(expr, side)? {
            return Ok(number.resized(size));
        }
        let operand = match side {
            Side::Wide(wide) => return Ok(Number::float(wide.clone().rounded(size), size)),
            Side::Other(operand) => operand,
        };
        let origin = self.origin(side);
        let mut number = self.number_of(expr, operand.clone())?;
        if number.kind == NumberKind::Pointer {
            return Err(Diagnostic::at(&expr.span, "a pointer is not a float"));
        }
        if self.is_c() {
            number = self.promoted(expr, number, origin)?.settled();
        } else if let Some((what, ty)) = self.not_castable(operand, number.kind) {
            let float = if size == 4 { "f32" } else { "f64" };
            let error = Diagnostic::at(
                &expr.span,
                format!("{what} cannot be cast to a float in Rust"),
            );
            return Err(error.hint(format!(
                "cast it to an integer first: `x as {ty} as {float}`"
            )));
        }
        let operation = match (size, number.signed) {
            (4, true) => float::SINGLE_FROM_SIGNED,
            (4, false) => float::SINGLE_FROM_UNSIGNED,
            (_, true) => float::FROM_SIGNED,
            (_, false) => float::FROM_UNSIGNED,
        };
        let ir = Ir::float(operation, number.ir, Ir::Const(0));
        Ok(Number::float(ir, size))
    }

    /// The description of a value that Rust casts to integers but not to floats, and the integer
    /// type to cast it to first.
    fn not_castable(&self, operand: &Operand, kind: NumberKind) -> Option<(&str, &str)> {
        match (kind, operand) {
            (NumberKind::Bool, _) => Some(("a `bool`", "u8")),
            (NumberKind::Char, _) => Some(("a `char`", "u32")),
            (_, Operand::Place(spots, ty)) => {
                let scalar = self.scalar_at(spots, *ty)?.ok()?;
                let kind = &self.builder.resolve(scalar.ty).kind;
                matches!(kind, TypeKind::Enum { .. }).then_some(("an enum", "i64"))
            }
            _ => None,
        }
    }

    /// An expression cast to a float of `size` bytes.
    pub(super) fn float_in(&mut self, inner: &Expr, size: u8) -> Result<Number, Diagnostic> {
        // A cast gives its type to a literal. An expression of several literals is an `f64`.
        if !self.is_c()
            && let Some(value) = self.untyped(inner, size == 4 && is_literal(inner))
        {
            return Ok(known(value, size));
        }
        let side = Side::new(self, inner)?;
        self.as_float((inner, &side), size)
    }

    /// The integer part of a float as an integer of `bits` bits, or one half of a wider integer.
    pub(in crate::plan) fn truncated(&self, number: Number, bits: u64, signed: bool) -> Ir {
        let operation = match (self.is_c(), signed) {
            (true, true) => float::TRUNCATE_SIGNED,
            (true, false) => float::TRUNCATE_UNSIGNED,
            (false, true) => float::TO_SIGNED,
            (false, false) => float::TO_UNSIGNED,
        };
        Ir::float(operation, number.widened(), Ir::Const(bits))
    }

    /// An expression cast to an integer of `size` bytes. A float gives its integer part.
    ///
    /// A float out of the type's range becomes the nearest integer in Rust. In C and C++ the result
    /// is undefined.
    pub(super) fn integer_in(
        &mut self,
        inner: &Expr,
        size: u8,
        signed: bool,
    ) -> Result<Ir, Diagnostic> {
        let side = Side::new(self, inner)?;
        if let Some(number) = self.float_of(inner, &side)? {
            return Ok(self.truncated(number, u64::from(size) * 8, signed));
        }
        Ok(match side {
            Side::Wide(wide) => wide.narrowed(size, signed),
            side => side.number(self, inner)?.ir.extend(size, signed),
        })
    }
}

/// Returns true if an expression is a literal, maybe with a sign.
fn is_literal(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Unary(_, inner) => is_literal(inner),
        kind => matches!(kind, ExprKind::Int(_) | ExprKind::Float(_)),
    }
}

/// Returns true if an expression of literals is written as a float.
fn is_float(literal: &Expr) -> bool {
    match &literal.kind {
        ExprKind::Float(_) => true,
        ExprKind::Unary(_, inner) => is_float(inner),
        ExprKind::Binary(_, left, _) => is_float(left),
        _ => false,
    }
}

/// The machine's operation for an operator.
///
/// # Errors
/// The language has no such operator.
fn operation(expr: &Expr, op: BinaryOp, is_c: bool) -> Result<u32, Diagnostic> {
    let refused = |message: &str, hint: &str| {
        let error = Diagnostic::at(&expr.span, message);
        Err(error.hint(hint))
    };
    match op {
        BinaryOp::Add => Ok(float::ADD),
        BinaryOp::Sub => Ok(float::SUB),
        BinaryOp::Mul => Ok(float::MUL),
        BinaryOp::Div => Ok(float::DIV),
        BinaryOp::Rem if !is_c => Ok(float::REM),
        BinaryOp::Rem => refused(
            "C and C++ have no `%` for floats",
            "write `(long)x % n` for the integer part",
        ),
        _ => refused(
            "the bits of a float cannot be combined or shifted",
            "cast it to an integer: `x as i64`, `(long)x`",
        ),
    }
}

/// The negative of a float.
///
/// # Errors
/// `op` is not a negation.
pub(super) fn unary(expr: &Expr, op: UnaryOp, number: Number) -> Result<Number, Diagnostic> {
    if op != UnaryOp::Neg {
        return Err(Diagnostic::at(
            &expr.span,
            "the bits of a float cannot be inverted",
        ));
    }
    let sign = Ir::Const(1 << (u32::from(number.size) * 8 - 1));
    let ir = Ir::alu(alu::XOR, number.ir, sign).folded();
    Ok(Number::float(ir, number.size))
}
