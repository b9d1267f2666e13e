//! Iterators: a pointer to the element that they refer to.
//!
//! The end of a list or of a tree is a part of the container itself, and nothing in the iterator
//! tells it from a node. Its bytes are not an element, so these iterators show their address alone.

use super::super::build::Builder;
use super::super::cpp::target;
use super::super::cpp_collections;
use super::super::names;
use super::super::shape::{Node, PointerNode};
use super::{fixed, structure};
use crate::debuginfo::types::{StructType, TypeId};

/// Iterators of libstdc++; `name` is the type's, with its namespaces.
pub(in crate::plan) fn libstdcxx(
    builder: &mut Builder<'_>,
    name: &str,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let plain = names::path(name).replacen("std::__cxx1998::", "std::", 1);
    match &*plain {
        "__gnu_cxx::__normal_iterator" => in_row(builder, body, "_M_current", depth),
        "std::_Deque_iterator" => in_row(builder, body, "_M_cur", depth),
        "std::_List_iterator"
        | "std::_List_const_iterator"
        | "std::_Rb_tree_iterator"
        | "std::_Rb_tree_const_iterator" => address_alone(builder, body, "_M_node"),
        "std::_Fwd_list_iterator" | "std::_Fwd_list_const_iterator" => {
            node_of(builder, body, (name, "std::_Fwd_list_node"), depth)
        }
        "std::__detail::_Node_iterator" | "std::__detail::_Node_const_iterator" => {
            let (offset, pointer) = builder.find(body, &["_M_cur"])?;
            let node = structure(builder, target(builder, pointer)?)?;
            let (_, element) = *body.type_arguments.first()?;
            at_payload(builder, offset, (&node, "_M_storage"), element, depth)
        }
        _ => None,
    }
}

/// Iterators of libc++.
pub(super) fn libcxx(
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

/// An iterator whose end cannot be told from an element.
fn address_alone(builder: &Builder<'_>, body: &StructType, member: &str) -> Option<Node> {
    let (offset, _) = builder.find(body, &[member])?;
    Some(Node::Inside(offset, Box::new(Node::Function)))
}

/// The iterator that one of the debug mode checks.
pub(super) fn checked(builder: &mut Builder<'_>, body: &StructType, depth: u32) -> Option<Node> {
    let (offset, inner) = body.bases.iter().find_map(|base| {
        let name = builder.resolve_name(base.ty);
        let bookkeeping = name.starts_with("__gnu_debug::_Safe_iterator_base")
            || name.starts_with("__gnu_debug::_Safe_sequence");
        Some((fixed(base).filter(|_| !bookkeeping)?, base.ty))
    })?;
    let node = builder.node(inner, depth);
    Some(Node::Inside(offset, Box::new(node)))
}

/// An iterator that is a pointer to an element. One to characters is no text: nothing says that
/// it ends with a zero.
fn in_row(builder: &mut Builder<'_>, body: &StructType, member: &str, depth: u32) -> Option<Node> {
    let (offset, pointer) = builder.find(body, &[member])?;
    let element = target(builder, pointer)?;
    element_at(builder, offset, (0, element), depth)
}

/// An iterator that points to a base of a container's node.
fn node_of(
    builder: &mut Builder<'_>,
    body: &StructType,
    (name, node): (&str, &str),
    depth: u32,
) -> Option<Node> {
    let (offset, pointer) = builder.find(body, &["_M_node"])?;
    target(builder, pointer)?;
    // Not all of these types say what their arguments are, but in their names.
    let element = *names::arguments(name).first()?;
    let node = cpp_collections::node_named(builder, node, element)?;
    let (_, storage) = builder.find(&node, &["_M_storage"])?;
    let storage = structure(builder, storage)?;
    let arguments = [&node, &storage].map(|body| body.type_arguments.first());
    let (_, element) = arguments.into_iter().flatten().next()?;
    at_payload(builder, offset, (&node, "_M_storage"), *element, depth)
}

fn at_payload(
    builder: &mut Builder<'_>,
    offset: u64,
    (node, member): (&StructType, &str),
    element: TypeId,
    depth: u32,
) -> Option<Node> {
    let (payload, _) = builder.find(node, &[member])?;
    element_at(builder, offset, (payload, element), depth)
}

/// A pointer to an element, which is so many bytes from where it leads.
fn element_at(
    builder: &mut Builder<'_>,
    offset: u64,
    (addend, element): (u64, TypeId),
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
