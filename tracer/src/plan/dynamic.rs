//! Shapes of what a pointer to a polymorphic class of C++ leads to: the object
//! as the class that its virtual table names, where the module or another one of the
//! process knows that.

use super::build::Builder;
use super::limits;
use super::shape::{DynamicClass, DynamicNode, Node};
use crate::debuginfo::Identity;
use crate::debuginfo::types::{Language, TypeId, TypeKind};

/// `plain` (the shape of `ty`), or a choice between it and the classes that derive from it.
///
/// What lies behind pointers within such a class is shown as the source has
/// it: else each level would multiply the shape.
pub(super) fn node(builder: &mut Builder<'_>, ty: TypeId, plain: Node, depth: u32) -> Node {
    let class = builder.resolve(ty);
    let polymorphic = match &class.kind {
        TypeKind::Struct(body) => body.polymorphic,
        _ => false,
    };
    if class.language != Language::Cpp || !polymorphic {
        return plain;
    }
    let derived = builder.derived(&class.name);
    let left = limits::IMPLEMENTERS.saturating_sub(derived.len());
    let elsewhere = builder.derived_elsewhere(&class.name, left);
    if derived.is_empty() && elsewhere.is_empty() {
        return plain;
    }
    let made = builder.attempt(|builder| {
        let mut classes = Vec::new();
        for (ty, info) in derived {
            let node = builder.node(ty, depth);
            classes.push(DynamicClass {
                info,
                identity: Identity::Lasting,
                block: builder.block_of(node).ok()?,
                slot: builder.slot().ok()?,
            });
        }
        for class in elsewhere {
            let node = builder.within(&class.neighbour, |builder| builder.node(class.ty, depth));
            classes.push(DynamicClass {
                info: class.info,
                identity: class.identity,
                block: builder.block_of(node).ok()?,
                slot: builder.slot().ok()?,
            });
        }
        Some((classes, builder.slot().ok()?))
    });
    match made {
        Some((classes, slot)) => Node::Dynamic(Box::new(DynamicNode {
            plain,
            slot,
            classes,
        })),
        None => plain,
    }
}
