//! Lays out the parts of an event that are not folded.

use std::collections::{HashSet, VecDeque};

use super::super::glyphs;
use super::nodes::{self, Before, Content, EventNode, NodeParts};
use super::{Copied, Fold, LaidTree, NodeId, Row, RowKind, TreeLook, bytes, numbers, raw as json};
use crate::event::Event;
use crate::value::Value;

/// Rows of one event at most. Further rows are counted, not shown.
pub(super) const ROWS: usize = 20_000;
/// Levels at most: values come from a hostile process.
pub(super) const DEPTH: usize = 64;

/// The message and the values of an event. Differences from `before` are marked.
pub(in crate::tui) fn values<'e>(
    event: &'e Event,
    before: Option<&'e Event>,
    look: TreeLook<'_>,
) -> LaidTree<'e> {
    let nodes = nodes::of_values(event, before);
    // A message of many lines comes last: it mostly repeats the values.
    let order = nodes
        .iter()
        .filter(|node| !matches!(node.content, Content::Message(_)));
    let messages = nodes
        .iter()
        .filter(|node| matches!(node.content, Content::Message(_)));
    let fitting = fitting(order.chain(messages), nodes.len(), &look);
    lay_out(&nodes, fitting, look)
}

/// The stack of an event.
pub(in crate::tui) fn stack<'e>(
    event: &'e Event,
    before: Option<&'e Event>,
    look: TreeLook<'_>,
) -> LaidTree<'e> {
    let nodes = nodes::of_stack(event, before, look.own);
    let own = nodes.iter().filter(|node| node.kind() == RowKind::OwnFrame);
    let fitting = fitting(own, nodes.len(), &look);
    lay_out(&nodes, fitting, look)
}

/// The JSON of an event, laid out.
pub(in crate::tui) fn raw(line: &str, look: TreeLook<'_>) -> LaidTree<'static> {
    let rows: Vec<Row> = json::rows(line, look.columns.saturating_sub(2))
        .into_iter()
        .enumerate()
        .map(|(part, row)| Row {
            depth: row.depth,
            text: row.text,
            kind: RowKind::Json,
            part,
            ..Row::default()
        })
        .collect();
    LaidTree {
        contents: vec![Copied::Event; rows.len()],
        rows,
        hidden: 0,
    }
}

fn lay_out<'e>(
    nodes: &[EventNode<'e>],
    fitting: HashSet<NodeId>,
    look: TreeLook<'_>,
) -> LaidTree<'e> {
    let mut writer = RowWriter {
        tree: LaidTree::default(),
        left_out: 0,
        fitting,
        look,
    };
    for node in nodes {
        writer.node(node, 0);
    }
    if writer.left_out > 0 {
        let text = format!("{} more rows", writer.left_out);
        writer.tree.rows.push(Row {
            label: "…".into(),
            text,
            kind: RowKind::Note,
            ..Row::default()
        });
        writer.tree.contents.push(Copied::Event);
    }
    writer.tree
}

