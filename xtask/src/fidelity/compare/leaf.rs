//! Brings numbers and texts of both sides into one form.

use serde_json::Value;

/// Returns our integer in decimal.
pub(super) fn numeric(ours: &Value) -> Option<String> {
    match ours {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => text
            .parse::<i128>()
            .ok()
            .map(|n| n.to_string())
            .or_else(|| text.parse::<u128>().ok().map(|n| n.to_string())),
        _ => None,
    }
}

/// Returns our integer.
pub(super) fn integer(ours: &Value) -> Option<i128> {
    match ours {
        Value::Number(number) => number.as_i128(),
        _ => None,
    }
}

/// Returns true if our float has the bits that gdb read.
pub(super) fn float(gdb: &Value, ours: &Value) -> bool {
    let Some(bytes) = gdb["bits"].as_str().and_then(hex) else {
        return false;
    };
    let text = match ours {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return false,
    };
    match gdb["size"].as_u64() {
        Some(4) => {
            let theirs = bytes.try_into().map(f32::from_le_bytes);
            let (Ok(theirs), Ok(ours)) = (theirs, text.parse::<f32>()) else {
                return false;
            };
            theirs.to_bits() == ours.to_bits() || (theirs.is_nan() && ours.is_nan())
        }
        Some(8) => {
            let theirs = bytes.try_into().map(f64::from_le_bytes);
            let (Ok(theirs), Ok(ours)) = (theirs, text.parse::<f64>()) else {
                return false;
            };
            theirs.to_bits() == ours.to_bits() || (theirs.is_nan() && ours.is_nan())
        }
        _ => extended(&bytes).is_some_and(|theirs| text.parse() == Ok(theirs)),
    }
}

/// Returns the value of an x87 float, if 64 bits can hold it.
fn extended(bytes: &[u8]) -> Option<f64> {
    let mantissa = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let top = u16::from_le_bytes(bytes.get(8..10)?.try_into().ok()?);
    let exponent = i32::from(top & 0x7fff) - 16383 - 63;
    let sign = if top & 0x8000 == 0 { 1.0 } else { -1.0 };
    Some(sign * mantissa as f64 * f64::from(exponent).exp2())
}

/// Returns the bytes of a hexadecimal text.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Returns the bytes of our text, and their total number if it was cut.
pub(super) fn bytes_of_ours(ours: &Value) -> Option<(Vec<u8>, Option<u64>)> {
    if let Some(text) = ours.as_str() {
        return Some((text.as_bytes().to_vec(), None));
    }
    let of = ours
        .get("$cut")
        .map(|cut| cut["of"].as_u64().unwrap_or(u64::MAX));
    if let Some(text) = ours.get("text").and_then(Value::as_str) {
        return Some((text.as_bytes().to_vec(), of));
    }
    let escaped = ours.get("$bytes")?.as_str()?;
    Some((unescaped(escaped)?, of))
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(rest.get(..at)?.as_bytes());
        let escape = rest.get(at + 1..)?;
        if let Some(after) = escape.strip_prefix('\\') {
            bytes.push(b'\\');
            rest = after;
        } else {
            bytes.push(u8::from_str_radix(escape.get(1..3)?, 16).ok()?);
            rest = escape.get(3..)?;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// Returns true if our text equals gdb's, as far as both have it.
pub(super) fn text(gdb: &Value, ours: &Value) -> bool {
    let Some((bytes, of)) = bytes_of_ours(ours) else {
        return false;
    };
    let theirs = match gdb["k"].as_str() {
        Some("wide") => wide(gdb),
        _ => gdb["hex"].as_str().and_then(hex),
    };
    let Some(mut theirs) = theirs else {
        return false;
    };
    let mut all = gdb["of"].as_u64().unwrap_or(theirs.len() as u64);
    match gdb["k"].as_str() {
        Some("chars") => {
            if let Some(end) = theirs.iter().position(|byte| *byte == 0) {
                theirs.truncate(end);
                all = end as u64;
            }
        }
        Some("wide") => {
            let units = gdb["units"].as_array().map_or(0, Vec::len);
            // Neither side knows the number of bytes of a text that it cuts.
            all = match all > units as u64 {
                true => u64::MAX,
                false => theirs.len() as u64,
            };
        }
        _ => {}
    }
    let same = theirs.starts_with(&bytes) || bytes.starts_with(&theirs);
    same && of.unwrap_or(bytes.len() as u64) == all
}

/// Converts UTF-16 or UTF-32 to UTF-8.
fn wide(gdb: &Value) -> Option<Vec<u8>> {
    let units = gdb["units"].as_array()?.iter().filter_map(Value::as_u64);
    let text: Option<String> = if gdb["size"].as_u64() == Some(2) {
        let units: Vec<u16> = units.map(|unit| unit as u16).collect();
        String::from_utf16(&units).ok()
    } else {
        units.map(|unit| char::from_u32(unit as u32)).collect()
    };
    Some(text?.into_bytes())
}
