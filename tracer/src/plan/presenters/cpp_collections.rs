//! Containers of libstdc++ whose elements are not contiguous.
//!
//! Pointers lead to a base class of the nodes. The node's own type is found by the library's name
//! for it.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{StructType, TypeId, TypeKind};
use crate::plan::presenters;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{BitCount, BitRowNode, BlocksNode, ChainNode, ChainStep, Node};

/// Bytes of one copy.
const MOST: u64 = tracer_common::limits::MAX_COPY as u64;

/// The shape of the container of this name.
pub(in crate::plan) fn container(
    builder: &mut Builder<'_>,
    name: &str,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    match name {
        "list" => {
            let (_, element) = *body.type_arguments.first()?;
            let first = builder.find(body, &["_M_impl", "_M_node", "_M_next"])?.0;
            let count = builder.find(body, &["_M_impl", "_M_node", "_M_size"]);
            let node = node_type(builder, "std::_List_node", element, "")?;
            let next = builder.find(&node, &["_M_next"])?.0;
            let links = ChainLinks {
                first,
                count: count.map(|(offset, _)| offset),
                step: ChainStep::Next(next),
            };
            let mut list = chain(builder, links, &node, element, CollectionKind::List, depth)?;
            if let Node::Chain(list) = &mut list
                && count.is_none()
            {
                list.last = Some(presenters::old_list(builder, body)?);
            }
            Some(list)
        }
        "forward_list" => {
            let (_, element) = *body.type_arguments.first()?;
            let first = builder.find(body, &["_M_impl", "_M_head", "_M_next"])?.0;
            let node = node_type(builder, "std::_Fwd_list_node", element, "")?;
            let next = builder.find(&node, &["_M_next"])?.0;
            let links = ChainLinks {
                first,
                count: None,
                step: ChainStep::Next(next),
            };
            chain(builder, links, &node, element, CollectionKind::List, depth)
        }
        "map" | "multimap" => tree(builder, body, CollectionKind::Map, depth),
        "set" | "multiset" => tree(builder, body, CollectionKind::Set, depth),
        "unordered_map" | "unordered_multimap" => hash(builder, body, CollectionKind::Map, depth),
        "unordered_set" | "unordered_multiset" => hash(builder, body, CollectionKind::Set, depth),
        "deque" => deque(builder, body, depth),
        _ => None,
    }
}

/// The kind of a container's entries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CollectionKind {
    List,
    Set,
    Map,
}

/// The type `NAME<ELEMENT, MORE>`.
pub(in crate::plan) fn node_type(
    builder: &Builder<'_>,
    name: &str,
    element: TypeId,
    more: &str,
) -> Option<StructType> {
    let element = builder.resolve_name(element);
    // Template arguments have pointers without a space.
    let element = element.replace(" *", "*").replace(" &", "&");
    let space = if element.ends_with('>') && more.is_empty() {
        " "
    } else {
        ""
    };
    let whole = format!("{name}<{element}{more}{space}>");
    defined(builder, &whole)
}

/// The type `NAME<ELEMENT>`. `element` is spelled as in the debug information.
pub(in crate::plan) fn node_named(
    builder: &Builder<'_>,
    name: &str,
    element: &str,
) -> Option<StructType> {
    let space = if element.ends_with('>') { " " } else { "" };
    defined(builder, &format!("{name}<{element}{space}>"))
}

fn defined(builder: &Builder<'_>, whole: &str) -> Option<StructType> {
    // Containers of the debug mode have a namespace of their own.
    let checked = || builder.named(&whole.replacen("std::", "std::__cxx1998::", 1));
    let ty = builder.named(whole).or_else(checked)?;
    match &builder.resolve(ty).kind {
        TypeKind::Struct(body) => Some(body.clone()),
        _ => None,
    }
}

/// `map`, `set`: a red-black tree.
fn tree(
    builder: &mut Builder<'_>,
    body: &StructType,
    kind: CollectionKind,
    depth: u32,
) -> Option<Node> {
    let (at, tree) = builder.find(body, &["_M_t"])?;
    let tree = builder.resolve(tree);
    let TypeKind::Struct(tree) = &tree.kind else {
        return None;
    };
    let (_, element) = *tree.type_arguments.get(1)?;
    let first = builder.find(tree, &["_M_impl", "_M_header", "_M_left"])?.0;
    let count = builder.find(tree, &["_M_impl", "_M_node_count"])?.0;
    let node = node_type(builder, "std::_Rb_tree_node", element, "")?;
    let step = ChainStep::Tree {
        left: builder.find(&node, &["_M_left"])?.0,
        right: builder.find(&node, &["_M_right"])?.0,
        parent: builder.find(&node, &["_M_parent"])?.0,
    };
    let links = ChainLinks {
        first: at.checked_add(first)?,
        count: Some(at.checked_add(count)?),
        step,
    };
    chain(builder, links, &node, element, kind, depth)
}

