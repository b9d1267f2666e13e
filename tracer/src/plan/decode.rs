//! Reads values out of a record, along the shapes that its plan was made from.
//!
//! The record is what the kernel side sent; its values are the target's and
//! may be anything. A record that is not what the plan makes is an error, to
//! be counted; it never gives a wrong value.

use std::borrow::Cow;
use std::sync::Arc;

use tracer_common::record::{
    CHUNK_CUT, CHUNK_FAULT, CHUNK_NO_ROOM, CHUNK_OK, ChunkHeader, FLAG_NO_ROOM, FLAG_STEPS,
    RecordHeader,
};

use super::capture::{Captured, PartData, Root};
use super::ir::Failure;
use super::shape::{
    Arm, BesideNode, Block, DynamicNode, EnumNode, Field, Node, PointerNode, SeqLen, SeqNode, Slot,
    TextNode, VariantsNode,
};
use super::stack::StackSlots;
use super::{breakpoints, chains, collections};
use crate::stack::CapturedStack;
use crate::unavailable::Unavailable;
use crate::value::{Cut, DURATION, Pointer, Sequence, Struct, Text, Value, Variant};

/// Lengths above this are no lengths of anything: addresses have 47 bits.
pub(super) const MOST_LENGTH: u64 = 1 << 47;

/// Why a record cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record ends before what its lengths say.
    #[error("record of {have} bytes ends before byte {need}")]
    Short {
        /// Bytes needed.
        need: usize,
        /// Bytes there.
        have: usize,
    },
    /// Another chunk than the plan makes there.
    #[error("chunk {found} where the plan makes chunk {expected}")]
    Slot {
        /// Number in the record.
        found: u16,
        /// Number in the plan.
        expected: u16,
    },
    /// A chunk of another length than the plan asks for.
    #[error("chunk {slot} has {have} bytes, the plan asks for {need}")]
    Length {
        /// Number of the chunk.
        slot: u16,
        /// Bytes asked for.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// A status that no plan makes.
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
    /// Demangled name of what begins at, or contains, a run address.
    fn name(&self, address: u64) -> Option<String>;

    /// The code that the target's file has at a run address: at most `length`
    /// bytes; `None` when none is mapped there.
    fn code(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let _ = (address, length);
        None
    }
}

/// Bytes of a chunk, or why there are none.
pub(super) type Data<'r> = Result<&'r [u8], Unavailable>;

/// The same, maybe known without the record.
type Bytes<'r> = Result<Cow<'r, [u8]>, Unavailable>;

/// The chunks of a record, one after the other.
pub(super) struct Chunks<'r> {
    bytes: &'r [u8],
    at: usize,
    flags: u32,
}

impl<'r> Chunks<'r> {
    /// Header and chunks of a record.
    pub(super) fn of(record: &'r [u8]) -> Result<(RecordHeader, Self), DecodeError> {
        let size = size_of::<RecordHeader>();
        let short = |need| DecodeError::Short {
            need,
            have: record.len(),
        };
        let header = record.get(..size).ok_or_else(|| short(size))?;
        let header: RecordHeader = bytemuck::pod_read_unaligned(header);
        let length = header.length as usize;
        let bytes = record
            .get(..length.max(size))
            .ok_or_else(|| short(length))?;
        let chunks = Self {
            bytes,
            at: size,
            flags: header.flags,
        };
        Ok((header, chunks))
    }

