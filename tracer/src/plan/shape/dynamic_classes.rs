//! Shapes of polymorphic C++ objects behind pointers. The object is shown as the class that its
//! virtual table names, if a module of the process defines that class.

use crate::debuginfo::Identity;
use crate::debuginfo::types::{Derived, Language, TypeId, TypeKind};
use crate::plan::limits;
use crate::plan::ops::addresses::AddressBase;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::{DynamicClass, DynamicNode, Node};

/// `plain` (the shape of `ty`), or a choice between it and the classes that derive from `ty`.
///
/// Objects behind pointers within such a class are shown as their declared class. Otherwise each
/// level would multiply the shape.
pub(in crate::plan) fn node(
    builder: &mut Builder<'_>,
    ty: TypeId,
    plain: Node,
    depth: u32,
) -> Node {
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
        for Derived { ty, info } in derived {
            let node = builder.node(ty, depth);
            classes.push(DynamicClass {
                elsewhere: builder.elsewhere,
                info,
                identity: Identity::Lasting,
                block: builder.block_of(node).ok()?,
                slot: builder.slot().ok()?,
            });
        }
        for class in elsewhere {
            let node = builder.within(&class.neighbour, |builder| builder.node(class.ty, depth));
            classes.push(DynamicClass {
                elsewhere: Some(AddressBase::from(class.neighbour.place)),
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
