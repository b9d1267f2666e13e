//! Presenters of library types, which show a value by its content.
//!
//! A presenter is chosen by the type's name and by its members in the debug information. If these
//! are not as expected the presenter gives `None`, and the raw members are shown.

pub(super) mod abi_string;
mod chrono;
mod counted;
pub(super) mod cpp;
mod cpp_collections;
pub(super) mod cpp_parts;
mod expected;
pub(super) mod iterators;
pub(super) mod libcxx;
mod libcxx_blocks;
mod old_abi;
pub(super) mod rust;
mod rust_parts;
mod set_once;
mod trait_objects;
mod wrappers;

use crate::debuginfo::types::{Base, BaseOffset, StructType, Type, TypeId, TypeKind};
use crate::plan::shape::Node;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::presenter::{Presenter, Presenters};

pub(in crate::plan) use libcxx_blocks::{bits as libcxx_bits, deque as libcxx_deque};
pub(in crate::plan) use old_abi::{list as old_list, string as old_string};

/// The table of all presenters. A presenter of another library is an entry here.
pub(super) static ALL: Presenters = Presenters {
    structs: &STRUCTS,
    declared: &[abi_string::DECLARED],
};

const STRUCTS: [Presenter; 7] = {
    let [fat_pointers, of_alloc, of_core, of_std] = rust::ALL;
    [
        fat_pointers,
        of_alloc,
        of_core,
        of_std,
        cpp::CHECKED,
        libcxx::PRESENTER,
        cpp::LIBSTDCXX,
    ]
};

/// The shape of a struct of libstdc++. `plain` is its name without namespaces.
pub(in crate::plan) fn libstdcxx(
    builder: &mut Builder<'_>,
    plain: &str,
    ty: &Type,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let names = &wrappers::LIBSTDCXX;
    wrappers::present(builder, names, plain, ty, body, depth)
        .or_else(|| chrono::present(builder, plain, body, "__r", "__d"))
}

/// The shape of a struct of libc++. `plain` is its name without namespaces.
pub(in crate::plan) fn libcxx(
    builder: &mut Builder<'_>,
    plain: &str,
    ty: &Type,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let names = &wrappers::LIBCXX;
    wrappers::present(builder, names, plain, ty, body, depth)
        .or_else(|| iterators::libcxx(builder, plain, body, depth))
        .or_else(|| chrono::present(builder, plain, body, "__rep_", "__d_"))
}

/// The shape of a container of libstdc++'s debug mode, which is a checking wrapper of a plain one.
pub(in crate::plan) fn checked(
    builder: &mut Builder<'_>,
    path: &str,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let base = match path.strip_prefix("std::__debug::") {
        Some(container) => format!("std::__cxx1998::{container}<"),
        None if path == "__gnu_debug::_Safe_iterator" => {
            // The wrapped iterator is the only base with members.
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

/// Returns true if it is `array<T, 0>`. It has no elements, even if the struct has members.
pub(in crate::plan) fn is_empty_array(name: &str) -> bool {
    wrappers::number_argument(name, 1) == Some(0)
}

/// An array without elements.
pub(in crate::plan) fn no_elements() -> Node {
    Node::Array {
        count: 0,
        of: 0,
        stride: 1,
        element: Box::new(Node::Unit),
    }
}

/// The offset of a base, if it is the same in every object.
fn fixed(base: &Base) -> Option<u64> {
    match base.offset {
        BaseOffset::Fixed(offset) => Some(offset),
        BaseOffset::VtableSlot(_) => None,
    }
}

/// The type's members, if it is a struct.
fn structure(builder: &Builder<'_>, ty: TypeId) -> Option<StructType> {
    match &builder.resolve(ty).kind {
        TypeKind::Struct(body) => Some(body.clone()),
        _ => None,
    }
}
