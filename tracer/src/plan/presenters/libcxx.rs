//! Types of libc++, the C++ standard library of LLVM, in the namespace `std::__1`.
//!
//! A type is chosen by its name and by its members in the debug information. If these are not as
//! expected the raw members are shown. Most types resemble those of libstdc++ under other names.
//! Members that may be empty are in pairs of the library's own.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::plan::presenters;
use crate::plan::presenters::cpp_parts::{
    VariantNames, address_only, optional, smart, target, text, tuple, variant,
};
use crate::plan::presenters::rust_parts::seq;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;
use crate::plan::shape::presenter::Presenter;
use crate::plan::shape::{ChainNode, ChainStep, Node, SeqLen, ShortText};

/// The other part of a compressed pair. One part of it may be empty.
const VALUE: &str = "__value_";
/// Bytes of one copy.
const MOST: u64 = tracer_common::limits::MAX_COPY as u64;

/// Types of libc++.
pub(in crate::plan) const PRESENTER: Presenter = Presenter {
    language: Language::Cpp,
    name: plain_name,
    types: &[
        "basic_string",
        "basic_string_view",
        "vector",
        "array",
        "stack",
        "queue",
        "priority_queue",
        "unique_ptr",
        "shared_ptr",
        "weak_ptr",
        "optional",
        "variant",
        "tuple",
        "deque",
        "list",
        "forward_list",
        "map",
        "multimap",
        "set",
        "multiset",
        "unordered_map",
        "unordered_multimap",
        "unordered_set",
        "unordered_multiset",
        "atomic",
        "atomic_flag",
        "__atomic_base",
        "atomic_ref",
        "reference_wrapper",
        "bitset",
        "initializer_list",
        "span",
        "complex",
        "filesystem::path",
        "__fs::filesystem::path",
        "function",
        "any",
        "__wrap_iter",
        "__deque_iterator",
        "__map_iterator",
        "__map_const_iterator",
        "__hash_map_iterator",
        "__list_iterator",
        "__list_const_iterator",
        "__tree_iterator",
        "__tree_const_iterator",
        "chrono::duration",
        "chrono::time_point",
    ],
    present,
};

/// The name of a type of the library within its namespace.
fn plain_name(ty: &Type) -> Option<&str> {
    display_names::path(&ty.name).strip_prefix("std::__1::")
}

fn present(builder: &mut Builder<'_>, ty: &Type, body: &StructType, depth: u32) -> Option<Node> {
    let (name, plain) = (&ty.name, plain_name(ty)?);
    match plain {
        "basic_string" => string(builder, body),
        "basic_string_view" => {
            let (pointer, _) = either(builder, body, "__data")?;
            let (len, _) = either(builder, body, "__size")?;
            text(builder, body, pointer, len, None)
        }
        "vector" => {
            let (begin, pointer) = builder.find(body, &["__begin_"])?;
            let Some((end, _)) = builder.find(body, &["__end_"]) else {
                return presenters::libcxx_bits(builder, body, begin, pointer, depth);
            };
            let element = target(builder, pointer)?;
            seq(builder, begin, 0, SeqLen::End(end), element, depth)
        }
        "array" if presenters::is_empty_array(&ty.name) => Some(presenters::no_elements()),
        "array" => inside(builder, body, "__elems_", depth),
        "stack" | "queue" | "priority_queue" => inside(builder, body, "c", depth),
        "unique_ptr" => {
            let pair = builder.find(body, &["__ptr_", VALUE]);
            let (offset, pointer) = pair.or_else(|| builder.find(body, &["__ptr_"]))?;
            if name.contains("[]") {
                // The number of elements is not stored.
                return Some(address_only(builder, offset));
            }
            smart(builder, offset, pointer, depth)
        }
        "shared_ptr" => {
            let (offset, pointer) = builder.find(body, &["__ptr_"])?;
            if name.contains("[]") {
                return Some(address_only(builder, offset));
            }
            smart(builder, offset, pointer, depth)
        }
        "weak_ptr" => {
            let (offset, _) = builder.find(body, &["__ptr_"])?;
            Some(address_only(builder, offset))
        }
        "optional" => optional(builder, body, &["__engaged_"], &["__val_"], depth),
        "variant" => {
            let mut names = ["__impl", "__impl_"].into_iter();
            let implementation = names.find(|name| builder.find(body, &[name]).is_some())?;
            let names = VariantNames {
                index: &[implementation, "__index"],
                union: &[implementation, "__data"],
                first: &["__head", "__value"],
                rest: "__tail",
            };
            variant(builder, body, &names, depth)
        }
        "tuple" => {
            let (at, inner) = builder.find(body, &["__base_"])?;
            let inner = structure(builder, inner)?;
            let head = "std::__1::__tuple_leaf<";
            tuple(builder, &inner, at, head, VALUE, depth)
        }
        "deque" => presenters::libcxx_deque(builder, body, depth),
        "list" => list(builder, body, depth),
        "forward_list" => forward_list(builder, body, depth),
        "map" | "multimap" => tree(builder, body, true, depth),
        "set" | "multiset" => tree(builder, body, false, depth),
        "unordered_map" | "unordered_multimap" => hash(builder, body, true, depth),
        "unordered_set" | "unordered_multiset" => hash(builder, body, false, depth),
        _ => presenters::libcxx(builder, plain, ty, body, depth),
    }
}

