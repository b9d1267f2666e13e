//! Values in as few columns as tell them apart, for places too small for the whole message.

use super::tree::bytes::{self, quoted_bytes};
use super::tree::leaf;
use super::tree::types;
use crate::event::NamedValue;
use crate::value::{Map, Value};

/// Bytes at most: more than a row of any screen.
const LENGTH: usize = 512;
/// Levels at most.
const DEPTH: usize = 8;

/// `last={x: 640, y: 402}, current={x: 812, y: 402}`: names of structs are left out, those of variants are not.
pub(super) fn compact(values: &[NamedValue]) -> String {
    let mut writer = CompactWriter::default();
    for value in values {
        if writer.is_full() {
            break;
        }
        if !writer.out.is_empty() {
            writer.out.push_str(", ");
        }
        writer.out.push_str(&value.expr);
        writer.out.push('=');
        writer.value(&value.value, &value.ty, 0);
    }
    writer.out
}

/// A value on one line.
pub(super) struct ValueSummary {
    /// The line.
    pub(super) text: String,
    /// The line has all of the value.
    pub(super) is_whole: bool,
}

/// A value alone.
pub(super) fn compact_value(value: &Value) -> String {
    summary(value, "").text
}

/// A value of a type on one line. The type may be empty.
pub(super) fn summary(value: &Value, ty: &str) -> ValueSummary {
    let mut writer = CompactWriter::default();
    writer.value(value, ty, 0);
    ValueSummary {
        is_whole: !writer.is_cut && writer.out.len() < LENGTH,
        text: writer.out,
    }
}

#[derive(Default)]
struct CompactWriter {
    out: String,
    /// Something was left out.
    is_cut: bool,
}

impl CompactWriter {
    fn is_full(&self) -> bool {
        self.out.len() >= LENGTH
    }

    fn cut(&mut self) {
        self.out.push('…');
        self.is_cut = true;
    }

    fn value(&mut self, value: &Value, ty: &str, depth: usize) {
        if self.is_full() || depth >= DEPTH {
            return self.cut();
        }
        match value {
            Value::Unavailable(_) => {
                self.out.push('✗');
                self.is_cut = true;
            }
            Value::Duration(_) | Value::Range(_) => self.out.push_str(&value.to_string()),
            Value::Struct(inner) => self.fields(&inner.fields, "", inner.has_more, depth),
            Value::Variant(inner) => {
                self.out.push_str(&inner.title());
                if inner.omitted.is_some() {
                    self.out.push_str("(…)");
                    self.is_cut = true;
                } else if !inner.fields.is_empty() {
                    let ty = types::of_variant(ty, &inner.name);
                    self.fields(&inner.fields, ty, false, depth);
                }
            }
            Value::Tuple(items) => self.list(items, "", PARENTHESES, depth),
            Value::Sequence(inner) => {
                let item = types::of_items(ty);
                if let Some(bytes) = bytes::of(inner, item)
                    && !bytes.is_empty()
                {
                    self.out.push_str(&quoted_bytes(&bytes));
                } else if inner.set {
                    self.list(&inner.items, item, BRACES, depth);
                } else {
                    self.list(&inner.items, item, BRACKETS, depth);
                }
                if inner.cut.is_some() {
                    self.cut();
                }
            }
            Value::Map(map) => self.map(map, ty, depth),
            Value::Pointer(pointer) if pointer.transparent && pointer.target.is_some() => {
                if let Some(target) = &pointer.target {
                    self.value(target, types::of_target(ty), depth + 1);
                }
            }
            Value::Pointer(pointer) => {
                self.out.push_str(&format!("{:#x}", pointer.address));
                self.is_cut |= pointer.target.is_some() || pointer.symbol.is_some();
            }
            other => {
                if let Some((text, _)) = leaf(other) {
                    self.out.push_str(&text);
                }
            }
        }
    }

    fn map(&mut self, map: &Map, ty: &str, depth: usize) {
        let (of_key, of_value) = types::of_entries(ty);
        self.out.push('{');
        for (index, (key, value)) in map.entries.iter().enumerate() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            self.value(key, of_key, depth + 1);
            self.out.push_str(": ");
            self.value(value, of_value, depth + 1);
            if self.is_full() {
                break;
            }
        }
        if map.cut.is_some() {
            self.cut();
        }
        self.out.push('}');
    }

    /// `{x: 1, y: 2}`, or `(1, 2)` where the fields have numbers.
    fn fields(&mut self, fields: &[(String, Value)], ty: &str, has_more: bool, depth: usize) {
        let numbered = fields.first().is_some_and(|(name, _)| name == "0");
        let (open, close) = if numbered { ('(', ')') } else { ('{', '}') };
        self.out.push(open);
        for (index, (name, value)) in fields.iter().enumerate() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            if !numbered {
                self.out.push_str(name);
                self.out.push_str(": ");
            }
            self.value(value, ty, depth + 1);
            if self.is_full() {
                break;
            }
        }
        if has_more {
            self.out.push_str(", ");
            self.cut();
        }
        self.out.push(close);
    }

    fn list(&mut self, items: &[Value], ty: &str, delimiters: Delimiters, depth: usize) {
        self.out.push(delimiters.open);
        for (index, item) in items.iter().enumerate() {
            self.out.push_str(if index > 0 { ", " } else { "" });
            self.value(item, ty, depth + 1);
            if self.is_full() {
                break;
            }
        }
        self.out.push(delimiters.close);
    }
}

/// The characters around a list.
struct Delimiters {
    open: char,
    close: char,
}

const PARENTHESES: Delimiters = Delimiters {
    open: '(',
    close: ')',
};
const BRACES: Delimiters = Delimiters {
    open: '{',
    close: '}',
};
const BRACKETS: Delimiters = Delimiters {
    open: '[',
    close: ']',
};

#[cfg(test)]
mod tests {
    use super::super::fake::{full_event, point};
    use super::*;
    use crate::value::{Sequence, Variant};

    fn short(value: Value) -> String {
        compact(&[NamedValue {
            expr: "v".into(),
            ty: "".into(),
            value,
        }])
    }

    #[test]
    fn compact_of_structs_leaves_out_their_names() {
        assert_eq!(short(point(1, -2)), "v={x: 1, y: -2}");
        assert!(compact(&full_event(1, 1, 18).values).ends_with("scale=✗"));
    }

    #[test]
    fn compact_of_variants_keeps_their_names() {
        let some = Variant {
            ty: "Option".into(),
            name: "Some".into(),
            line: None,
            fields: vec![("0".into(), Value::Int(3, 32))],
            omitted: None,
        };
        assert_eq!(short(Value::Variant(some)), "v=Some(3)");
        let none = Variant {
            ty: "Option".into(),
            name: "None".into(),
            line: None,
            fields: vec![],
            omitted: None,
        };
        assert_eq!(short(Value::Variant(none)), "v=None");
    }

    #[test]
    fn compact_of_much_is_bounded() {
        let row = Value::Sequence(Sequence {
            items: vec![Value::Int(7, 32); 10_000],
            cut: None,
            set: false,
        });
        let rows = Value::Sequence(Sequence {
            items: vec![row; 100],
            cut: None,
            set: false,
        });
        assert!(short(rows).len() < LENGTH + 64);
    }
}
