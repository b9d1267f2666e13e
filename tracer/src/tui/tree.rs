//! An event in full: its values as a tree of lines, as `{:#?}` would lay them out.

use super::glyphs;
use crate::base::unavailable::Unavailable;
use crate::event::{Event, StackFrame};
use crate::value::{Cut, Map, Value};

/// Most lines of one event. Further lines are counted, not shown.
const LINES: usize = 5_000;
/// Levels at most: values come from a hostile process.
const DEPTH: usize = 64;

/// One line of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Levels in.
    pub(super) depth: usize,
    /// Name of the field, index, key.
    pub(super) label: String,
    /// The value, or the heading of the lines that follow.
    pub(super) text: String,
    /// The kind of the line.
    pub(super) kind: NodeKind,
    /// Differs from the event before.
    pub(super) changed: bool,
}

/// The kind of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum NodeKind {
    /// Heading of a part.
    Heading,
    /// A value.
    #[default]
    Leaf,
    /// A value whose parts follow.
    Branch,
    /// Why there is no value.
    Unavailable,
    /// A remark of ours.
    Note,
}

/// All lines of an event. Differences from `before` are marked.
pub(super) fn event_lines(event: &Event, before: Option<&Event>) -> Vec<Line> {
    let mut tree = Tree::default();
    if !event.values.is_empty() {
        tree.push(0, "", "values".into(), NodeKind::Heading);
    }
    for (index, value) in event.values.iter().enumerate() {
        let label = if value.ty.is_empty() {
            value.expr.to_string()
        } else {
            format!("{}: {}", value.expr, value.ty)
        };
        let old = before
            .and_then(|before| before.values.get(index))
            .filter(|old| old.expr == value.expr);
        tree.value(0, &label, &value.value, old.map(|old| &old.value));
    }
    if !event.stack.frames.is_empty() {
        tree.push(0, "", "stack, innermost first".into(), NodeKind::Heading);
        for (index, frame) in event.stack.frames.iter().enumerate() {
            tree.push(0, &format!("#{index}"), frame_text(frame), NodeKind::Leaf);
            for named in &frame.values {
                tree.value(1, &named.expr, &named.value, None);
            }
        }
        if let Some(why) = &event.stack.stopped {
            tree.push(0, "", format!("no more: {why}"), NodeKind::Note);
        }
    }
    if tree.left_out > 0 {
        let text = format!("… {} more lines", tree.left_out);
        tree.lines.push(Line {
            depth: 0,
            label: String::new(),
            text,
            kind: NodeKind::Note,
            changed: false,
        });
    }
    tree.lines
}

/// Moves text that does not fit in `columns` to the rows below.
pub(super) fn wrap(lines: &mut Vec<Line>, columns: usize) {
    let mut out = Vec::with_capacity(lines.len());
    for line in lines.drain(..) {
        let depth = line.depth.min(columns / 8);
        let label = glyphs::width(&line.label, columns * 2 / 3) + 2;
        let room = columns.saturating_sub(2 + 2 * depth + label).max(16);
        if line.kind == NodeKind::Heading || glyphs::width(&line.text, room + 1) <= room {
            out.push(line);
            continue;
        }
        for (row, text) in glyphs::wrap(&line.text, room).into_iter().enumerate() {
            let label = if row == 0 {
                line.label.clone()
            } else {
                " ".repeat(label - 2)
            };
            out.push(Line {
                label,
                text,
                ..line.clone()
            });
        }
    }
    *lines = out;
}

fn frame_text(frame: &StackFrame) -> String {
    let function = frame
        .function
        .clone()
        .unwrap_or_else(|| format!("{:#x}", frame.address));
    let mut text = function;
    if let Some(file) = &frame.file {
        text.push_str(&format!("  {}", file.display()));
        if let Some(line) = frame.line {
            text.push_str(&format!(":{line}"));
        }
    }
    let mark = frame.kind.mark();
    if !mark.is_empty() {
        text.push_str("  ");
        text.push_str(mark);
    }
    text
}

#[derive(Default)]
struct Tree {
    lines: Vec<Line>,
    left_out: usize,
}

impl Tree {
    fn push(&mut self, depth: usize, label: &str, text: String, kind: NodeKind) {
        self.push_marked(depth, label, text, kind, false);
    }

    fn push_marked(
        &mut self,
        depth: usize,
        label: &str,
        text: String,
        kind: NodeKind,
        changed: bool,
    ) {
        if self.lines.len() >= LINES {
            self.left_out += 1;
        } else {
            self.lines.push(Line {
                depth,
                label: label.to_owned(),
                text,
                kind,
                changed,
            });
        }
    }

