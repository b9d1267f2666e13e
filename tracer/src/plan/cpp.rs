//! Shapes of the C++ standard library: what a reader wants to see instead of the
//! members. Those of libstdc++ are here; libc++ has a namespace of its own.
//!
//! Chosen by name and by the members that the debug information shows; where
//! these are not as expected the raw members are shown.

use std::collections::HashMap;
use std::sync::Arc;

use super::build::Builder;
use super::cpp_collections;
use super::libcxx;
use super::names;
use super::present as presenters;
use super::rust::seq;
use super::shape::{Arm, Field, Node, SeqLen, ShortText, TextNode, VariantsNode};
use crate::debuginfo::types::{BaseOffset, StructType, Type, TypeId, TypeKind};
use crate::unavailable::Unavailable;

/// The shape of a struct that is better shown otherwise.
pub(super) fn present(
    builder: &mut Builder<'_>,
    ty: &Type,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let path = names::path(&ty.name);
    if let Some(node) = presenters::checked(builder, path, body, depth)
        .or_else(|| presenters::iterators::libstdcxx(builder, &ty.name, body, depth))
    {
        return Some(node);
    }
    let plain = path.strip_prefix("std::")?;
    if let Some(plain) = plain.strip_prefix("__1::") {
        return libcxx::present(builder, plain, (ty, body), depth);
    }
    let plain = plain.strip_prefix("__cxx1998::").unwrap_or(plain);
    let plain = plain.strip_prefix("__cxx11::").unwrap_or(plain);
    if let Some(text) = presenters::abi_string::node(builder, ty) {
        return Some(text);
    }
    match plain {
        "basic_string" | "string" if builder.find(body, &["_M_string_length"]).is_none() => {
            presenters::old_string(builder, body)
        }
        "basic_string" | "string" => {
            let (pointer, _) = builder.find(body, &["_M_dataplus", "_M_p"])?;
            let (len, _) = builder.find(body, &["_M_string_length"])?;
            text(builder, body, (pointer, len, None))
        }
        "basic_string_view" | "string_view" => {
            let (pointer, _) = builder.find(body, &["_M_str"])?;
            let (len, _) = builder.find(body, &["_M_len"])?;
            text(builder, body, (pointer, len, None))
        }
        "vector" => {
            let (start, pointer) = builder.find(body, &["_M_impl", "_M_start"])?;
            let (finish, finish_type) = builder.find(body, &["_M_impl", "_M_finish"])?;
            if let TypeKind::Struct(_) = builder.resolve(pointer).kind {
                return cpp_collections::bits(
                    builder,
                    (start, pointer),
                    (finish, finish_type),
                    depth,
                );
            }
            let element = target(builder, pointer)?;
            seq(builder, start, 0, SeqLen::End(finish), element, depth)
        }
        "array" => {
            let (offset, elements) = builder.find(body, &["_M_elems"])?;
            if presenters::is_empty_array(&ty.name) {
                return Some(presenters::no_elements());
            }
            let node = builder.node(elements, depth);
            Some(Node::Inside(offset, Box::new(node)))
        }
        "stack" | "queue" | "priority_queue" => {
            let (offset, inner) = builder.find(body, &["c"])?;
            let node = builder.node(inner, depth);
            Some(Node::Inside(offset, Box::new(node)))
        }
        "unique_ptr" => {
            let (offset, pointer) = head(builder, body, (0, 0))?;
            if ty.name.contains("[]") {
                // How many there are is written nowhere.
                return Some(address_only(builder, offset));
            }
            smart(builder, offset, pointer, depth)
        }
        "shared_ptr" => {
            let (offset, pointer) = builder.find(body, &["_M_ptr"])?;
            if ty.name.contains("[]") {
                return Some(address_only(builder, offset));
            }
            smart(builder, offset, pointer, depth)
        }
        "weak_ptr" => {
            let (offset, _) = builder.find(body, &["_M_ptr"])?;
            Some(address_only(builder, offset))
        }
        "optional" => {
            let value = ["_M_payload", "_M_payload", "_M_value"];
            optional(
                builder,
                body,
                (&["_M_payload", "_M_engaged"], &value),
                depth,
            )
        }
        "variant" => {
            let names = VariantNames {
                index: &["_M_index"],
                union: &["_M_u"],
                first: &["_M_first"],
                rest: "_M_rest",
            };
            variant(builder, body, &names, depth)
        }
        "tuple" => tuple(
            builder,
            body,
            (0, "std::_Head_base<", "_M_head_impl"),
            depth,
        ),
        _ => cpp_collections::container(builder, plain, body, depth)
            .or_else(|| presenters::libstdcxx(builder, plain, (ty, body), depth)),
    }
}

