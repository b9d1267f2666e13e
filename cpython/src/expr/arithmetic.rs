//! Arithmetic as Python does it.

use num_bigint::{BigInt, BigUint, Sign};
use num_traits::{Signed as _, ToPrimitive as _, Zero as _};

use super::error::{EvalError, Evaluated};
use super::operand::{PyNumber, PyOperand};
use super::syntax::{ArithmeticOp, PyUnaryOp};
use crate::heap::{Heap, PyText};
use crate::limits::{COMPARED_TEXT, NUMBER_BITS};
use crate::value::PyValue;

/// `left op right`.
pub(super) fn binary(
    heap: &Heap<'_>,
    op: ArithmeticOp,
    left: &PyOperand,
    right: &PyOperand,
) -> Evaluated<PyOperand> {
    let numbers = (left.number(heap)?, right.number(heap)?);
    let result = match numbers {
        (Some(PyNumber::Int(a)), Some(PyNumber::Int(b))) => {
            // Bits of two bools are a bool.
            let value = integers(op, &a, &b)?;
            let are_bools = [left, right]
                .iter()
                .all(|operand| operand.class(heap) == "bool");
            let is_bitwise = matches!(op, ArithmeticOp::And | ArithmeticOp::Or | ArithmeticOp::Xor);
            match value {
                PyNumber::Int(value) if are_bools && is_bitwise => {
                    return Ok(PyOperand::bool(!value.is_zero()));
                }
                value => value,
            }
        }
        (Some(a), Some(b)) => PyNumber::Float(floats(op, a.to_float()?, b.to_float()?)?),
        (left_number, right_number) => {
            return texts(
                heap,
                op,
                (left, left_number.as_ref()),
                (right, right_number.as_ref()),
            );
        }
    };
    Ok(PyOperand::Computed(match result {
        PyNumber::Int(value) => PyValue::Int(bounded(value)?),
        PyNumber::Float(value) => PyValue::Float(value),
    }))
}

/// An operand, and its number if it is one.
type Side<'a> = (&'a PyOperand, Option<&'a PyNumber>);

/// `text + text`, `text * int` and `int * text`.
fn texts(
    heap: &Heap<'_>,
    op: ArithmeticOp,
    left: Side<'_>,
    right: Side<'_>,
) -> Evaluated<PyOperand> {
    let unsupported = || {
        EvalError::Type(format!(
            "unsupported types for {}: {} and {}",
            op.symbol(),
            left.0.class(heap),
            right.0.class(heap)
        ))
    };
    let joined = match (op, left.0.text(heap)?, right.0.text(heap)?) {
        (ArithmeticOp::Add, Some(a), Some(b)) => [a.chars, b.chars].concat(),
        (ArithmeticOp::Multiply, Some(text), None) => repeated(&text, right.1, unsupported)?,
        (ArithmeticOp::Multiply, None, Some(text)) => repeated(&text, left.1, unsupported)?,
        _ => return Err(unsupported()),
    };
    if joined.len() > COMPARED_TEXT {
        return Err(EvalError::TooLarge("a text"));
    }
    Ok(PyOperand::Computed(PyValue::Str(PyText {
        of: joined.len() as u64,
        chars: joined,
    })))
}

fn repeated(
    text: &PyText,
    times: Option<&PyNumber>,
    unsupported: impl Fn() -> EvalError,
) -> Evaluated<Vec<u32>> {
    let Some(PyNumber::Int(times)) = times else {
        return Err(unsupported());
    };
    let too_large = EvalError::TooLarge("a text");
    let times = if times.is_negative() {
        0
    } else {
        times.to_usize().ok_or(too_large.clone())?
    };
    match text.chars.len().checked_mul(times) {
        Some(length) if length <= COMPARED_TEXT => Ok(text.chars.repeat(times)),
        _ => Err(too_large),
    }
}

fn bounded(value: BigInt) -> Evaluated<BigInt> {
    if value.bits() > NUMBER_BITS {
        return Err(EvalError::TooLarge("a number"));
    }
    Ok(value)
}

