//! Presenters of single types of the standard libraries: each shows a value by what it holds.
//!
//! A presenter is chosen by the type's name and by the members that the debug information shows;
//! where these are not as expected it gives `None`, and the raw members are shown.

pub(super) mod abi_string;
mod chrono;
pub(super) mod iterators;
mod libcxx_blocks;
mod old_abi;
mod wrappers;

use super::build::Builder;
use super::shape::Node;
use crate::debuginfo::types::{Base, BaseOffset, StructType, Type, TypeId, TypeKind};

pub(super) use libcxx_blocks::{bits as libcxx_bits, deque as libcxx_deque};
pub(super) use old_abi::{list as old_list, string as old_string};

/// The shape of a struct of libstdc++, `plain` within its namespaces.
pub(super) fn libstdcxx(
    builder: &mut Builder<'_>,
    plain: &str,
    (ty, body): (&Type, &StructType),
    depth: u32,
) -> Option<Node> {
    let names = &wrappers::LIBSTDCXX;
    wrappers::present(builder, names, plain, (ty, body), depth)
        .or_else(|| chrono::present(builder, plain, body, ("__r", "__d")))
}

/// The shape of a struct of libc++, `plain` within its namespaces.
pub(super) fn libcxx(
    builder: &mut Builder<'_>,
    plain: &str,
    (ty, body): (&Type, &StructType),
    depth: u32,
) -> Option<Node> {
    let names = &wrappers::LIBCXX;
    wrappers::present(builder, names, plain, (ty, body), depth)
        .or_else(|| iterators::libcxx(builder, plain, body, depth))
        .or_else(|| chrono::present(builder, plain, body, ("__rep_", "__d_")))
}

/// The shape of a container of libstdc++'s debug mode: that of the container that it checks.
pub(super) fn checked(
    builder: &mut Builder<'_>,
    path: &str,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let base = match path.strip_prefix("std::__debug::") {
        Some(container) => format!("std::__cxx1998::{container}<"),
        None if path == "__gnu_debug::_Safe_iterator" => {
            // Its only base with members of its own kind is the iterator that it checks.
            return iterators::checked(builder, body, depth);
        }
        None => return None,
    };
    let elsewhere = base.replacen("__cxx1998::", "__cxx1998::__cxx11::", 1);
    let found = body.bases.iter().find_map(|known| {
        let name = &builder.resolve_name(known.ty);
        let same = name.starts_with(&base) || name.starts_with(&elsewhere);
        let offset = fixed(known).filter(|_| same)?;
        Some((offset, known.ty))
    });
    let (offset, inner) = found?;
    let node = builder.node(inner, depth);
    Some(Node::Inside(offset, Box::new(node)))
}

/// Whether this is `array<T, 0>`, which has no elements, whatever its members are.
pub(super) fn is_empty_array(name: &str) -> bool {
    wrappers::number_argument(name, 1) == Some(0)
}

/// An array without elements.
pub(super) fn no_elements() -> Node {
    Node::Array {
        count: 0,
        of: 0,
        stride: 1,
        element: Box::new(Node::Unit),
    }
}

/// Where a base is in each object.
fn fixed(base: &Base) -> Option<u64> {
    match base.offset {
        BaseOffset::Fixed(offset) => Some(offset),
        BaseOffset::VtableSlot(_) => None,
    }
}

/// The struct that a type is.
fn structure(builder: &Builder<'_>, ty: TypeId) -> Option<StructType> {
    match &builder.resolve(ty).kind {
        TypeKind::Struct(body) => Some(body.clone()),
        _ => None,
    }
}