    fn header(&self) -> Result<Option<ChunkHeader>, DecodeError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let size = size_of::<ChunkHeader>();
        let need = self.at + size;
        let header = self.bytes.get(self.at..need).ok_or(DecodeError::Short {
            need,
            have: self.bytes.len(),
        })?;
        Ok(Some(bytemuck::pod_read_unaligned(header)))
    }

    /// The record was not cut at a limit of the machine.
    pub(super) fn is_whole(&self) -> bool {
        self.flags & (FLAG_STEPS | FLAG_NO_ROOM) == 0
    }

    /// Number of the next chunk.
    pub(super) fn peek(&self) -> Result<Option<Slot>, DecodeError> {
        Ok(self.header()?.map(|header| header.slot))
    }

    /// The next chunk, which is number `slot`: its bytes, and whether there were more.
    pub(super) fn next(&mut self, slot: Slot) -> Result<(Data<'r>, bool), DecodeError> {
        let Some(header) = self.header()? else {
            let why = if self.flags & FLAG_STEPS != 0 {
                Unavailable::Steps
            } else if self.flags & FLAG_NO_ROOM != 0 {
                Unavailable::NoRoom
            } else {
                return Err(DecodeError::Short {
                    need: self.at + size_of::<ChunkHeader>(),
                    have: self.bytes.len(),
                });
            };
            return Ok((Err(why), false));
        };
        if header.slot != slot {
            return Err(DecodeError::Slot {
                found: header.slot,
                expected: slot,
            });
        }
        let from = self.at + size_of::<ChunkHeader>();
        let to = from.saturating_add(header.length as usize);
        let data = self.bytes.get(from..to).ok_or(DecodeError::Short {
            need: to,
            have: self.bytes.len(),
        })?;
        self.at = to.next_multiple_of(8);
        let why = match header.status {
            CHUNK_OK => return Ok((Ok(data), false)),
            CHUNK_CUT => return Ok((Ok(data), true)),
            CHUNK_FAULT => Unavailable::Unreadable(None),
            CHUNK_NO_ROOM => Unavailable::NoRoom,
            status => match Failure::MARKS.iter().find(|mark| **mark as u8 == status) {
                Some(failure) => failure.reason(),
                None => return Err(DecodeError::Status { slot, status }),
            },
        };
        Ok((Err(why), false))
    }

    /// The next chunk, which has exactly `len` bytes or none.
    pub(super) fn exact(&mut self, slot: Slot, len: u64) -> Result<Data<'r>, DecodeError> {
        let (data, _) = self.next(slot)?;
        match data {
            Ok(data) if data.len() as u64 != len => Err(DecodeError::Length {
                slot,
                need: len,
                have: data.len() as u64,
            }),
            data => Ok(data),
        }
    }
}

/// The bytes of one value, in parts.
pub(super) struct View<'r> {
    /// Offset, length and bytes of each part.
    parts: Vec<(u64, u64, Bytes<'r>)>,
}

impl<'r> View<'r> {
    /// Bytes in one row.
    pub(super) fn row(bytes: &'r [u8]) -> Self {
        Self {
            parts: vec![(0, bytes.len() as u64, Ok(Cow::Borrowed(bytes)))],
        }
    }

    /// Some of the bytes, maybe from several parts.
    fn bytes(&self, at: u64, len: u64) -> Result<Cow<'_, [u8]>, Unavailable> {
        let end = at.saturating_add(len);
        let mut whole: Vec<u8> = Vec::new();
        let mut next = at;
        for (offset, size, data) in &self.parts {
            let part_end = offset.saturating_add(*size);
            if next >= end || part_end <= next || *offset > next {
                continue;
            }
            let data = data.as_ref().map_err(Clone::clone)?;
            let from = usize::try_from(next - offset).map_err(|_| outside())?;
            let to = usize::try_from(end.min(part_end) - offset).map_err(|_| outside())?;
            let slice = data.get(from..to).ok_or_else(outside)?;
            if from + slice.len() == to && next == at && end <= part_end {
                return Ok(Cow::Borrowed(slice));
            }
            whole.extend_from_slice(slice);
            next = end.min(part_end);
        }
        if next < end {
            return Err(outside());
        }
        Ok(Cow::Owned(whole))
    }

    /// A number of at most 16 bytes, zero-extended.
    pub(super) fn number(&self, at: u64, size: u8) -> Result<u128, Unavailable> {
        let bytes = self.bytes(at, u64::from(size.min(16)))?;
        let mut wide = [0; 16];
        for (to, from) in wide.iter_mut().zip(bytes.iter()) {
            *to = *from;
        }
        Ok(u128::from_le_bytes(wide))
    }

    /// A number of eight bytes.
    pub(super) fn word(&self, at: u64) -> Result<u64, Unavailable> {
        self.number(at, 8).map(|number| number as u64)
    }
}

