//! Iterators: pointers to elements.
//!
//! The end of a list or tree is a part of the container, and an iterator to it looks like any
//! other. Its bytes are not an element, so such iterators show only their address.

use crate::debuginfo::types::{StructType, TypeId};
use crate::plan::presenters::cpp_collections;
use crate::plan::presenters::cpp_parts::target;
use crate::plan::presenters::{fixed, structure};
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;
use crate::plan::shape::{Node, PointerNode};

/// Iterators of libstdc++. `name` includes the namespaces.
pub(in crate::plan) fn libstdcxx(
    builder: &mut Builder<'_>,
    name: &str,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let plain = display_names::path(name).replacen("std::__cxx1998::", "std::", 1);
    match &*plain {
        "__gnu_cxx::__normal_iterator" => in_row(builder, body, "_M_current", depth),
        "std::_Deque_iterator" => in_row(builder, body, "_M_cur", depth),
        "std::_List_iterator"
        | "std::_List_const_iterator"
        | "std::_Rb_tree_iterator"
        | "std::_Rb_tree_const_iterator" => address_alone(builder, body, "_M_node"),
        "std::_Fwd_list_iterator" | "std::_Fwd_list_const_iterator" => {
            node_of(builder, body, name, "std::_Fwd_list_node", depth)
        }
        "std::__detail::_Node_iterator" | "std::__detail::_Node_const_iterator" => {
            let (offset, pointer) = builder.find(body, &["_M_cur"])?;
            let node = structure(builder, target(builder, pointer)?)?;
            let (_, element) = *body.type_arguments.first()?;
            at_payload(builder, offset, &node, "_M_storage", element, depth)
        }
        _ => None,
    }
}

/// Iterators of libc++.
pub(in crate::plan::presenters) fn libcxx(
    builder: &mut Builder<'_>,
    plain: &str,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    match plain {
        "__wrap_iter" => {
            let names = ["__i", "__i_"];
            let name = names
                .iter()
                .find(|name| builder.find(body, &[name]).is_some())?;
            in_row(builder, body, name, depth)
        }
        "__deque_iterator" => in_row(builder, body, "__ptr_", depth),
        "__map_iterator" | "__map_const_iterator" | "__hash_map_iterator" => {
            let (offset, inner) = builder.find(body, &["__i_"])?;
            let node = builder.node(inner, depth);
            Some(Node::Inside(offset, Box::new(node)))
        }
        "__list_iterator"
        | "__list_const_iterator"
        | "__tree_iterator"
        | "__tree_const_iterator" => address_alone(builder, body, "__ptr_"),
        _ => None,
    }
}

/// An iterator that may be at the end, with no way to tell.
fn address_alone(builder: &Builder<'_>, body: &StructType, member: &str) -> Option<Node> {
    let (offset, _) = builder.find(body, &[member])?;
    Some(Node::Inside(offset, Box::new(Node::Function)))
}

/// The iterator that an iterator of the debug mode wraps.
pub(in crate::plan::presenters) fn checked(
    builder: &mut Builder<'_>,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let (offset, inner) = body.bases.iter().find_map(|base| {
        let name = builder.resolve_name(base.ty);
        let bookkeeping = name.starts_with("__gnu_debug::_Safe_iterator_base")
            || name.starts_with("__gnu_debug::_Safe_sequence");
        Some((fixed(base).filter(|_| !bookkeeping)?, base.ty))
    })?;
    let node = builder.node(inner, depth);
    Some(Node::Inside(offset, Box::new(node)))
}

/// An iterator that is a pointer to an element. A pointer to characters is not a text, since
/// nothing says that it ends with a zero byte.
fn in_row(builder: &mut Builder<'_>, body: &StructType, member: &str, depth: u32) -> Option<Node> {
    let (offset, pointer) = builder.find(body, &[member])?;
    let element = target(builder, pointer)?;
    element_at(builder, offset, 0, element, depth)
}

/// An iterator that points to the base of a container's node.
fn node_of(
    builder: &mut Builder<'_>,
    body: &StructType,
    name: &str,
    node: &str,
    depth: u32,
) -> Option<Node> {
    let (offset, pointer) = builder.find(body, &["_M_node"])?;
    target(builder, pointer)?;
    // Some of these types have their arguments only in their names.
    let element = *display_names::arguments(name).first()?;
    let node = cpp_collections::node_named(builder, node, element)?;
    let (_, storage) = builder.find(&node, &["_M_storage"])?;
    let storage = structure(builder, storage)?;
    let arguments = [&node, &storage].map(|body| body.type_arguments.first());
    let (_, element) = arguments.into_iter().flatten().next()?;
    at_payload(builder, offset, &node, "_M_storage", *element, depth)
}

fn at_payload(
    builder: &mut Builder<'_>,
    offset: u64,
    node: &StructType,
    member: &str,
    element: TypeId,
    depth: u32,
) -> Option<Node> {
    let (payload, _) = builder.find(node, &[member])?;
    element_at(builder, offset, payload, element, depth)
}

/// A pointer to an element at an offset from the pointer's target.
fn element_at(
    builder: &mut Builder<'_>,
    offset: u64,
    addend: u64,
    element: TypeId,
    depth: u32,
) -> Option<Node> {
    let target = builder.block(element, depth);
    let pointer = PointerNode {
        transparent: false,
        target,
        addend: i64::try_from(addend).ok()?,
        vtable: None,
    };
    Some(Node::Inside(
        offset,
        Box::new(Node::Pointer(Box::new(pointer))),
    ))
}
