//! Parts of a shape that cannot be captured in the current plan.
//!
//! Plans share shapes, so a shape is not changed while its ops are written. The parts that fail are
//! noted by their address. A copy of the shape is then changed, for this plan alone.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::unavailable::Unavailable;
use crate::plan::capture::Capture;
use crate::plan::shape::Node;
use crate::plan::shape::shape_cache::NumberedShape;

/// The change of one node.
#[derive(Clone, Debug)]
pub(super) enum NodeChange {
    /// Nothing behind its pointers is captured.
    Unfollowed(Unavailable),
    /// The object's possible classes do not fit. It is shown as its known class.
    Plain,
}

/// Changes by the address of their node in the shape whose ops are written.
#[derive(Default)]
pub(super) struct NodeChanges(HashMap<*const Node, NodeChange>);

impl NodeChanges {
    pub(super) fn add(&mut self, node: &Node, change: NodeChange) {
        self.0.insert(std::ptr::from_ref(node), change);
    }

    pub(super) fn of(&self, node: &Node) -> Option<&NodeChange> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&std::ptr::from_ref(node))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The shape with the changes, which are then forgotten. Without changes it stays shared.
    pub(super) fn apply(&mut self, numbered: NumberedShape) -> NumberedShape {
        if self.0.is_empty() {
            return numbered;
        }
        let mut changed: Vec<Option<NodeChange>> = Vec::new();
        let node = numbered.node();
        node.all(&mut |node| changed.push(self.0.remove(&std::ptr::from_ref(node))));
        self.0.clear();
        let mut shape = Arc::unwrap_or_clone(numbered.shape);
        let mut changed = changed.into_iter();
        shape.node.all_mut(&mut |node| {
            if let Some(change) = changed.next().flatten() {
                change.apply(node);
            }
        });
        NumberedShape {
            shape: Arc::new(shape),
            ..numbered
        }
    }
}

impl NodeChange {
    fn apply(self, node: &mut Node) {
        match (self, node) {
            (Self::Plain, node) => plain(node),
            (Self::Unfollowed(why), node) => unfollow(node, &why),
        }
    }
}

impl Capture<'_, '_> {
    /// Returns true if anything outside of the node's own bytes is captured, as far as is known now.
    pub(super) fn follows(&self, node: &Node) -> bool {
        if self.changes.count() == 0 {
            return node.follows();
        }
        match (self.changes.of(node), node) {
            (Some(NodeChange::Unfollowed(_)), _) => false,
            (Some(NodeChange::Plain), Node::Dynamic(dynamic)) => self.follows(&dynamic.plain),
            (
                _,
                Node::Struct(..)
                | Node::Partial(..)
                | Node::Range(_)
                | Node::Tuple(_)
                | Node::Variants(_)
                | Node::Array { .. }
                | Node::Inside(..)
                | Node::Ordered(..),
            ) => {
                let mut any = false;
                node.parts(&mut |part| any |= self.follows(part));
                any
            }
            _ => node.follows(),
        }
    }
}

/// Shows an object as its known class.
fn plain(node: &mut Node) {
    if let Node::Dynamic(dynamic) = node {
        *node = std::mem::replace(&mut dynamic.plain, Node::Unit);
    }
}

/// Removes everything behind pointers from a shape.
fn unfollow(node: &mut Node, why: &Unavailable) {
    if let Some(fields) = node.fields_mut() {
        return fields
            .iter_mut()
            .for_each(|field| unfollow(&mut field.node, why));
    }
    match node {
        Node::Variants(variants) => {
            for field in variants.arms.iter_mut().flat_map(|arm| &mut arm.fields) {
                unfollow(&mut field.node, why);
            }
        }
        Node::Array { element, .. } => unfollow(element, why),
        Node::Inside(_, inner) | Node::Ordered(_, inner) => unfollow(inner, why),
        Node::Pointer(pointer) => pointer.target = Err(why.clone()),
        Node::Dynamic(_) => {
            plain(node);
            unfollow(node, why);
        }
        Node::Text(_)
        | Node::Seq(_)
        | Node::Table(_)
        | Node::Tree(_)
        | Node::Chain(_)
        | Node::Blocks(_)
        | Node::BitRow(_)
        | Node::Pages(_)
        | Node::Beside(_) => {
            *node = Node::Missing(why.clone());
        }
        _ => {}
    }
}
