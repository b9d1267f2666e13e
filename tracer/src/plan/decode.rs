//! Reads values from a record by the shapes of its plan.
//!
//! The kernel side wrote the record, but its contents are the target's and may be anything. A
//! record that the plan cannot have made is an error, which is counted. It never becomes a wrong
//! value.

mod chains;
mod chunks;
mod collections;
mod kept;
pub(super) mod layout;
mod scalars;
mod sequences;
pub(super) mod span_begin;
pub(super) mod stack_slots;

use std::borrow::Cow;

use crate::arch::{may_have_breakpoints, without_breakpoints};
use crate::base::address::{Bias, LinkAddr, RunAddr};
use crate::base::unavailable::Unavailable;
use crate::plan::capture::{Captured, ModuleOrigin, PartData, Root};
use crate::plan::shape::{
    Arm, BesideNode, Block, DynamicNode, EMPTY_ENUM, Field, NO_CLASS, Node, PointerNode, Slot,
    VariantsNode,
};
use crate::stack::CapturedStack;
use crate::value::{Cut, Pointer, Sequence, Struct, Value, Variant};
use stack_slots::StackSlots;

pub(super) use chunks::{Chunks, Data, View};
use chunks::{ViewPart, outside};
use scalars::scalar;
pub(super) use sequences::sequence;

/// Larger numbers are not lengths, since addresses have 47 bits.
pub(super) const MOST_LENGTH: u64 = 1 << 47;

