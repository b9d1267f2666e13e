//! Format specifications, as `format()` understands them for numbers and texts.

use num_bigint::BigInt;
use num_traits::{Signed as _, ToPrimitive as _};

use super::error::{EvalError, Evaluated};
use super::format_float::float_body;
use super::operand::{Number, Operand};
use crate::heap::Heap;
use crate::limits::{COMPARED_TEXT, FORMAT_WIDTH};
use crate::value::{Style, ValueLimits};

/// `[[fill]align][sign][z][#][0][width][grouping][.precision][type]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FormatSpec {
    fill: Option<char>,
    align: Option<char>,
    sign: Option<char>,
    pub(super) is_alternate: bool,
    width: usize,
    grouping: Option<char>,
    pub(super) precision: Option<usize>,
    pub(super) kind: Option<char>,
}

fn invalid(text: &str) -> EvalError {
    EvalError::Type(format!("`{text}` is no format"))
}

impl FormatSpec {
    pub(super) fn parse(text: &str) -> Evaluated<Self> {
        let mut spec = Self::default();
        let mut chars = text.chars().peekable();
        let is_align = |c: char| matches!(c, '<' | '>' | '^' | '=');
        if let Some(second) = text.chars().nth(1)
            && is_align(second)
        {
            spec.fill = chars.next();
            spec.align = chars.next();
        } else {
            spec.align = chars.next_if(|c| is_align(*c));
        }
        spec.sign = chars.next_if(|c| matches!(c, '+' | '-' | ' '));
        spec.is_alternate = chars.next_if_eq(&'#').is_some();
        if chars.next_if_eq(&'0').is_some() {
            spec.fill = spec.fill.or(Some('0'));
            spec.align = spec.align.or(Some('='));
        }
        let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut found = None;
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                let digit = digit.to_digit(10).unwrap_or(0) as usize;
                found = Some(found.unwrap_or(0usize).saturating_mul(10) + digit);
            }
            match found {
                Some(number) if number > FORMAT_WIDTH => Err(EvalError::TooLarge("a format")),
                found => Ok(found),
            }
        };
        spec.width = number(&mut chars)?.unwrap_or(0);
        spec.grouping = chars.next_if(|c| matches!(c, ',' | '_'));
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars)?.ok_or_else(|| invalid(text))?);
        }
        spec.kind = chars.next();
        match chars.next() {
            None => Ok(spec),
            Some(_) => Err(invalid(text)),
        }
    }

    /// Fills up to the width. `before` is the sign and prefix, which `=` keeps at the start.
    fn padded(&self, before: &str, body: &str, default: char) -> String {
        let length = before.chars().count() + body.chars().count();
        let missing = self.width.saturating_sub(length);
        let fill = |count: usize| String::from(self.fill.unwrap_or(' ')).repeat(count);
        match self.align.unwrap_or(default) {
            '<' => format!("{before}{body}{}", fill(missing)),
            '^' => {
                let left = missing / 2;
                format!("{}{before}{body}{}", fill(left), fill(missing - left))
            }
            '=' => format!("{before}{}{body}", fill(missing)),
            _ => format!("{}{before}{body}", fill(missing)),
        }
    }

    fn sign_of(&self, is_negative: bool) -> &'static str {
        match (is_negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        }
    }

    /// Digits with separators in groups. Zeros that fill the width are grouped as well.
    fn grouped(&self, digits: &str, group: usize, before: usize, rest: usize) -> String {
        let Some(separator) = self.grouping else {
            return digits.to_owned();
        };
        let mut all: Vec<char> = digits.chars().collect();
        if self.fill == Some('0') && self.align == Some('=') {
            let room = self.width.saturating_sub(before + rest);
            while all.len() + (all.len().saturating_sub(1)) / group < room {
                all.insert(0, '0');
                let is_full = all.len() % group == 0;
                if is_full && all.len() + all.len() / group > room {
                    break;
                }
            }
        }
        let mut text = String::new();
        for (at, digit) in all.iter().enumerate() {
            if at > 0 && (all.len() - at) % group == 0 {
                text.push(separator);
            }
            text.push(*digit);
        }
        text
    }
}

/// `format(value, spec)`.
pub(super) fn format(
    heap: &Heap<'_>,
    value: &Operand,
    spec: &str,
    style: Style,
    limits: ValueLimits,
) -> Evaluated<String> {
    if spec.is_empty() {
        return Ok(value.value(heap, limits).to_str(style));
    }
    let parsed = FormatSpec::parse(spec)?;
    if let Some(number) = value.number(heap)? {
        return match number {
            Number::Int(value) => integer(&parsed, &value, spec),
            Number::Float(value) => float(&parsed, value, spec),
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
            let value = Number::Int(value.clone()).to_float()?;
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