fn integers(op: ArithmeticOp, a: &BigInt, b: &BigInt) -> Evaluated<PyNumber> {
    Ok(PyNumber::Int(match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Subtract => a - b,
        ArithmeticOp::Multiply if a.bits() + b.bits() > NUMBER_BITS => {
            return Err(EvalError::TooLarge("a number"));
        }
        ArithmeticOp::Multiply => a * b,
        ArithmeticOp::Divide => return divided(a, b).map(PyNumber::Float),
        ArithmeticOp::FloorDivide => floor_divided(a, b)?.0,
        ArithmeticOp::Modulo => floor_divided(a, b)?.1,
        ArithmeticOp::Power => return power(a, b),
        ArithmeticOp::And => a & b,
        ArithmeticOp::Or => a | b,
        ArithmeticOp::Xor => a ^ b,
        ArithmeticOp::ShiftLeft => match shift(b)? {
            Some(_) if a.is_zero() => BigInt::ZERO,
            Some(count) if a.bits() + count <= NUMBER_BITS => a << count,
            _ => return Err(EvalError::TooLarge("a number")),
        },
        ArithmeticOp::ShiftRight => match shift(b)? {
            Some(count) => a >> count,
            None if a.is_negative() => BigInt::from(-1),
            None => BigInt::ZERO,
        },
    }))
}

/// The count of a shift. `None` if it is larger than any number has bits.
fn shift(count: &BigInt) -> Evaluated<Option<u64>> {
    if count.is_negative() {
        return Err(EvalError::Type("negative shift count".to_owned()));
    }
    Ok(count.to_u64().filter(|count| *count <= NUMBER_BITS))
}

/// Quotient and remainder. The remainder has the sign of the divisor.
fn floor_divided(a: &BigInt, b: &BigInt) -> Evaluated<(BigInt, BigInt)> {
    if b.is_zero() {
        return Err(EvalError::DivisionByZero);
    }
    let (mut quotient, mut remainder) = (a / b, a % b);
    if !remainder.is_zero() && remainder.is_negative() != b.is_negative() {
        quotient -= 1;
        remainder += b;
    }
    Ok((quotient, remainder))
}

/// The quotient of two integers, rounded to the nearest float.
fn divided(a: &BigInt, b: &BigInt) -> Evaluated<f64> {
    if b.is_zero() {
        return Err(EvalError::DivisionByZero);
    }
    let negative = a.is_negative() != b.is_negative();
    let (a, b) = (a.magnitude(), b.magnitude());
    if a.is_zero() {
        return Ok(0.0);
    }
    // A quotient of at least 66 bits, whose last bit says if there is a remainder: converting it
    // rounds once, from all digits. Results below the normal floats need fewer bits.
    let scale = 66 + b.bits() as i64 - a.bits() as i64;
    let scale = scale.min(1140);
    let (numerator, denominator) = if scale >= 0 {
        (a << scale.unsigned_abs(), b.clone())
    } else {
        (a.clone(), b << scale.unsigned_abs())
    };
    let mut quotient = &numerator / &denominator;
    if !(numerator % denominator).is_zero() {
        quotient |= BigUint::from(1u8);
    }
    let value = scaled(&quotient, -scale).ok_or(EvalError::TooLarge("an integer"))?;
    Ok(if negative { -value } else { value })
}

/// `number * 2**exponent`, rounded to nearest, ties to even. `None` if that is no finite float.
fn scaled(number: &BigUint, exponent: i64) -> Option<f64> {
    let bits = number.bits() as i64;
    // The exponent of the last of the 53 bits, which is not below that of the smallest float.
    let last = (bits - 53).max(-1074 - exponent);
    let (kept, exponent) = if last > 0 {
        let cut = number & ((BigUint::from(1u8) << last.unsigned_abs()) - 1u8);
        let half = BigUint::from(1u8) << (last - 1).unsigned_abs();
        let mut kept = number >> last.unsigned_abs();
        if cut > half || cut == half && kept.bit(0) {
            kept += 1u8;
        }
        (kept, exponent + last)
    } else {
        (number.clone(), exponent)
    };
    let mut value = kept.to_f64()?;
    let mut exponent = exponent;
    while exponent != 0 && value != 0.0 && value.is_finite() {
        let step = exponent.clamp(-1000, 1000);
        value *= 2f64.powi(step as i32);
        exponent -= step;
    }
    value.is_finite().then_some(value)
}

