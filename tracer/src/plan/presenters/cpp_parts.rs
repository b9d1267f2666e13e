//! Shapes that both C++ libraries share: owners, texts, tuples and variants.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{BaseOffset, StructType, TypeId, TypeKind};
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;
use crate::plan::shape::{Arm, Field, Node, ShortText, TextNode, VariantsNode};

/// A pointer that is not followed.
pub(in crate::plan) fn address_only(builder: &Builder<'_>, offset: u64) -> Node {
    let target = Err(Unavailable::Unsupported("what it points to".into()));
    Node::Inside(offset, Box::new(builder.pointer_to(target, false)))
}

/// Stands for the number of a tuple element that was not found.
const NOT_FOUND: u32 = u32::MAX;

/// Returns true if these are all elements of a tuple, from the first on.
fn are_all(parts: &[(u32, u64, TypeId)]) -> bool {
    let mut numbers = (0..).zip(parts);
    !parts.is_empty() && numbers.all(|(number, (index, ..))| *index == number)
}

/// `tuple`: its elements are in base classes. Their names begin with `head` and the element's
/// number.
pub(in crate::plan) fn tuple(
    builder: &mut Builder<'_>,
    body: &StructType,
    at: u64,
    head: &str,
    member: &str,
    depth: u32,
) -> Option<Node> {
    let mut parts = Vec::new();
    tuple_parts(builder, body, head, member, at, 0, &mut parts);
    parts.sort_by_key(|(index, ..)| *index);
    if !are_all(&parts) && !body.bases.is_empty() {
        // If an element is missing, the raw members are shown.
        return None;
    }
    let fields = parts.into_iter().map(|(index, offset, ty)| Field {
        name: index.to_string().into(),
        offset,
        node: builder.node(ty, depth),
    });
    Some(Node::Tuple(fields.collect()))
}

/// The elements of a tuple with their numbers, from its nested bases.
fn tuple_parts(
    builder: &Builder<'_>,
    body: &StructType,
    head: &str,
    member: &str,
    at: u64,
    level: u32,
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
            None => tuple_parts(builder, inner, head, member, at, level + 1, out),
        }
    }
}

/// A library's names of the members of a `variant`.
pub(in crate::plan) struct VariantNames<'n> {
    /// Number of the alternative.
    pub(in crate::plan) index: &'n [&'n str],
    /// Union of the first alternative and the remaining ones.
    pub(in crate::plan) union: &'n [&'n str],
    pub(in crate::plan) first: &'n [&'n str],
    pub(in crate::plan) rest: &'n str,
}

/// `variant`: shown as its active alternative.
pub(in crate::plan) fn variant(
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
            line: None,
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
        line: None,
        name: "valueless".into(),
        values: vec![(none, none)],
        fields: Vec::new(),
    });
    Some(Node::Variants(Box::new(VariantsNode {
        name: "variant".into(),
        tag: Some((index, size)),
        transparent: true,
        adds: false,
        of_addresses: false,
        arms,
    })))
}

/// The names of the alternatives' types. Equal names get their numbers.
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

/// A type's name as sources write it: without paths and default arguments.
fn as_written(name: &str) -> String {
    const DEFAULTS: [&str; 6] = [
        "allocator<",
        "char_traits<",
        "less<",
        "hash<",
        "equal_to<",
        "default_delete<",
    ];
    let name = display_names::without_paths(name);
    let arguments = display_names::arguments(&name);
    let own: Vec<&str> = arguments
        .iter()
        .copied()
        .filter(|argument| !DEFAULTS.iter().any(|one| argument.starts_with(one)))
        .collect();
    match (display_names::short(&name), &own[..]) {
        ("basic_string", ["char"]) => "string".to_owned(),
        (short, [_, ..]) if own.len() < arguments.len() => format!("{short}<{}>", own.join(", ")),
        _ => name,
    }
}

pub(in crate::plan) fn target(builder: &Builder<'_>, pointer: TypeId) -> Option<TypeId> {
    match builder.resolve(pointer).kind {
        TypeKind::Pointer { target, .. } => target,
        _ => None,
    }
}

/// A text with characters of one, two or four bytes.
pub(in crate::plan) fn text(
    builder: &mut Builder<'_>,
    body: &StructType,
    pointer: u64,
    len: u64,
    short: Option<ShortText>,
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

/// The pointer of a `unique_ptr`: the first element of its tuple, in nested bases and members.
pub(in crate::plan) fn head(
    builder: &Builder<'_>,
    body: &StructType,
    at: u64,
    level: u32,
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
        head(builder, inner, at, level + 1)
    })
}

pub(in crate::plan) fn smart(
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

/// `optional`: a value, and a flag that says whether it is set.
pub(in crate::plan) fn optional(
    builder: &mut Builder<'_>,
    body: &StructType,
    engaged: &[&str],
    value: &[&str],
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
        of_addresses: false,
        arms: vec![
            Arm {
                line: None,
                name: "nullopt".into(),
                values: vec![(0, 0)],
                fields: Vec::new(),
            },
            Arm {
                line: None,
                name: "optional".into(),
                values: vec![(1, 1)],
                fields: vec![field],
            },
        ],
    })))
}
