//! Parts that several presenters use: sequences, generic arguments, offsets.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{StructType, TypeId};
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{Node, SeqLen, SeqNode, TextNode};

/// Bytes of one counted copy.
pub(in crate::plan) const MOST: u64 = tracer_common::limits::MAX_COPY as u64;

/// A sequence, from the offsets of its pointer and its length.
pub(in crate::plan) fn seq(
    builder: &mut Builder<'_>,
    pointer: u64,
    addend: i64,
    len: SeqLen,
    element: TypeId,
    depth: u32,
) -> Option<Node> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Some(Node::Missing(Unavailable::Depth));
    };
    let stride = builder.size(element)?;
    let limits = builder.limits();
    let fit = MOST.checked_div(stride).unwrap_or(u64::MAX);
    let slot = builder.slot().ok()?;
    let element = builder.element(element, deeper);
    Some(Node::Seq(Box::new(SeqNode {
        pointer,
        addend,
        len,
        stride,
        limit: limits.elements.min(fit),
        element,
        slot,
        set: false,
    })))
}

/// The generic argument of that name, or the first one.
pub(in crate::plan) fn argument(body: &StructType, name: &str) -> Option<TypeId> {
    let named = body.type_arguments.iter().find(|(known, _)| known == name);
    named.map(|(_, ty)| *ty)
}

/// A node at an offset from the offset that its parent uses.
pub(in crate::plan) fn at_offset(offset: u64, node: Node) -> Node {
    if offset == 0 {
        return node;
    }
    Node::Inside(offset, Box::new(node))
}

/// A text, from the offsets of its pointer and its length.
pub(in crate::plan::presenters) fn text(
    builder: &mut Builder<'_>,
    pointer: u64,
    addend: i64,
    len: u64,
    trim: u64,
) -> Option<Node> {
    if !builder.reads_texts() {
        return Some(Node::Missing(Unavailable::Depth));
    }
    Some(Node::Text(Box::new(TextNode {
        pointer,
        addend,
        len: Some(len),
        trim,
        zero_ends: false,
        before: None,
        limit: builder.limits().string_bytes.min(MOST),
        unit: 1,
        short: None,
        slot: builder.slot().ok()?,
    })))
}

/// Offset of a member.
pub(in crate::plan::presenters) fn inner_at(
    builder: &Builder<'_>,
    body: &StructType,
    name: &str,
) -> Option<u64> {
    builder.find(body, &[name]).map(|(offset, _)| offset)
}
