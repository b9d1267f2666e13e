//! Lengths of collections: where the standard libraries store them.
//!
//! The path of the type selects the collection, as it does for its shape. A struct of the program
//! with a field `len` is not a collection.

use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::plan::presenters::abi_string;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;

/// The other part of a pair of libc++. One part of it may be empty.
const VALUE: &str = "__value_";

/// Where a length is stored, as offsets into the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Length {
    /// A number of eight bytes.
    Count(u64),
    /// The distance between two pointers, in bytes of an element.
    Between { first: u64, end: u64, stride: u64 },
    /// Not stored. The collection is empty if the two pointers are equal.
    EmptyWhenSame(u64, u64),
    /// Not stored. The collection is empty if the pointer is null.
    EmptyWhenNull(u64),
}

/// Collections that store their length, and the path of the member with it.
const COUNTED: [(&str, &[&str]); 27] = [
    ("alloc::vec::Vec", &["len"]),
    ("alloc::string::String", &["vec", "len"]),
    ("std::ffi::os_str::OsString", &["inner", "inner", "len"]),
    ("std::path::PathBuf", &["inner", "inner", "inner", "len"]),
    ("alloc::collections::vec_deque::VecDeque", &["len"]),
    ("alloc::collections::linked_list::LinkedList", &["len"]),
    (
        "alloc::collections::binary_heap::BinaryHeap",
        &["data", "len"],
    ),
    ("alloc::collections::btree::map::BTreeMap", &["length"]),
    (
        "alloc::collections::btree::set::BTreeSet",
        &["map", "length"],
    ),
    (
        "std::collections::hash::map::HashMap",
        &["base", "table", "table", "items"],
    ),
    (
        "std::collections::hash::set::HashSet",
        &["base", "map", "table", "table", "items"],
    ),
    ("hashbrown::map::HashMap", &["table", "table", "items"]),
    (
        "hashbrown::set::HashSet",
        &["map", "table", "table", "items"],
    ),
    ("std::map", &["_M_t", "_M_impl", "_M_node_count"]),
    ("std::multimap", &["_M_t", "_M_impl", "_M_node_count"]),
    ("std::set", &["_M_t", "_M_impl", "_M_node_count"]),
    ("std::multiset", &["_M_t", "_M_impl", "_M_node_count"]),
    ("std::unordered_map", &["_M_h", "_M_element_count"]),
    ("std::unordered_multimap", &["_M_h", "_M_element_count"]),
    ("std::unordered_set", &["_M_h", "_M_element_count"]),
    ("std::unordered_multiset", &["_M_h", "_M_element_count"]),
    ("std::list", &["_M_impl", "_M_node", "_M_size"]),
    ("std::__1::list", &["__size_alloc_", VALUE]),
    ("std::__1::map", &["__tree_", "__pair3_", VALUE]),
    ("std::__1::set", &["__tree_", "__pair3_", VALUE]),
    ("std::__1::unordered_map", &["__table_", "__p2_", VALUE]),
    ("std::__1::unordered_set", &["__table_", "__p2_", VALUE]),
];

/// Where a collection stores its length. `None` for other types.
pub(in crate::plan) fn of(builder: &Builder<'_>, ty: &Type, body: &StructType) -> Option<Length> {
    let at = |path: &[&str]| {
        let (offset, member) = builder.find(body, path)?;
        (builder.size(member) == Some(8)).then_some(offset)
    };
    if abi_string::unit(builder, ty).is_some() {
        return Some(Length::Count(abi_string::LENGTH));
    }
    if is_fat(ty, body) {
        return at(&["length"]).map(Length::Count);
    }
    let path = path(&ty.name);
    if matches!(path.as_str(), "alloc::rc::Rc" | "alloc::sync::Arc") {
        return at(&["ptr", "pointer", "length"]).map(Length::Count);
    }
    if let Some((_, members)) = COUNTED.iter().find(|(name, _)| *name == path) {
        return at(members).map(Length::Count);
    }
    match path.as_str() {
        "std::deque" => Some(Length::EmptyWhenSame(
            at(&["_M_impl", "_M_start", "_M_cur"])?,
            at(&["_M_impl", "_M_finish", "_M_cur"])?,
        )),
        "std::forward_list" => at(&["_M_impl", "_M_head", "_M_next"]).map(Length::EmptyWhenNull),
        "std::__1::forward_list" => {
            at(&["__before_begin_", VALUE, "__next_"]).map(Length::EmptyWhenNull)
        }
        "std::__1::vector" => {
            let (first, pointer) = builder.find(body, &["__begin_"])?;
            let stride = builder.size(target(builder, pointer)?)?;
            Some(Length::Between {
                first,
                end: at(&["__end_"])?,
                stride: (stride > 0).then_some(stride)?,
            })
        }
        _ => None,
    }
}

/// Returns true if a struct is a wide pointer of rustc: an address and a length.
pub(in crate::plan) fn is_fat(ty: &Type, body: &StructType) -> bool {
    ty.language == Language::Rust
        && body.members.len() == 2
        && (ty.name.starts_with(['&', '*']) || display_names::path(&ty.name) == "alloc::boxed::Box")
}

/// The path of a type without its arguments and without the inline namespaces of libstdc++.
pub(in crate::plan) fn path(name: &str) -> String {
    let path = display_names::path(name);
    match path.strip_prefix("std::") {
        Some(plain) => {
            let plain = plain.strip_prefix("__cxx1998::").unwrap_or(plain);
            let plain = plain.strip_prefix("__cxx11::").unwrap_or(plain);
            format!("std::{plain}")
        }
        None => path.to_owned(),
    }
}

fn target(builder: &Builder<'_>, pointer: TypeId) -> Option<TypeId> {
    match builder.resolve(pointer).kind {
        TypeKind::Pointer { target, .. } => target,
        _ => None,
    }
}
