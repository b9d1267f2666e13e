//! Shapes of the C++ standard library (libstdc++): what a reader wants to see
//! instead of the members.
//!
//! Chosen by name and by the members that the debug information shows; where
//! these are not as expected the raw members are shown.

use super::build::Builder;
use super::names;
use super::rust::seq;
use super::shape::{Arm, Field, Node, SeqLen, TextNode, VariantsNode};
use crate::debuginfo::types::{StructType, Type, TypeId, TypeKind};
use crate::unavailable::Unavailable;

/// The shape of a struct that is better shown otherwise.
pub(super) fn present(
    builder: &mut Builder<'_>,
    ty: &Type,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let path = names::path(&ty.name);
    let plain = path.strip_prefix("std::")?;
    let plain = plain.strip_prefix("__cxx11::").unwrap_or(plain);
    match plain {
        "basic_string" | "string" => {
            let (pointer, _) = builder.find(body, &["_M_dataplus", "_M_p"])?;
            let (len, _) = builder.find(body, &["_M_string_length"])?;
            text(builder, body, pointer, len, depth)
        }
        "basic_string_view" | "string_view" => {
            let (pointer, _) = builder.find(body, &["_M_str"])?;
            let (len, _) = builder.find(body, &["_M_len"])?;
            text(builder, body, pointer, len, depth)
        }
        "vector" => {
            let (start, pointer) = builder.find(body, &["_M_impl", "_M_start"])?;
            let (finish, _) = builder.find(body, &["_M_impl", "_M_finish"])?;
            let element = target(builder, pointer)?;
            seq(builder, start, 0, SeqLen::End(finish), element, depth)
        }
        "unique_ptr" => {
            let (offset, pointer) = head(builder, body, 0)?;
            smart(builder, offset, pointer, depth)
        }
        "shared_ptr" => {
            let (offset, pointer) = builder.find(body, &["_M_ptr"])?;
            smart(builder, offset, pointer, depth)
        }
        "optional" => optional(builder, body, depth),
        _ => None,
    }
}

fn target(builder: &Builder<'_>, pointer: TypeId) -> Option<TypeId> {
    match builder.resolve(pointer).kind {
        TypeKind::Pointer { target, .. } => target,
        _ => None,
    }
}

/// A text of single-byte characters.
fn text(
    builder: &mut Builder<'_>,
    body: &StructType,
    pointer: u64,
    len: u64,
    depth: u32,
) -> Option<Node> {
    let (_, first) = body.type_arguments.first()?;
    if builder.size(*first) != Some(1) {
        return None;
    }
    if depth == 0 {
        return Some(Node::Missing(Unavailable::Depth));
    }
    Some(Node::Text(Box::new(TextNode {
        pointer,
        addend: 0,
        len: Some(len),
        trim: 0,
        limit: builder.limits().string_bytes,
        slot: builder.slot().ok()?,
    })))
}

/// The pointer of a `unique_ptr`, deep in its tuple's bases.
fn head(builder: &Builder<'_>, body: &StructType, level: u32) -> Option<(u64, TypeId)> {
    if let Some(found) = builder.member(body, "_M_head_impl", 0)
        && target(builder, found.1).is_some()
    {
        return Some(found);
    }
    if level > 8 {
        return None;
    }
    body.members.iter().find_map(|member| {
        let ty = builder.resolve(member.ty);
        let TypeKind::Struct(inner) = &ty.kind else {
            return None;
        };
        let (offset, ty) = head(builder, inner, level + 1)?;
        Some((member.offset.checked_add(offset)?, ty))
    })
}

fn smart(builder: &mut Builder<'_>, offset: u64, pointer: TypeId, depth: u32) -> Option<Node> {
    let target = target(builder, pointer)?;
    let block = builder.block(target, depth);
    let node = builder.pointer_to(block, true);
    Some(Node::Inside(offset, Box::new(node)))
}

/// `optional`: a value that counts when its flag is set.
fn optional(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let (engaged, _) = builder.find(body, &["_M_payload", "_M_engaged"])?;
    let (offset, payload) = builder.find(body, &["_M_payload", "_M_payload", "_M_value"])?;
    let field = Field {
        name: "0".into(),
        offset,
        node: builder.node(payload, depth),
    };
    Some(Node::Variants(Box::new(VariantsNode {
        name: "optional".into(),
        tag: Some((engaged, 1)),
        transparent: false,
        arms: vec![
            Arm {
                name: "nullopt".into(),
                values: vec![(0, 0)],
                fields: Vec::new(),
            },
            Arm {
                name: "optional".into(),
                values: vec![(1, 1)],
                fields: vec![field],
            },
        ],
    })))
}
