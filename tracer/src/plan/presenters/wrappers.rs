//! Wrappers around one value or a few: `atomic`, `function`, `any`, `bitset`, `span` and the like.

use crate::debuginfo::types::{StructType, Type, TypeId, TypeKind};
use crate::plan::presenters::cpp_parts;
use crate::plan::presenters::rust_parts::seq;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;
use crate::plan::shape::{Arm, Field, Node, SeqLen, VariantsNode};

/// A library's names of the significant members. If there are several paths, the first that exists
/// counts.
pub(in crate::plan::presenters) struct MemberNames {
    atomic: &'static [&'static [&'static str]],
    reference: &'static str,
    words: &'static str,
    list: (&'static str, &'static str),
    path: &'static str,
    /// The member that is null if the wrapper is empty, and the member that points to the code of
    /// its content.
    function: (&'static [&'static str], &'static [&'static str]),
    any: &'static [&'static str],
    span: (&'static str, &'static [&'static [&'static str]]),
    complex: (&'static str, &'static str),
}

pub(in crate::plan::presenters) const LIBSTDCXX: MemberNames = MemberNames {
    atomic: &[
        &["_M_i"],
        &["_M_base", "_M_i"],
        &["_M_b", "_M_p"],
        &["_M_fp"],
        &["_M_impl", "_M_ptr"],
        &["_M_ptr"],
    ],
    reference: "_M_data",
    words: "_M_w",
    list: ("_M_array", "_M_len"),
    path: "_M_pathname",
    function: (&["_M_manager"], &["_M_invoker"]),
    any: &["_M_manager"],
    span: ("_M_ptr", &[&["_M_extent", "_M_extent_value"]]),
    complex: ("_M_value", ""),
};

pub(in crate::plan::presenters) const LIBCXX: MemberNames = MemberNames {
    atomic: &[&["__a_", "__a_value"], &["__a_"]],
    reference: "__f_",
    words: "__first_",
    list: ("__begin_", "__size_"),
    path: "__pn_",
    function: (&["__f_", "__f_"], &[]),
    any: &["__h"],
    span: ("__data", &[&["__size"]]),
    complex: ("__re_", "__im_"),
};

/// The shape of a wrapper of this name.
pub(in crate::plan::presenters) fn present(
    builder: &mut Builder<'_>,
    names: &MemberNames,
    plain: &str,
    ty: &Type,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    match plain {
        "atomic" | "atomic_flag" | "__atomic_base" | "atomic_ref" => {
            let mut paths = names.atomic.iter();
            let (offset, inner) = paths.find_map(|path| builder.find(body, path))?;
            let node = builder.node(inner, depth);
            Some(Node::Inside(offset, Box::new(node)))
        }
        "reference_wrapper" => {
            let (offset, pointer) = builder.find(body, &[names.reference])?;
            let target = cpp_parts::target(builder, pointer)?;
            if matches!(builder.resolve(target).kind, TypeKind::Function) {
                return Some(Node::Inside(offset, Box::new(Node::Function)));
            }
            cpp_parts::smart(builder, offset, pointer, depth)
        }
        "bitset" => bitset(builder, names, ty, body),
        "initializer_list" => {
            // libc++ has this type in the namespace `std` itself.
            let either =
                |names: [&str; 2]| names.iter().find_map(|name| builder.find(body, &[name]));
            let (pointer, pointer_type) = either([names.list.0, LIBCXX.list.0])?;
            let (len, _) = either([names.list.1, LIBCXX.list.1])?;
            let element = cpp_parts::target(builder, pointer_type)?;
            seq(builder, pointer, 0, SeqLen::Count(len), element, depth)
        }
        "span" => span(builder, names, ty, body, depth),
        "complex" => complex(builder, names, body),
        "filesystem::path" | "filesystem::__cxx11::path" | "__fs::filesystem::path" => {
            let (offset, text) = builder.find(body, &[names.path])?;
            let node = builder.node(text, depth);
            Some(Node::Inside(offset, Box::new(node)))
        }
        "function" => {
            let (empty, code) = names.function;
            holder(builder, "function", body, empty, code)
        }
        "any" => holder(builder, "any", body, names.any, names.any),
        _ => None,
    }
}