/// A pointer that is not followed.
pub(super) fn address_only(builder: &Builder<'_>, offset: u64) -> Node {
    let target = Err(Unavailable::Unsupported("what it points to".into()));
    Node::Inside(offset, Box::new(builder.pointer_to(target, false)))
}

/// Number of an element that is there and cannot be told.
const NOT_FOUND: u32 = u32::MAX;

/// Whether these are the elements of a tuple from the first on, none left out.
fn are_all(parts: &[(u32, u64, TypeId)]) -> bool {
    let mut numbers = (0..).zip(parts);
    !parts.is_empty() && numbers.all(|(number, (index, ..))| *index == number)
}

/// `tuple`: its elements are in bases, whose names begin with `head` and the element's number.
pub(super) fn tuple(
    builder: &mut Builder<'_>,
    body: &StructType,
    (at, head, member): (u64, &str, &str),
    depth: u32,
) -> Option<Node> {
    let mut parts = Vec::new();
    tuple_parts(builder, body, (head, member), (at, 0), &mut parts);
    parts.sort_by_key(|(index, ..)| *index);
    if !are_all(&parts) && !body.bases.is_empty() {
        // Not all of it was found: then the members as they are.
        return None;
    }
    let fields = parts.into_iter().map(|(index, offset, ty)| Field {
        name: index.to_string().into(),
        offset,
        node: builder.node(ty, depth),
    });
    Some(Node::Tuple(fields.collect()))
}

/// The elements of a tuple by number, deep in its bases.
fn tuple_parts(
    builder: &Builder<'_>,
    body: &StructType,
    (head, member): (&str, &str),
    (at, level): (u64, u32),
    out: &mut Vec<(u32, u64, TypeId)>,
) {
    if level > 32 || out.len() > 64 {
        out.push((NOT_FOUND, 0, TypeId::VOID));
        return;
    }
    for base in &body.bases {
        let BaseOffset::Fixed(offset) = base.offset else {
            continue;
        };
        let Some(at) = at.checked_add(offset) else {
            continue;
        };
        let ty = builder.resolve(base.ty);
        let TypeKind::Struct(inner) = &ty.kind else {
            continue;
        };
        match ty.name.strip_prefix(head) {
            Some(arguments) => {
                let digits = arguments.find(|c: char| !c.is_ascii_digit());
                let number = arguments.get(..digits.unwrap_or(0)).unwrap_or_default();
                let found = builder.find(inner, &[member]);
                out.push(match (number.parse(), found) {
                    (Ok(index), Some((offset, ty))) => (index, at.saturating_add(offset), ty),
                    _ => (NOT_FOUND, 0, base.ty),
                });
            }
            None => tuple_parts(builder, inner, (head, member), (at, level + 1), out),
        }
    }
}

/// How a library calls the parts of a `variant`.
pub(super) struct VariantNames<'n> {
    /// Number of the alternative.
    pub(super) index: &'n [&'n str],
    /// Union of the first alternative and of the rest.
    pub(super) union: &'n [&'n str],
    pub(super) first: &'n [&'n str],
    pub(super) rest: &'n str,
}

/// `variant`: written as the alternative that it holds.
pub(super) fn variant(
    builder: &mut Builder<'_>,
    body: &StructType,
    members: &VariantNames<'_>,
    depth: u32,
) -> Option<Node> {
    let names = alternatives(builder, body);
    let (index, index_type) = builder.find(body, members.index)?;
    let size = u8::try_from(builder.size(index_type)?).ok()?;
    let (mut at, mut union) = builder.find(body, members.union)?;
    let mut arms = Vec::new();
    for (number, (_, ty)) in body.type_arguments.iter().enumerate() {
        let resolved = builder.resolve(union);
        let (TypeKind::Struct(inner) | TypeKind::Union(inner)) = &resolved.kind else {
            return None;
        };
        let (offset, _) = builder.find(inner, members.first)?;
        arms.push(Arm {
            name: names.get(number)?.clone(),
            values: vec![(number as u128, number as u128)],
            fields: vec![Field {
                name: "0".into(),
                offset: at.checked_add(offset)?,
                node: builder.node(*ty, depth),
            }],
        });
        if let Some((offset, rest)) = builder.find(inner, &[members.rest]) {
            at = at.checked_add(offset)?;
            union = rest;
        }
    }
    let none = u128::MAX >> (128 - 8 * u32::from(size).clamp(1, 16));
    arms.push(Arm {
        name: "valueless".into(),
        values: vec![(none, none)],
        fields: Vec::new(),
    });
    Some(Node::Variants(Box::new(VariantsNode {
        name: "variant".into(),
        tag: Some((index, size)),
        transparent: true,
        adds: false,
        arms,
    })))
}