fn outside() -> Unavailable {
    Unavailable::BadDebugInfo("member outside of its value".into())
}

/// Reads values, chunk by chunk.
pub(super) struct Decoder<'r, 's> {
    pub(super) chunks: Chunks<'r>,
    symbols: Option<&'s dyn Symbols>,
    shared: Vec<Option<Data<'r>>>,
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
        }
    }

    /// The captured stack, which comes behind the values.
    pub(super) fn stack(&mut self, slots: &StackSlots) -> Result<CapturedStack, DecodeError> {
        slots.decode(&mut self.chunks)
    }

    /// The next captured value.
    pub(super) fn root(&mut self, root: &Root, captured: &Captured) -> Result<Value, DecodeError> {
        let mut parts = Vec::with_capacity(root.parts.len());
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
        self.value(&root.node, &View { parts }, 0)
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

    /// The value of a shape at an offset of some bytes.
    pub(super) fn value(
        &mut self,
        node: &Node,
        view: &View<'_>,
        at: u64,
    ) -> Result<Value, DecodeError> {
        let value = match node {
            Node::Unit => Ok(Value::Unit),
            Node::Known(number) => Ok(Value::Uint(u128::from(*number))),
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
                }));
            }
            Node::Tuple(fields) => {
                let fields = self.fields(fields, view, at)?;
                return Ok(Value::Tuple(
                    fields.into_iter().map(|(_, value)| value).collect(),
                ));
            }
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

    /// Bytes of a run address as the program has them, without our breakpoints.
    fn without_breakpoints<'b>(&self, address: u64, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let symbols = self.symbols.filter(|_| breakpoints::possible(bytes));
        match symbols.and_then(|symbols| symbols.code(address, bytes.len())) {
            Some(file) => Cow::Owned(breakpoints::without(bytes, &file)),
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
                .ok_or_else(|| Unavailable::BadDebugInfo("an enum without variants".into())),
            Some((offset, size)) => view
                .number(at.saturating_add(offset), size)
                .and_then(|tag| {
                    let unknown = || Unavailable::Invalid(format!("discriminant {tag}"));
                    variants.select(tag).ok_or_else(unknown)
                }),
        };
        let arm = match arm {
            Ok(arm) => arm,
            // Of a choice that only adds to a value, there is what it adds to.
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
            fields,
        }))
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
        if view.word(at).is_ok()
            && let Ok(info) = self.chunks.exact(node.slot, 8)?
        {
            let info = info.try_into().map_or(0, u64::from_le_bytes);
            if let Some(class) = node.classes.iter().find(|class| class.info == info) {
                return self.there(class.slot, &class.block);
            }
        }
        self.value(&node.plain, view, at)
    }

    /// A block at the address that a chunk has.
    fn there(&mut self, slot: Slot, block: &Block) -> Result<Value, DecodeError> {
        match self.chunks.exact(slot, 8)? {
            Err(why) => Ok(Value::Unavailable(why)),
            Ok(address) => {
                let address = address.try_into().map_or(0, u64::from_le_bytes);
                self.block(block, address)
            }
        }
    }

    fn text(&mut self, node: &TextNode, view: &View<'_>, at: u64) -> Result<Value, DecodeError> {
        let pointer = view.word(at.saturating_add(node.pointer));
        let len = node.len.map(|len| view.word(at.saturating_add(len)));
        let (pointer, len) = match (pointer, len.transpose()) {
            (Ok(pointer), Ok(len)) => (pointer, len),
            (Err(why), _) | (_, Err(why)) => return Ok(Value::Unavailable(why)),
        };
        let Some(len) = len else {
            return self.c_string(node, pointer);
        };
        let (data, _) = self.chunks.next(node.slot)?;
        if len > MOST_LENGTH {
            let why = Unavailable::Invalid(format!("a length of {len}"));
            return Ok(Value::Unavailable(why));
        }
        let data = match data {
            Ok(data) => data,
            Err(why) => return Ok(Value::Unavailable(located(why, pointer))),
        };
        let unit = u64::from(node.unit.max(1));
        let need = len.saturating_mul(unit).min(node.limit);
        if data.len() as u64 != need {
            return Err(DecodeError::Length {
                slot: node.slot,
                need,
                have: data.len() as u64,
            });
        }
        if unit > 1 {
            return Ok(wide_text(data, unit, len));
        }
        let data = &*self.without_breakpoints(pointer.wrapping_add(node.addend as u64), data);
        let all = len.saturating_sub(node.trim);
        let shown = data.get(..data.len().min(all as usize)).unwrap_or(data);
        if node.zero_ends
            && let Some(end) = shown.iter().position(|byte| *byte == 0)
        {
            let bytes = shown.get(..end).unwrap_or_default().to_vec();
            return Ok(Value::Text(Text { bytes, cut: None }));
        }
        Ok(Value::Text(Text {
            bytes: shown.to_vec(),
            cut: (all > shown.len() as u64).then_some(Cut { of: Some(all) }),
        }))
    }

    fn c_string(&mut self, node: &TextNode, address: u64) -> Result<Value, DecodeError> {
        let target = if address == 0 {
            None
        } else {
            let (data, cut) = self.chunks.next(node.slot)?;
            Some(Box::new(match data {
                Ok(bytes) => Value::Text(Text {
                    bytes: self.without_breakpoints(address, bytes).into_owned(),
                    cut: cut.then_some(Cut { of: None }),
                }),
                Err(why) => Value::Unavailable(located(why, address)),
            }))
        };
        Ok(Value::Pointer(Pointer {
            address,
            symbol: None,
            transparent: target.is_some(),
            target,
        }))
    }

    fn seq(&mut self, node: &SeqNode, view: &View<'_>, at: u64) -> Result<Value, DecodeError> {
        let (len_at, ring) = match node.len {
            SeqLen::Count(at) | SeqLen::End(at) => (at, None),
            SeqLen::Ring {
                len,
                head,
                cap,
                slot,
            } => (len, Some((head, cap, slot))),
        };
        let word = |offset: u64| view.word(at.saturating_add(offset));
        let (pointer, len) = match (word(node.pointer), word(len_at)) {
            (Ok(pointer), Ok(len)) => (pointer, len),
            (Err(why), _) | (_, Err(why)) => return Ok(Value::Unavailable(why)),
        };
        if node.stride == 0 {
            let element = Node::Unit;
            let count = len.min(node.limit);
            let unit = self.value(&element, &View::row(&[]), 0)?;
            return Ok(sequence(vec![unit; count as usize], len, node.set));
        }
        let len = match node.len {
            SeqLen::End(_) => len.wrapping_sub(pointer) / node.stride,
            _ => len,
        };
        let address = pointer.wrapping_add(node.addend as u64);
        let shown = len.min(node.limit);
        let mut items = Vec::new();
        let failed = match ring {
            None => self.row(node, node.slot, shown, address, &mut items)?,
            Some((head, cap, slot)) => {
                let (Ok(head), Ok(cap)) = (word(head), word(cap)) else {
                    return Ok(Value::Unavailable(Unavailable::OptimisedOut));
                };
                let first = cap.wrapping_sub(head).min(shown);
                let from = address.wrapping_add(head.wrapping_mul(node.stride));
                let one = self.row(node, node.slot, first, from, &mut items)?;
                let two = self.row(node, slot, shown - first, address, &mut items)?;
                let bad = (head > cap || len > cap)
                    .then(|| Unavailable::Invalid("indices of a ring buffer".into()));
                one.or(two).or(bad)
            }
        };
        let invalid =
            (len > MOST_LENGTH).then(|| Unavailable::Invalid(format!("a length of {len}")));
        if let Some(why) = invalid.or(failed) {
            return Ok(Value::Unavailable(why));
        }
        Ok(sequence(items, len, node.set))
    }

    /// Elements in a row; the reason when they could not be read.
    fn row(
        &mut self,
        node: &SeqNode,
        slot: Slot,
        count: u64,
        address: u64,
        items: &mut Vec<Value>,
    ) -> Result<Option<Unavailable>, DecodeError> {
        let data = match self.chunks.exact(slot, count.saturating_mul(node.stride))? {
            Ok(data) => data,
            Err(why) => return Ok(Some(located(why, address))),
        };
        let data = self.without_breakpoints(address, data);
        let stride = usize::try_from(node.stride).unwrap_or(usize::MAX).max(1);
        for element in data.chunks_exact(stride) {
            items.push(self.value(&node.element, &View::row(element), 0)?);
        }
        Ok(None)
    }
}

