//! Words, numbers, texts and operators of an expression.

use num_bigint::BigInt;
use num_traits::Num as _;

use super::error::SyntaxError;
use super::syntax::Literal;
use crate::heap::{PyBytes, PyText};

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExprToken {
    /// A name or keyword.
    Word(String),
    /// A number or text.
    Literal(Literal),
    /// An operator or bracket.
    Symbol(&'static str),
}

/// Operators and brackets. Longer ones are first.
const SYMBOLS: [&str; 29] = [
    "**", "//", "<<", ">>", "<=", ">=", "==", "!=", ":=", "+", "-", "*", "/", "%", "&", "|", "^",
    "~", "<", ">", "(", ")", "[", "]", "{", "}", ".", ",", ":",
];

fn mistake(at: usize, message: impl Into<String>) -> SyntaxError {
    SyntaxError {
        at,
        message: message.into(),
    }
}

/// The tokens of a text, with their positions.
pub(super) fn tokens(text: &str) -> Result<Vec<(ExprToken, usize)>, SyntaxError> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = token(rest, first).map_err(|error| SyntaxError {
            at: at + error.at,
            ..error
        })?;
        all.push((token, at));
        at += length;
    }
    Ok(all)
}

/// The first token of a text, and its length.
fn token(text: &str, first: char) -> Result<(ExprToken, usize), SyntaxError> {
    let second = text.chars().nth(1);
    if first.is_ascii_digit() || first == '.' && second.is_some_and(|c| c.is_ascii_digit()) {
        return number(text);
    }
    if matches!(first, '"' | '\'') {
        return quoted(text, "");
    }
    if first.is_alphabetic() || first == '_' {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        let word = &text[..end.unwrap_or(text.len())];
        let is_prefix = matches!(word, "b" | "B" | "r" | "R" | "u" | "U");
        if is_prefix && text[word.len()..].starts_with(['"', '\'']) {
            return quoted(&text[word.len()..], &word.to_ascii_lowercase())
                .map(|(token, length)| (token, length + word.len()));
        }
        return Ok((ExprToken::Word(word.to_owned()), word.len()));
    }
    let symbol = SYMBOLS.iter().find(|symbol| text.starts_with(**symbol));
    match symbol {
        Some(symbol) => Ok((ExprToken::Symbol(symbol), symbol.len())),
        None => Err(mistake(0, format!("unexpected `{first}`"))),
    }
}

/// A number.
fn number(text: &str) -> Result<(ExprToken, usize), SyntaxError> {
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(rest) = lower.strip_prefix(prefix) {
            let end = rest.find(|c: char| !c.is_digit(radix) && c != '_');
            let digits = &rest[..end.unwrap_or(rest.len())];
            let value = BigInt::from_str_radix(&digits.replace('_', ""), radix);
            let value = value.map_err(|_| mistake(0, "a number has no digits"))?;
            return Ok((
                ExprToken::Literal(Literal::Int(value)),
                prefix.len() + digits.len(),
            ));
        }
    }
    let bytes = lower.as_bytes();
    let digits = |mut at: usize| {
        while bytes
            .get(at)
            .is_some_and(|c| c.is_ascii_digit() || *c == b'_')
        {
            at += 1;
        }
        at
    };
    let mut end = digits(0);
    let mut is_float = false;
    if bytes.get(end) == Some(&b'.') {
        is_float = true;
        end = digits(end + 1);
    }
    if bytes.get(end) == Some(&b'e') {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            is_float = true;
            end = digits(end + 1 + sign);
        }
    }
    let written = lower.get(..end).unwrap_or_default().replace('_', "");
    if lower
        .get(end..)
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()))
    {
        return Err(mistake(end, "unexpected letter behind a number"));
    }
    let literal = if is_float {
        let value = written.parse::<f64>();
        Literal::Float(value.map_err(|_| mistake(0, "not a number"))?)
    } else {
        let value = written.parse::<BigInt>();
        Literal::Int(value.map_err(|_| mistake(0, "not a number"))?)
    };
    Ok((ExprToken::Literal(literal), end))
}

/// A text in quotes, with a prefix before it.
fn quoted(text: &str, prefix: &str) -> Result<(ExprToken, usize), SyntaxError> {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('"', |(_, quote)| quote);
    let mut points: Vec<u32> = Vec::new();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let length = at + c.len_utf8();
            return Ok((ExprToken::Literal(text_literal(points, prefix)?), length));
        }
        if c != '\\' || prefix == "r" {
            points.push(c.into());
            continue;
        }
        let Some((_, escaped)) = chars.next() else {
            break;
        };
        let digits = match escaped {
            'x' => 2,
            'u' if prefix != "b" => 4,
            'U' if prefix != "b" => 8,
            _ => 0,
        };
        if digits > 0 {
            let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
            let point = u32::from_str_radix(&hex, 16).ok();
            let point = point.filter(|point| hex.len() == digits && *point < 0x11_0000);
            points.push(point.ok_or_else(|| mistake(at, "an escape is incomplete"))?);
            continue;
        }
        match escaped {
            'n' => points.push(10),
            'r' => points.push(13),
            't' => points.push(9),
            '0' => points.push(0),
            '\\' | '\'' | '"' => points.push(escaped.into()),
            // As in Python, other escapes stand for themselves.
            other => points.extend([u32::from('\\'), other.into()]),
        }
    }
    Err(mistake(0, "a text has no end"))
}

fn text_literal(points: Vec<u32>, prefix: &str) -> Result<Literal, SyntaxError> {
    let of = points.len() as u64;
    if prefix != "b" {
        return Ok(Literal::Str(PyText { chars: points, of }));
    }
    let bytes: Result<Vec<u8>, _> = points.into_iter().map(u8::try_from).collect();
    match bytes {
        Ok(bytes) => Ok(Literal::Bytes(PyBytes { bytes, of })),
        Err(_) => Err(mistake(0, "bytes can only have ASCII characters")),
    }
}
