//! Operators on recorded values.
//!
//! Integers are computed exactly. The record does not keep the width of unsigned ones, so a result that would wrap
//! around in the program is not known.

use std::cmp::Ordering;

use super::{NotKnown, compact, parts, unsupported};
use crate::event::call::same_value;
use crate::lang::ast::{BinaryOp, UnaryOp};
use crate::value::{Text, Value};

/// Bits of a computed integer.
const BITS: u32 = 128;

/// A number as the operators see it.
#[derive(Clone, Copy, Debug)]
enum Numeral {
    /// An integer, and whether its type has no sign.
    Whole(i128, bool),
    Float(f64),
}

/// An integer of a text.
pub(super) fn integer(value: u128) -> Value {
    match i128::try_from(value) {
        Ok(value) => Value::Int(value, BITS),
        Err(_) => Value::Uint(value),
    }
}

fn number(value: &Value) -> Option<Numeral> {
    Some(match parts::plain(value) {
        Value::Int(value, _) => Numeral::Whole(*value, false),
        Value::Uint(value) => Numeral::Whole(i128::try_from(*value).ok()?, true),
        Value::Nanoseconds(ns) => Numeral::Whole((*ns).into(), true),
        Value::Duration(time) => Numeral::Whole(i128::try_from(time.as_nanos()).ok()?, true),
        Value::Bool(value) => Numeral::Whole((*value).into(), false),
        Value::Char(c) => Numeral::Whole(u32::from(*c).into(), true),
        Value::Float32(value) => Numeral::Float((*value).into()),
        Value::Float64(value) => Numeral::Float(*value),
        Value::Pointer(pointer) => Numeral::Whole(pointer.address.into(), true),
        _ => return None,
    })
}

/// The whole number of a value.
pub(super) fn whole(value: &Value) -> Option<i128> {
    match number(value)? {
        Numeral::Whole(value, _) => Some(value),
        Numeral::Float(_) => None,
    }
}

/// `a OP b`, without `&&` and `||`.
pub(super) fn binary(op: BinaryOp, one: &Value, two: &Value) -> Result<Value, NotKnown> {
    match op {
        BinaryOp::Eq => equal(one, two).map(Value::Bool),
        BinaryOp::Ne => equal(one, two).map(|is| Value::Bool(!is)),
        BinaryOp::Lt => order(one, two, |order| order == Ordering::Less),
        BinaryOp::Le => order(one, two, |order| order != Ordering::Greater),
        BinaryOp::Gt => order(one, two, |order| order == Ordering::Greater),
        BinaryOp::Ge => order(one, two, |order| order != Ordering::Less),
        _ => arithmetic(op, one, two),
    }
}

fn unlike<T>(one: &Value, two: &Value) -> Result<T, NotKnown> {
    let (one, two) = (compact(one), compact(two));
    unsupported(format!("{one} and {two} cannot be compared"))
}

/// An order of two values: `Ok(None)` if one of them is NaN.
fn ordering(one: &Value, two: &Value) -> Result<Option<Ordering>, NotKnown> {
    if let (Value::Text(one), Value::Text(two)) = (parts::plain(one), parts::plain(two)) {
        return match text_order(one, two) {
            Some(order) => Ok(Some(order)),
            None => unsupported("a text is cut before the texts differ"),
        };
    }
    let (Some(left), Some(right)) = (number(one), number(two)) else {
        return unlike(one, two);
    };
    Ok(match (left, right) {
        (Numeral::Whole(left, _), Numeral::Whole(right, _)) => Some(left.cmp(&right)),
        (left, right) => float(left).partial_cmp(&float(right)),
    })
}

fn order(one: &Value, two: &Value, fits: fn(Ordering) -> bool) -> Result<Value, NotKnown> {
    let ordering = ordering(one, two)?;
    Ok(Value::Bool(ordering.is_some_and(fits)))
}

fn equal(one: &Value, two: &Value) -> Result<bool, NotKnown> {
    let (left, right) = (parts::plain(one), parts::plain(two));
    let is_scalar = |value: &Value| number(value).is_some() || matches!(value, Value::Text(_));
    if is_scalar(left) && is_scalar(right) {
        return Ok(ordering(left, right)? == Some(Ordering::Equal));
    }
    let is_of_one_kind = std::mem::discriminant(left) == std::mem::discriminant(right);
    if !is_of_one_kind {
        return unlike(one, two);
    }
    if has_gaps(left) || has_gaps(right) {
        return unsupported("a part of the values is not recorded");
    }
    Ok(same_value(left, right))
}

