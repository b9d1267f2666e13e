//! The cost of a shape: ops in its plan, and bytes in a record.
//!
//! A full record lacks the parts that come last. So light parts are captured before heavy ones.
//! They are shown in the order of the source.

use crate::plan::shape::{Block, Field, Node};

/// Bytes of a record that are worth one op.
const OP: u64 = 8;

/// Approximate number of ops in the plan of a shape, each counted once.
pub(in crate::plan) fn ops(node: &Node) -> usize {
    let own = match node {
        Node::Text(text) if text.short.is_some() => 9,
        Node::Text(_) => 6,
        Node::Pointer(pointer) => match &pointer.target {
            Ok(block) => 4 + of_block(block),
            Err(_) => 0,
        },
        Node::Seq(_) => 16,
        Node::Table(_) => 26,
        Node::Tree(_) => 40,
        Node::Chain(_) => 28,
        Node::Blocks(_) => 34,
        Node::BitRow(_) => 10,
        Node::Pages(_) => 36,
        Node::Variants(variants) => {
            let values: usize = variants.arms.iter().map(|arm| arm.values.len()).sum();
            if node.follows() { 4 + 2 * values } else { 0 }
        }
        Node::Beside(beside) => 8 + of_block(&beside.block),
        Node::Dynamic(dynamic) => {
            let classes = dynamic.classes.iter();
            16 + classes
                .map(|class| 8 + of_block(&class.block))
                .sum::<usize>()
        }
        Node::Array { element, .. } if element.follows() => 8,
        _ => 0,
    };
    let mut sum = own;
    node.parts(&mut |part| sum = sum.saturating_add(ops(part)));
    sum
}

fn of_block(block: &Block) -> usize {
    2 * block.segments.len().max(1) + ops(&block.node)
}

/// Most bytes that the targets of a value's pointers add to a record.
pub(in crate::plan) fn weight(node: &Node) -> u64 {
    let inner = || {
        let mut sum = 0u64;
        node.parts(&mut |part| sum = sum.saturating_add(weight(part)));
        sum
    };
    match node {
        Node::Text(text) => text.limit + 4 * OP,
        Node::Pointer(pointer) => match &pointer.target {
            Ok(block) => block_weight(block) + 3 * OP,
            Err(_) => 0,
        },
        Node::Seq(seq) => repeated(seq.limit, seq.stride, inner()),
        Node::Table(table) => table.buckets + repeated(table.limit, table.stride + 8 * OP, inner()),
        Node::Tree(tree) => {
            let stride = tree.key.stride + tree.value.as_ref().map_or(0, |value| value.stride);
            repeated(tree.limit, stride + 12 * OP, inner())
        }
        Node::Chain(chain) => repeated(chain.limit, chain.stride + 8 * OP, inner()),
        Node::Blocks(blocks) => repeated(blocks.limit, blocks.stride, inner()),
        Node::Pages(pages) => repeated(pages.limit, pages.stride, inner()),
        Node::BitRow(row) => row.limit / 8 + 4 * OP,
        Node::Variants(variants) => {
            let arms = variants.arms.iter();
            let arm = |fields: &[Field]| {
                let weights = fields.iter().map(|field| weight(&field.node));
                weights.fold(0, u64::saturating_add)
            };
            arms.map(|known| arm(&known.fields)).max().unwrap_or(0)
        }
        Node::Array { count, .. } => count.saturating_mul(inner()),
        Node::Beside(beside) => block_weight(&beside.block),
        Node::Dynamic(dynamic) => {
            let classes = dynamic.classes.iter();
            let whole = classes.map(|class| block_weight(&class.block)).max();
            whole.unwrap_or(0).max(weight(&dynamic.plain))
        }
        _ => inner(),
    }
}

fn block_weight(block: &Block) -> u64 {
    let bytes = block.segments.iter().map(|segment| segment.len);
    bytes.fold(weight(&block.node), u64::saturating_add)
}

fn repeated(times: u64, bytes: u64, inner: u64) -> u64 {
    let each = bytes.saturating_add(if inner > 0 { inner + 4 * OP } else { 0 });
    times.saturating_mul(each).saturating_add(4 * OP)
}

/// The indexes of parts, light before heavy. `None` if they are in that order already.
pub(in crate::plan) fn light_first(weights: &[u64]) -> Option<Vec<u16>> {
    if weights.is_sorted() {
        return None;
    }
    let mut order: Vec<u16> = (0..=u16::MAX).take(weights.len()).collect();
    if order.len() < weights.len() {
        return None;
    }
    order.sort_by_key(|index| weights.get(usize::from(*index)));
    Some(order)
}

/// Captures the fields of a struct in the order of their weights.
pub(in crate::plan) fn order(node: &mut Node) {
    let Some(fields) = node.fields() else {
        return;
    };
    let weights: Vec<u64> = fields.iter().map(|field| weight(&field.node)).collect();
    if let Some(order) = light_first(&weights) {
        let inner = std::mem::replace(node, Node::Unit);
        *node = Node::Ordered(order, Box::new(inner));
    }
}
