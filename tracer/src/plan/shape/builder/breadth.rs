//! Breadth-first construction: near parts before far ones, so that a limit cuts off the far ones.
//!
//! While a value's shape is made, [`Node::Later`] stands for each pointer's target and for each
//! container's elements. They wait in a queue and are made in its order. `settle` then puts the
//! results in place.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{TypeId, TypeKind};
use crate::plan::limits::{LEVELS, NODES, SPINE};
use crate::plan::ops::addresses::AddressBase;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::builder::Types;
use crate::plan::shape::cost;
use crate::plan::shape::dynamic_classes;
use crate::plan::shape::{Block, Node};

/// A part that waits to be made.
pub(in crate::plan) struct LaterPart<'a> {
    types: Types<'a>,
    elsewhere: Option<AddressBase>,
    ty: TypeId,
    depth: u32,
    level: u32,
    spine: u32,
    attempting: bool,
    /// The part is an object, which may have a derived class.
    object: bool,
    made: Option<Node>,
}

impl Builder<'_> {
    /// The shape of one variable, within a number of ops.
    pub(in crate::plan::shape::builder) fn variable_within(
        &mut self,
        ty: TypeId,
        ops: usize,
    ) -> Node {
        let depth = self.limits.depth;
        self.breadth_first(ops, |builder| {
            // A variable that is a pointer shows the target, as `*p` does.
            builder.spine = if depth == 0 { 0 } else { SPINE };
            let node = builder.node(ty, depth);
            builder.spine = 0;
            node
        })
    }

    /// Makes a value, then the parts that wait.
    pub(in crate::plan::shape::builder) fn breadth_first(
        &mut self,
        ops: usize,
        make: impl FnOnce(&mut Self) -> Node,
    ) -> Node {
        (self.nodes, self.nesting, self.level) = (NODES, 0, 0);
        self.later.clear();
        let mut node = make(self);
        let mut left = ops.saturating_sub(cost::ops(&node));
        let mut next = 0;
        while next < self.later.len() {
            self.make_later(next, &mut left);
            next += 1;
        }
        self.settle(&mut node);
        node
    }

    /// Makes one part. Parts that it refers to join the queue.
    fn make_later(&mut self, index: usize, left: &mut usize) {
        let before = self.later.len();
        let Some(part) = self.later.get(index) else {
            return;
        };
        let (ty, depth, object, types) = (part.ty, part.depth, part.object, part.types.clone());
        let (level, spine, attempting) = (part.level, part.spine, part.attempting);
        let elsewhere = part.elsewhere;
        if self.nodes == 0 {
            return;
        }
        let outer = (self.attempting, self.level, self.nesting, self.spine);
        (self.attempting, self.level, self.nesting, self.spine) = (attempting, level, 0, spine);
        let made = self.with_types(types, elsewhere, |builder| {
            let node = builder.node(ty, depth);
            if object && !matches!(node, Node::Missing(_)) {
                builder.spine = 0;
                return dynamic_classes::node(builder, ty, node, depth);
            }
            node
        });
        (self.attempting, self.level, self.nesting, self.spine) = outer;
        match left.checked_sub(cost::ops(&made)) {
            Some(rest) => {
                *left = rest;
                if let Some(part) = self.later.get_mut(index) {
                    part.made = Some(made);
                }
            }
            None => self.later.truncate(before),
        }
    }

    /// The placeholder of a part that waits. Plain values are made at once.
    fn put_off(&mut self, ty: TypeId, depth: u32, spine: u32, object: bool) -> Node {
        let plain = matches!(
            self.resolve(ty).kind,
            TypeKind::Bool
                | TypeKind::Int { .. }
                | TypeKind::Float
                | TypeKind::Char { .. }
                | TypeKind::Enum { .. }
        );
        if plain {
            return self.node(ty, depth);
        }
        if self.level >= LEVELS {
            return Node::Missing(Unavailable::Unsupported("nested too deeply".into()));
        }
        let Ok(index) = u32::try_from(self.later.len()) else {
            return Node::Missing(so_many_parts());
        };
        self.later.push(LaterPart {
            types: self.types.clone(),
            elsewhere: self.elsewhere,
            ty,
            depth,
            level: self.level + 1,
            spine,
            attempting: self.attempting,
            object,
            made: None,
        });
        Node::Later(index)
    }

    /// The shape of a container's element, with `depth` levels left.
    pub(in crate::plan) fn element(&mut self, ty: TypeId, depth: u32) -> Node {
        self.put_off(ty, depth, 0, false)
    }

    /// The shape of a pointer's target, one level down.
    pub(in crate::plan) fn block(&mut self, ty: TypeId, depth: u32) -> Result<Block, Unavailable> {
        let deeper = if self.spine > 0 {
            Some(depth)
        } else {
            depth.checked_sub(1)
        };
        self.block_at(ty, deeper.ok_or(Unavailable::Depth)?)
    }

    /// The shape of a pointer's target, with `depth` levels left in it.
    pub(in crate::plan::shape::builder) fn block_at(
        &mut self,
        ty: TypeId,
        depth: u32,
    ) -> Result<Block, Unavailable> {
        if self.unsure {
            return Err(Unavailable::Depth);
        }
        match self.put_off(ty, depth, self.spine.saturating_sub(1), true) {
            Node::Missing(why) => Err(why),
            node => self.block_of(node),
        }
    }

    /// Replaces placeholders by the parts that were made for them.
    fn settle(&mut self, node: &mut Node) {
        if let Node::Later(index) = node {
            let made = self.later.get_mut(*index as usize);
            let made = made.and_then(|part| part.made.take());
            *node = made.unwrap_or_else(|| Node::Missing(so_many_parts()));
        }
        match node {
            Node::Pointer(pointer) => {
                if let Ok(block) = &mut pointer.target
                    && let Err(why) = self.settle_block(block)
                {
                    pointer.target = Err(why);
                }
            }
            Node::Dynamic(dynamic) => {
                self.settle(&mut dynamic.plain);
                for class in &mut dynamic.classes {
                    self.settle(&mut class.block.node);
                }
            }
            Node::Beside(beside) => self.settle(&mut beside.block.node),
            _ => {
                node.parts_mut(&mut |part| self.settle(part));
                if lost(node) {
                    *node = Node::Missing(so_many_parts());
                }
            }
        }
        cost::order(node);
    }

    fn settle_block(&mut self, block: &mut Block) -> Result<(), Unavailable> {
        let late = matches!(block.node, Node::Later(_));
        self.settle(&mut block.node);
        if late {
            let node = std::mem::replace(&mut block.node, Node::Unit);
            if let Node::Missing(why) = node {
                return Err(why);
            }
            *block = self.block_of(node)?;
        }
        Ok(())
    }
}

/// Reason for a part beyond the limit on parts.
pub(in crate::plan::shape::builder) fn so_many_parts() -> Unavailable {
    Unavailable::Unsupported("a value of so many parts".into())
}

/// Returns true if a container has lost its elements to the limit.
fn lost(node: &Node) -> bool {
    let gone = |node: &Node| matches!(node, Node::Missing(why) if *why == so_many_parts());
    match node {
        Node::Seq(seq) => gone(&seq.element),
        Node::Blocks(blocks) => gone(&blocks.element),
        Node::Pages(pages) => gone(&pages.element),
        Node::Chain(chain) => {
            let value = chain.value.as_ref();
            gone(&chain.key.1) && value.is_none_or(|value| gone(&value.1))
        }
        Node::Table(table) => {
            let value = table.value.as_ref();
            gone(&table.key.1) && value.is_none_or(|value| gone(&value.1))
        }
        Node::Tree(tree) => {
            let value = tree.value.as_ref();
            gone(&tree.key.node) && value.is_none_or(|value| gone(&value.node))
        }
        _ => false,
    }
}
