//! Floats in the forms of format specifications.

use super::format_spec::FormatSpec;
use crate::value::float_repr;

/// The text of a float that is not negative.
pub(super) fn float_body(spec: &FormatSpec, value: f64) -> String {
    let upper = matches!(spec.kind, Some('E' | 'F' | 'G'));
    let body = match (value.is_finite(), spec.kind) {
        (false, kind) => {
            let name = if value.is_nan() { "nan" } else { "inf" };
            let percent = if kind == Some('%') { "%" } else { "" };
            format!("{name}{percent}")
        }
        (_, Some('e' | 'E')) => scientific(value, spec.precision.unwrap_or(6), spec.is_alternate),
        (_, Some('f' | 'F')) => fixed(value, spec.precision.unwrap_or(6), spec.is_alternate),
        (_, Some('%')) => {
            let body = fixed(
                value * 100.0,
                spec.precision.unwrap_or(6),
                spec.is_alternate,
            );
            format!("{body}%")
        }
        (_, None) if spec.precision.is_none() => float_repr(value),
        (_, kind) => general(spec, value, kind.is_none()),
    };
    if upper { body.to_uppercase() } else { body }
}

fn fixed(value: f64, precision: usize, dot: bool) -> String {
    let dot = if dot && precision == 0 { "." } else { "" };
    format!("{value:.precision$}{dot}")
}

fn scientific(value: f64, precision: usize, dot: bool) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent = exponent.parse::<i32>().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let dot = if dot && precision == 0 { "." } else { "" };
    format!("{mantissa}{dot}e{sign}{:02}", exponent.abs())
}

/// `g`: fixed or scientific, whichever is shorter. Without a type, a whole number has `.0`.
fn general(spec: &FormatSpec, value: f64, is_default: bool) -> String {
    let precision = spec.precision.unwrap_or(6).max(1);
    let rounded = format!("{value:.*e}", precision - 1);
    let exponent = rounded
        .split_once('e')
        .and_then(|(_, text)| text.parse::<i32>().ok());
    let exponent = exponent.unwrap_or(0);
    let most = precision as i32 - i32::from(is_default);
    if exponent < -4 || exponent >= most {
        let text = scientific(value, precision - 1, spec.is_alternate);
        if spec.is_alternate {
            return text;
        }
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{exponent}", trimmed(mantissa));
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    let text = fixed(value, decimals, spec.is_alternate);
    if spec.is_alternate {
        return text;
    }
    let text = trimmed(&text);
    if is_default && !text.contains('.') {
        return format!("{text}.0");
    }
    text.to_owned()
}

/// A number without zeros at the end of its fraction.
fn trimmed(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}
