//! Quotients and remainders of integers.

use tracer_common::op::alu;

use crate::base::diagnostic::Diagnostic;
use crate::lang::ast::{BinaryOp, Expr};
use crate::plan::expr::operand::Number;
use crate::plan::ops::ir::{Failure, Ir, divide, least};

/// `left / right` or `left % right`, signed or unsigned.
///
/// # Errors
/// Both numbers are constants, and the type of the left one cannot hold the result.
pub(super) fn quotient(
    expr: &Expr,
    op: BinaryOp,
    signed: bool,
    a: Number,
    b: Number,
) -> Result<Ir, Diagnostic> {
    let operation = match (op, signed) {
        (BinaryOp::Div, true) => alu::SDIV,
        (BinaryOp::Div, false) => alu::DIV,
        (_, true) => alu::SREM,
        (_, false) => alu::REM,
    };
    if !signed {
        // A signed operand of an unsigned division must not be negative.
        let positive = |one: Number| match one.signed {
            true => one.ir.below(1 << 63, Failure::Negative),
            false => one.ir,
        };
        return Ok(divide(operation, positive(a), positive(b), None));
    }
    let least = a.signed.then(|| least(a.size));
    if let (Ir::Const(known), Ir::Const(u64::MAX)) = (&a.ir, &b.ir)
        && Some(*known) == least
    {
        return Err(overflow(expr));
    }
    Ok(divide(operation, a.ir, b.ir, least))
}

/// The error for a division of a type's least number by -1.
pub(super) fn overflow(expr: &Expr) -> Diagnostic {
    let error = Diagnostic::at(&expr.span, "this division overflows");
    error.hint("the smallest number of the type has no positive counterpart")
}