/// Text of UTF-16 or UTF-32 as UTF-8; `all` counts its units.
fn wide_text(data: &[u8], unit: u64, all: u64) -> Value {
    let text: Option<String> = if unit == 2 {
        let units: Vec<u16> = data
            .chunks_exact(2)
            .filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes))
            .collect();
        String::from_utf16(&units).ok()
    } else {
        let units = data.chunks_exact(4);
        let units = units.filter_map(|unit| unit.try_into().ok().map(u32::from_le_bytes));
        units.map(char::from_u32).collect()
    };
    let Some(text) = text else {
        let why = format!("UTF-{}", unit * 8);
        return Value::Unavailable(Unavailable::Invalid(why));
    };
    let cut = (all > data.len() as u64 / unit).then_some(Cut { of: None });
    Value::Text(Text {
        bytes: text.into_bytes(),
        cut,
    })
}

/// Elements, with how many there are in all when that is more.
pub(super) fn sequence(items: Vec<Value>, of: u64, set: bool) -> Value {
    let cut = (of > items.len() as u64).then_some(Cut { of: Some(of) });
    Value::Sequence(Sequence { items, cut, set })
}

/// The reason with the address that it is about.
pub(super) fn located(why: Unavailable, address: u64) -> Unavailable {
    match why {
        Unavailable::Unreadable(None) => Unavailable::Unreadable(Some(address)),
        why => why,
    }
}

