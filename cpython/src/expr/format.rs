//! Format specifications, as `format()` understands them for numbers and texts.

use num_bigint::BigInt;
use num_traits::{Signed as _, ToPrimitive as _};

use super::error::{EvalError, Evaluated};
use super::format_float::float_body;
use super::format_spec::{FormatSpec, invalid};
use super::operand::{PyNumber, PyOperand};
use crate::heap::Heap;
use crate::limits::COMPARED_TEXT;
use crate::value::{ReprStyle, ValueLimits};

/// `format(value, spec)`.
pub(super) fn format(
    heap: &Heap<'_>,
    value: &PyOperand,
    spec: &str,
    style: ReprStyle,
    limits: ValueLimits,
) -> Evaluated<String> {
    if spec.is_empty() {
        return Ok(value.value(heap, limits).to_str(style));
    }
    let parsed = FormatSpec::parse(spec)?;
    if let Some(number) = value.number(heap)? {
        return match number {
            PyNumber::Int(value) => integer(&parsed, &value, spec),
            PyNumber::Float(value) => float(&parsed, value, spec),
        };
    }
    if let Some(text) = value.text(heap)? {
        return formatted_text(&parsed, &text.to_lossy(), spec);
    }
    let class = value.class(heap);
    Err(EvalError::Type(format!("`{class}` has no format `{spec}`")))
}

/// Formats a text.
pub(super) fn formatted_text(spec: &FormatSpec, text: &str, written: &str) -> Evaluated<String> {
    let is_text = matches!(spec.kind, None | Some('s')) && spec.grouping.is_none();
    let is_zero = spec.align == Some('=') && spec.fill == Some('0');
    if !is_text || spec.sign.is_some() || spec.align == Some('=') && !is_zero {
        return Err(invalid(written));
    }
    let cut: String = text
        .chars()
        .take(spec.precision.unwrap_or(COMPARED_TEXT))
        .collect();
    // Since 3.10, a zero before the width fills a text on its right.
    let mut spec = spec.clone();
    if is_zero {
        spec.align = None;
    }
    Ok(spec.padded("", &cut, '<'))
}

fn integer(spec: &FormatSpec, value: &BigInt, written: &str) -> Evaluated<String> {
    let (radix, prefix) = match spec.kind {
        None | Some('d' | 'n') => (10, ""),
        Some('b') => (2, "0b"),
        Some('o') => (8, "0o"),
        Some('x') => (16, "0x"),
        Some('X') => (16, "0X"),
        Some('c') => {
            let c = value.to_u32().and_then(char::from_u32);
            let c = c.ok_or_else(|| invalid(written))?;
            return Ok(spec.padded("", &c.to_string(), '<'));
        }
        Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') => {
            let value = PyNumber::Int(value.clone()).to_float()?;
            return float(spec, value, written);
        }
        Some(_) => return Err(invalid(written)),
    };
    if spec.precision.is_some() || spec.grouping == Some(',') && radix != 10 {
        return Err(invalid(written));
    }
    let mut digits = value.magnitude().to_str_radix(radix);
    if spec.kind == Some('X') {
        digits.make_ascii_uppercase();
    }
    let sign = spec.sign_of(value.is_negative());
    let before = format!("{sign}{}", if spec.is_alternate { prefix } else { "" });
    let group = if radix == 10 { 3 } else { 4 };
    let body = spec.grouped(&digits, group, before.len(), 0);
    Ok(spec.padded(&before, &body, '>'))
}

fn float(spec: &FormatSpec, value: f64, written: &str) -> Evaluated<String> {
    let kind = spec.kind;
    if !matches!(
        kind,
        None | Some('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n' | '%')
    ) {
        return Err(invalid(written));
    }
    let sign = spec.sign_of(value.is_sign_negative() && !value.is_nan());
    let body = float_body(spec, value.abs());
    let whole = body
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(body.len());
    let (digits, rest) = body.split_at(whole);
    let digits = if digits.is_empty() {
        String::new()
    } else {
        spec.grouped(digits, 3, sign.len(), rest.len())
    };
    Ok(spec.padded(sign, &format!("{digits}{rest}"), '>'))
}