/// Parts of a value are cut, left out or unavailable, so that it cannot be told equal to another.
fn has_gaps(value: &Value) -> bool {
    let any = |values: &[Value]| values.iter().any(has_gaps);
    let any_field = |fields: &[(String, Value)]| fields.iter().any(|(_, value)| has_gaps(value));
    match value {
        Value::Unavailable(_) => true,
        Value::Text(text) => text.cut.is_some(),
        Value::Struct(one) => one.has_more || any_field(&one.fields),
        Value::Variant(one) => one.omitted.is_some() || any_field(&one.fields),
        Value::Tuple(items) => any(items),
        Value::Range(ends) => any(&**ends),
        Value::Sequence(one) => one.cut.is_some() || any(&one.items),
        Value::Map(map) => {
            let entries = map.entries.iter();
            map.cut.is_some()
                || entries
                    .into_iter()
                    .any(|(key, value)| has_gaps(key) || has_gaps(value))
        }
        Value::Pointer(pointer) if pointer.transparent => {
            pointer.target.as_deref().is_none_or(has_gaps)
        }
        _ => false,
    }
}

const fn float(number: Numeral) -> f64 {
    match number {
        Numeral::Whole(value, _) => value as f64,
        Numeral::Float(value) => value,
    }
}

fn arithmetic(op: BinaryOp, one: &Value, two: &Value) -> Result<Value, NotKnown> {
    let (Some(left), Some(right)) = (number(one), number(two)) else {
        let (one, two) = (compact(one), compact(two));
        return unsupported(format!("{one} and {two} are not both numbers"));
    };
    let is_pointer = |value: &Value| matches!(parts::plain(value), Value::Pointer(_));
    if is_pointer(one) || is_pointer(two) {
        return unsupported(
            "pointers are not computed with: the size of their elements is not recorded",
        );
    }
    match (left, right) {
        (Numeral::Whole(left, left_unsigned), Numeral::Whole(right, right_unsigned)) => {
            // A plain number in the text has the type of the other side.
            let is_text = |value: &Value| matches!(value, Value::Int(_, BITS));
            let is_unsigned = (left_unsigned || is_text(one))
                && (right_unsigned || is_text(two))
                && (left_unsigned || right_unsigned);
            integers(op, left, right, is_unsigned)
        }
        (left, right) => {
            let (left, right) = (float(left), float(right));
            let result = match op {
                BinaryOp::Add => left + right,
                BinaryOp::Sub => left - right,
                BinaryOp::Mul => left * right,
                BinaryOp::Div => left / right,
                BinaryOp::Rem => left % right,
                _ => return unsupported("floats have no bits to compute with"),
            };
            Ok(Value::Float64(result))
        }
    }
}

