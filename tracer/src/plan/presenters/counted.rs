//! `Rc` and `Arc`: owners of a value with two counters before it.

use std::sync::Arc;

use crate::debuginfo::types::{StructType, Type, TypeId, TypeKind};
use crate::plan::presenters::rust_parts::{at_offset, inner_at, seq, text};
use crate::plan::presenters::trait_objects;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{Node, PointerNode, SeqLen};

/// Bytes of the two counters before the value in an `Rc` or `Arc` of a trait object.
const COUNTS: u64 = 16;

/// `Rc` and `Arc`: a pointer to two counters and the value.
pub(in crate::plan::presenters) fn counted(
    builder: &mut Builder<'_>,
    ty: &Type,
    body: &StructType,
    depth: u32,
) -> Option<Node> {
    let (at, pointer) = builder.find(body, &["ptr"])?;
    let (more, inner) = builder.peel(pointer);
    let at = at + more;
    let inner = builder.resolve(inner);
    if let TypeKind::Struct(fat) = &inner.kind {
        return counted_unsized(builder, &ty.name, at, fat, depth);
    }
    let counted = CountedValue::behind(builder, &inner)?;
    let target = builder.block(counted.value, depth);
    let node = Node::Pointer(Box::new(PointerNode {
        transparent: true,
        target,
        addend: i64::try_from(counted.offset).ok()?,
        vtable: None,
    }));
    Some(at_offset(at, node))
}

/// The struct behind an `Rc` or `Arc`: two counters and the value.
struct CountedValue {
    counts: Arc<Type>,
    /// Offset of the value.
    offset: u64,
    value: TypeId,
}

impl CountedValue {
    /// `None` if `pointer` does not lead to such a struct.
    fn behind(builder: &Builder<'_>, pointer: &Type) -> Option<Self> {
        let TypeKind::Pointer {
            target: Some(counts),
            ..
        } = pointer.kind
        else {
            return None;
        };
        let counts = builder.resolve(counts);
        let TypeKind::Struct(body) = &counts.kind else {
            return None;
        };
        let value = builder.find(body, &["value"]);
        let (offset, value) = value.or_else(|| builder.find(body, &["data"]))?;
        Some(Self {
            counts,
            offset,
            value,
        })
    }
}

/// `Rc<str>`, `Arc<[T]>`: the counters precede the text or the elements.
fn counted_unsized(
    builder: &mut Builder<'_>,
    name: &str,
    at: u64,
    fat: &StructType,
    depth: u32,
) -> Option<Node> {
    if let (Some(pointer), Some(vtable)) = (
        inner_at(builder, fat, "pointer"),
        inner_at(builder, fat, "vtable"),
    ) {
        let counts = name.contains("::Rc<") || name.contains("::Arc<");
        let before = counts.then_some(COUNTS)?;
        let (pointer, vtable) = (at + pointer, at + vtable);
        return trait_objects::node(builder, name, pointer, vtable, Some(before), depth);
    }
    let (pointer, data) = builder.find(fat, &["data_ptr"])?;
    let (len, _) = builder.find(fat, &["length"])?;
    let CountedValue {
        counts,
        offset,
        value: value_type,
    } = CountedValue::behind(builder, &builder.resolve(data))?;
    let addend = i64::try_from(offset).ok()?;
    let value = builder.resolve(value_type);
    match &value.kind {
        _ if value.name == "str" || counts.name.ends_with("<str>") => {
            text(builder, at + pointer, addend, at + len, 0)
        }
        // Here the compiler describes `[T]` as its element.
        kind if counts.name.contains("<[") => {
            let element = match kind {
                TypeKind::Array { element, .. } => *element,
                _ => value_type,
            };
            let count = SeqLen::Count(at + len);
            seq(builder, at + pointer, addend, count, element, depth)
        }
        _ => None,
    }
}