    fn value(&mut self, depth: usize, label: &str, value: &Value, before: Option<&Value>) {
        let changed = before.is_some_and(|before| before != value);
        if depth >= DEPTH {
            return self.push(depth, label, "…".into(), NodeKind::Note);
        }
        match value {
            Value::Range(_) => {
                self.push_marked(depth, label, value.to_string(), NodeKind::Leaf, changed);
            }
            Value::Struct(inner) => {
                let old = before.and_then(|old| {
                    if let Value::Struct(old) = old {
                        Some(&old.fields)
                    } else {
                        None
                    }
                });
                self.fields(
                    depth,
                    label,
                    inner.name.clone(),
                    &inner.fields,
                    old,
                    changed,
                );
                if inner.has_more {
                    self.push(
                        depth + 1,
                        "",
                        "… more that is not shown".into(),
                        NodeKind::Note,
                    );
                }
            }
            Value::Variant(inner) => {
                let old = before.and_then(|old| match old {
                    Value::Variant(old) if old.name == inner.name => Some(&old.fields),
                    _ => None,
                });
                self.fields(depth, label, inner.title(), &inner.fields, old, changed);
            }
            Value::Tuple(items) => {
                let old = before.and_then(|old| {
                    if let Value::Tuple(old) = old {
                        Some(&old[..])
                    } else {
                        None
                    }
                });
                self.items(depth, label, "tuple", items, None, old, changed);
            }
            Value::Sequence(inner) => {
                let old = before.and_then(|old| {
                    if let Value::Sequence(old) = old {
                        Some(&old.items[..])
                    } else {
                        None
                    }
                });
                self.items(
                    depth,
                    label,
                    if inner.set { "set" } else { "list" },
                    &inner.items,
                    inner.cut,
                    old,
                    changed,
                );
            }
            Value::Map(map) => self.map(depth, label, map, changed),
            Value::Pointer(pointer) if pointer.target.is_some() => {
                let old = before.and_then(|old| {
                    if let Value::Pointer(old) = old {
                        old.target.as_deref()
                    } else {
                        None
                    }
                });
                let Some(target) = &pointer.target else {
                    return;
                };
                if pointer.transparent {
                    return self.value(depth, label, target, old);
                }
                self.push_marked(
                    depth,
                    label,
                    address(pointer.address, pointer.symbol.as_deref()),
                    NodeKind::Branch,
                    changed,
                );
                self.value(depth + 1, "*", target, old);
            }
            other => {
                let (text, kind) = leaf(other).unwrap_or_default();
                self.push_marked(depth, label, text, kind, changed);
            }
        }
    }

    fn map(&mut self, depth: usize, label: &str, map: &Map, changed: bool) {
        let text = format!("map of {}", count(map.entries.len(), map.cut));
        self.push_marked(depth, label, text, NodeKind::Branch, changed);
        for (key, value) in &map.entries {
            match leaf(key) {
                Some((text, _)) => self.value(depth + 1, &text, value, None),
                None => {
                    self.value(depth + 1, "key", key, None);
                    self.value(depth + 1, "value", value, None);
                }
            }
        }
    }

    fn fields(
        &mut self,
        depth: usize,
        label: &str,
        head: String,
        fields: &[(String, Value)],
        old: Option<&Vec<(String, Value)>>,
        changed: bool,
    ) {
        let kind = if fields.is_empty() {
            NodeKind::Leaf
        } else {
            NodeKind::Branch
        };
        self.push_marked(depth, label, head, kind, changed);
        for (index, (name, value)) in fields.iter().enumerate() {
            let old = old.and_then(|old| old.get(index)).map(|(_, old)| old);
            self.value(depth + 1, name, value, old);
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call for tuples, lists and sets; each argument is another thing"
    )]
    fn items(
        &mut self,
        depth: usize,
        label: &str,
        head: &str,
        items: &[Value],
        cut: Option<Cut>,
        old: Option<&[Value]>,
        changed: bool,
    ) {
        let text = format!("{head} of {}", count(items.len(), cut));
        self.push_marked(depth, label, text, NodeKind::Branch, changed);
        for (index, item) in items.iter().enumerate() {
            self.value(
                depth + 1,
                &index.to_string(),
                item,
                old.and_then(|old| old.get(index)),
            );
        }
    }
}

fn count(shown: usize, cut: Option<Cut>) -> String {
    match cut {
        None => shown.to_string(),
        Some(Cut { of: Some(of) }) => format!("{of}, {shown} of them read"),
        Some(Cut { of: None }) => format!("more than the {shown} that were read"),
    }
}

fn address(address: u64, symbol: Option<&str>) -> String {
    match symbol {
        Some(symbol) => format!("{address:#x} <{symbol}>"),
        None => format!("{address:#x}"),
    }
}

