//! An event in full: its values, its stack and its JSON as rows that fold.
//!
//! [`nodes`] says which parts a value has, [`rows`] lays out those that are not folded.

pub(super) mod bytes;
mod nodes;
mod numbers;
mod raw;
mod rows;
#[cfg(test)]
mod tests;
pub(super) mod types;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::unavailable::Unavailable;
use crate::event::StackFrame;
use crate::lang::ast::{Format, FormatStyle};
use crate::value::debug::{self, DEBUG};
use crate::value::{Text, Value};

pub(super) use nodes::copied_frame;
pub(super) use rows::{raw, stack, values};

/// Folds of one generation. Two generations are kept, so that all rows of an event can be unfolded at once.
const REMEMBERED: usize = rows::ROWS;

/// Names a part by its path: the same part has the same name in all events.
pub(super) type NodeId = u64;

/// One row of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Levels in.
    pub(super) depth: usize,
    /// Name of the field, index, key.
    pub(super) label: String,
    /// The label is a key of a map.
    pub(super) is_key: bool,
    /// The type. Empty if it is not known.
    pub(super) ty: String,
    /// The value, or the heading of the rows below.
    pub(super) text: String,
    /// The text of the event before, if it differs.
    pub(super) before: Option<String>,
    /// Parts of the text that have changed, if they are known.
    pub(super) marks: Vec<std::ops::Range<usize>>,
    /// The kind of the row.
    pub(super) kind: RowKind,
    /// The row has parts.
    pub(super) fold: Fold,
    /// Differs from the event before.
    pub(super) changed: bool,
    /// The part that the row is of.
    pub(super) node: NodeId,
    /// Number of the row among those of the part.
    pub(super) part: usize,
    /// The place in the source.
    pub(super) place: Option<SourcePlace>,
}

/// A file and a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourcePlace {
    /// The file as the debug information names it.
    pub(super) file: Arc<PathBuf>,
    /// From 1.
    pub(super) line: u64,
}

/// The kind of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum RowKind {
    /// A value, or the head of its parts.
    #[default]
    Value,
    /// A piece of a long text, or of an array.
    Piece,
    /// Why there is no value.
    Unavailable,
    /// A remark of ours.
    Note,
    /// A frame of the stack, in a function of the program itself.
    OwnFrame,
    /// A frame in a library.
    OtherFrame,
    /// The place of a frame in the source.
    Place,
    /// A row of JSON.
    Json,
}

/// The parts of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fold {
    /// There are none.
    #[default]
    Whole,
    /// They are hidden.
    Folded,
    /// They are in the rows below.
    Unfolded,
}

/// The parts that are folded and unfolded, by path.
#[derive(Debug, Default)]
pub(super) struct Folds {
    chosen: HashMap<NodeId, bool>,
    /// Those chosen before them. The newer ones take precedence.
    earlier: HashMap<NodeId, bool>,
    /// Nothing else is unfolded. Otherwise as much is as fits the screen.
    all_folded: bool,
}

impl Folds {
    /// Folds or unfolds a part.
    pub(super) fn set(&mut self, node: NodeId, unfolded: bool) {
        if self.chosen.len() >= REMEMBERED {
            self.earlier = std::mem::take(&mut self.chosen);
        }
        self.chosen.insert(node, unfolded);
    }

    /// Folds everything.
    pub(super) fn fold_all(&mut self) {
        self.chosen.clear();
        self.earlier.clear();
        self.all_folded = true;
    }

    /// Unfolds as much as fits the screen, besides the chosen parts.
    pub(super) fn fit_screen(&mut self) {
        self.all_folded = false;
    }

    fn is_unfolded(&self, node: NodeId, fits: bool) -> bool {
        let chosen = self.chosen.get(&node).or_else(|| self.earlier.get(&node));
        chosen.copied().unwrap_or(fits && !self.all_folded)
    }
}

/// The way in which a tree is laid out.
#[derive(Clone, Copy)]
pub(super) struct TreeLook<'l> {
    /// Columns of a row.
    pub(super) columns: usize,
    /// Rows of the screen.
    pub(super) rows: usize,
    /// Numbers and bytes are hexadecimal.
    pub(super) hex: bool,
    /// Types have their paths and all arguments.
    pub(super) full_types: bool,
    /// Everything is unfolded, whatever the folds say.
    pub(super) all: bool,
    /// The folds.
    pub(super) folds: &'l Folds,
    /// For each frame of the stack: it is in the program's own code.
    pub(super) own: &'l [bool],
}

/// A tree that is laid out.
#[derive(Debug, Default)]
pub(super) struct LaidTree<'e> {
    /// The rows.
    pub(super) rows: Vec<Row>,
    /// The content of each.
    pub(super) contents: Vec<Copied<'e>>,
    /// Parts that are folded and do not stand in the row of their value either.
    pub(super) hidden: usize,
}

/// The content of a row, for copying.
#[derive(Clone, Copy, Debug)]
pub(super) enum Copied<'e> {
    /// A value.
    Value(&'e Value),
    /// A text.
    Text(&'e str),
    /// A frame.
    Frame(&'e StackFrame),
    /// The whole event.
    Event,
}

/// A value without parts, as text.
pub(super) fn leaf(value: &Value) -> Option<(String, RowKind)> {
    let text = match value {
        Value::Int(n, _) => n.to_string(),
        Value::Uint(n) => n.to_string(),
        Value::Nanoseconds(_) | Value::Duration(_) | Value::Range(_) => value.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::Char(c) => format!("{c:?}"),
        Value::Float32(x) => format!("{x:?}"),
        Value::Float64(x) => format!("{x:?}"),
        Value::Unit => "()".into(),
        Value::Text(text) => text_leaf(text),
        Value::Pointer(pointer) => match &pointer.target {
            None => address(pointer.address, pointer.symbol.as_deref()),
            Some(target) if pointer.transparent => return leaf_of_target(target),
            Some(_) => return None,
        },
        Value::Unavailable(why) => return Some((unavailable(why), RowKind::Unavailable)),
        Value::Struct(_)
        | Value::Tuple(_)
        | Value::Variant(_)
        | Value::Sequence(_)
        | Value::Map(_) => return None,
    };
    Some((text, RowKind::Value))
}

fn text_leaf(text: &Text) -> String {
    let mut out = bytes::quoted(&text.bytes);
    if let Some(cut) = text.cut {
        let of = cut.of.map_or("more".into(), |of| format!("{of} bytes"));
        out.push_str(&format!("… ({} of {of})", text.bytes.len()));
    }
    out
}

/// A reference as a key of a map; one to another reference is laid out below it.
fn leaf_of_target(target: &Value) -> Option<(String, RowKind)> {
    if matches!(target, Value::Pointer(_)) {
        None
    } else {
        leaf(target)
    }
}

/// A value without parts as text; integers are hexadecimal on request. `None` if it has parts.
fn leaf_text(value: &Value, hex: bool) -> Option<String> {
    match value {
        Value::Int(..) | Value::Uint(_) if hex => {
            let style = FormatStyle::LowerHex;
            let format = Format {
                style,
                alternate: true,
                ..DEBUG
            };
            Some(debug::to_string(value, format))
        }
        value => leaf(value).map(|(text, _)| text),
    }
}

fn address(address: u64, symbol: Option<&str>) -> String {
    match symbol {
        Some(symbol) => format!("{address:#x} <{symbol}>"),
        None => format!("{address:#x}"),
    }
}

fn unavailable(why: &Unavailable) -> String {
    format!("unavailable: {why}")
}
