//! libstdc++ before the C++11 ABI (`_GLIBCXX_USE_CXX11_ABI=0`): strings that share their text,
//! lists without a stored length.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::StructType;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{Node, TextNode};

/// Bytes of the header before the text: length, capacity, reference count.
const HEADER: u32 = 24;

/// `basic_string`: a pointer to a text. Its length precedes the text.
pub(in crate::plan) fn string(builder: &mut Builder<'_>, body: &StructType) -> Option<Node> {
    let (pointer, ty) = builder.find(body, &["_M_dataplus", "_M_p"])?;
    if builder.find(body, &["_M_string_length"]).is_some() {
        return None;
    }
    crate::plan::presenters::cpp_parts::target(builder, ty)?;
    let (_, first) = body.type_arguments.first()?;
    let unit = match builder.size(*first) {
        Some(unit @ (1 | 2 | 4)) => unit as u8,
        _ => return None,
    };
    text(builder, pointer, unit)
}

/// The text of such a string, from the offset of the string's pointer.
pub(in crate::plan::presenters) fn text(
    builder: &mut Builder<'_>,
    pointer: u64,
    unit: u8,
) -> Option<Node> {
    if !builder.reads_texts() {
        return Some(Node::Missing(Unavailable::Depth));
    }
    Some(Node::Text(Box::new(TextNode {
        pointer,
        addend: 0,
        len: None,
        trim: 0,
        zero_ends: false,
        before: Some((HEADER, builder.slot().ok()?)),
        limit: builder.limits().string_bytes / u64::from(unit) * u64::from(unit),
        unit,
        short: None,
        slot: builder.slot().ok()?,
    })))
}

/// Offset of the pointer to the last node of a list without a stored length.
pub(in crate::plan) fn list(builder: &Builder<'_>, body: &StructType) -> Option<u64> {
    let last = builder.find(body, &["_M_impl", "_M_node", "_M_prev"]);
    last.map(|(offset, _)| offset)
}