/// A value without parts, as text.
pub(super) fn leaf(value: &Value) -> Option<(String, NodeKind)> {
    let text = match value {
        Value::Int(n, _) => n.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Nanoseconds(_) | Value::Duration(_) => value.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Char(c) => format!("{c:?}"),
        Value::Float32(x) => format!("{x:?}"),
        Value::Float64(x) => format!("{x:?}"),
        Value::Unit => "()".into(),
        Value::Text(text) => {
            let mut out = String::from("\"");
            for chunk in text.bytes.utf8_chunks() {
                out.extend(chunk.valid().escape_debug());
                out.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
            }
            out.push('"');
            if let Some(cut) = text.cut {
                let of = cut.of.map_or("more".into(), |of| format!("{of} bytes"));
                out.push_str(&format!("… ({} of {of})", text.bytes.len()));
            }
            out
        }
        Value::Pointer(pointer) => match &pointer.target {
            None => address(pointer.address, pointer.symbol.as_deref()),
            Some(target) if pointer.transparent => return leaf_of_target(target),
            Some(_) => return None,
        },
        Value::Unavailable(why) => return Some((unavailable(why), NodeKind::Unavailable)),
        Value::Struct(_)
        | Value::Range(_)
        | Value::Tuple(_)
        | Value::Variant(_)
        | Value::Sequence(_)
        | Value::Map(_) => return None,
    };
    Some((text, NodeKind::Leaf))
}

/// A reference as a key of a map; one to another reference is laid out below it.
fn leaf_of_target(target: &Value) -> Option<(String, NodeKind)> {
    if matches!(target, Value::Pointer(_)) {
        None
    } else {
        leaf(target)
    }
}

fn unavailable(why: &Unavailable) -> String {
    format!("unavailable: {why}")
}

#[cfg(test)]
mod tests {
    use super::super::fake::{event, point};
    use super::*;
    use crate::value::{Pointer, Sequence, Text, Variant};

    fn shown(value: &Value) -> Vec<String> {
        let mut tree = Tree::default();
        tree.value(0, "v", value, None);
        tree.lines
            .iter()
            .map(|line| format!("{}{} = {}", "  ".repeat(line.depth), line.label, line.text))
            .collect()
    }

    #[test]
    fn value_with_parts_is_a_tree() {
        let some = Value::Variant(Variant {
            ty: "Option".into(),
            name: "Some".into(),
            line: None,
            fields: vec![("0".into(), point(3, -4))],
            omitted: None,
        });
        assert_eq!(
            shown(&some),
            ["v = Some", "  0 = Pointer", "    x = 3", "    y = -4"]
        );
    }

    #[test]
    fn value_that_was_cut_says_how_much_there_is() {
        let list = Value::Sequence(Sequence {
            items: vec![Value::Bool(true)],
            cut: Some(Cut { of: Some(9) }),
            set: false,
        });
        assert_eq!(shown(&list)[0], "v = list of 9, 1 of them read");
        let text = Value::Text(Text {
            bytes: b"a\xff\n".to_vec(),
            cut: Some(Cut { of: None }),
        });
        assert_eq!(shown(&text), ["v = \"a\\xff\\n\"… (3 of more)"]);
    }

    #[test]
    fn map_with_plain_keys_has_them_as_labels() {
        let map = Value::Map(Map {
            entries: vec![(Value::Int(1, 32), Value::Unit), (point(1, 2), Value::Unit)],
            cut: None,
        });
        assert_eq!(
            shown(&map)[..3],
            ["v = map of 2", "  1 = ()", "  key = Pointer"]
        );
    }

    #[test]
    fn pointers_nested_without_end_are_cut_at_the_depth() {
        let mut value = Value::Int(0, 32);
        for _ in 0..10_000 {
            value = Value::Pointer(Pointer {
                address: 16,
                symbol: None,
                target: Some(Box::new(value)),
                transparent: false,
            });
        }
        assert_eq!(shown(&value).len(), DEPTH + 1);
        // Dropped by hand: the drop of so deep a value would recurse too.
        while let Value::Pointer(pointer) = value {
            value = *pointer.target.expect("made so above");
        }
    }

    #[test]
    fn lines_that_differ_from_the_event_before_are_marked() {
        let (mut old, mut new) = (event(1, 1, "m"), event(1, 2, "m"));
        for (event, x) in [(&mut old, 1), (&mut new, 2)] {
            event.values = vec![crate::event::NamedValue {
                expr: "p".into(),
                ty: "Pointer".into(),
                value: point(x, 7),
            }];
        }
        let marks: Vec<bool> = event_lines(&new, Some(&old))
            .iter()
            .map(|line| line.changed)
            .collect();
        assert_eq!(marks, [false, true, true, false]);
    }
}