/// Why a record cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record is shorter than its lengths say.
    #[error("record of {have} bytes ends before byte {need}")]
    Short {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// The plan makes another chunk at this point.
    #[error("chunk {found} where the plan makes chunk {expected}")]
    Slot {
        /// Number in the record.
        found: u16,
        /// Number in the plan.
        expected: u16,
    },
    /// The chunk's length is not the one that the plan asks for.
    #[error("chunk {slot} has {have} bytes, the plan asks for {need}")]
    Length {
        /// Number of the chunk.
        slot: u16,
        /// Bytes asked for.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// No plan makes this status.
    #[error("chunk {slot} has the unknown status {status}")]
    Status {
        /// Number of the chunk.
        slot: u16,
        /// Its status.
        status: u8,
    },
}

/// Names run addresses: functions and statics of the target.
pub trait Symbols {
    /// Demangled name of the function or static at a run address, or around it.
    fn name(&self, address: u64) -> Option<String>;

    /// At most `length` bytes of code in the target's file at a run address. `None` if no file is
    /// mapped there.
    fn code(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let _ = (address, length);
        None
    }
}

/// Reads values, chunk by chunk.
pub(super) struct Decoder<'r, 's> {
    pub(super) chunks: Chunks<'r>,
    symbols: Option<&'s dyn Symbols>,
    shared: Vec<Option<Data<'r>>>,
    /// The load bias of the site's module, if the record tells it.
    bias: Option<Bias>,
    /// The empty vector of the last root, for reuse.
    parts: Vec<ViewPart<'r>>,
}

impl<'r, 's> Decoder<'r, 's> {
    pub(super) fn new(
        chunks: Chunks<'r>,
        symbols: Option<&'s dyn Symbols>,
        captured: &Captured,
    ) -> Self {
        Self {
            chunks,
            symbols,
            shared: vec![None; captured.shared.len()],
            bias: None,
            parts: Vec::new(),
        }
    }

    /// The place of the site's module, which precedes the values.
    pub(super) fn origin(&mut self, captured: &Captured) -> Result<(), DecodeError> {
        if let Some(ModuleOrigin { slot, base }) = captured.origin {
            let origin = self.chunks.exact(slot, 8)?.ok();
            let origin = origin.and_then(|bytes| bytes.try_into().ok());
            let origin = origin.map(u64::from_le_bytes);
            // Link address 0 is at the bias.
            let bias = |origin: u64| Bias(origin.wrapping_add(base.distance(LinkAddr(0))));
            self.bias = origin.map(bias);
        }
        Ok(())
    }

    /// A word, which follows the captured stack. `None` if the record has no space for it.
    pub(super) fn word(&mut self, slot: Slot) -> Result<Option<u64>, DecodeError> {
        let bytes = self.chunks.exact(slot, 8)?.ok();
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        Ok(bytes.map(u64::from_le_bytes))
    }

    /// The captured stack, which follows the values.
    pub(super) fn stack(&mut self, slots: &StackSlots) -> Result<CapturedStack, DecodeError> {
        slots.decode(&mut self.chunks)
    }

    /// The next captured value.
    pub(super) fn root(&mut self, root: &Root, captured: &Captured) -> Result<Value, DecodeError> {
        let mut parts = std::mem::take(&mut self.parts);
        parts.clear();
        for part in &root.parts {
            let data = match &part.data {
                PartData::Known(bytes) => Ok(Cow::Owned(bytes.clone())),
                PartData::Missing(why) => Err(why.clone()),
                PartData::Chunk(slot) => self.chunks.exact(*slot, part.len)?.map(Cow::Borrowed),
                PartData::Shared(index, delta) => self
                    .shared(*index, captured)?
                    .and_then(|bytes| {
                        let from = usize::try_from(*delta).map_err(|_| outside())?;
                        let rest = bytes.get(from..).ok_or_else(outside)?;
                        rest.get(..part.len as usize).ok_or_else(outside)
                    })
                    .map(Cow::Borrowed),
            };
            parts.push((part.offset, part.len, data));
        }
        let view = View { parts };
        self.chunks.number_from(root.shape.first);
        let value = self.value(root.shape.node(), &view, 0);
        self.chunks.number_from(0);
        self.parts = view.parts;
        value
    }

    fn shared(&mut self, index: usize, captured: &Captured) -> Result<Data<'r>, DecodeError> {
        let known = self.shared.get(index).cloned().flatten();
        if let Some(data) = known {
            return Ok(data);
        }
        let Some(shared) = captured.shared.get(index) else {
            return Ok(Err(outside()));
        };
        let data = self.chunks.exact(shared.slot, shared.len)?;
        if let Some(slot) = self.shared.get_mut(index) {
            *slot = Some(data.clone());
        }
        Ok(data)
    }

    /// The value of a shape at an offset of the view.
    pub(super) fn value(
        &mut self,
        node: &Node,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        let value = match node {
            Node::Unit => Ok(Value::Unit),
            Node::Flexible => Ok(Value::Sequence(Sequence {
                items: Vec::new(),
                cut: Some(Cut { of: None }),
                set: false,
            })),
            Node::Missing(why) => Err(why.clone()),
            Node::Struct(name, fields) => {
                return Ok(Value::Struct(Struct {
                    name: name.to_string(),
                    fields: self.fields(fields, view, at)?,
                    has_more: false,
                }));
            }
            Node::Partial(name, fields) => {
                return Ok(Value::Struct(Struct {
                    name: name.to_string(),
                    fields: self.fields(fields, view, at)?,
                    has_more: true,
                }));
            }
            Node::Range(bounds) => return self.range(bounds, view, at),
            Node::Tuple(fields) => {
                let fields = self.fields(fields, view, at)?;
                return Ok(Value::Tuple(
                    fields.into_iter().map(|(_, value)| value).collect(),
                ));
            }
            Node::Ordered(order, inner) => return self.ordered(order, inner, view, at),
            Node::Inside(offset, inner) => {
                return self.value(inner, view, at.saturating_add(*offset));
            }
            Node::Variants(variants) => return self.variants(variants, view, at),
            Node::Beside(beside) => return self.beside(beside, view, at),
            Node::Dynamic(dynamic) => return self.dynamic(dynamic, view, at),
            Node::Array {
                count,
                of,
                stride,
                element,
            } => {
                let mut items = Vec::new();
                for index in 0..*count {
                    let at = at.saturating_add(index.saturating_mul(*stride));
                    items.push(self.value(element, view, at)?);
                }
                Ok(sequence(items, *of, false))
            }
            Node::Pointer(pointer) => return self.pointer(pointer, view, at),
            Node::Text(text) => return self.text(text, view, at),
            Node::Seq(seq) => return self.seq(seq, view, at),
            Node::Table(table) => return collections::table(self, table, view, at),
            Node::Tree(tree) => return collections::tree(self, tree, view, at),
            Node::Chain(node) => return chains::chain(self, node, view, at),
            Node::Blocks(node) => return chains::blocks(self, node, view, at),
            Node::BitRow(node) => return chains::bit_row(self, node, view, at),
            Node::Pages(node) => return chains::pages(self, node, view, at),
            Node::BitSet { count, shown } => chains::bit_set(*count, *shown, view, at),
            Node::Function => view.word(at).map(|address| {
                Value::Pointer(Pointer {
                    address,
                    symbol: self.symbol(address),
                    target: None,
                    transparent: false,
                })
            }),
            _ => scalar(node, view, at),
        };
        Ok(value.unwrap_or_else(Value::Unavailable))
    }

    fn symbol(&self, address: u64) -> Option<String> {
        self.symbols.filter(|_| address != 0)?.name(address)
    }

    /// Bytes at a run address without tracer's breakpoints.
    fn without_breakpoints<'b>(&self, address: u64, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let symbols = self.symbols.filter(|_| may_have_breakpoints(bytes));
        match symbols.and_then(|symbols| symbols.code(address, bytes.len())) {
            Some(file) => Cow::Owned(without_breakpoints(bytes, &file)),
            None => Cow::Borrowed(bytes),
        }
    }

    fn fields(
        &mut self,
        fields: &[Field],
        view: &View<'_>,
        at: u64,
    ) -> Result<Vec<(String, Value)>, DecodeError> {
        fields
            .iter()
            .map(|field| {
                let value = self.value(&field.node, view, at.saturating_add(field.offset))?;
                Ok((field.name.to_string(), value))
            })
            .collect()
    }

    /// A struct whose fields were captured in another order.
    fn ordered(
        &mut self,
        order: &[u16],
        node: &Node,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        let Some(fields) = node.fields() else {
            return self.value(node, view, at);
        };
        let mut values: Vec<Option<Value>> = vec![None; fields.len()];
        for index in order {
            let index = usize::from(*index);
            if let (Some(field), Some(value)) = (fields.get(index), values.get_mut(index)) {
                *value = Some(self.value(&field.node, view, at.saturating_add(field.offset))?);
            }
        }
        let values = values
            .into_iter()
            .map(|value| value.unwrap_or(Value::Unavailable(Unavailable::OptimisedOut)));
        Ok(match node {
            Node::Struct(name, fields) | Node::Partial(name, fields) => {
                let names = fields.iter().map(|field| field.name.to_string());
                Value::Struct(Struct {
                    name: name.to_string(),
                    fields: names.zip(values).collect(),
                    has_more: matches!(node, Node::Partial(..)),
                })
            }
            Node::Range(_) => range_of(values.collect()),
            _ => Value::Tuple(values.collect()),
        })
    }

    fn range(
        &mut self,
        bounds: &[Field; 2],
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        let bounds = self.fields(bounds, view, at)?;
        Ok(range_of(
            bounds.into_iter().map(|(_, value)| value).collect(),
        ))
    }

    fn variants(
        &mut self,
        variants: &VariantsNode,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        let arm: Result<&Arm, Unavailable> = match variants.tag {
            None => variants
                .arms
                .first()
                .ok_or_else(|| Unavailable::Invalid(EMPTY_ENUM.to_owned())),
            Some((offset, size)) => view
                .number(at.saturating_add(offset), size)
                .and_then(|tag| {
                    let tag = match variants.of_addresses {
                        true => self.link(tag)?,
                        false => tag,
                    };
                    let unknown = || Unavailable::Invalid(format!("discriminant {tag}"));
                    variants.select(tag).ok_or_else(unknown)
                }),
        };
        let arm = match arm {
            Ok(arm) => arm,
            // A choice that only adds to a value falls back to that value.
            Err(_) if variants.adds => match variants.arms.first() {
                Some(plain) => plain,
                None => return Ok(Value::Unavailable(Unavailable::OptimisedOut)),
            },
            Err(why) => return Ok(Value::Unavailable(why)),
        };
        let mut fields = self.fields(&arm.fields, view, at)?;
        if variants.transparent && fields.len() == 1 {
            return Ok(fields.remove(0).1);
        }
        Ok(Value::Variant(Variant {
            ty: variants.name.to_string(),
            name: arm.name.to_string(),
            line: arm.line,
            fields,
            omitted: None,
        }))
    }

    /// The link address of a run address in the site's module.
    fn link(&self, address: u128) -> Result<u128, Unavailable> {
        let unknown = || Unavailable::Unsupported("an address of an unknown module".into());
        let bias = self.bias.ok_or_else(unknown)?;
        Ok(u128::from(bias.link(RunAddr(address as u64)).0))
    }

    fn pointer(
        &mut self,
        node: &PointerNode,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        let address = match view.word(at) {
            Ok(address) => address,
            Err(why) => return Ok(Value::Unavailable(why)),
        };
        let target = match &node.target {
            Ok(block) if address != 0 => {
                let from = address.wrapping_add(node.addend as u64);
                Some(Box::new(self.block(block, from)?))
            }
            Err(why) if node.transparent && address != 0 => {
                Some(Box::new(Value::Unavailable(why.clone())))
            }
            _ => None,
        };
        let symbol = match node.vtable {
            Some(vtable) => view
                .word(at.saturating_add(vtable))
                .ok()
                .and_then(|vtable| self.symbol(vtable)),
            None if target.is_none() => self.symbol(address),
            None => None,
        };
        Ok(Value::Pointer(Pointer {
            address,
            symbol,
            target,
            transparent: node.transparent,
        }))
    }

    fn block(&mut self, block: &Block, address: u64) -> Result<Value, DecodeError> {
        let mut parts = Vec::with_capacity(block.segments.len());
        for segment in &block.segments {
            let data = self.chunks.exact(segment.slot, segment.len)?;
            let from = address.wrapping_add(segment.offset);
            let data = data
                .map(|bytes| self.without_breakpoints(from, bytes))
                .map_err(|why| located(why, from));
            parts.push((segment.offset, segment.len, data));
        }
        if let [(_, _, Err(why))] = &parts[..] {
            return Ok(Value::Unavailable(why.clone()));
        }
        self.value(&block.node, &View { parts }, 0)
    }

    fn beside(
        &mut self,
        node: &BesideNode,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        if let Err(why) = view.word(at) {
            return Ok(Value::Unavailable(why));
        }
        self.there(node.slot, &node.block)
    }

    fn dynamic(
        &mut self,
        node: &DynamicNode,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        let class = match view.word(at) {
            Ok(_) => self.chunks.exact(node.slot, 8)?,
            Err(why) => Err(why),
        };
        if let Ok(number) = class {
            let number = number.try_into().map_or(NO_CLASS, u64::from_le_bytes);
            let class = usize::try_from(number).ok();
            if let Some(class) = class.and_then(|index| node.classes.get(index)) {
                return self.there(class.slot, &class.block);
            }
        }
        let plain = self.value(&node.plain, view, at)?;
        Ok(match class {
            // It may be a part of an object of another module's class.
            Err(why @ Unavailable::Unplaced) => Value::Unavailable(why),
            _ => plain,
        })
    }

    /// The block at the address in a chunk.
    fn there(&mut self, slot: Slot, block: &Block) -> Result<Value, DecodeError> {
        match self.chunks.exact(slot, 8)? {
            Err(why) => Ok(Value::Unavailable(why)),
            Ok(address) => {
                let address = address.try_into().map_or(0, u64::from_le_bytes);
                self.block(block, address)
            }
        }
    }
}

/// Adds the address to a reason.
pub(super) fn located(why: Unavailable, address: u64) -> Unavailable {
    match why {
        Unavailable::Unreadable(None) => Unavailable::Unreadable(Some(address)),
        why => why,
    }
}

/// A range from its two bounds.
fn range_of(bounds: Vec<Value>) -> Value {
    match <[Value; 2]>::try_from(bounds) {
        Ok(bounds) => Value::Range(Box::new(bounds)),
        Err(bounds) => Value::Tuple(bounds),
    }
}
