//! Values as text, in the style of Rust's `{:?}` and `{:#?}` for all languages.
//!
//! Debug style escapes control characters. Display style writes text as it is; the sinks escape it.

use std::fmt::{self, Write};
use std::time::Duration;

use super::{Cut, Map, OmittedFields, Pointer, Sequence, Struct, Text, Value, Variant};
use crate::lang::ast::{Align, Format, FormatStyle};

/// The name that C's anonymous structs have here.
const ANONYMOUS: &str = "{...}";

/// Debug style on one line.
pub const DEBUG: Format = Format {
    style: FormatStyle::Debug,
    alternate: false,
    width: None,
    zero: false,
    precision: None,
    align: None,
    fill: None,
    plus: false,
};

impl fmt::Display for Value {
    /// `{}` writes debug style on one line, `{:#}` as `{:#?}` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternate = f.alternate();
        write(f, self, Format { alternate, ..DEBUG })
    }
}

/// Writes a value in a format.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut dyn Write, value: &Value, format: Format) -> fmt::Result {
    match (value, format.style) {
        (Value::Text(text), FormatStyle::Display) => {
            let text = plain(text);
            pad(out, &text, format, Align::Left)
        }
        (Value::Char(c), FormatStyle::Display) => {
            pad(out, c.encode_utf8(&mut [0; 4]), format, Align::Left)
        }
        (Value::Pointer(pointer), FormatStyle::Display)
            if pointer.transparent && pointer.target.is_some() =>
        {
            match &pointer.target {
                Some(target) => write(out, target, format),
                None => Ok(()),
            }
        }
        (Value::Pointer(pointer), FormatStyle::Pointer) => pad(
            out,
            &format!("{:#x}", pointer.address),
            format,
            Align::Right,
        ),
        (Value::Int(value, _), FormatStyle::Pointer) => write!(out, "{value:#x}"),
        (Value::Uint(value), FormatStyle::Pointer) => write!(out, "{value:#x}"),
        _ => Writer {
            out,
            format,
            indent: 0,
        }
        .value(value),
    }
}

/// A value in a format, as a string.
#[must_use]
pub fn to_string(value: &Value, format: Format) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, value, format);
    out
}