/// The names of the alternatives' types; of those that are alike, with their numbers.
fn alternatives(builder: &Builder<'_>, body: &StructType) -> Vec<Arc<str>> {
    let types = body.type_arguments.iter().map(|(_, ty)| *ty);
    let named: Vec<String> = types
        .map(|ty| as_written(&builder.resolve(ty).name))
        .collect();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for name in &named {
        *times.entry(name).or_default() += 1;
    }
    let all = named.iter().enumerate();
    all.map(|(number, name)| match times.get(name.as_str()) {
        Some(1) => name.as_str().into(),
        _ => format!("{number}: {name}").into(),
    })
    .collect()
}

/// A type's name as sources write it: without paths and the arguments that are the default.
fn as_written(name: &str) -> String {
    const DEFAULTS: [&str; 6] = [
        "allocator<",
        "char_traits<",
        "less<",
        "hash<",
        "equal_to<",
        "default_delete<",
    ];
    let name = names::without_paths(name);
    let arguments = names::arguments(&name);
    let own: Vec<&str> = arguments
        .iter()
        .copied()
        .filter(|argument| !DEFAULTS.iter().any(|one| argument.starts_with(one)))
        .collect();
    match (names::short(&name), &own[..]) {
        ("basic_string", ["char"]) => "string".to_owned(),
        (short, [_, ..]) if own.len() < arguments.len() => format!("{short}<{}>", own.join(", ")),
        _ => name,
    }
}

pub(super) fn target(builder: &Builder<'_>, pointer: TypeId) -> Option<TypeId> {
    match builder.resolve(pointer).kind {
        TypeKind::Pointer { target, .. } => target,
        _ => None,
    }
}

/// A text of characters of one, two or four bytes.
pub(super) fn text(
    builder: &mut Builder<'_>,
    body: &StructType,
    (pointer, len, short): (u64, u64, Option<ShortText>),
) -> Option<Node> {
    let (_, first) = body.type_arguments.first()?;
    let unit = match builder.size(*first) {
        Some(unit @ (1 | 2 | 4)) => unit as u8,
        _ => return None,
    };
    if !builder.reads_texts() {
        return Some(Node::Missing(Unavailable::Depth));
    }
    Some(Node::Text(Box::new(TextNode {
        pointer,
        addend: 0,
        len: Some(len),
        trim: 0,
        zero_ends: false,
        before: None,
        limit: builder.limits().string_bytes / u64::from(unit) * u64::from(unit),
        unit,
        short,
        slot: builder.slot().ok()?,
    })))
}

/// The pointer of a `unique_ptr`: the first element of its tuple, deep in bases and members.
pub(super) fn head(
    builder: &Builder<'_>,
    body: &StructType,
    (at, level): (u64, u32),
) -> Option<(u64, TypeId)> {
    if level > 8 {
        return None;
    }
    let bases = body.bases.iter().filter_map(|base| match base.offset {
        BaseOffset::Fixed(offset) => Some((offset, base.ty)),
        BaseOffset::VtableSlot(_) => None,
    });
    let members = body.members.iter().map(|member| (member.offset, member.ty));
    bases.chain(members).find_map(|(offset, ty)| {
        let at = at.checked_add(offset)?;
        let ty = builder.resolve(ty);
        let TypeKind::Struct(inner) = &ty.kind else {
            return None;
        };
        if ty.name.starts_with("std::_Head_base<0") {
            let (offset, pointer) = builder.find(inner, &["_M_head_impl"])?;
            target(builder, pointer)?;
            return Some((at.checked_add(offset)?, pointer));
        }
        head(builder, inner, (at, level + 1))
    })
}

pub(super) fn smart(
    builder: &mut Builder<'_>,
    offset: u64,
    pointer: TypeId,
    depth: u32,
) -> Option<Node> {
    let target = target(builder, pointer)?;
    let block = builder.block(target, depth);
    let node = builder.pointer_to(block, true);
    Some(Node::Inside(offset, Box::new(node)))
}

/// `optional`: a value that counts when its flag is set.
pub(super) fn optional(
    builder: &mut Builder<'_>,
    body: &StructType,
    (engaged, value): (&[&str], &[&str]),
    depth: u32,
) -> Option<Node> {
    let (engaged, _) = builder.find(body, engaged)?;
    let (offset, payload) = builder.find(body, value)?;
    let field = Field {
        name: "0".into(),
        offset,
        node: builder.node(payload, depth),
    };
    Some(Node::Variants(Box::new(VariantsNode {
        name: "optional".into(),
        tag: Some((engaged, 1)),
        transparent: false,
        adds: false,
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
