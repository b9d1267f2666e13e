//! Arithmetic on expressions: what the target alone knows stays an [`Expr`],
//! what is constant is folded at once.

use super::super::place::{Binary, Expr, Term};
use crate::unavailable::Unavailable;

/// Terms of one expression; longer ones are refused.
const MAX_TERMS: usize = 512;

/// Type of an operand on DWARF's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As wide as an address, of no particular sign.
    Generic,
    /// An integer of a base type; its value stands extended to 64 bits.
    Int {
        /// Two's complement.
        signed: bool,
        /// Bytes, 1 to 8.
        size: u8,
    },
    /// Bits that are not an integer (a float); nothing is computed with it.
    Opaque,
}

/// One operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    /// Its value.
    pub(super) expr: Expr,
    /// Its type.
    pub(super) kind: Kind,
}

type Result<T> = std::result::Result<T, Unavailable>;

impl Operand {
    /// An operand of the generic type.
    pub(super) fn generic(expr: Expr) -> Self {
        Self {
            expr,
            kind: Kind::Generic,
        }
    }

    /// A number.
    pub(super) fn constant(value: u64) -> Self {
        Self::generic(Expr(vec![Term::Const(value)]))
    }
}

/// The number that an expression is, if it is one.
pub(super) fn constant_of(expr: &Expr) -> Option<u64> {
    match expr.0.as_slice() {
        [Term::Const(value)] => Some(*value),
        _ => None,
    }
}

/// `expr` with one more term that takes its value.
pub(in crate::debuginfo) fn then(mut expr: Expr, term: Term) -> Result<Expr> {
    let folded = match (term, constant_of(&expr)) {
        (Term::SignExtend(size), Some(value)) => Some(sign_extend(value, size)),
        (Term::ZeroExtend(size), Some(value)) => Some(zero_extend(value, size)),
        _ => None,
    };
    if let Some(value) = folded {
        return Ok(Expr(vec![Term::Const(value)]));
    }
    if expr.0.len() >= MAX_TERMS {
        return Err(too_long());
    }
    expr.0.push(term);
    Ok(expr)
}

/// `yes` where the number is not 0, else `no`; only the one that is taken is computed.
pub(super) fn choose(yes: Expr, no: Expr, number: Expr) -> Result<Expr> {
    match constant_of(&number) {
        Some(0) => return Ok(no),
        Some(_) => return Ok(yes),
        None => {}
    }
    let mut terms = yes.0;
    terms.extend(no.0);
    terms.extend(number.0);
    terms.push(Term::Choose);
    bounded(Expr(terms))
}

/// The same, unless it has too many terms.
pub(super) fn bounded(expr: Expr) -> Result<Expr> {
    if expr.0.len() > MAX_TERMS {
        return Err(too_long());
    }
    Ok(expr)
}

/// `expr + offset`.
pub(in crate::debuginfo) fn add(expr: Expr, offset: u64) -> Result<Expr> {
    binary(expr, Expr(vec![Term::Const(offset)]), Binary::Add)
}

/// `left OP right` on 64 bits.
pub(super) fn binary(left: Expr, right: Expr, op: Binary) -> Result<Expr> {
    if let (Some(a), Some(b)) = (constant_of(&left), constant_of(&right)) {
        let value = fold(a, b, op).ok_or_else(|| {
            Unavailable::BadDebugInfo("division by zero in a location".to_owned())
        })?;
        return Ok(Expr(vec![Term::Const(value)]));
    }
    match (op, constant_of(&right)) {
        // More than the width leaves nothing, or the sign.
        (Binary::Shl | Binary::Shr, Some(64..)) => return Ok(Expr(vec![Term::Const(0)])),
        (Binary::Sar, Some(64..)) => return binary(left, Expr(vec![Term::Const(63)]), op),
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
    Ok(Expr(terms))
}

fn add_constant(mut expr: Expr, value: u64) -> Expr {
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

/// `value` in the width and sign of `kind`.
pub(super) fn normalise(expr: Expr, kind: Kind) -> Result<Expr> {
    match kind {
        Kind::Int { signed, size } if size < 8 => {
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

/// `left OP right` in the type of `left`, as DWARF 5 (2.5.1.4) has it.
pub(super) fn typed(left: Operand, right: Operand, op: Binary) -> Result<Operand> {
    let kind = left.kind;
    if kind == Kind::Opaque || right.kind == Kind::Opaque {
        let why = "floating-point arithmetic in a location".to_owned();
        return Err(Unavailable::Unsupported(why));
    }
    let wide_unsigned = matches!(
        kind,
        Kind::Int {
            signed: false,
            size: 8
        }
    );
    let signed = matches!(kind, Kind::Int { signed: true, .. });
    let (a, b) = (left.expr, right.expr);
    let expr = match op {
        Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge => {
            let (a, b) = if wide_unsigned {
                (flip_sign(a)?, flip_sign(b)?)
            } else {
                (a, b)
            };
            return Ok(Operand::generic(binary(a, b, op)?));
        }
        Binary::Div if wide_unsigned => match (constant_of(&a), constant_of(&b)) {
            (Some(a), Some(b)) if b != 0 => Expr(vec![Term::Const(a / b)]),
            _ => {
                return Err(Unavailable::Unsupported(
                    "unsigned division in a location".to_owned(),
                ));
            }
        },
        // Remainder by division, which is signed: a - a / b * b.
        Binary::Mod if signed => {
            let quotient = binary(a.clone(), b.clone(), Binary::Div)?;
            binary(a, binary(quotient, b, Binary::Mul)?, Binary::Sub)?
        }
        Binary::Shr => binary(as_signed(a, kind, false)?, b, op)?,
        Binary::Sar => binary(as_signed(a, kind, true)?, b, op)?,
        _ => binary(a, b, op)?,
    };
    Ok(Operand {
        expr: normalise(expr, kind)?,
        kind,
    })
}

/// `expr` of type `kind` extended as if that were signed or not.
fn as_signed(expr: Expr, kind: Kind, signed: bool) -> Result<Expr> {
    match kind {
        Kind::Int { size, signed: has } if has != signed => {
            normalise(expr, Kind::Int { signed, size })
        }
        _ => Ok(expr),
    }
}

/// Makes signed comparison of two numbers unsigned.
fn flip_sign(expr: Expr) -> Result<Expr> {
    binary(expr, Expr(vec![Term::Const(1 << 63)]), Binary::Xor)
}

/// The value as [`Term::SignExtend`] gives it.
pub(super) fn sign_extend(value: u64, size: u8) -> u64 {
    let shift = 64 - 8 * u32::from(size.clamp(1, 8));
    (((value << shift) as i64) >> shift) as u64
}

/// The value as [`Term::ZeroExtend`] gives it.
pub(super) fn zero_extend(value: u64, size: u8) -> u64 {
    let shift = 64 - 8 * u32::from(size.clamp(1, 8));
    (value << shift) >> shift
}

/// `a OP b`; `None` for a division by zero.
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
        // More than the width leaves nothing, as for an actual shift that far.
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