/// The parts to unfold so that the rows fill the screen: those that do not fit their row, outer ones first.
fn fitting<'n, 'e: 'n>(
    nodes: impl Iterator<Item = &'n EventNode<'e>>,
    count: usize,
    look: &TreeLook<'_>,
) -> HashSet<NodeId> {
    let mut left = look.rows.saturating_sub(count);
    let mut found = HashSet::new();
    let mut queue: VecDeque<(&EventNode<'e>, usize)> = nodes.map(|node| (node, 0)).collect();
    while let Some((node, depth)) = queue.pop_front() {
        if depth >= DEPTH || fits(node, depth, look) {
            continue;
        }
        let rows = match node.parts() {
            NodeParts::None => continue,
            NodeParts::Nodes(nodes) if nodes.len() <= left => {
                let rows = nodes.len();
                queue.extend(nodes.iter().map(|node| (node, depth + 1)));
                rows
            }
            NodeParts::Nodes(_) => continue,
            parts => pieces(node, parts, depth, look).len(),
        };
        if rows <= left {
            left -= rows;
            found.insert(node.id);
        }
    }
    found
}

/// Returns true if the whole part stands in its own row.
fn fits(node: &EventNode<'_>, depth: usize, look: &TreeLook<'_>) -> bool {
    let summary = node.summary(look);
    let room = room(node, depth, look);
    summary.is_whole
        && !summary.text.contains('\n')
        && glyphs::width(&summary.text, room + 1) <= room
}

/// Columns of a part's text.
fn room(node: &EventNode<'_>, depth: usize, look: &TreeLook<'_>) -> usize {
    let ty = node.type_text(look);
    let label = glyphs::width(&node.label, look.columns) + 2;
    let ty = match glyphs::width(ty, look.columns) {
        0 => 0,
        width => width + 1,
    };
    look.columns.saturating_sub(4 + 2 * depth + label + ty)
}

/// A row of a text or of an array.
struct TextPiece {
    label: String,
    text: String,
    marks: Vec<std::ops::Range<usize>>,
}

/// The rows of a text or an array.
fn pieces(
    node: &EventNode<'_>,
    parts: &NodeParts<'_>,
    depth: usize,
    look: &TreeLook<'_>,
) -> Vec<TextPiece> {
    let inside = look.columns.saturating_sub(4 + 2 * (depth + 1));
    let room = inside.max(16);
    let plain = |text| TextPiece {
        label: String::new(),
        text,
        marks: Vec::new(),
    };
    match (parts, node.content) {
        (NodeParts::Text, Content::Message(text)) => {
            let rows = glyphs::wrap(text, room, ROWS);
            rows.into_iter().map(plain).collect()
        }
        (NodeParts::Text, Content::Value(Value::Text(text))) => {
            text_pieces(&text.bytes, false, room, look.hex)
        }
        (NodeParts::Bytes(bytes), _) => {
            text_pieces(bytes, true, room, look.hex || !bytes::is_text(bytes))
        }
        (NodeParts::Numbers(sequence), _) => {
            let before = match node.before {
                Before::Value(Value::Sequence(old)) => Some(&old.items[..]),
                _ => None,
            };
            let digits = sequence.items.len().to_string().len();
            let rows = numbers::rows(
                &sequence.items,
                before,
                room.saturating_sub(digits + 2),
                look.hex,
            );
            let rows = rows.into_iter().map(|row| TextPiece {
                label: format!("{:>digits$}", row.row.index),
                text: row.row.text,
                marks: row.changed,
            });
            rows.collect()
        }
        _ => Vec::new(),
    }
}

/// The rows of a text: with escapes, or as a hex dump.
fn text_pieces(bytes: &[u8], are_bytes: bool, room: usize, hex: bool) -> Vec<TextPiece> {
    if hex {
        let digits = format!("{:x}", bytes.len()).len().max(4);
        let rows = bytes::hex_dump(bytes, room.saturating_sub(digits + 2));
        let rows = rows.into_iter().map(|row| TextPiece {
            label: format!("{:0digits$x}", row.index),
            text: row.text,
            marks: Vec::new(),
        });
        return rows.collect();
    }
    let rows = glyphs::wrap(&bytes::quoted_lines(bytes, are_bytes), room, ROWS);
    let rows = rows.into_iter().map(|text| TextPiece {
        label: String::new(),
        text,
        marks: Vec::new(),
    });
    rows.collect()
}

struct RowWriter<'e, 'l> {
    tree: LaidTree<'e>,
    left_out: usize,
    /// Parts to unfold unless the user has folded them.
    fitting: HashSet<NodeId>,
    look: TreeLook<'l>,
}

impl<'e> RowWriter<'e, '_> {
    fn push(&mut self, row: Row, copied: Copied<'e>) {
        if self.tree.rows.len() >= ROWS {
            self.left_out += 1;
            return;
        }
        self.tree.rows.push(row);
        self.tree.contents.push(copied);
    }

    fn node(&mut self, node: &EventNode<'e>, depth: usize) {
        let parts = if depth < DEPTH {
            node.parts()
        } else {
            &NodeParts::None
        };
        let fits = fits(node, depth, &self.look);
        let is_foldable = match parts {
            NodeParts::None => false,
            NodeParts::Nodes(_) | NodeParts::Bytes(_) | NodeParts::Numbers(_) => true,
            NodeParts::Text => {
                !fits || (self.look.hex && !matches!(node.content, Content::Message(_)))
            }
        };
        let unfolded = is_foldable
            && (self.look.all
                || self
                    .look
                    .folds
                    .is_unfolded(node.id, self.fitting.contains(&node.id)));
        let mut row = Row {
            depth,
            label: node.label.clone(),
            is_key: node.is_key,
            ty: node.type_text(&self.look).to_owned(),
            text: String::new(),
            before: None,
            marks: Vec::new(),
            kind: node.kind(),
            fold: match (is_foldable, unfolded) {
                (false, _) => Fold::Whole,
                (true, false) => Fold::Folded,
                (true, true) => Fold::Unfolded,
            },
            changed: node.is_changed(),
            node: node.id,
            part: 0,
            place: node.place(),
        };
        if unfolded {
            row.text = node.head(&self.look);
            self.push(row, node.copied());
            return self.parts(node, parts, depth);
        }
        row.text = node.summary(&self.look).text.clone();
        if row.changed {
            row.before = node.summary_before(&self.look);
        }
        if !fits && is_foldable {
            self.tree.hidden += nodes::count(node, DEPTH - depth);
            if let Content::Value(value) = node.content
                && let Some(size) = node.size(value)
            {
                row.text = format!("{size}  {}", row.text);
                row.before = row.before.map(|before| format!("{size}  {before}"));
            }
        }
        self.push(row, node.copied());
    }

    fn parts(&mut self, node: &EventNode<'e>, parts: &NodeParts<'e>, depth: usize) {
        match parts {
            NodeParts::None => {}
            NodeParts::Nodes(nodes) => {
                for part in nodes {
                    self.node(part, depth + 1);
                }
            }
            parts => {
                let all = pieces(node, parts, depth, &self.look);
                for (number, piece) in all.into_iter().enumerate() {
                    let row = Row {
                        depth: depth + 1,
                        label: piece.label,
                        text: piece.text,
                        changed: !piece.marks.is_empty(),
                        marks: piece.marks,
                        kind: RowKind::Piece,
                        node: node.id,
                        part: number + 1,
                        ..Row::default()
                    };
                    self.push(row, node.copied());
                }
            }
        }
    }
}