fn integers(op: BinaryOp, left: i128, right: i128, is_unsigned: bool) -> Result<Value, NotKnown> {
    let shift = u32::try_from(right).ok().filter(|shift| *shift < 64);
    let result = match op {
        BinaryOp::Add => left.checked_add(right),
        BinaryOp::Sub => left.checked_sub(right),
        BinaryOp::Mul => left.checked_mul(right),
        BinaryOp::Div | BinaryOp::Rem if right == 0 => return unsupported("division by zero"),
        BinaryOp::Div => left.checked_div(right),
        BinaryOp::Rem => left.checked_rem(right),
        BinaryOp::BitAnd => Some(left & right),
        BinaryOp::BitOr => Some(left | right),
        BinaryOp::BitXor => Some(left ^ right),
        BinaryOp::Shl => shift.and_then(|shift| left.checked_mul(1_i128 << shift)),
        BinaryOp::Shr => shift.map(|shift| left >> shift),
        _ => None,
    };
    let fits = |result: &i128| match is_unsigned {
        true => *result >= 0 && u64::try_from(*result).is_ok(),
        false => (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(result),
    };
    match result.filter(fits) {
        Some(result) if is_unsigned => Ok(Value::Uint(result.unsigned_abs())),
        Some(result) => Ok(Value::Int(result, BITS)),
        None => unsupported("the result wraps around in the program's type"),
    }
}

/// `-x`, `!x`, `~x`.
pub(super) fn unary(op: UnaryOp, value: &Value, is_rust: bool) -> Result<Value, NotKnown> {
    let bits = match (op, value) {
        (UnaryOp::Neg, Value::Float32(value)) => return Ok(Value::Float32(-value)),
        (UnaryOp::Neg, Value::Float64(value)) => return Ok(Value::Float64(-value)),
        (UnaryOp::Neg, value) => {
            let number = whole(value)
                .filter(|number| !matches!(value, Value::Uint(1..)) && *number != i128::MIN);
            return match number {
                Some(number) => Ok(Value::Int(-number, BITS)),
                None => unsupported(format!("the sign of {} cannot be turned", compact(value))),
            };
        }
        (UnaryOp::Not, Value::Bool(value)) => return Ok(Value::Bool(!value)),
        (UnaryOp::Not, value) if !is_rust || !matches!(value, Value::Int(..) | Value::Uint(_)) => {
            return match super::truth(value) {
                Some(is) => Ok(Value::Bool(!is)),
                None => unsupported(format!("{} is not true or false", compact(value))),
            };
        }
        (_, value) => value,
    };
    match bits {
        Value::Int(number, bits) => Ok(Value::Int(!number, *bits)),
        _ => unsupported(
            "the bits of an unsigned number cannot be inverted: its width is not recorded",
        ),
    }
}

/// A cast to a number.
pub(super) fn cast(value: &Value, ty: &str) -> Result<Value, NotKnown> {
    let Some(to) = number_type(ty) else {
        return unsupported(format!("recorded values are not cast to `{ty}`"));
    };
    let Some(from) = number(value) else {
        return unsupported(format!("{} is no number", compact(value)));
    };
    let (bits, is_signed) = match (to, from) {
        (NumberType::Float(32), from) => return Ok(Value::Float32(float(from) as f32)),
        (NumberType::Float(_), from) => return Ok(Value::Float64(float(from))),
        (NumberType::Whole { bits, is_signed }, _) => (bits, is_signed),
    };
    let number = match from {
        Numeral::Whole(number, _) => number,
        Numeral::Float(float) => {
            let limit = 2_f64.powi(if is_signed {
                bits as i32 - 1
            } else {
                bits as i32
            });
            if !(float > -limit - 1.0 && float < limit) || !is_signed && float <= -1.0 {
                return unsupported(format!("{float} does not fit `{ty}`"));
            }
            float as i128
        }
    };
    let unused = 128 - bits;
    Ok(match is_signed {
        true => Value::Int(number << unused >> unused, bits),
        false => Value::Uint((number as u128) << unused >> unused),
    })
}

/// A type of numbers.
#[derive(Clone, Copy)]
enum NumberType {
    Whole { bits: u32, is_signed: bool },
    Float(u32),
}

fn number_type(ty: &str) -> Option<NumberType> {
    let whole = |bits, is_signed| Some(NumberType::Whole { bits, is_signed });
    match ty.split_whitespace().collect::<Vec<_>>().join(" ").as_str() {
        "i8" | "int8_t" | "signed char" => whole(8, true),
        "u8" | "uint8_t" | "unsigned char" => whole(8, false),
        "i16" | "int16_t" | "short" | "short int" => whole(16, true),
        "u16" | "uint16_t" | "unsigned short" | "unsigned short int" => whole(16, false),
        "i32" | "int32_t" | "int" => whole(32, true),
        "u32" | "uint32_t" | "unsigned" | "unsigned int" => whole(32, false),
        "i64" | "int64_t" | "isize" | "ssize_t" | "intptr_t" | "ptrdiff_t" | "long"
        | "long int" | "long long" => whole(64, true),
        "u64" | "uint64_t" | "usize" | "size_t" | "uintptr_t" | "unsigned long"
        | "unsigned long int" | "unsigned long long" => whole(64, false),
        "f32" | "float" => Some(NumberType::Float(32)),
        "f64" | "double" => Some(NumberType::Float(64)),
        _ => None,
    }
}

/// The order of two texts. `None` if one of them is cut before they differ.
fn text_order(one: &Text, two: &Text) -> Option<Ordering> {
    let shared = one.bytes.len().min(two.bytes.len());
    let (left, right) = (one.bytes.get(..shared)?, two.bytes.get(..shared)?);
    match left.cmp(right) {
        Ordering::Equal => {}
        order => return Some(order),
    }
    // A text that is cut is longer than what is there of it.
    match (one.cut, two.cut) {
        (None, None) => Some(one.bytes.len().cmp(&two.bytes.len())),
        (Some(_), None) if two.bytes.len() == shared => Some(Ordering::Greater),
        (None, Some(_)) if one.bytes.len() == shared => Some(Ordering::Less),
        _ => None,
    }
}

pub(super) fn starts_with(text: &Text, wanted: &Text) -> Option<bool> {
    let shared = text.bytes.len().min(wanted.bytes.len());
    let is_same = text.bytes.get(..shared)? == wanted.bytes.get(..shared)?;
    match (is_same, text.bytes.len() < wanted.bytes.len(), text.cut) {
        (true, true, Some(_)) => None,
        (is_same, is_short, _) => Some(is_same && !is_short),
    }
}

pub(super) fn ends_with(text: &Text, wanted: &Text) -> Option<bool> {
    match text.cut {
        Some(_) => None,
        None => Some(text.bytes.ends_with(&wanted.bytes)),
    }
}

pub(super) fn contains(text: &Text, wanted: &Text) -> Option<bool> {
    let found =
        wanted.bytes.is_empty() || memchr::memmem::find(&text.bytes, &wanted.bytes).is_some();
    match (found, text.cut) {
        (true, _) => Some(true),
        (false, None) => Some(false),
        (false, Some(_)) => None,
    }
}