struct Writer<'w> {
    out: &'w mut dyn Write,
    format: Format,
    indent: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) -> fmt::Result {
        match value {
            Value::Int(number, bits) if number.is_negative() && self.is_of_bits() => {
                // Rust and C show the two's complement with as many bits as the type has.
                let unused = 128_u32.saturating_sub(*bits);
                let number = (*number as u128)
                    .unbounded_shl(unused)
                    .unbounded_shr(unused);
                self.integer(false, number)
            }
            Value::Int(number, _) => self.integer(number.is_negative(), number.unsigned_abs()),
            Value::Uint(number) => self.integer(false, *number),
            Value::Nanoseconds(ns) => self.duration(Duration::from_nanos(*ns)),
            Value::Bool(value) => pad(
                self.out,
                if *value { "true" } else { "false" },
                self.format,
                Align::Left,
            ),
            Value::Char(c) => write!(self.out, "{c:?}"),
            Value::Float32(value) => self.float(f64::from(*value), *value),
            Value::Float64(value) => self.float(*value, *value),
            Value::Text(text) => quoted(self.out, text),
            Value::Unit => self.out.write_str("()"),
            Value::Duration(value) => self.duration(*value),
            Value::Range(range) => {
                let [start, end] = &**range;
                self.value(start)?;
                self.out.write_str("..")?;
                self.value(end)
            }
            Value::Struct(value) => self.structure(value),
            Value::Tuple(items) => self.tuple(items),
            Value::Variant(variant) => self.variant(variant),
            Value::Sequence(sequence) => self.sequence(sequence),
            Value::Map(map) => self.map(map),
            Value::Pointer(pointer) => self.pointer(pointer),
            Value::Unavailable(why) => write!(self.out, "<{why}>"),
        }
    }

    /// Returns true if the format shows the bits of integers.
    const fn is_of_bits(&self) -> bool {
        matches!(
            self.format.style,
            FormatStyle::LowerHex
                | FormatStyle::UpperHex
                | FormatStyle::Octal
                | FormatStyle::Binary
        )
    }

    fn integer(&mut self, negative: bool, number: u128) -> fmt::Result {
        let format = self.format;
        let is_plain = matches!(
            format.style,
            FormatStyle::Display | FormatStyle::Debug | FormatStyle::Pointer
        );
        if is_plain && format.width.is_none() && !format.plus {
            // The common case, without a string between the number and the message.
            let sign = if negative { "-" } else { "" };
            return match u64::try_from(number) {
                Ok(number) => write!(self.out, "{sign}{number}"),
                Err(_) => write!(self.out, "{sign}{number}"),
            };
        }
        let (prefix, digits) = match format.style {
            FormatStyle::LowerHex => ("0x", format!("{number:x}")),
            FormatStyle::UpperHex => ("0x", format!("{number:X}")),
            FormatStyle::Octal => ("0o", format!("{number:o}")),
            FormatStyle::Binary => ("0b", format!("{number:b}")),
            FormatStyle::LowerExp => ("", format!("{number:e}")),
            FormatStyle::Display | FormatStyle::Debug | FormatStyle::Pointer => {
                ("", number.to_string())
            }
        };
        let sign = match negative {
            true => "-",
            false => plus(format),
        };
        let prefix = if format.alternate { prefix } else { "" };
        zero_padded(self.out, sign, prefix, &digits, format)
    }

    fn float<F: fmt::Debug + fmt::Display + fmt::LowerExp>(
        &mut self,
        wide: f64,
        value: F,
    ) -> fmt::Result {
        let text = match (self.format.style, self.format.precision) {
            (FormatStyle::LowerExp, Some(digits)) => format!("{value:.*e}", usize::from(digits)),
            (FormatStyle::LowerExp, None) => format!("{value:e}"),
            (_, Some(digits)) => format!("{value:.*}", usize::from(digits)),
            _ => format!("{value:?}"),
        };
        if !wide.is_finite() {
            return pad(self.out, &text, self.format, Align::Right);
        }
        match text.strip_prefix('-') {
            Some(digits) => zero_padded(self.out, "-", "", digits, self.format),
            None => zero_padded(self.out, plus(self.format), "", &text, self.format),
        }
    }

    fn duration(&mut self, value: Duration) -> fmt::Result {
        let text = match self.format.precision {
            Some(digits) => format!("{value:.*?}", usize::from(digits)),
            None => format!("{value:?}"),
        };
        pad(self.out, &text, self.format, Align::Left)
    }

    fn structure(&mut self, value: &Struct) -> fmt::Result {
        let name = match value.name.as_str() {
            // An anonymous struct.
            ANONYMOUS => "",
            name => name,
        };
        self.fields(name, &value.fields, value.has_more)
    }

    /// A variant. A waiting coroutine has its line: `Suspend0 at line 63 { … }`.
    fn variant(&mut self, variant: &Variant) -> fmt::Result {
        let title = variant.title();
        match variant.omitted {
            None => self.fields(&title, &variant.fields, false),
            Some(omitted) => {
                escaped(self.out, &title)?;
                self.out.write_str(match omitted {
                    OmittedFields::Tuple => "(…)",
                    OmittedFields::Named => " { … }",
                })
            }
        }
    }

    /// `Name`, `Name(a, b)`, `Name { x: a }`, `Name { x: a, .. }`.
    fn fields(&mut self, name: &str, fields: &[(String, Value)], has_more: bool) -> fmt::Result {
        escaped(self.out, name)?;
        if fields.is_empty() && !has_more {
            return if name.is_empty() {
                self.out.write_str("{}")
            } else {
                Ok(())
            };
        }
        let positional = fields
            .iter()
            .enumerate()
            .all(|(index, (name, _))| name.parse() == Ok(index));
        if positional && !has_more {
            self.out.write_char('(')?;
            self.items(fields.len(), None, |writer, index| {
                match fields.get(index) {
                    Some((_, value)) => writer.value(value),
                    None => Ok(()),
                }
            })?;
            return self.out.write_char(')');
        }
        let pretty = self.format.alternate;
        if !name.is_empty() {
            self.out.write_char(' ')?;
        }
        self.out.write_str(if pretty { "{" } else { "{ " })?;
        let count = fields.len() + usize::from(has_more);
        self.items(count, None, |writer, index| match fields.get(index) {
            Some((name, value)) => {
                escaped(writer.out, name)?;
                writer.out.write_str(": ")?;
                writer.value(value)
            }
            None => writer.out.write_str(".."),
        })?;
        self.out.write_str(if pretty { "}" } else { " }" })
    }

    fn tuple(&mut self, items: &[Value]) -> fmt::Result {
        self.out.write_char('(')?;
        self.items(items.len(), None, |writer, index| match items.get(index) {
            Some(value) => writer.value(value),
            None => Ok(()),
        })?;
        if items.len() == 1 && !self.format.alternate {
            self.out.write_char(',')?;
        }
        self.out.write_char(')')
    }

    fn sequence(&mut self, sequence: &Sequence) -> fmt::Result {
        let (open, close) = if sequence.set { ('{', '}') } else { ('[', ']') };
        self.out.write_char(open)?;
        let items = &sequence.items;
        self.items(items.len(), sequence.cut, |writer, index| {
            match items.get(index) {
                Some(value) => writer.value(value),
                None => Ok(()),
            }
        })?;
        self.out.write_char(close)
    }

    fn map(&mut self, map: &Map) -> fmt::Result {
        self.out.write_char('{')?;
        let entries = &map.entries;
        self.items(entries.len(), map.cut, |writer, index| {
            match entries.get(index) {
                Some((key, value)) => {
                    writer.value(key)?;
                    writer.out.write_str(": ")?;
                    writer.value(value)
                }
                None => Ok(()),
            }
        })?;
        self.out.write_char('}')
    }

    /// Items with commas between them, on separate lines in pretty style.
    fn items(
        &mut self,
        count: usize,
        cut: Option<Cut>,
        mut item: impl FnMut(&mut Self, usize) -> fmt::Result,
    ) -> fmt::Result {
        let pretty = self.format.alternate;
        let all = count + usize::from(cut.is_some());
        if all == 0 {
            return Ok(());
        }
        self.indent += 1;
        for index in 0..all {
            if pretty {
                self.line()?;
            } else if index > 0 {
                self.out.write_str(", ")?;
            }
            match cut {
                Some(cut) if index == count => self.cut(cut)?,
                _ => item(self, index)?,
            }
            if pretty {
                self.out.write_char(',')?;
            }
        }
        self.indent -= 1;
        if pretty {
            self.line()?;
        }
        Ok(())
    }

    fn cut(&mut self, cut: Cut) -> fmt::Result {
        match cut.of {
            Some(of) => write!(self.out, "… {of} in all"),
            None => self.out.write_str("…"),
        }
    }

    fn line(&mut self) -> fmt::Result {
        self.out.write_char('\n')?;
        for _ in 0..self.indent {
            self.out.write_str("    ")?;
        }
        Ok(())
    }

    fn pointer(&mut self, pointer: &Pointer) -> fmt::Result {
        if let (true, Some(target)) = (pointer.transparent, &pointer.target) {
            return self.value(target);
        }
        write!(self.out, "{:#x}", pointer.address)?;
        if let Some(symbol) = &pointer.symbol {
            self.out.write_str(" <")?;
            escaped(self.out, symbol)?;
            self.out.write_char('>')?;
        }
        if let Some(target) = &pointer.target {
            self.out.write_str(" -> ")?;
            self.value(target)?;
        }
        Ok(())
    }
}

