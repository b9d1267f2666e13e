//! Byte strings: as text with escapes, and as a hex dump.

use super::types;
use crate::value::{Sequence, Value};

/// Bytes of a row of a hex dump, at least and at most.
const ROW: std::ops::RangeInclusive<usize> = 4..=32;
/// Share of printable bytes, in percent, above which bytes of an unknown type are shown as text, too.
const PRINTABLE: usize = 85;
/// Fewer numbers than this are no text.
const TEXT: usize = 6;

/// The bytes of a sequence whose elements are of a type of bytes.
pub(in crate::tui) fn of(sequence: &Sequence, item: &str) -> Option<Vec<u8>> {
    if types::is_byte(item) {
        all(&sequence.items)
    } else {
        None
    }
}

/// The bytes of small numbers that look like text, whatever their type is.
pub(super) fn like_text(items: &[Value]) -> Option<Vec<u8>> {
    let bytes = all(items).filter(|bytes| bytes.len() >= TEXT)?;
    is_text(&bytes).then_some(bytes)
}

/// Returns true if most bytes are printable.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let printable = bytes
        .iter()
        .filter(|byte| matches!(byte, 0x20..=0x7e | b'\n' | b'\r' | b'\t'));
    let text = std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(char::is_control));
    text || printable.count() * 100 >= bytes.len() * PRINTABLE
}

fn all(items: &[Value]) -> Option<Vec<u8>> {
    let byte = |item: &Value| match item {
        Value::Uint(number) => u8::try_from(*number).ok(),
        _ => None,
    };
    items.iter().map(byte).collect()
}

/// The text between quotes, with escapes.
pub(in crate::tui) fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    escape(bytes, &mut out);
    out.push('"');
    out
}

/// Bytes as a text between quotes, with escapes for all that are not printable.
pub(in crate::tui) fn quoted_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("b\"");
    escape_bytes(bytes, &mut out);
    out.push('"');
    out
}

/// The text between quotes, with escapes, and with a line feed behind each escaped one.
pub(super) fn quoted_lines(bytes: &[u8], are_bytes: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 3);
    out.push_str(if are_bytes { "b\"" } else { "\"" });
    let escape = if are_bytes { escape_bytes } else { escape };
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        out.push_str(if number > 0 { "\n" } else { "" });
        escape(line, &mut out);
    }
    out.push('"');
    out
}

fn escape(bytes: &[u8], out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        let quoted = format!("{:?}", chunk.valid());
        out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
}

fn escape_bytes(bytes: &[u8], out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match u8::try_from(c) {
                Ok(byte) if c.is_ascii() => out.extend(byte.escape_ascii().map(char::from)),
                _ => out.extend(c.escape_debug()),
            }
        }
        out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
}

/// The character of a printable byte, and a dot for all others.
pub(super) fn printable(byte: u8) -> char {
    match byte {
        0x20..=0x7e => char::from(byte),
        _ => '.',
    }
}

/// One row of a dump.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DumpRow {
    /// Index of the first element.
    pub(super) index: usize,
    /// The row.
    pub(super) text: String,
}

/// Rows of a hex dump that fill this number of columns, beside the index.
pub(super) fn hex_dump(bytes: &[u8], columns: usize) -> Vec<DumpRow> {
    // Each byte takes `xx ` and a character.
    let fits = columns.saturating_sub(3) / 4;
    let count = match fits {
        fits if fits >= 8 => fits - fits % 8,
        fits => fits - fits % 4,
    };
    let count = count.clamp(*ROW.start(), *ROW.end());
    bytes
        .chunks(count)
        .enumerate()
        .map(|(row, chunk)| {
            let mut text = String::with_capacity(4 * count + 4);
            for column in 0..count {
                if let Some(byte) = chunk.get(column) {
                    text.push_str(&format!("{byte:02x} "));
                } else {
                    text.push_str("   ");
                }
            }
            text.push('│');
            text.extend(chunk.iter().map(|byte| printable(*byte)));
            text.push('│');
            DumpRow {
                index: row * count,
                text,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_dump_fills_the_width_with_whole_groups() {
        let bytes: Vec<u8> = (b'A'..=b'Z').collect();
        let rows = hex_dump(&bytes, 70);
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0].text,
            "41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e 4f 50 │ABCDEFGHIJKLMNOP│"
        );
        assert_eq!(rows[1].index, 16);
        assert_eq!(
            rows[1].text,
            "51 52 53 54 55 56 57 58 59 5a                   │QRSTUVWXYZ│"
        );
        assert_eq!(hex_dump(b"\x1b\xff", 1)[0].text, "1b ff       │..│");
        assert!(hex_dump(b"", 80).is_empty());
    }

    #[test]
    fn bytes_are_escaped_as_bytes_and_texts_as_characters() {
        let bytes = "\x7fA\"é\n\0".as_bytes();
        assert_eq!(quoted_bytes(bytes), r#"b"\x7fA\"é\n\x00""#);
        assert_eq!(quoted(bytes), r#""\u{7f}A\"é\n\0""#);
        assert_eq!(quoted(b"it's \xff"), r#""it's \xff""#);
        assert_eq!(quoted_lines(b"a\\n\nb", false), "\"a\\\\n\\n\nb\"");
    }

    #[test]
    fn numbers_look_like_text_only_if_they_do() {
        let items = |bytes: &[u8]| -> Vec<Value> {
            bytes
                .iter()
                .map(|byte| Value::Uint((*byte).into()))
                .collect()
        };
        assert!(like_text(&items(b"GET /health")).is_some());
        assert!(like_text(&items(b"\x01\x02\x03\x04\x05\x06\x07")).is_none());
        assert!(like_text(&items(b"GET")).is_none());
        assert!(like_text(&[Value::Uint(71), Value::Bool(true)]).is_none());
    }
}