/// A member's offset and type. Later versions append `_` to its name.
fn either(builder: &Builder<'_>, body: &StructType, name: &str) -> Option<(u64, TypeId)> {
    let found = builder.find(body, &[name]);
    found.or_else(|| builder.find(body, &[&format!("{name}_")]))
}

fn inside(builder: &mut Builder<'_>, body: &StructType, name: &str, depth: u32) -> Option<Node> {
    let (offset, inner) = builder.find(body, &[name])?;
    let node = builder.node(inner, depth);
    Some(Node::Inside(offset, Box::new(node)))
}

fn structure(builder: &Builder<'_>, ty: TypeId) -> Option<StructType> {
    match &builder.resolve(ty).kind {
        TypeKind::Struct(body) => Some(body.clone()),
        _ => None,
    }
}

/// `basic_string`: a short text is within the string's own bytes. The lowest bit of the first byte
/// tells, and the rest of that byte is the length then. The library can be built with another
/// layout, with the length of a short text in the last byte. Such strings show their raw members.
fn string(builder: &mut Builder<'_>, body: &StructType) -> Option<Node> {
    let (at, rep) = builder.find(body, &["__r_", VALUE])?;
    let rep = structure(builder, rep)?;
    let (long_at, long) = builder.find(&rep, &["__l"])?;
    let (short_at, short) = builder.find(&rep, &["__s"])?;
    let (long, short) = (structure(builder, long)?, structure(builder, short)?);
    let (pointer, _) = builder.find(&long, &["__data_"])?;
    let (len, _) = builder.find(&long, &["__size_"])?;
    let (data, characters) = builder.find(&short, &["__data_"])?;
    let tag = tag_of(builder, &long, &short).filter(|tag| *tag < data)?;
    if long_at != short_at {
        return None;
    }
    let unit = builder.size(body.type_arguments.first()?.1)?;
    // One character is for the zero at the end.
    let most = builder
        .size(characters)?
        .checked_div(unit)?
        .checked_sub(1)?;
    let at = at.checked_add(long_at)?;
    let short = ShortText {
        tag: at.checked_add(tag)?,
        data: at.checked_add(data)?,
        most,
    };
    let (pointer, len) = (at.checked_add(pointer)?, at.checked_add(len)?);
    text(builder, body, pointer, len, Some(short))
}

/// The byte that tells a long text from a short one by its lowest bit. The debug information
/// describes it by bit fields, or as the first byte of a long text's capacity.
fn tag_of(builder: &Builder<'_>, long: &StructType, short: &StructType) -> Option<u64> {
    let flag = |body| bits_of(builder, body, "__is_long_", 0);
    if let Some((bit, 1)) = flag(short) {
        let same = flag(long) == Some((bit, 1));
        let length = bits_of(builder, short, "__size_", 0) == Some((bit + 1, 7));
        return (bit % 8 == 0 && same && length).then_some(bit / 8);
    }
    let (size, ty) = builder.find(short, &["__size_"])?;
    let (capacity, _) = builder.find(long, &["__cap_"])?;
    (builder.size(ty) == Some(1) && size == capacity).then_some(size)
}

/// Offset in bits, and number of bits, of a bit field of the struct or of its anonymous members.
fn bits_of(builder: &Builder<'_>, body: &StructType, name: &str, level: u32) -> Option<(u64, u64)> {
    if level > 4 {
        return None;
    }
    body.members.iter().find_map(|member| {
        let at = member.offset.checked_mul(8)?;
        if member.name == name {
            let (bit, bits) = member.bits?;
            return Some((at.checked_add(bit)?, bits));
        }
        if !member.name.is_empty() {
            return None;
        }
        let ty = builder.resolve(member.ty);
        let (TypeKind::Struct(inner) | TypeKind::Union(inner)) = &ty.kind else {
            return None;
        };
        let (bit, bits) = bits_of(builder, inner, name, level + 1)?;
        Some((at.checked_add(bit)?, bits))
    })
}

