//! Numbers, characters, floats and named numbers.

use std::sync::Arc;
use std::time::Duration;

use crate::base::unavailable::Unavailable;
use crate::plan::decode::View;
use crate::plan::shape::{BitsNode, BitsOf, EnumNode, Node};
use crate::value::{Cut, Text, Value, Variant};

/// Numbers, characters and the like.
pub(super) fn scalar(node: &Node, view: &View<'_>, at: u64) -> Result<Value, Unavailable> {
    Ok(match node {
        Node::Int { size, signed } => {
            integer(view.number(at, *size)?, u32::from(*size) * 8, *signed)
        }
        Node::Bits(field) => bits(field, view, at)?,
        Node::Bool { size, strict } => truth(view.number(at, *size)?, *strict)?,
        Node::Nanoseconds => Value::Nanoseconds(view.word(at)?),
        Node::Char { size } => character(view.number(at, *size)? as u32, *size)?,
        Node::Float { size: 4 } => Value::Float32(f32::from_bits(view.number(at, 4)? as u32)),
        Node::Float { size: 8 } => Value::Float64(f64::from_bits(view.word(at)?)),
        Node::Float { .. } => x87(view.number(at, 10)?)?,
        Node::Enum(node) => named(node, view.number(at, node.size)?)?,
        Node::Duration { secs, nanos } => {
            let secs = view.word(at.saturating_add(*secs))?;
            let nanos = view.number(at.saturating_add(*nanos), 4)? as u32;
            if nanos >= 1_000_000_000 {
                return Err(Unavailable::Invalid(format!("{nanos} nanoseconds")));
            }
            Value::Duration(Duration::new(secs, nanos))
        }
        Node::CharArray { len, of } => {
            let bytes = view.bytes(at, *len)?;
            let end = bytes.iter().position(|byte| *byte == 0);
            let cut = (end.is_none() && of > len).then_some(Cut { of: Some(*of) });
            let shown = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            Value::Text(Text {
                bytes: shown.to_vec(),
                cut,
            })
        }
        _ => return Err(Unavailable::Unsupported("this kind of value".into())),
    })
}

/// The value of a bit field in its declared type.
fn bits(field: &BitsNode, view: &View<'_>, at: u64) -> Result<Value, Unavailable> {
    let BitsNode {
        shift,
        bits,
        signed,
        of,
    } = field;
    let from = shift / 8;
    let size = (shift + bits).div_ceil(8) - from;
    let number = view.number(at.saturating_add(u64::from(from)), size as u8)?;
    let number = number >> (shift % 8);
    let value = integer(number, *bits, *signed);
    let number = match value {
        Value::Int(value, _) => value as u128,
        Value::Uint(value) => value,
        _ => return Ok(value),
    };
    match of {
        BitsOf::Number => Ok(value),
        BitsOf::Bool { strict } => truth(number, *strict),
        BitsOf::Char { size } => character(extended(number, *size), *size),
        BitsOf::Enum(node) => named(node, number),
    }
}

/// The low bytes of a number, zero-extended.
fn extended(number: u128, size: u8) -> u32 {
    let bits = u32::from(size.clamp(1, 4)) * 8;
    (number & (u128::MAX >> (128 - bits))) as u32
}

/// A boolean. In C it may have any number as its value.
fn truth(number: u128, strict: bool) -> Result<Value, Unavailable> {
    match number {
        0 => Ok(Value::Bool(false)),
        1 => Ok(Value::Bool(true)),
        other if strict => Err(Unavailable::Invalid(format!("a bool of {other}"))),
        other => Ok(Value::Uint(other)),
    }
}

/// An x87 float, if an `f64` holds the same number.
fn x87(bits: u128) -> Result<Value, Unavailable> {
    let (mantissa, top) = (bits as u64, (bits >> 64) as u16);
    let sign = if top & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(top & 0x7fff);
    if exponent == 0x7fff {
        let infinite = mantissa << 1 == 0;
        let value = if infinite { f64::INFINITY } else { f64::NAN };
        return Ok(Value::Float64(sign * value));
    }
    if mantissa == 0 && exponent == 0 {
        return Ok(Value::Float64(sign * 0.0));
    }
    if (mantissa >> 63 == 0) != (exponent == 0) {
        return Err(Unavailable::Invalid("a float of 80 bits".into()));
    }
    // An `f64` holds it if it has at most 53 significant bits and is in the normal range.
    let exponent = exponent - 16_383 - 63;
    let zeros = mantissa.trailing_zeros();
    let (digits, exponent) = (mantissa >> zeros, exponent + zeros as i32);
    let wide = 64 - digits.leading_zeros();
    if wide > 53 || exponent + (wide as i32) > 1024 || exponent < -1022 {
        let why = "a float of 80 bits that 64 do not hold";
        return Err(Unavailable::Unsupported(why.into()));
    }
    // The power of two alone may be out of range, so it is applied in two steps.
    let half = exponent / 2;
    let value = digits as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
    Ok(Value::Float64(sign * value))
}

fn integer(number: u128, bits: u32, signed: bool) -> Value {
    if bits == 0 || bits > 128 {
        return Value::Uint(0);
    }
    let shift = 128 - bits;
    if signed {
        Value::Int(((number << shift) as i128) >> shift, bits)
    } else {
        Value::Uint((number << shift) >> shift)
    }
}

fn character(code: u32, size: u8) -> Result<Value, Unavailable> {
    if size == 1 && code >= 0x80 {
        // A byte of an unknown encoding is not a character.
        return Ok(Value::Text(Text {
            bytes: vec![code as u8],
            cut: None,
        }));
    }
    char::from_u32(code)
        .map(Value::Char)
        .ok_or_else(|| Unavailable::Invalid(format!("a char of {code:#x}")))
}

/// The name of a number. In C a sum of names will do.
fn named(node: &EnumNode, number: u128) -> Result<Value, Unavailable> {
    let plain = integer(number, u32::from(node.size) * 8, node.signed);
    let wide = match plain {
        Value::Int(value, _) => value,
        Value::Uint(value) => value as i128,
        _ => 0,
    };
    let variant = |name: &str| {
        Ok(Value::Variant(Variant {
            ty: node.name.to_string(),
            name: name.into(),
            line: None,
            fields: Vec::new(),
            omitted: None,
        }))
    };
    if let Some((name, _)) = node.names.iter().find(|(_, value)| *value == wide) {
        return variant(name);
    }
    if !node.open {
        return Err(Unavailable::Invalid(format!("discriminant {wide}")));
    }
    let mut left = wide;
    let mut names: Vec<&Arc<str>> = Vec::new();
    for (name, value) in &node.names {
        if value.count_ones() == 1 && *value > 0 && left & value != 0 {
            left &= !value;
            names.push(name);
        }
    }
    if left == 0 && wide > 0 {
        let names: Vec<&str> = names.iter().map(|name| &***name).collect();
        return variant(&names.join(" | "));
    }
    Ok(plain)
}
