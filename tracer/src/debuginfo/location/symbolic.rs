//! Arithmetic on expressions. Values that only the target knows stay an [`LocationExpr`];
//! constants are folded at once.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::model::place::{Binary, LocationExpr, Term};

/// Terms of one expression; a longer expression is refused.
const MAX_TERMS: usize = 512;

/// Type of an operand on DWARF's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OperandType {
    /// A number of the width of an address, without a particular sign.
    Generic,
    /// An integer of a base type. Its value is extended to 64 bits.
    Int {
        /// True for two's complement.
        signed: bool,
        /// Size in bytes, 1 to 8.
        size: u8,
    },
    /// Bits that are not an integer (a float). Arithmetic on them is refused.
    Opaque,
}

/// One operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SymbolicOperand {
    /// Value of the operand.
    pub(super) expr: LocationExpr,
    /// Type of the operand.
    pub(super) kind: OperandType,
}

type Result<T> = std::result::Result<T, Unavailable>;

impl SymbolicOperand {
    /// Returns an operand of the generic type.
    pub(super) fn generic(expr: LocationExpr) -> Self {
        Self {
            expr,
            kind: OperandType::Generic,
        }
    }

    /// Returns a constant of the generic type.
    pub(super) fn constant(value: u64) -> Self {
        Self::generic(LocationExpr(vec![Term::Const(value)]))
    }
}

/// Returns the value of an expression if it is constant.
pub(super) fn constant_of(expr: &LocationExpr) -> Option<u64> {
    match expr.0.as_slice() {
        [Term::Const(value)] => Some(*value),
        _ => None,
    }
}

/// Appends a term that takes the value of `expr`.
pub(in crate::debuginfo) fn then(mut expr: LocationExpr, term: Term) -> Result<LocationExpr> {
    let folded = match (term, constant_of(&expr)) {
        (Term::SignExtend(size), Some(value)) => Some(sign_extend(value, size)),
        (Term::ZeroExtend(size), Some(value)) => Some(zero_extend(value, size)),
        _ => None,
    };
    if let Some(value) = folded {
        return Ok(LocationExpr(vec![Term::Const(value)]));
    }
    if expr.0.len() >= MAX_TERMS {
        return Err(too_long());
    }
    expr.0.push(term);
    Ok(expr)
}

/// Returns an expression that is `yes` if `condition` is not 0, else `no`. Only the chosen one is
/// computed.
pub(super) fn choose(
    yes: LocationExpr,
    no: LocationExpr,
    number: LocationExpr,
) -> Result<LocationExpr> {
    match constant_of(&number) {
        Some(0) => return Ok(no),
        Some(_) => return Ok(yes),
        None => {}
    }
    let mut terms = yes.0;
    terms.extend(no.0);
    terms.extend(number.0);
    terms.push(Term::Choose);
    bounded(LocationExpr(terms))
}

/// Returns the expression, unless it has too many terms.
pub(super) fn bounded(expr: LocationExpr) -> Result<LocationExpr> {
    if expr.0.len() > MAX_TERMS {
        return Err(too_long());
    }
    Ok(expr)
}

/// Returns `expr + offset`.
pub(in crate::debuginfo) fn add(expr: LocationExpr, offset: u64) -> Result<LocationExpr> {
    binary(expr, LocationExpr(vec![Term::Const(offset)]), Binary::Add)
}

/// Returns `left OP right` on 64 bits.
pub(super) fn binary(left: LocationExpr, right: LocationExpr, op: Binary) -> Result<LocationExpr> {
    if let (Some(a), Some(b)) = (constant_of(&left), constant_of(&right)) {
        let value = fold(a, b, op).ok_or_else(|| {
            Unavailable::BadDebugInfo("division by zero in a location".to_owned())
        })?;
        return Ok(LocationExpr(vec![Term::Const(value)]));
    }
    match (op, constant_of(&right)) {
        // A shift by at least the width leaves 0, or the sign bits.
        (Binary::Shl | Binary::Shr, Some(64..)) => return Ok(LocationExpr(vec![Term::Const(0)])),
        (Binary::Sar, Some(64..)) => return binary(left, LocationExpr(vec![Term::Const(63)]), op),
        (Binary::Add, Some(b)) => return Ok(add_constant(left, b)),
        (Binary::Sub, Some(b)) => return Ok(add_constant(left, b.wrapping_neg())),
        (Binary::Div | Binary::Mod, Some(0)) => {
            let why = "division by zero in a location".to_owned();
            return Err(Unavailable::BadDebugInfo(why));
        }
        _ => {}
    }
    if op == Binary::Add
        && let Some(a) = constant_of(&left)
    {
        return Ok(add_constant(right, a));
    }
    let mut terms = left.0;
    if terms.len() + right.0.len() >= MAX_TERMS {
        return Err(too_long());
    }
    terms.extend(right.0);
    terms.push(Term::Binary(op));
    Ok(LocationExpr(terms))
}

