//! libc++'s `deque` and `vector<bool>`.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{StructType, TypeId};
use crate::plan::presenters::structure;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{BitCount, BitRowNode, Node, PagesNode};

/// Bytes of a block of small elements, and number of elements in a block of large ones (256 bytes
/// and more).
const BLOCK: u64 = 4096;
const LARGE: u64 = 256;
const OF_LARGE: u64 = 16;
/// Bytes of one copy.
const MOST: u64 = tracer_common::limits::MAX_COPY as u64;

/// `deque`: an array of pointers lists blocks of a fixed number of elements.
pub(in crate::plan) fn deque(
    builder: &mut Builder<'_>,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Some(Node::Missing(Unavailable::Depth));
    };
    let (_, element) = *body.type_arguments.first()?;
    let stride = builder
        .size(element)
        .filter(|size| (1..=MOST).contains(size))?;
    let (map, map_type) = builder.find(body, &["__map_"])?;
    let map_body = structure(builder, map_type)?;
    let (first, _) = builder.find(&map_body, &["__begin_"])?;
    let (last, _) = builder.find(&map_body, &["__end_"])?;
    let per_block = if stride < LARGE {
        BLOCK / stride
    } else {
        OF_LARGE
    };
    Some(Node::Pages(Box::new(PagesNode {
        first: map.checked_add(first)?,
        last: map.checked_add(last)?,
        start: builder.find(body, &["__start_"])?.0,
        count: size_of(builder, body)?,
        per_block,
        stride,
        limit: builder.limits().elements.min(MOST / stride),
        element: builder.element(element, deeper),
        slot: builder.slot().ok()?,
        end: builder.slot().ok()?,
    })))
}

/// `vector<bool>`: words behind a pointer, and the number of bits.
pub(in crate::plan) fn bits(
    builder: &mut Builder<'_>,
    body: &StructType,
    start: u64,
    pointer: TypeId,
    depth: u32,
) -> Option<Node> {
    crate::plan::presenters::cpp_parts::target(builder, pointer)?;
    if depth == 0 {
        return Some(Node::Missing(Unavailable::Depth));
    }
    let (count, _) = builder.find(body, &["__size_"])?;
    Some(Node::BitRow(Box::new(BitRowNode {
        start,
        count: BitCount::Count(count),
        limit: builder.limits().elements,
        slot: builder.slot().ok()?,
    })))
}

/// Offset of the number of elements. It may be in a compressed pair.
fn size_of(builder: &Builder<'_>, body: &StructType) -> Option<u64> {
    let pair = builder.find(body, &["__size_", "__value_"]);
    let found = pair.or_else(|| builder.find(body, &["__size_"]))?;
    (builder.size(found.1) == Some(8)).then_some(found.0)
}