/// A name from the debug information without control characters.
fn escaped(out: &mut dyn Write, name: &str) -> fmt::Result {
    for c in name.chars() {
        if c.is_control() {
            write!(out, "{}", c.escape_default())?;
        } else {
            out.write_char(c)?;
        }
    }
    Ok(())
}

/// Text in quotes, escaped as in Rust. Bytes that are not UTF-8 become `
///
/// xNN`.
fn quoted(out: &mut dyn Write, text: &Text) -> fmt::Result {
    out.write_char('"')?;
    for chunk in whole(text).utf8_chunks() {
        let quoted = format!("{:?}", chunk.valid());
        let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        out.write_str(inner)?;
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}")?;
        }
    }
    out.write_char('"')?;
    match text.cut {
        Some(Cut { of: Some(of) }) => write!(out, "… {of} bytes in all"),
        Some(Cut { of: None }) => out.write_str("…"),
        None => Ok(()),
    }
}

/// Text without quotes. Bytes that are not UTF-8 become `
///
/// xNN`.
fn plain(text: &Text) -> String {
    let mut out = String::with_capacity(text.bytes.len());
    for chunk in whole(text).utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    if text.cut.is_some() {
        out.push('…');
    }
    out
}

/// The bytes of a text without an incomplete character at its cut.
fn whole(text: &Text) -> &[u8] {
    match std::str::from_utf8(&text.bytes) {
        Err(error) if text.cut.is_some() && error.error_len().is_none() => {
            text.bytes.get(..error.valid_up_to()).unwrap_or_default()
        }
        _ => &text.bytes,
    }
}

/// The sign of a number that is not negative.
const fn plus(format: Format) -> &'static str {
    if format.plus { "+" } else { "" }
}

/// Text in a field of the format's width.
fn pad(out: &mut dyn Write, text: &str, format: Format, default: Align) -> fmt::Result {
    let text: &str = match format.precision {
        Some(most) => text
            .char_indices()
            .nth(usize::from(most))
            .and_then(|(at, _)| text.get(..at))
            .unwrap_or(text),
        None => text,
    };
    let missing = usize::from(format.width.unwrap_or(0)).saturating_sub(text.chars().count());
    let before = match format.align.unwrap_or(default) {
        Align::Left => 0,
        Align::Center => missing / 2,
        Align::Right => missing,
    };
    let fill = format.fill.unwrap_or(' ');
    for _ in 0..before {
        out.write_char(fill)?;
    }
    out.write_str(text)?;
    for _ in before..missing {
        out.write_char(fill)?;
    }
    Ok(())
}

/// A number in a field. Zeros fill it between prefix and digits.
fn zero_padded(
    out: &mut dyn Write,
    sign: &str,
    prefix: &str,
    digits: &str,
    format: Format,
) -> fmt::Result {
    let used = sign.len() + prefix.len() + digits.len();
    let width = usize::from(format.width.unwrap_or(0));
    let format = Format {
        precision: None,
        ..format
    };
    if format.zero && used < width {
        let zeros = "0".repeat(width - used);
        return write!(out, "{sign}{prefix}{zeros}{digits}");
    }
    pad(
        out,
        &format!("{sign}{prefix}{digits}"),
        format,
        Align::Right,
    )
}
