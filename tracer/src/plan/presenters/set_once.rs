//! Types of Rust that are set once: `OnceCell`, `OnceLock`, `LazyCell`, `LazyLock`.

use crate::debuginfo::types::{StructType, TypeId, TypeKind};
use crate::plan::presenters::rust_parts::{argument, at_offset};
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{Arm, Field, Node, VariantsNode};

/// The text for a value that is not set yet, as in `{:?}`.
const UNSET: &str = "<uninit>";

/// `OnceCell(…)`. An `Option` in it has the value.
pub(in crate::plan) fn cell(
    builder: &mut Builder<'_>,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let (offset, option) = builder.find(body, &["inner"])?;
    let (more, option) = builder.peel(option);
    let node = renamed(builder, option, "OnceCell", "Some", &["None"], depth)?;
    Some(at_offset(offset + more, node))
}

/// `LazyCell(…)`. An enum in it has the state.
pub(in crate::plan) fn lazy_cell(
    builder: &mut Builder<'_>,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let (offset, state) = builder.find(body, &["state"])?;
    let (more, state) = builder.peel(state);
    let unset: &[&str] = &["Uninit", "Poisoned"];
    let node = renamed(builder, state, "LazyCell", "Init", unset, depth)?;
    Some(at_offset(offset + more, node))
}

/// An enum under another name. The variant `set` shows its value; those of `unset` have none to
/// show.
fn renamed(
    builder: &mut Builder<'_>,
    state: TypeId,
    name: &str,
    set: &str,
    unset: &[&str],
    depth: u32,
) -> Option<Node> {
    let Node::Variants(mut variants) = builder.node(state, depth) else {
        return None;
    };
    for arm in &mut variants.arms {
        if unset.contains(&&*arm.name) {
            arm.fields = vec![Field {
                name: "0".into(),
                offset: 0,
                node: Node::Struct(UNSET.into(), Vec::new()),
            }];
        } else if &*arm.name != set {
            return None;
        }
        arm.name = name.into();
    }
    Some(Node::Variants(variants))
}

/// `OnceLock(…)` and `LazyLock(…)`. A `Once` in them has the state.
///
/// No debug information has the number for "done", which has changed between versions. For
/// compilers older than the checked ones, the fields are shown.
pub(in crate::plan) fn lock(
    builder: &mut Builder<'_>,
    body: &StructType,
    name: &str,
    member: &str,
    depth: u32,
) -> Option<Node> {
    const DONE: u128 = 0;
    if builder.rust_version()? < (1, 95) {
        return None;
    }
    let (once, once_type) = builder.find(body, &["once"])?;
    let (more, state) = builder.peel(once_type);
    let size = builder.size(state).filter(|size| *size == 4)?;
    let (value, value_type) = builder.find(body, &[member])?;
    let (inner, value_type) = builder.peel(value_type);
    let uninit = builder.resolve(value_type);
    let TypeKind::Union(union) = &uninit.kind else {
        return None;
    };
    let ty = argument(union, "T")?;
    let field = |offset, node| {
        vec![Field {
            name: "0".into(),
            offset,
            node,
        }]
    };
    let arm = |values, fields| Arm {
        line: None,
        name: name.into(),
        values,
        fields,
    };
    let unset = Node::Struct(UNSET.into(), Vec::new());
    let set = builder.node(ty, depth);
    Some(Node::Variants(Box::new(VariantsNode {
        name: name.into(),
        tag: Some((once + more, size as u8)),
        arms: vec![
            arm(vec![(DONE, DONE)], field(value + inner, set)),
            arm(Vec::new(), field(0, unset)),
        ],
        transparent: false,
        adds: false,
        of_addresses: false,
    })))
}