/// The node type `NAME<ELEMENT, void *>`.
pub(in crate::plan) fn node_type(
    builder: &Builder<'_>,
    name: &str,
    element: TypeId,
) -> Option<StructType> {
    let element = &builder.resolve(element).name;
    let spellings = ["void *", "void*"];
    let ty = spellings.iter().find_map(|pointer| {
        let name = format!("std::__1::{name}<{element}, {pointer}>");
        builder.named(&name)
    })?;
    structure(builder, ty)
}

/// A chain's nodes, its start and its length.
struct Links {
    first: u64,
    count: Option<u64>,
    step: ChainStep,
}

fn list(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let (_, element) = *body.type_arguments.first()?;
    let node = node_type(builder, "__list_node", element)?;
    let links = Links {
        first: builder.find(body, &["__end_", "__next_"])?.0,
        count: Some(builder.find(body, &["__size_alloc_", VALUE])?.0),
        step: ChainStep::Next(builder.find(&node, &["__next_"])?.0),
    };
    chain(builder, &links, &node, None, depth)
}

fn forward_list(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let (_, element) = *body.type_arguments.first()?;
    let node = node_type(builder, "__forward_list_node", element)?;
    let links = Links {
        first: builder
            .find(body, &["__before_begin_", VALUE, "__next_"])?
            .0,
        count: None,
        step: ChainStep::Next(builder.find(&node, &["__next_"])?.0),
    };
    chain(builder, &links, &node, None, depth)
}

/// `map`, `set`: a binary tree.
fn tree(builder: &mut Builder<'_>, body: &StructType, map: bool, depth: u32) -> Option<Node> {
    let (at, tree) = builder.find(body, &["__tree_"])?;
    let tree = structure(builder, tree)?;
    let (_, element) = *tree.type_arguments.first()?;
    let node = node_type(builder, "__tree_node", element)?;
    let first = builder.find(&tree, &["__begin_node_"])?.0;
    let count = builder.find(&tree, &["__pair3_", VALUE])?.0;
    let links = Links {
        first: at.checked_add(first)?,
        count: Some(at.checked_add(count)?),
        step: ChainStep::Tree {
            left: builder.find(&node, &["__left_"])?.0,
            right: builder.find(&node, &["__right_"])?.0,
            parent: builder.find(&node, &["__parent_"])?.0,
        },
    };
    chain(builder, &links, &node, Some(map), depth)
}

/// `unordered_map`, `unordered_set`: one list links all nodes.
fn hash(builder: &mut Builder<'_>, body: &StructType, map: bool, depth: u32) -> Option<Node> {
    let (at, table) = builder.find(body, &["__table_"])?;
    let table = structure(builder, table)?;
    let (_, element) = *table.type_arguments.first()?;
    let node = node_type(builder, "__hash_node", element)?;
    let first = builder.find(&table, &["__p1_", VALUE, "__next_"])?.0;
    let count = builder.find(&table, &["__p2_", VALUE])?.0;
    let links = Links {
        first: at.checked_add(first)?,
        count: Some(at.checked_add(count)?),
        step: ChainStep::Next(builder.find(&node, &["__next_"])?.0),
    };
    chain(builder, &links, &node, Some(map), depth)
}

/// `map`: true if entries are a map's pairs. `None` for a list.
fn chain(
    builder: &mut Builder<'_>,
    links: &Links,
    node: &StructType,
    map: Option<bool>,
    depth: u32,
) -> Option<Node> {
    let (payload, element) = builder.find(node, &[VALUE])?;
    let Some(deeper) = depth.checked_sub(1) else {
        return Some(Node::Missing(Unavailable::Depth));
    };
    let stride = builder
        .size(element)
        .filter(|size| (1..=MOST).contains(size))?;
    let (key, value) = if map == Some(true) {
        let entry = structure_or_union(builder, element)?;
        let (at, pair) = either(builder, &entry, "__cc")?;
        let pair = structure(builder, pair)?;
        let mut part = |name: &str| {
            let (offset, ty) = builder.find(&pair, &[name])?;
            Some((at.checked_add(offset)?, builder.element(ty, deeper)))
        };
        (part("first")?, Some(part("second")?))
    } else {
        ((0, builder.element(element, deeper)), None)
    };
    Some(Node::Chain(Box::new(ChainNode {
        first: links.first,
        count: links.count,
        last: None,
        step: links.step,
        payload,
        stride,
        key,
        value,
        set: map == Some(false),
        limit: builder.limits().elements,
        slot: builder.slot().ok()?,
        end: builder.slot().ok()?,
    })))
}

fn structure_or_union(builder: &Builder<'_>, ty: TypeId) -> Option<StructType> {
    match &builder.resolve(ty).kind {
        TypeKind::Struct(body) | TypeKind::Union(body) => Some(body.clone()),
        _ => None,
    }
}