/// Numbers, characters and the like.
fn scalar(node: &Node, view: &View<'_>, at: u64) -> Result<Value, Unavailable> {
    Ok(match node {
        Node::Int { size, signed } => {
            integer(view.number(at, *size)?, u32::from(*size) * 8, *signed)
        }
        Node::Bits {
            shift,
            bits,
            signed,
        } => {
            let from = shift / 8;
            let size = (shift + bits).div_ceil(8) - from;
            let number = view.number(at.saturating_add(u64::from(from)), size as u8)?;
            integer(number >> (shift % 8), *bits, *signed)
        }
        Node::Bool { size, strict } => match view.number(at, *size)? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            other if *strict => return Err(Unavailable::Invalid(format!("a bool of {other}"))),
            other => Value::Uint(other),
        },
        Node::Nanoseconds => Value::Nanoseconds(view.word(at)?),
        Node::Char { size } => character(view.number(at, *size)? as u32, *size)?,
        Node::Float { size: 4 } => Value::Float32(f32::from_bits(view.number(at, 4)? as u32)),
        Node::Float { size: 8 } => Value::Float64(f64::from_bits(view.word(at)?)),
        Node::Float { .. } => extended(view.number(at, 10)?)?,
        Node::Enum(node) => named(node, view.number(at, node.size)?)?,
        Node::Duration { secs, nanos } => {
            let secs = view.word(at.saturating_add(*secs))?;
            let nanos = view.number(at.saturating_add(*nanos), 4)? as u32;
            if nanos >= 1_000_000_000 {
                return Err(Unavailable::Invalid(format!("{nanos} nanoseconds")));
            }
            Value::Struct(Struct {
                name: DURATION.into(),
                fields: vec![
                    ("secs".into(), Value::Uint(u128::from(secs))),
                    ("nanos".into(), Value::Uint(u128::from(nanos))),
                ],
            })
        }
        Node::CharArray { len, of } => {
            let bytes = view.bytes(at, *len)?;
            let end = bytes.iter().position(|byte| *byte == 0);
            let cut = (end.is_none() && of > len).then_some(Cut { of: Some(*of) });
            let shown = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            Value::Text(Text {
                bytes: shown.to_vec(),
                cut,
            })
        }
        _ => return Err(Unavailable::Unsupported("this kind of value".into())),
    })
}

