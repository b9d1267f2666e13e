//! Walks over the parts of a shape.

use crate::plan::shape::{Field, Node};
use crate::value::redact::Redactor;

impl Node {
    /// Returns true if a part of the value is redacted by its name. Targets of pointers are no part of it.
    pub(in crate::plan) fn has_redacted(&self, redactor: &Redactor) -> bool {
        let is_hidden = |field: &Field| redactor.hides(&field.name);
        let by_name = match self {
            Self::Struct(name, fields) | Self::Partial(name, fields) => {
                let first = fields.first().map(|field| &*field.name);
                redactor.hides_tuple(name, first) || fields.iter().any(is_hidden)
            }
            Self::Variants(variants) => variants.arms.iter().any(|arm| {
                let has_data = !arm.fields.is_empty();
                has_data && redactor.hides(&arm.name) || arm.fields.iter().any(is_hidden)
            }),
            _ => false,
        };
        let mut found = by_name;
        self.parts(&mut |part| found = found || part.has_redacted(redactor));
        found
    }

    /// Calls `see` with each part of the value and with the shape of elements, but not with targets
    /// of pointers.
    pub(in crate::plan) fn parts(&self, see: &mut dyn FnMut(&Self)) {
        if let Some(fields) = self.fields() {
            return fields.iter().for_each(|field| see(&field.node));
        }
        match self {
            Self::Variants(variants) => {
                let fields = variants.arms.iter().flat_map(|arm| &arm.fields);
                fields.for_each(|field| see(&field.node));
            }
            Self::Array { element, .. } => see(element),
            Self::Inside(_, inner) | Self::Ordered(_, inner) => see(inner),
            Self::Seq(seq) => see(&seq.element),
            Self::Table(table) => {
                see(&table.key.1);
                table.value.iter().for_each(|(_, value)| see(value));
            }
            Self::Tree(tree) => {
                see(&tree.key.node);
                tree.value.iter().for_each(|value| see(&value.node));
            }
            Self::Chain(chain) => {
                see(&chain.key.1);
                chain.value.iter().for_each(|(_, value)| see(value));
            }
            Self::Blocks(blocks) => see(&blocks.element),
            Self::Pages(pages) => see(&pages.element),
            Self::Dynamic(dynamic) => see(&dynamic.plain),
            _ => {}
        }
    }

    /// Calls `see` with each part, mutably.
    pub(in crate::plan) fn parts_mut(&mut self, see: &mut dyn FnMut(&mut Self)) {
        if let Some(fields) = self.fields_mut() {
            return fields.iter_mut().for_each(|field| see(&mut field.node));
        }
        match self {
            Self::Variants(variants) => {
                let fields = variants.arms.iter_mut().flat_map(|arm| &mut arm.fields);
                fields.for_each(|field| see(&mut field.node));
            }
            Self::Array { element, .. } => see(element),
            Self::Inside(_, inner) | Self::Ordered(_, inner) => see(inner),
            Self::Seq(seq) => see(&mut seq.element),
            Self::Table(table) => {
                see(&mut table.key.1);
                table.value.iter_mut().for_each(|(_, value)| see(value));
            }
            Self::Tree(tree) => {
                see(&mut tree.key.node);
                tree.value.iter_mut().for_each(|value| see(&mut value.node));
            }
            Self::Chain(chain) => {
                see(&mut chain.key.1);
                chain.value.iter_mut().for_each(|(_, value)| see(value));
            }
            Self::Blocks(blocks) => see(&mut blocks.element),
            Self::Pages(pages) => see(&mut pages.element),
            Self::Dynamic(dynamic) => see(&mut dynamic.plain),
            _ => {}
        }
    }

    /// Calls `see` with each node of the shape: those behind pointers too, and the node itself last.
    pub(in crate::plan) fn all(&self, see: &mut dyn FnMut(&Self)) {
        self.parts(&mut |part| part.all(see));
        match self {
            Self::Pointer(pointer) => {
                if let Ok(block) = &pointer.target {
                    block.node.all(see);
                }
            }
            Self::Beside(beside) => beside.block.node.all(see),
            Self::Dynamic(dynamic) => {
                let classes = dynamic.classes.iter();
                classes.for_each(|class| class.block.node.all(see));
            }
            _ => {}
        }
        see(self);
    }

    /// Calls `see` with each node in the order of [`Node::all`], mutably.
    pub(in crate::plan) fn all_mut(&mut self, see: &mut dyn FnMut(&mut Self)) {
        self.parts_mut(&mut |part| part.all_mut(see));
        match self {
            Self::Pointer(pointer) => {
                if let Ok(block) = &mut pointer.target {
                    block.node.all_mut(see);
                }
            }
            Self::Beside(beside) => beside.block.node.all_mut(see),
            Self::Dynamic(dynamic) => {
                let classes = dynamic.classes.iter_mut();
                classes.for_each(|class| class.block.node.all_mut(see));
            }
            _ => {}
        }
        see(self);
    }
}
