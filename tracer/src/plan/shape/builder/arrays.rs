//! Arrays of fixed size, and arrays whose first dimension is stored beside their address.

use super::breadth::so_many_parts;
use super::{Builder, is_text_char, unsized_value};
use crate::debuginfo::types::{TypeId, TypeKind};
use crate::plan::limits::{FOLLOWED_OPS, NESTING};
use crate::plan::shape::{Node, SeqLen, SeqNode, TextNode};

impl Builder<'_> {
    pub(super) fn array(
        &mut self,
        element: TypeId,
        dimensions: &[Option<u64>],
        depth: u32,
    ) -> Node {
        let Some((first, rest)) = dimensions.split_first() else {
            return self.node(element, depth);
        };
        let Some(of) = *first else {
            return Node::Flexible;
        };
        let Some(size) = self.size(element) else {
            return unsized_value();
        };
        let stride = rest.iter().try_fold(size, |product, dimension| {
            dimension.and_then(|count| product.checked_mul(count))
        });
        let Some(stride) = stride else {
            return unsized_value();
        };
        let text = matches!(
            (&self.resolve(element).kind, size),
            (TypeKind::Char { .. }, 1)
        );
        if text && rest.is_empty() && is_text_char(&self.resolve(element)) {
            let len = of.min(self.limits.string_bytes);
            return Node::CharArray { len, of };
        }
        let fit = self
            .limits
            .value_bytes
            .checked_div(stride)
            .unwrap_or(u64::MAX)
            .max(1);
        let count = of.min(self.limits.elements).min(fit);
        if self.nodes == 0 || self.nesting >= NESTING {
            return Node::Missing(so_many_parts());
        }
        self.nodes -= 1;
        self.nesting += 1;
        let spine = std::mem::replace(&mut self.spine, 0);
        let element = self.array(element, rest, depth);
        self.spine = spine;
        self.nesting -= 1;
        Node::Array {
            count,
            of,
            stride,
            element: Box::new(element),
        }
    }

    /// An array with its address at offset 0 and its first dimension at offset 8.
    pub(in crate::plan) fn counted_array(&mut self, array: TypeId) -> Option<Node> {
        let mut found = true;
        let node = self.breadth_first(FOLLOWED_OPS, |builder| {
            let node = builder.elements_beside(array);
            found = node.is_some();
            node.unwrap_or(Node::Unit)
        });
        found.then_some(node)
    }

    fn elements_beside(&mut self, array: TypeId) -> Option<Node> {
        let ty = self.resolve(array);
        let TypeKind::Array {
            element,
            dimensions,
        } = &ty.kind
        else {
            return None;
        };
        let (None, inner) = dimensions.split_first()? else {
            return None;
        };
        let size = self.size(*element)?;
        let stride = inner.iter().try_fold(size, |size, count| {
            count.and_then(|count| size.checked_mul(count))
        })?;
        let most = u64::from(tracer_common::limits::MAX_COPY);
        if inner.is_empty() && stride == 1 && is_text_char(&self.resolve(*element)) {
            return Some(Node::Text(Box::new(TextNode {
                pointer: 0,
                addend: 0,
                len: Some(8),
                trim: 0,
                zero_ends: true,
                before: None,
                limit: self.limits.string_bytes,
                unit: 1,
                short: None,
                slot: self.slot().ok()?,
            })));
        }
        let depth = self.limits.depth;
        let slot = self.slot().ok()?;
        Some(Node::Seq(Box::new(SeqNode {
            pointer: 0,
            addend: 0,
            len: SeqLen::Count(8),
            stride,
            limit: self.limits.elements.min(most.checked_div(stride)?),
            element: self.array(*element, inner, depth),
            slot,
            set: false,
        })))
    }
}