/// An x87 float, where 64 bits hold the same number.
fn extended(bits: u128) -> Result<Value, Unavailable> {
    let (mantissa, top) = (bits as u64, (bits >> 64) as u16);
    let sign = if top & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(top & 0x7fff);
    if exponent == 0x7fff {
        let infinite = mantissa << 1 == 0;
        let value = if infinite { f64::INFINITY } else { f64::NAN };
        return Ok(Value::Float64(sign * value));
    }
    if mantissa == 0 && exponent == 0 {
        return Ok(Value::Float64(sign * 0.0));
    }
    if (mantissa >> 63 == 0) != (exponent == 0) {
        return Err(Unavailable::Invalid("a float of 80 bits".into()));
    }
    // A number in 53 bits, and within the range that has all of them.
    let exponent = exponent - 16_383 - 63;
    let zeros = mantissa.trailing_zeros();
    let (digits, exponent) = (mantissa >> zeros, exponent + zeros as i32);
    let wide = 64 - digits.leading_zeros();
    if wide > 53 || exponent + (wide as i32) > 1024 || exponent < -1022 {
        let why = "a float of 80 bits that 64 do not hold";
        return Err(Unavailable::Unsupported(why.into()));
    }
    // In two steps: the power alone may be beyond the range.
    let half = exponent / 2;
    let value = digits as f64 * 2f64.powi(half) * 2f64.powi(exponent - half);
    Ok(Value::Float64(sign * value))
}

fn integer(number: u128, bits: u32, signed: bool) -> Value {
    if bits == 0 || bits > 128 {
        return Value::Uint(0);
    }
    let shift = 128 - bits;
    if signed {
        Value::Int(((number << shift) as i128) >> shift)
    } else {
        Value::Uint((number << shift) >> shift)
    }
}

fn character(code: u32, size: u8) -> Result<Value, Unavailable> {
    if size == 1 && code >= 0x80 {
        // A byte of some encoding: no character by itself.
        return Ok(Value::Text(Text {
            bytes: vec![code as u8],
            cut: None,
        }));
    }
    char::from_u32(code)
        .map(Value::Char)
        .ok_or_else(|| Unavailable::Invalid(format!("a char of {code:#x}")))
}

/// The name of a number; of C also the names whose sum it is.
fn named(node: &EnumNode, number: u128) -> Result<Value, Unavailable> {
    let plain = integer(number, u32::from(node.size) * 8, node.signed);
    let wide = match plain {
        Value::Int(value) => value,
        Value::Uint(value) => value as i128,
        _ => 0,
    };
    let variant = |name: &str| {
        Ok(Value::Variant(Variant {
            ty: node.name.to_string(),
            name: name.into(),
            fields: Vec::new(),
        }))
    };
    if let Some((name, _)) = node.names.iter().find(|(_, value)| *value == wide) {
        return variant(name);
    }
    if !node.open {
        return Err(Unavailable::Invalid(format!("discriminant {wide}")));
    }
    let mut left = wide;
    let mut names: Vec<&Arc<str>> = Vec::new();
    for (name, value) in &node.names {
        if value.count_ones() == 1 && *value > 0 && left & value != 0 {
            left &= !value;
            names.push(name);
        }
    }
    if left == 0 && wide > 0 {
        let names: Vec<&str> = names.iter().map(|name| &***name).collect();
        return variant(&names.join(" | "));
    }
    Ok(plain)
}
