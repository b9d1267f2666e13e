//! The text of values.

use std::fmt::{self, Write as _};

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use super::numbers::{complex_repr, float_repr};
use super::{PyCall, PyEntries, PyInstance, PyItems, PyMember, PyValue};
use crate::heap::{PyBytes, PyText};

/// How values are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReprStyle {
    /// As `repr()` writes them: an object without a `__repr__` is `<module.Class object at 0x…>`.
    #[default]
    Repr,
    /// With the attributes of such objects: `<module.Class object at 0x… a=1, b=2>`.
    Fields,
}

impl PyValue {
    /// The text of the value.
    #[must_use]
    pub fn to_text(&self, style: ReprStyle) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write(&mut text, self, style);
        text
    }

    /// The text of `str()`: a text without quotes, and all else as `repr()` has it.
    #[must_use]
    pub fn to_str(&self, style: ReprStyle) -> String {
        match self {
            Self::Str(text) if text.is_cut() => format!("{}…", text.to_lossy()),
            Self::Str(text) => text.to_lossy(),
            _ => self.to_text(style),
        }
    }
}

impl fmt::Display for PyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(ReprStyle::Repr))
    }
}

fn write(out: &mut String, value: &PyValue, style: ReprStyle) -> fmt::Result {
    match value {
        PyValue::None => out.push_str("None"),
        PyValue::Ellipsis => out.push_str("Ellipsis"),
        PyValue::NotImplemented => out.push_str("NotImplemented"),
        PyValue::Bool(true) => out.push_str("True"),
        PyValue::Bool(false) => out.push_str("False"),
        PyValue::Int(number) => write!(out, "{number}")?,
        PyValue::HugeInt { digits } => write!(out, "<int of {} bits>", digits.saturating_mul(30))?,
        PyValue::Float(number) => out.push_str(&float_repr(*number)),
        PyValue::Complex { real, imaginary } => out.push_str(&complex_repr(*real, *imaginary)),
        PyValue::Str(text) => write_text(out, text)?,
        PyValue::Bytes(bytes) => write_bytes(out, bytes)?,
        PyValue::List(items) => write_items(out, items, ["[", "]"], style)?,
        PyValue::Tuple(items) => {
            let end = if items.of == 1 { ",)" } else { ")" };
            write_items(out, items, ["(", end], style)?;
        }
        PyValue::Set(items) => write_items(out, items, ["{", "}"], style)?,
        PyValue::Dict(entries) => write_entries(out, entries, style)?,
        PyValue::Call(call) => write_call(out, call, style)?,
        PyValue::Member(member) => write_member(out, member, style)?,
        PyValue::Instance(instance) => write_instance(out, instance, style)?,
        PyValue::Described(text) | PyValue::Recursion(text) => out.push_str(text),
        PyValue::Method { function, of } => {
            write!(out, "<bound method {function} of ")?;
            write(out, of, style)?;
            out.push('>');
        }
        PyValue::Omitted => out.push('…'),
        PyValue::Unavailable(reason) => write!(out, "<unavailable: {reason}>")?,
    }
    Ok(())
}

fn write_items(
    out: &mut String,
    items: &PyItems,
    ends: [&str; 2],
    style: ReprStyle,
) -> fmt::Result {
    let [open, close] = ends;
    out.push_str(open);
    for (at, item) in items.items.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(out, item, style)?;
    }
    write_cut(out, items.items.len(), items.of);
    out.push_str(close);
    Ok(())
}

/// Marks that there is more than what is shown.
fn write_cut(out: &mut String, shown: usize, of: u64) {
    if of > shown as u64 {
        out.push_str(if shown > 0 { ", …" } else { "…" });
        // Writing to a string cannot fail.
        let _ = write!(out, " {of} in all");
    }
}