fn power(base: &BigInt, exponent: &BigInt) -> Evaluated<PyNumber> {
    if exponent.is_negative() {
        if base.is_zero() {
            return Err(EvalError::DivisionByZero);
        }
        let (base, exponent) = (PyNumber::Int(base.clone()), PyNumber::Int(exponent.clone()));
        return floats(ArithmeticOp::Power, base.to_float()?, exponent.to_float()?)
            .map(PyNumber::Float);
    }
    let small = base.magnitude() <= &BigUint::from(1u8);
    let Some(times) = exponent.to_u32() else {
        return match (small, exponent.bit(0)) {
            (true, false) => Ok(PyNumber::Int(base.abs())),
            (true, true) => Ok(PyNumber::Int(base.clone())),
            _ => Err(EvalError::TooLarge("a number")),
        };
    };
    if !small && base.bits().saturating_mul(u64::from(times)) > NUMBER_BITS {
        return Err(EvalError::TooLarge("a number"));
    }
    Ok(PyNumber::Int(base.pow(times)))
}

fn floats(op: ArithmeticOp, a: f64, b: f64) -> Evaluated<f64> {
    let divides = matches!(
        op,
        ArithmeticOp::Divide | ArithmeticOp::FloorDivide | ArithmeticOp::Modulo
    );
    if divides && b == 0.0 {
        return Err(EvalError::DivisionByZero);
    }
    Ok(match op {
        ArithmeticOp::Add => a + b,
        ArithmeticOp::Subtract => a - b,
        ArithmeticOp::Multiply => a * b,
        ArithmeticOp::Divide => a / b,
        ArithmeticOp::FloorDivide => floor_float(a, b).0,
        ArithmeticOp::Modulo => floor_float(a, b).1,
        ArithmeticOp::Power => {
            if a == 0.0 && b < 0.0 {
                return Err(EvalError::DivisionByZero);
            }
            if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 {
                return Err(EvalError::Type("the power is a complex number".to_owned()));
            }
            let value = a.powf(b);
            if value.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(EvalError::TooLarge("a number"));
            }
            value
        }
        _ => {
            let text = format!("unsupported types for {}: float", op.symbol());
            return Err(EvalError::Type(text));
        }
    })
}

/// `float_divmod` of CPython.
fn floor_float(a: f64, b: f64) -> (f64, f64) {
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder == 0.0 {
        remainder = 0f64.copysign(b);
    } else if (b < 0.0) != (remainder < 0.0) {
        remainder += b;
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return (0f64.copysign(a / b), remainder);
    }
    let mut floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor += 1.0;
    }
    (floor, remainder)
}

/// `-x`, `+x` and `~x`.
pub(super) fn unary(heap: &Heap<'_>, op: PyUnaryOp, of: &PyOperand) -> Evaluated<PyOperand> {
    let symbol = match op {
        PyUnaryOp::Minus => "-",
        PyUnaryOp::Plus => "+",
        _ => "~",
    };
    let value = match (op, of.number(heap)?) {
        (PyUnaryOp::Minus, Some(PyNumber::Int(value))) => PyValue::Int(-value),
        (PyUnaryOp::Minus, Some(PyNumber::Float(value))) => PyValue::Float(-value),
        (PyUnaryOp::Plus, Some(PyNumber::Int(value))) => PyValue::Int(value),
        (PyUnaryOp::Plus, Some(PyNumber::Float(value))) => PyValue::Float(value),
        (PyUnaryOp::Invert, Some(PyNumber::Int(value))) => PyValue::Int(-value - 1),
        _ => {
            let class = of.class(heap);
            let text = format!("unsupported type for {symbol}: {class}");
            return Err(EvalError::Type(text));
        }
    };
    Ok(PyOperand::Computed(value))
}

/// The order of an integer and a float, by their exact values. `None` for NaN.
pub(super) fn exact_order(int: &BigInt, float: f64) -> Option<std::cmp::Ordering> {
    use std::cmp::Ordering;
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return Some(if float > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let whole = exact_integer(float.trunc());
    let order = int.cmp(&whole);
    if order != Ordering::Equal {
        return Some(order);
    }
    0.0.partial_cmp(&float.fract())
}

/// The integer that a float without fraction is.
fn exact_integer(float: f64) -> BigInt {
    let bits = float.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i64 - 1075;
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let sign = if float < 0.0 { Sign::Minus } else { Sign::Plus };
    if float.abs() < 1.0 {
        return BigInt::ZERO;
    }
    let magnitude = BigUint::from(mantissa);
    let magnitude = if exponent >= 0 {
        magnitude << exponent.unsigned_abs()
    } else {
        magnitude >> exponent.unsigned_abs()
    };
    BigInt::from_biguint(sign, magnitude)
}