/// `unordered_map`, `unordered_set`: one list links all nodes.
fn hash(
    builder: &mut Builder<'_>,
    body: &StructType,
    kind: CollectionKind,
    depth: u32,
) -> Option<Node> {
    let (at, table) = builder.find(body, &["_M_h"])?;
    let table = builder.resolve(table);
    let TypeKind::Struct(table) = &table.kind else {
        return None;
    };
    let (_, element) = *table.type_arguments.get(1)?;
    let first = builder.find(table, &["_M_before_begin", "_M_nxt"])?.0;
    let count = builder.find(table, &["_M_element_count"])?.0;
    // The traits say whether nodes store hashes.
    let name = "std::__detail::_Hash_node";
    let traits = table.type_arguments.iter().find_map(|(_, ty)| {
        let name = builder.resolve_name(*ty);
        let arguments = name.strip_prefix("std::__detail::_Hashtable_traits<")?;
        Some(arguments.starts_with("true"))
    })?;
    let node = node_type(
        builder,
        name,
        element,
        if traits { ", true" } else { ", false" },
    )?;
    let next = builder.find(&node, &["_M_nxt"])?.0;
    let links = ChainLinks {
        first: at.checked_add(first)?,
        count: Some(at.checked_add(count)?),
        step: ChainStep::Next(next),
    };
    chain(builder, links, &node, element, kind, depth)
}

/// A chain of nodes: its start, its length, and the way from node to node.
struct ChainLinks {
    first: u64,
    count: Option<u64>,
    step: ChainStep,
}

fn chain(
    builder: &mut Builder<'_>,
    ChainLinks { first, count, step }: ChainLinks,
    node: &StructType,
    element: TypeId,
    kind: CollectionKind,
    depth: u32,
) -> Option<Node> {
    let (payload, _) = builder
        .find(node, &["_M_storage"])
        .or_else(|| builder.find(node, &["_M_value_field"]))?;
    let Some(deeper) = depth.checked_sub(1) else {
        return Some(Node::Missing(Unavailable::Depth));
    };
    let stride = builder
        .size(element)
        .filter(|size| (1..=MOST).contains(size))?;
    let pair = builder.resolve(element);
    let (key, value) = match (&pair.kind, kind) {
        (TypeKind::Struct(pair), CollectionKind::Map) => {
            let (key, value) = (
                builder.find(pair, &["first"])?,
                builder.find(pair, &["second"])?,
            );
            let key = (key.0, builder.element(key.1, deeper));
            (key, Some((value.0, builder.element(value.1, deeper))))
        }
        (_, CollectionKind::Map) => return None,
        _ => ((0, builder.element(element, deeper)), None),
    };
    Some(Node::Chain(Box::new(ChainNode {
        first,
        count,
        last: None,
        step,
        payload,
        stride,
        key,
        value,
        set: kind == CollectionKind::Set,
        limit: builder.limits().elements,
        slot: builder.slot().ok()?,
        end: builder.slot().ok()?,
    })))
}

fn deque(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Some(Node::Missing(Unavailable::Depth));
    };
    let (_, element) = *body.type_arguments.first()?;
    let stride = builder
        .size(element)
        .filter(|size| (1..=MOST).contains(size))?;
    let of = |iterator: &str, member: &str| {
        builder
            .find(body, &["_M_impl", iterator, member])
            .map(|(offset, _)| offset)
    };
    let start = |member| of("_M_start", member);
    let finish = |member| of("_M_finish", member);
    let (cur, first, last) = (start("_M_cur")?, start("_M_first")?, start("_M_last")?);
    let (node, end_node) = (start("_M_node")?, finish("_M_node")?);
    let (end_cur, end_first) = (finish("_M_cur")?, finish("_M_first")?);
    Some(Node::Blocks(Box::new(BlocksNode {
        cur,
        first,
        last,
        node,
        end_cur,
        end_first,
        end_node,
        stride,
        limit: builder.limits().elements.min(MOST / stride),
        element: builder.element(element, deeper),
        slot: builder.slot().ok()?,
        end: builder.slot().ok()?,
    })))
}

/// `vector<bool>`: two iterators of a pointer and a number of bits.
pub(in crate::plan) fn bits(
    builder: &mut Builder<'_>,
    start: u64,
    start_type: TypeId,
    finish: u64,
    finish_type: TypeId,
    depth: u32,
) -> Option<Node> {
    if depth == 0 {
        return Some(Node::Missing(Unavailable::Depth));
    }
    let (start_type, finish_type) = (builder.resolve(start_type), builder.resolve(finish_type));
    let (TypeKind::Struct(start_body), TypeKind::Struct(finish_body)) =
        (&start_type.kind, &finish_type.kind)
    else {
        return None;
    };
    let (start_at, _) = builder.find(start_body, &["_M_p"])?;
    let (end_at, _) = builder.find(finish_body, &["_M_p"])?;
    let (rest, _) = builder.find(finish_body, &["_M_offset"])?;
    Some(Node::BitRow(Box::new(BitRowNode {
        start: start.checked_add(start_at)?,
        count: BitCount::End {
            end: finish.checked_add(end_at)?,
            rest: finish.checked_add(rest)?,
        },
        limit: builder.limits().elements,
        slot: builder.slot().ok()?,
    })))
}