/// `bitset<N>`: N booleans in words.
fn bitset(
    builder: &Builder<'_>,
    names: &MemberNames,
    ty: &Type,
    body: &StructType,
) -> Option<Node> {
    let count = number_argument(&ty.name, 0)?;
    if count == 0 {
        return Some(Node::BitSet { count, shown: 0 });
    }
    let (offset, _) = builder.find(body, &[names.words])?;
    let words = count.div_ceil(64).checked_mul(8)?;
    if offset.checked_add(words)? > ty.size? {
        return None;
    }
    let shown = count.min(builder.limits().elements);
    Some(Node::Inside(
        offset,
        Box::new(Node::BitSet { count, shown }),
    ))
}

fn span(
    builder: &mut Builder<'_>,
    names: &MemberNames,
    ty: &Type,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let pointer = builder
        .find(body, &[names.span.0])
        .or_else(|| builder.find(body, &[&format!("{}_", names.span.0)]))?;
    let element = cpp_parts::target(builder, pointer.1)?;
    let mut lengths = names.span.1.iter();
    let len = lengths.find_map(|path| builder.find(body, path));
    let len = len.or_else(|| builder.find(body, &["__size_"]));
    if let Some((len, _)) = len {
        return seq(builder, pointer.0, 0, SeqLen::Count(len), element, depth);
    }
    let count = number_argument(&ty.name, 1)?;
    seq(builder, pointer.0, 0, SeqLen::Known(count), element, depth)
}

/// `complex<T>`: a pair.
fn complex(builder: &mut Builder<'_>, names: &MemberNames, body: &StructType) -> Option<Node> {
    let (first, second) = names.complex;
    let (offset, ty) = builder.find(body, &[first])?;
    if second.is_empty() {
        let node = builder.node(ty, 0);
        return Some(Node::Inside(offset, Box::new(node)));
    }
    let (other, other_type) = builder.find(body, &[second])?;
    let mut field = |offset, ty: TypeId| Field {
        name: "".into(),
        offset,
        node: builder.node(ty, 0),
    };
    Some(Node::Tuple(vec![
        field(offset, ty),
        field(other, other_type),
    ]))
}

/// A wrapper whose content only its own code can interpret. It is shown as empty, or as the name of
/// that code.
fn holder(
    builder: &Builder<'_>,
    name: &str,
    body: &StructType,
    empty: &[&str],
    code: &[&str],
) -> Option<Node> {
    let (tag, _) = builder.find(body, empty)?;
    let fields = match builder.find(body, code) {
        Some((offset, pointer)) if !code.is_empty() => {
            cpp_parts::target(builder, pointer)?;
            vec![Field {
                name: "code".into(),
                offset,
                node: Node::Function,
            }]
        }
        _ => vec![Field {
            name: "at".into(),
            offset: tag,
            node: Node::Function,
        }],
    };
    let arm = |name: &str, values, fields| Arm {
        line: None,
        name: name.into(),
        values,
        fields,
    };
    Some(Node::Variants(Box::new(VariantsNode {
        name: name.into(),
        tag: Some((tag, 8)),
        arms: vec![
            arm("empty", vec![(0, 0)], Vec::new()),
            arm(name, Vec::new(), fields),
        ],
        transparent: false,
        adds: false,
        of_addresses: false,
    })))
}

/// An argument of a template as a number, as in `bitset<5>` or `span<int, 3ul>`.
pub(in crate::plan::presenters) fn number_argument(name: &str, index: usize) -> Option<u64> {
    let arguments = display_names::arguments(name);
    let text = arguments.get(index)?.trim();
    text.trim_end_matches(['u', 'l', 'U', 'L']).parse().ok()
}
