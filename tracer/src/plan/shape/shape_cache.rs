//! Finished shapes of variables. The plans of one module share them.
//!
//! Most variables of a program have one of a few types, and a shape depends on the type and on
//! limits alone. So each shape is made once. A shape does not contain the name of its variable:
//! redaction is decided for each plan.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use tracer_common::limits::MAX_COPY;

use crate::debuginfo::types::TypeId;
use crate::plan::limits::{Limits, MERGE_GAP, SHAPE_PARTS};
use crate::plan::shape::{Node, Slot, cost, merged};

/// Share of the cache that one shape may take, as a divisor.
const LARGEST: usize = 8;

/// A finished shape, with the figures that every plan needs of it.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Shape {
    pub(in crate::plan) node: Node,
    /// Number of slots that the shape takes.
    pub(in crate::plan) slots: u32,
    /// Ops that it needs, as [`cost::ops`] counts them.
    pub(in crate::plan) ops: usize,
    /// Most bytes behind its pointers, as [`cost::weight`] counts them.
    pub(in crate::plan) weight: u64,
    /// Anything outside of the value's own bytes is read.
    pub(in crate::plan) follows: bool,
    /// Addresses of the site's module decide on what is read.
    pub(in crate::plan) compares_addresses: bool,
    /// Offsets and lengths of the ranges that are read of the value itself.
    pub(in crate::plan) ranges: Vec<(u64, u64)>,
    /// Name of the type for display. Empty for values without a type.
    pub(in crate::plan) ty: Arc<str>,
}

impl Shape {
    /// A shape that took a number of slots.
    pub(in crate::plan) fn new(node: Node, slots: u32, ty: Arc<str>) -> Self {
        let mut ranges = Vec::new();
        node.ranges(0, &mut ranges);
        let mut compares_addresses = false;
        node.all(&mut |node| {
            compares_addresses |= matches!(node, Node::Variants(of) if of.of_addresses);
        });
        Self {
            slots,
            ops: cost::ops(&node),
            weight: cost::weight(&node),
            follows: node.follows(),
            compares_addresses,
            ranges: merged(ranges, MERGE_GAP, u64::from(MAX_COPY)),
            ty,
            node,
        }
    }

    /// Number of its nodes and enumerators, which its memory is in proportion to.
    fn parts(&self) -> usize {
        let mut parts = 1;
        self.node.all(&mut |node| {
            parts += match node {
                Node::Enum(of) => 1 + of.names.len(),
                Node::Variants(variants) => 1 + variants.arms.len(),
                _ => 1,
            };
        });
        parts
    }
}

/// A shape in one plan, which numbers its slots from `first` on.
#[derive(Clone, Debug)]
pub(in crate::plan) struct NumberedShape {
    pub(in crate::plan) shape: Arc<Shape>,
    pub(in crate::plan) first: Slot,
}

impl NumberedShape {
    /// A shape whose slots are numbers of the plan already.
    pub(in crate::plan) fn alone(node: Node) -> Self {
        Self {
            shape: Arc::new(Shape::new(node, 0, "".into())),
            first: 0,
        }
    }

    /// The root of the shape.
    pub(in crate::plan) fn node(&self) -> &Node {
        &self.shape.node
    }
}

/// The conditions under which two variables have the same shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::plan) struct ShapeKey {
    pub(in crate::plan) ty: TypeId,
    /// Most ops of the shape.
    pub(in crate::plan) ops: usize,
    pub(in crate::plan) limits: Limits,
}

/// The finished shapes of one module's types.
#[derive(Default)]
pub struct ShapeCache(RwLock<KeptShapes>);

#[derive(Default)]
struct KeptShapes {
    shapes: HashMap<ShapeKey, Arc<Shape>>,
    parts: usize,
}

impl fmt::Debug for ShapeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShapeCache").finish_non_exhaustive()
    }
}

impl ShapeCache {
    /// The shape that an earlier plan kept.
    pub(in crate::plan) fn get(&self, key: &ShapeKey) -> Option<Arc<Shape>> {
        self.0.read().ok()?.shapes.get(key).cloned()
    }

    /// Keeps a shape for later plans. Returns the kept one, which another thread may have made.
    ///
    /// If the shapes have more than [`SHAPE_PARTS`] parts, all of them are dropped.
    pub(in crate::plan) fn keep(&self, key: ShapeKey, shape: Shape) -> Arc<Shape> {
        let parts = shape.parts();
        let shape = Arc::new(shape);
        if parts > SHAPE_PARTS / LARGEST {
            return shape;
        }
        let Ok(mut kept) = self.0.write() else {
            return shape;
        };
        if let Some(known) = kept.shapes.get(&key) {
            return Arc::clone(known);
        }
        if kept.parts + parts > SHAPE_PARTS {
            *kept = KeptShapes::default();
        }
        kept.parts += parts;
        kept.shapes.insert(key, Arc::clone(&shape));
        shape
    }
}
