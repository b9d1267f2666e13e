//! Values in as few columns as tell them apart, for places too small for the whole message.

use super::tree::leaf;
use crate::event::NamedValue;
use crate::value::Value;

/// Bytes at most: more than a row of any screen.
const LENGTH: usize = 512;
/// Levels at most.
const DEPTH: usize = 8;

/// `last={x: 640, y: 402}, current={x: 812, y: 402}`: names of structs are left out, those of variants are not.
pub(super) fn compact(values: &[NamedValue]) -> String {
    let mut out = String::new();
    for value in values {
        if out.len() >= LENGTH {
            break;
        }
        if !out.is_empty() {
            out.push_str(", ");
        }
        out.push_str(&value.expr);
        out.push('=');
        write(&value.value, 0, &mut out);
    }
    out
}

/// A value alone.
pub(super) fn compact_value(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

fn write(value: &Value, depth: usize, out: &mut String) {
    if out.len() >= LENGTH || depth >= DEPTH {
        return out.push('…');
    }
    match value {
        Value::Unavailable(_) => out.push('✗'),
        Value::Duration(_) | Value::Range(_) => out.push_str(&value.to_string()),
        Value::Struct(inner) => fields(&inner.fields, inner.has_more, depth, out),
        Value::Variant(inner) => {
            out.push_str(&inner.title());
            if inner.omitted.is_some() {
                out.push_str("(…)");
            } else if !inner.fields.is_empty() {
                fields(&inner.fields, false, depth, out);
            }
        }
        Value::Tuple(items) => list(items, PARENTHESES, depth, out),
        Value::Sequence(inner) => {
            list(
                &inner.items,
                if inner.set { BRACES } else { BRACKETS },
                depth,
                out,
            );
            if inner.cut.is_some() {
                out.push('…');
            }
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, value)) in map.entries.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write(key, depth + 1, out);
                out.push_str(": ");
                write(value, depth + 1, out);
                if out.len() >= LENGTH {
                    break;
                }
            }
            out.push_str(if map.cut.is_some() { "…}" } else { "}" });
        }
        Value::Pointer(pointer) if pointer.transparent && pointer.target.is_some() => {
            if let Some(target) = &pointer.target {
                write(target, depth + 1, out);
            }
        }
        Value::Pointer(pointer) => out.push_str(&format!("{:#x}", pointer.address)),
        other => {
            if let Some((text, _)) = leaf(other) {
                out.push_str(&text);
            }
        }
    }
}

/// `{x: 1, y: 2}`, or `(1, 2)` where the fields have numbers.
fn fields(fields: &[(String, Value)], has_more: bool, depth: usize, out: &mut String) {
    let numbered = fields.first().is_some_and(|(name, _)| name == "0");
    let (open, close) = if numbered { ('(', ')') } else { ('{', '}') };
    out.push(open);
    for (index, (name, value)) in fields.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        if !numbered {
            out.push_str(name);
            out.push_str(": ");
        }
        write(value, depth + 1, out);
        if out.len() >= LENGTH {
            break;
        }
    }
    if has_more {
        out.push_str(", …");
    }
    out.push(close);
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

fn list(items: &[Value], Delimiters { open, close }: Delimiters, depth: usize, out: &mut String) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        write(item, depth + 1, out);
        if out.len() >= LENGTH {
            break;
        }
    }
    out.push(close);
}

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
