//! `std::expected`: a value or an error, in a union, and a flag that says which.

use crate::debuginfo::types::StructType;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{Arm, Field, Node, VariantsNode};

/// `expected(…)` with the value, or `unexpected(…)` with the error, as libstdc++ stores them.
pub(in crate::plan) fn libstdcxx(
    builder: &mut Builder<'_>,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let (flag, _) = builder.find(body, &["_M_has_value"])?;
    let error = content(builder, body, "_M_unex", depth)?;
    let value = match content(builder, body, "_M_val", depth) {
        Some(value) => vec![value],
        // `expected<void, E>` has an empty struct in place of a value.
        None => {
            builder.find(body, &["_M_void"])?;
            Vec::new()
        }
    };
    let arm = |name: &str, has_value, fields| Arm {
        line: None,
        name: name.into(),
        values: vec![(has_value, has_value)],
        fields,
    };
    Some(Node::Variants(Box::new(VariantsNode {
        name: "expected".into(),
        tag: Some((flag, 1)),
        transparent: false,
        adds: false,
        of_addresses: false,
        arms: vec![arm("unexpected", 0, vec![error]), arm("expected", 1, value)],
    })))
}

/// A member of the union.
fn content(
    builder: &mut Builder<'_>,
    body: &StructType,
    member: &str,
    depth: u32,
) -> Option<Field> {
    let (offset, ty) = builder.find(body, &[member])?;
    Some(Field {
        name: "0".into(),
        offset,
        node: builder.node(ty, depth),
    })
}