fn add_constant(mut expr: LocationExpr, value: u64) -> LocationExpr {
    match expr.0.as_mut_slice() {
        [Term::Address(address)] => *address = address.add(value),
        [.., Term::Const(known), Term::Binary(Binary::Add)] => {
            *known = known.wrapping_add(value);
            if *known == 0 {
                expr.0.truncate(expr.0.len() - 2);
            }
        }
        _ if value == 0 => {}
        _ => expr
            .0
            .extend([Term::Const(value), Term::Binary(Binary::Add)]),
    }
    expr
}

/// Extends or cuts a value to the width and sign of `kind`.
pub(super) fn normalise(expr: LocationExpr, kind: OperandType) -> Result<LocationExpr> {
    match kind {
        OperandType::Int { signed, size } if size < 8 => {
            let term = if signed {
                Term::SignExtend(size)
            } else {
                Term::ZeroExtend(size)
            };
            then(expr, term)
        }
        _ => Ok(expr),
    }
}

/// Returns `left OP right` in the type of `left`, as DWARF 5 (2.5.1.4) defines it.
pub(super) fn typed(
    left: SymbolicOperand,
    right: SymbolicOperand,
    op: Binary,
) -> Result<SymbolicOperand> {
    let kind = left.kind;
    if kind == OperandType::Opaque || right.kind == OperandType::Opaque {
        let why = "floating-point arithmetic in a location".to_owned();
        return Err(Unavailable::Unsupported(why));
    }
    let wide_unsigned = matches!(
        kind,
        OperandType::Int {
            signed: false,
            size: 8
        }
    );
    let signed = matches!(kind, OperandType::Int { signed: true, .. });
    let (a, b) = (left.expr, right.expr);
    let expr = match op {
        Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
            let (a, b) = if wide_unsigned {
                (flip_sign(a)?, flip_sign(b)?)
            } else {
                (a, b)
            };
            return Ok(SymbolicOperand::generic(binary(a, b, op)?));
        }
        Binary::Div if wide_unsigned => match (constant_of(&a), constant_of(&b)) {
            (Some(a), Some(b)) if b != 0 => LocationExpr(vec![Term::Const(a / b)]),
            _ => {
                return Err(Unavailable::Unsupported(
                    "unsigned division in a location".to_owned(),
                ));
            }
        },
        // The remainder is computed by signed division: a - a / b * b.
        Binary::Mod if signed => {
            let quotient = binary(a.clone(), b.clone(), Binary::Div)?;
            binary(a, binary(quotient, b, Binary::Mul)?, Binary::Sub)?
        }
        Binary::Shr => binary(as_signed(a, kind, false)?, b, op)?,
        Binary::Sar => binary(as_signed(a, kind, true)?, b, op)?,
        _ => binary(a, b, op)?,
    };
    Ok(SymbolicOperand {
        expr: normalise(expr, kind)?,
        kind,
    })
}

/// Extends `expr` of type `kind` as a signed or an unsigned number.
fn as_signed(expr: LocationExpr, kind: OperandType, signed: bool) -> Result<LocationExpr> {
    match kind {
        OperandType::Int { size, signed: has } if has != signed => {
            normalise(expr, OperandType::Int { signed, size })
        }
        _ => Ok(expr),
    }
}

/// Flips the sign bit, so that a signed comparison orders numbers as unsigned.
fn flip_sign(expr: LocationExpr) -> Result<LocationExpr> {
    binary(expr, LocationExpr(vec![Term::Const(1 << 63)]), Binary::Xor)
}

/// Returns the result of [`Term::SignExtend`] for a value.
pub(super) fn sign_extend(value: u64, size: u8) -> u64 {
    let shift = 64 - 8 * u32::from(size.clamp(1, 8));
    (((value << shift) as i64) >> shift) as u64
}

/// Returns the result of [`Term::ZeroExtend`] for a value.
pub(super) fn zero_extend(value: u64, size: u8) -> u64 {
    let shift = 64 - 8 * u32::from(size.clamp(1, 8));
    (value << shift) >> shift
}

/// Returns `a OP b`, or `None` for a division by zero.
pub(super) fn fold(a: u64, b: u64, op: Binary) -> Option<u64> {
    let (x, y) = (a as i64, b as i64);
    Some(match op {
        Binary::Add => a.wrapping_add(b),
        Binary::Sub => a.wrapping_sub(b),
        Binary::Mul => a.wrapping_mul(b),
        Binary::Div if b == 0 => return None,
        Binary::Div => x.wrapping_div(y) as u64,
        Binary::Mod => a.checked_rem(b)?,
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        // A shift by at least the width leaves 0.
        Binary::Shl => u32::try_from(b)
            .ok()
            .and_then(|b| a.checked_shl(b))
            .unwrap_or(0),
        Binary::Shr => u32::try_from(b)
            .ok()
            .and_then(|b| a.checked_shr(b))
            .unwrap_or(0),
        Binary::Sar => (x >> b.min(63)) as u64,
        Binary::Eq => u64::from(a == b),
        Binary::Ne => u64::from(a != b),
        Binary::Lt => u64::from(x < y),
        Binary::Le => u64::from(x <= y),
        Binary::Gt => u64::from(x > y),
        Binary::Ge => u64::from(x >= y),
    })
}

fn too_long() -> Unavailable {
    Unavailable::Unsupported("a location this complex".to_owned())
}
