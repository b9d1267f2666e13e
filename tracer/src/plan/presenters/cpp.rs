//! Types of libstdc++. libc++ has a namespace of its own, and `libcxx`.
//!
//! A type is chosen by its name and by its members in the debug information. If these are not as
//! expected the raw members are shown.

use crate::debuginfo::types::{Language, StructType, Type, TypeKind};
use crate::plan::presenters;
use crate::plan::presenters::cpp_collections;
use crate::plan::presenters::cpp_parts::{
    VariantNames, address_only, head, optional, smart, target, text, tuple, variant,
};
use crate::plan::presenters::expected;
use crate::plan::presenters::rust_parts::seq;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;
use crate::plan::shape::presenter::Presenter;
use crate::plan::shape::{Node, SeqLen};

/// Containers of libstdc++'s debug mode, and iterators.
pub(in crate::plan) const CHECKED: Presenter = Presenter {
    language: Language::Cpp,
    name: |ty| Some(display_names::path(&ty.name)),
    types: &[
        "std::__debug::*",
        "__gnu_debug::_Safe_iterator",
        "__gnu_cxx::__normal_iterator",
        "std::*_Deque_iterator",
        "std::*_List_iterator",
        "std::*_List_const_iterator",
        "std::*_Rb_tree_iterator",
        "std::*_Rb_tree_const_iterator",
        "std::*_Fwd_list_iterator",
        "std::*_Fwd_list_const_iterator",
        "std::__detail::_Node_iterator",
        "std::__detail::_Node_const_iterator",
    ],
    present: |builder, ty, body, depth| {
        let path = display_names::path(&ty.name);
        presenters::checked(builder, path, body, depth)
            .or_else(|| presenters::iterators::libstdcxx(builder, &ty.name, body, depth))
    },
};

/// Types of libstdc++.
pub(in crate::plan) const LIBSTDCXX: Presenter = Presenter {
    language: Language::Cpp,
    name: plain_name,
    types: &[
        "basic_string",
        "string",
        "basic_string_view",
        "string_view",
        "vector",
        "array",
        "stack",
        "queue",
        "priority_queue",
        "unique_ptr",
        "shared_ptr",
        "weak_ptr",
        "optional",
        "expected",
        "variant",
        "tuple",
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
        "deque",
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
        "filesystem::__cxx11::path",
        "function",
        "any",
        "chrono::duration",
        "chrono::time_point",
    ],
    present,
};

/// The name of a libstdc++ type without its namespaces.
fn plain_name(ty: &Type) -> Option<&str> {
    let plain = display_names::path(&ty.name).strip_prefix("std::")?;
    if plain.starts_with("__1::") {
        return None;
    }
    let plain = plain.strip_prefix("__cxx1998::").unwrap_or(plain);
    Some(plain.strip_prefix("__cxx11::").unwrap_or(plain))
}

fn present(builder: &mut Builder<'_>, ty: &Type, body: &StructType, depth: u32) -> Option<Node> {
    let plain = plain_name(ty)?;
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
            text(builder, body, pointer, len, None)
        }
        "basic_string_view" | "string_view" => {
            let (pointer, _) = builder.find(body, &["_M_str"])?;
            let (len, _) = builder.find(body, &["_M_len"])?;
            text(builder, body, pointer, len, None)
        }
        "vector" => {
            let (start, pointer) = builder.find(body, &["_M_impl", "_M_start"])?;
            let (finish, finish_type) = builder.find(body, &["_M_impl", "_M_finish"])?;
            if let TypeKind::Struct(_) = builder.resolve(pointer).kind {
                return cpp_collections::bits(builder, start, pointer, finish, finish_type, depth);
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
            let (offset, pointer) = head(builder, body, 0, 0)?;
            if ty.name.contains("[]") {
                // The number of elements is not stored.
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
            optional(builder, body, &["_M_payload", "_M_engaged"], &value, depth)
        }
        "expected" => expected::libstdcxx(builder, body, depth),
        "variant" => {
            let names = VariantNames {
                index: &["_M_index"],
                union: &["_M_u"],
                first: &["_M_first"],
                rest: "_M_rest",
            };
            variant(builder, body, &names, depth)
        }
        "tuple" => tuple(builder, body, 0, "std::_Head_base<", "_M_head_impl", depth),
        _ => cpp_collections::container(builder, plain, body, depth)
            .or_else(|| presenters::libstdcxx(builder, plain, ty, body, depth)),
    }
}