fn write_entries(out: &mut String, entries: &PyEntries, style: ReprStyle) -> fmt::Result {
    out.push('{');
    for (at, (key, value)) in entries.entries.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        write(out, key, style)?;
        out.push_str(": ");
        write(out, value, style)?;
    }
    write_cut(out, entries.entries.len(), entries.of);
    out.push('}');
    Ok(())
}

fn write_call(out: &mut String, call: &PyCall, style: ReprStyle) -> fmt::Result {
    write!(out, "{}(", call.name)?;
    for (at, argument) in call.arguments.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        if let Some(name) = &argument.name {
            write!(out, "{name}=")?;
        }
        write(out, &argument.value, style)?;
    }
    write_cut(out, call.arguments.len(), call.of);
    out.push(')');
    Ok(())
}

fn write_member(out: &mut String, member: &PyMember, style: ReprStyle) -> fmt::Result {
    match &member.name {
        Some(name) => write!(out, "<{}.{name}: ", member.class)?,
        None => write!(out, "<{}: ", member.class)?,
    }
    write(out, &member.value, style)?;
    out.push('>');
    Ok(())
}

fn write_instance(out: &mut String, instance: &PyInstance, style: ReprStyle) -> fmt::Result {
    write!(out, "<{} object at {:#x}", instance.class, instance.address)?;
    if style == ReprStyle::Fields && instance.of > 0 {
        for (at, (name, value)) in instance.fields.iter().enumerate() {
            out.push_str(if at > 0 { ", " } else { " " });
            write!(out, "{name}=")?;
            write(out, value, style)?;
        }
        write_cut(out, instance.fields.len(), instance.of);
    }
    out.push('>');
    Ok(())
}

/// Writes a text in quotes, as `str.__repr__` does.
fn write_text(out: &mut String, text: &PyText) -> fmt::Result {
    let quote = quote_for(text.chars.iter().copied());
    out.push(quote);
    for point in &text.chars {
        match char::from_u32(*point) {
            Some(c @ ('\\' | '\'' | '"')) if c == quote || c == '\\' => {
                out.push('\\');
                out.push(c);
            }
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(c) if is_printable(c) => out.push(c),
            // A surrogate, or a character that Python does not print.
            _ => match *point {
                0..=0xff => write!(out, "\\x{point:02x}")?,
                0x100..=0xffff => write!(out, "\\u{point:04x}")?,
                _ => write!(out, "\\U{point:08x}")?,
            },
        }
    }
    out.push(quote);
    if text.is_cut() {
        write!(out, "… {} characters in all", text.of)?;
    }
    Ok(())
}

/// Writes bytes in quotes, as `bytes.__repr__` does.
fn write_bytes(out: &mut String, bytes: &PyBytes) -> fmt::Result {
    let quote = quote_for(bytes.bytes.iter().copied().map(u32::from));
    out.push('b');
    out.push(quote);
    for byte in &bytes.bytes {
        match byte {
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x20..=0x7e if char::from(*byte) == quote => write!(out, "\\{quote}")?,
            0x20..=0x7e => out.push(char::from(*byte)),
            _ => write!(out, "\\x{byte:02x}")?,
        }
    }
    out.push(quote);
    if bytes.is_cut() {
        write!(out, "… {} bytes in all", bytes.of)?;
    }
    Ok(())
}

/// Double quotes for a text with single ones and without double ones.
fn quote_for(mut chars: impl Iterator<Item = u32> + Clone) -> char {
    let has_double = chars.clone().any(|point| point == u32::from('"'));
    if chars.any(|point| point == u32::from('\'')) && !has_double {
        '"'
    } else {
        '\''
    }
}

/// `str.isprintable` of one character.
///
/// New versions of Unicode have more characters: here that of the crate counts.
fn is_printable(c: char) -> bool {
    if c == ' ' {
        return true;
    }
    !matches!(
        c.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::Surrogate
            | GeneralCategory::PrivateUse
            | GeneralCategory::Unassigned
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::SpaceSeparator
    )
}
