//! Writes the ops that capture values of known shape.
//!
//! It walks each shape depth first, and `decode` walks it in the same order. If a part cannot be
//! captured, for lack of registers or ops, its node becomes [`Node::Missing`] here, with the
//! reason. So the decoder does not look for it.

mod beside;
mod chains;
mod changes;
mod collections;
mod frame;
mod needed;

use tracer_common::limits::MAX_COPY;
use tracer_common::op::{alu, cond};

use changes::{NodeChange, NodeChanges};
use frame::{AddressSum, At, RecordedValue};
use needed::{biased, implicit, shareable, unbiased, wanted};

use crate::base::address::LinkAddr;
use crate::base::unavailable::Unavailable;
use crate::plan::limits::{MERGE_BYTES, MERGE_GAP};
use crate::plan::ops::addresses::AddressBase;
use crate::plan::ops::asm::{Asm, Exits, Label, SINK};
use crate::plan::ops::fast;
use crate::plan::ops::ir::{Failure, Ir};
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::shape::builder::Builder;
use crate::plan::shape::shape_cache::NumberedShape;
use crate::plan::shape::{Block, Field, Node, PointerNode, Slot, TextNode, merged};
use crate::program::Op;

/// Registers that the code of one node may need in addition to those of the nodes around it.
const REGISTERS: u32 = 12;

/// One captured value: its bytes in parts, and their shape.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) parts: Vec<RootPart>,
    pub(super) shape: NumberedShape,
}

impl Root {
    /// The reason why no part of the value is available. `None` if some part is.
    pub(super) fn missing(&self) -> Option<Unavailable> {
        if let Node::Missing(why) = self.shape.node() {
            return Some(why.clone());
        }
        let why = |part: &RootPart| match &part.data {
            PartData::Missing(why) => Some(why.clone()),
            _ => None,
        };
        let all: Option<Vec<Unavailable>> = self.parts.iter().map(why).collect();
        all?.into_iter().next()
    }
}

/// A range of a value's bytes.
#[derive(Clone, Debug)]
pub(super) struct RootPart {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) data: PartData,
}

/// The place of the bytes.
#[derive(Clone, Debug)]
pub(super) enum PartData {
    /// Not in the record: the plan knows them.
    Known(Vec<u8>),
    /// Unavailable.
    Missing(Unavailable),
    /// In a chunk of their own.
    Chunk(Slot),
    /// In a chunk that several values share: its index in [`Captured`], and the offset in it.
    Shared(usize, u64),
}

/// A chunk with bytes of several values. It is written with the first of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    pub(super) slot: Slot,
    pub(super) len: u64,
    register: u8,
    offset: i64,
    made: bool,
}

/// The values and shared chunks that the ops of a plan record.
#[derive(Clone, Debug, Default)]
pub(super) struct Captured {
    /// The place of the site's module, which precedes the values. `None` if none depends on it.
    pub(super) origin: Option<ModuleOrigin>,
    pub(super) roots: Vec<Root>,
    pub(super) shared: Vec<Shared>,
}

/// A chunk with the run address of a base.
#[derive(Clone, Copy, Debug)]
pub(super) struct ModuleOrigin {
    pub(super) slot: Slot,
    pub(super) base: AddressBase,
}

/// Code that follows after all other ops: it handles a place without an address.
struct Stub {
    label: Label,
    failure: Failure,
    slot: Slot,
    base: Option<u8>,
    resume: Label,
}

/// Writes the ops that capture values.
pub(super) struct Capture<'a, 'b> {
    asm: &'a mut Asm,
    builder: &'a mut Builder<'b>,
    shared: Vec<Shared>,
    stubs: Vec<Stub>,
    /// Register with the address of the current value.
    held: Option<u8>,
    /// The slot that is number 0 in the shape of the current value.
    first: Slot,
    /// Parts of that shape that cannot be captured.
    changes: NodeChanges,
}

/// A part that has no chunk yet.
enum Wanted {
    Spot(Spot),
    Shared(usize, u64),
}

impl<'a, 'b> Capture<'a, 'b> {
    pub(super) fn new(asm: &'a mut Asm, builder: &'a mut Builder<'b>) -> Self {
        Self {
            asm,
            builder,
            shared: Vec::new(),
            stubs: Vec::new(),
            held: None,
            first: 0,
            changes: NodeChanges::default(),
        }
    }

    /// Captures values, each at its place and with its shape. `end` writes the ops after them,
    /// which end the plan.
    pub(super) fn values(
        mut self,
        values: Vec<(Spots, NumberedShape)>,
        end: impl FnOnce(&mut Asm, &mut Builder<'b>),
    ) -> Captured {
        let values: Vec<_> = values
            .into_iter()
            .map(|(spots, shape)| implicit(spots, shape))
            .collect();
        let origin = (values
            .iter()
            .any(|(_, shape)| shape.shape.compares_addresses))
        .then(|| self.origin())
        .flatten();
        self.share(&values);
        let roots = values
            .into_iter()
            .map(|(spots, shape)| self.root(&spots, shape))
            .collect();
        // The ops run into the end of the plan. The stubs after it are only jumped to.
        end(self.asm, self.builder);
        for stub in std::mem::take(&mut self.stubs) {
            self.asm.place(stub.label);
            if let Some(base) = stub.base {
                self.asm.constant(base, 0);
            }
            self.asm.emit(Op::Mark {
                slot: stub.slot,
                status: stub.failure as u8,
            });
            self.asm.jump(stub.resume);
        }
        Captured {
            origin,
            roots,
            shared: self.shared,
        }
    }

    /// Writes the chunk that tells the place of the site's module.
    fn origin(&mut self) -> Option<ModuleOrigin> {
        let base = self.builder.own.1;
        let slot = self.builder.slot().ok()?;
        let register = self.origin_of(base).ok()?;
        self.tell(slot, register);
        self.asm.give(register);
        Some(ModuleOrigin { slot, base })
    }

    /// A register with the run address of the base of the site's module, which is always known.
    fn origin_of(&mut self, base: AddressBase) -> Result<u8, Unavailable> {
        self.asm.value(&base.origin(), &mut Exits::default())
    }

    /// Finds reads relative to one register that are close together, so that one copy serves them.
    fn share(&mut self, values: &[(Spots, NumberedShape)]) {
        let mut by_register: Vec<(u8, Vec<(u64, u64)>)> = Vec::new();
        for (spots, numbered) in values {
            if numbered.shape.follows {
                continue;
            }
            for (offset, len, spot) in wanted(spots, &numbered.shape) {
                let Some((register, at)) = shareable(&spot) else {
                    continue;
                };
                let _ = offset;
                let range = (biased(at), len);
                match by_register.iter_mut().find(|(known, _)| *known == register) {
                    Some((_, ranges)) => ranges.push(range),
                    None => by_register.push((register, vec![range])),
                }
            }
        }
        for (register, ranges) in by_register {
            for (from, len) in merged(ranges, MERGE_GAP, u64::MAX) {
                if len > MERGE_BYTES {
                    continue;
                }
                let Ok(slot) = self.builder.slot() else {
                    return;
                };
                self.shared.push(Shared {
                    slot,
                    len,
                    register,
                    offset: unbiased(from),
                    made: false,
                });
            }
        }
    }

    /// The plan's number of a slot of the current shape.
    fn numbered(&self, slot: Slot) -> Slot {
        self.first.saturating_add(slot)
    }

    fn find_shared(&self, spot: &Spot, len: u64) -> Option<(usize, u64)> {
        let (register, offset) = shareable(spot)?;
        self.shared.iter().enumerate().find_map(|(index, shared)| {
            let delta = u64::try_from(offset.checked_sub(shared.offset)?).ok()?;
            let fits = shared.register == register && delta.checked_add(len)? <= shared.len;
            fits.then_some((index, delta))
        })
    }

    fn root(&mut self, spots: &Spots, mut numbered: NumberedShape) -> Root {
        if let Some(why) = spots.nowhere() {
            // The whole value has one reason, so its fields need not repeat it.
            numbered = NumberedShape::alone(Node::Missing(why.clone()));
        }
        let follows = numbered.shape.follows;
        self.first = numbered.first;
        let mut parts = Vec::new();
        let mut frame = RecordedValue {
            parts: Vec::new(),
            origin: None,
        };
        let (spots, address) = self.located(spots, numbered.node());
        frame.origin = address.map(|(register, offset)| AddressSum::of(register, offset.into()));
        self.held = address.map(|(register, _)| register);
        for (offset, len, spot) in wanted(&spots, &numbered.shape) {
            let shared = if follows {
                None
            } else {
                self.find_shared(&spot, len)
            };
            let want = match shared {
                Some((index, delta)) => Wanted::Shared(index, delta),
                None => Wanted::Spot(spot),
            };
            let (data, at) = self.part(want, len, follows);
            frame.parts.push((offset, len, at));
            parts.push(RootPart { offset, len, data });
        }
        if follows {
            let end = self.asm.label();
            frame.check(self.asm, end);
            self.follow(numbered.node(), &frame, 0);
            self.asm.place(end);
            for (_, _, at) in &frame.parts {
                if let At::Record { register, .. } = at {
                    self.asm.give(*register);
                }
            }
        }
        if let Some(register) = self.held.take() {
            self.asm.give(register);
        }
        let shape = self.changes.apply(numbered);
        Root { parts, shape }
    }

    /// Captures a part of a value.
    fn part(&mut self, want: Wanted, len: u64, follows: bool) -> (PartData, At) {
        let spot = match want {
            Wanted::Shared(index, delta) => {
                self.make_shared(index);
                return (
                    PartData::Shared(index, delta),
                    At::Missing(Unavailable::Depth),
                );
            }
            Wanted::Spot(Spot::Bytes(bytes)) => {
                return (PartData::Known(bytes.clone()), At::Known(bytes));
            }
            Wanted::Spot(Spot::Missing(why)) => {
                return (PartData::Missing(why.clone()), At::Missing(why));
            }
            Wanted::Spot(Spot::Implicit(..)) => {
                let why = Unavailable::OptimisedOut;
                return (PartData::Missing(why.clone()), At::Missing(why));
            }
            Wanted::Spot(spot) => spot,
        };
        let checkpoint = self.asm.checkpoint();
        let stubs = self.stubs.len();
        match self.chunk(&spot, len, follows) {
            Ok((slot, register)) => {
                let checked = false;
                (PartData::Chunk(slot), At::Record { register, checked })
            }
            Err(why) => {
                self.asm.rollback(checkpoint);
                self.stubs.truncate(stubs);
                (PartData::Missing(why.clone()), At::Missing(why))
            }
        }
    }

    fn make_shared(&mut self, index: usize) {
        let Some(shared) = self.shared.get_mut(index).filter(|shared| !shared.made) else {
            return;
        };
        shared.made = true;
        let shared = *shared;
        let first = self.asm.count();
        self.asm.emit(Op::Copy {
            slot: shared.slot,
            dst: SINK,
            base: shared.register,
            offset: shared.offset as i32,
            length: shared.len as u32,
        });
        let address = Ir::Register(shared.register).plus(shared.offset.cast_unsigned());
        if let Some(fetch) = fast::fetch_memory(shared.slot, &address, shared.len) {
            self.asm.state_fetch(first, fetch);
        }
    }

    /// Writes a chunk with the bytes of a spot. Returns its slot, and a register with its record
    /// offset.
    fn chunk(&mut self, spot: &Spot, len: u64, follows: bool) -> Result<(Slot, u8), Unavailable> {
        if !self.asm.has_room() {
            return Err(Unavailable::Unsupported("so many values at once".into()));
        }
        let slot = self.builder.slot()?;
        let base = if follows {
            Some(self.asm.take()?)
        } else {
            None
        };
        let dst = base.unwrap_or(SINK);
        let mut exits = Exits::default();
        let first = self.asm.count();
        let (src, fetch) = match spot {
            Spot::Memory(address) => {
                let (base, offset) = self.asm.address(address, &mut exits)?;
                self.asm.emit(Op::Copy {
                    slot,
                    dst,
                    base,
                    offset,
                    length: len as u32,
                });
                (base, fast::fetch_memory(slot, address, len))
            }
            Spot::Number(number) | Spot::Bits(number, _) => {
                let src = self.asm.value(number, &mut exits)?;
                let size = len.min(8) as u8;
                self.asm.emit(Op::Emit {
                    slot,
                    dst,
                    src,
                    size,
                });
                (src, fast::fetch_number(slot, number, size))
            }
            _ => return Err(Unavailable::OptimisedOut),
        };
        if let Some(fetch) = fetch {
            self.asm.state_fetch(first, fetch);
        }
        if self.held != Some(src) {
            self.asm.give(src);
        }
        let resume = self.asm.here();
        for (failure, label) in exits.targets() {
            self.stubs.push(Stub {
                label: *label,
                failure: *failure,
                slot,
                base,
                resume,
            });
        }
        Ok((slot, dst))
    }

    /// Writes the ops for the targets of a node's pointers.
    fn follow(&mut self, node: &Node, frame: &RecordedValue, at: u64) {
        if !self.follows(node) {
            return;
        }
        if let (Some(NodeChange::Plain), Node::Dynamic(dynamic)) = (self.changes.of(node), node) {
            return self.follow(&dynamic.plain, frame, at);
        }
        if let Node::Inside(offset, inner) = node {
            return self.follow(inner, frame, at.saturating_add(*offset));
        }
        if let Some(fields) = node.fields() {
            return self.fields(fields, frame, at);
        }
        if let Node::Ordered(order, inner) = node {
            return self.ordered(order, inner, frame, at);
        }
        let checkpoint = self.asm.checkpoint();
        let full = !self.asm.has_room() || self.asm.free_registers() < REGISTERS;
        let done = if full {
            Err(Unavailable::Unsupported("nested too deeply".into()))
        } else {
            match node {
                Node::Pointer(pointer) => self.pointer(pointer, frame, at),
                Node::Text(text) => self.text(text, frame, at),
                Node::Seq(seq) => self.seq(seq, frame, at),
                Node::Table(table) => self.table(table, frame, at),
                Node::Tree(tree) => self.tree(tree, frame, at),
                Node::Chain(chain) => self.chain(chain, frame, at),
                Node::Blocks(blocks) => self.blocks(blocks, frame, at),
                Node::Pages(pages) => self.pages(pages, frame, at),
                Node::BitRow(row) => self.bit_row(row, frame, at),
                Node::Variants(_) => self.variants(node, frame, at),
                Node::Beside(beside) => self.beside(beside, frame, at),
                Node::Dynamic(dynamic) => self.dynamic(dynamic, frame, at),
                Node::Array { .. } => self.array(node, frame, at),
                _ => Ok(()),
            }
        };
        if let Err(why) = done {
            self.asm.rollback(checkpoint);
            if let Node::Dynamic(dynamic) = node {
                self.changes.add(node, NodeChange::Plain);
                return self.follow(&dynamic.plain, frame, at);
            }
            self.changes.add(node, NodeChange::Unfollowed(why));
        }
    }

    /// The fields of a struct in their order of capture.
    fn ordered(&mut self, order: &[u16], node: &Node, frame: &RecordedValue, at: u64) {
        if let Some(fields) = node.fields() {
            for index in order {
                if let Some(field) = fields.get(usize::from(*index)) {
                    self.follow(&field.node, frame, at.saturating_add(field.offset));
                }
            }
        }
    }

    fn fields(&mut self, fields: &[Field], frame: &RecordedValue, at: u64) {
        for field in fields {
            self.follow(&field.node, frame, at.saturating_add(field.offset));
        }
    }

    fn pointer(
        &mut self,
        node: &PointerNode,
        frame: &RecordedValue,
        at: u64,
    ) -> Result<(), Unavailable> {
        let skip = self.asm.label();
        let register = frame.load(self.asm, at, 8, skip)?;
        self.asm.jump_if_const(register, cond::EQ, 0, skip);
        if let Ok(block) = &node.target {
            self.block(block, register, node.addend)?;
        }
        self.asm.give(register);
        self.asm.place(skip);
        Ok(())
    }

    /// A pointer's target. A register has its address.
    fn block(&mut self, block: &Block, address: u8, addend: i64) -> Result<(), Unavailable> {
        let follows = self.follows(&block.node);
        let mut parts = Vec::new();
        for segment in &block.segments {
            let offset = addend
                .checked_add_unsigned(segment.offset)
                .and_then(|offset| i32::try_from(offset).ok())
                .ok_or_else(too_far)?;
            let register = if follows { self.asm.take()? } else { SINK };
            self.asm.emit(Op::Copy {
                slot: self.numbered(segment.slot),
                dst: register,
                base: address,
                offset,
                length: segment.len as u32,
            });
            let checked = false;
            parts.push((
                segment.offset,
                segment.len,
                At::Record { register, checked },
            ));
        }
        if follows {
            let origin = Some(AddressSum::of(address, addend));
            let mut frame = RecordedValue { parts, origin };
            let end = self.asm.label();
            frame.check(self.asm, end);
            self.follow(&block.node, &frame, 0);
            self.asm.place(end);
            for (_, _, at) in &frame.parts {
                if let At::Record { register, .. } = at {
                    self.asm.give(*register);
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, node: &TextNode, frame: &RecordedValue, at: u64) -> Result<(), Unavailable> {
        let skip = self.asm.label();
        if let Some(short) = node.short {
            let tag = frame.load(self.asm, at.saturating_add(short.tag), 1, skip)?;
            self.asm.alu_const(alu::AND, tag, tag, 1);
            self.asm.jump_if_const(tag, cond::EQ, 0, skip);
            self.asm.give(tag);
        }
        let pointer = frame.load(self.asm, at.saturating_add(node.pointer), 8, skip)?;
        let addend = i32::try_from(node.addend).map_err(|_| too_far())?;
        let limit = node.limit.min(u64::from(MAX_COPY));
        if let Some((before, slot)) = node.before {
            self.jump_if_null(pointer, skip);
            let count = self.number_before(pointer, before, slot, skip)?;
            self.counted(node.slot, SINK, pointer, count, u64::from(node.unit), limit);
            self.asm.give(count);
        } else if let Some(len) = node.len {
            let count = frame.load(self.asm, at.saturating_add(len), 8, skip)?;
            if addend != 0 {
                self.asm
                    .alu_const(alu::ADD, pointer, pointer, addend as u64);
            }
            self.counted(node.slot, SINK, pointer, count, u64::from(node.unit), limit);
            self.asm.give(count);
        } else {
            self.asm.jump_if_const(pointer, cond::EQ, 0, skip);
            self.asm.emit(Op::CopyString {
                slot: self.numbered(node.slot),
                dst: SINK,
                base: pointer,
                offset: addend,
                limit: limit as u32,
            });
        }
        self.asm.give(pointer);
        self.asm.place(skip);
        Ok(())
    }

    fn jump_if_null(&mut self, pointer: u8, label: Label) {
        self.asm.jump_if_const(pointer, cond::EQ, 0, label);
    }

    /// The number before a pointer's target, in the record and in a register.
    fn number_before(
        &mut self,
        pointer: u8,
        before: u32,
        slot: Slot,
        skip: Label,
    ) -> Result<u8, Unavailable> {
        let base = self.asm.take()?;
        let slot = self.numbered(slot);
        self.asm.emit(Op::Copy {
            slot,
            dst: base,
            base: pointer,
            offset: i32::try_from(before).map_err(|_| too_far())?.wrapping_neg(),
            length: 8,
        });
        self.asm.jump_if_const(base, cond::EQ, 0, skip);
        self.load_record(base, base, 0, 8, skip);
        Ok(base)
    }

    fn counted(&mut self, slot: Slot, dst: u8, pointer: u8, count: u8, stride: u64, bytes: u64) {
        let slot = self.numbered(slot);
        self.asm.emit(Op::CopyCounted {
            slot,
            dst,
            base: pointer,
            count,
            stride: stride as u32,
            limit: bytes as u32,
        });
    }

    /// Limits a register to at most `most`.
    fn at_most(&mut self, register: u8, most: u64) {
        let below = self.asm.label();
        self.asm.jump_if_const(register, cond::LE, most, below);
        self.asm.constant(register, most);
        self.asm.place(below);
    }

    fn array(&mut self, node: &Node, frame: &RecordedValue, at: u64) -> Result<(), Unavailable> {
        let Node::Array {
            count,
            stride,
            element,
            ..
        } = node
        else {
            return Ok(());
        };
        let bytes = count.saturating_mul(*stride);
        let (base, checked, delta) = frame.record(at, bytes)?;
        let done = self.asm.label();
        if !checked {
            self.asm.jump_if_const(base, cond::EQ, 0, done);
        }
        let (from, end) = (self.asm.take()?, self.asm.take()?);
        self.asm.alu_const(alu::ADD, from, base, delta);
        self.asm.alu_const(alu::ADD, end, from, bytes);
        let distance = match frame.origin.filter(|_| element.needs_address()) {
            Some(origin) => {
                let distance = self.asm.take()?;
                self.asm.constant(distance, 0);
                origin.add_to(self.asm, distance, at);
                self.asm.alu(alu::SUB, distance, distance, from);
                Some(distance)
            }
            None => None,
        };
        self.each(element, from, end, distance, *stride);
        for register in [Some(from), Some(end), distance].into_iter().flatten() {
            self.asm.give(register);
        }
        self.asm.place(done);
        Ok(())
    }

    fn variants(&mut self, node: &Node, frame: &RecordedValue, at: u64) -> Result<(), Unavailable> {
        let Node::Variants(variants) = node else {
            return Ok(());
        };
        let Some((offset, size)) = variants.tag else {
            // Without a discriminant the decoder takes the first variant.
            if let Some(arm) = variants.arms.first() {
                self.fields(&arm.fields, frame, at);
            }
            return Ok(());
        };
        let end = self.asm.label();
        let tag = frame.load(self.asm, at.saturating_add(offset), size, end)?;
        let base = self.builder.own.1;
        if variants.of_addresses {
            let origin = self.origin_of(base)?;
            self.asm.alu(alu::SUB, tag, tag, origin);
            self.asm.give(origin);
        }
        let mut arms = Vec::new();
        for (index, arm) in variants.arms.iter().enumerate() {
            if arm.values.is_empty() {
                continue;
            }
            let follows = arm.fields.iter().any(|field| self.follows(&field.node));
            let label = if follows { self.asm.label() } else { end };
            for &(low, high) in &arm.values {
                if variants.of_addresses {
                    let distance = base.distance(LinkAddr(low as u64));
                    self.asm.jump_if_const(tag, cond::EQ, distance, label);
                } else {
                    self.within(tag, low, high, label)?;
                }
            }
            if follows {
                arms.push((index, label));
            }
        }
        self.asm.give(tag);
        let default = variants.arms.iter().find(|arm| arm.values.is_empty());
        if let Some(arm) = default {
            self.fields(&arm.fields, frame, at);
        }
        self.asm.jump(end);
        for (index, label) in arms {
            self.asm.place(label);
            if let Some(arm) = variants.arms.get(index) {
                self.fields(&arm.fields, frame, at);
            }
            self.asm.jump(end);
        }
        self.asm.place(end);
        Ok(())
    }

    /// Jumps if a number is within a range.
    fn within(
        &mut self,
        number: u8,
        low: u128,
        high: u128,
        label: Label,
    ) -> Result<(), Unavailable> {
        let wide = |_| Unavailable::Unsupported("a discriminant of more than 64 bits".into());
        let (low, high) = (
            u64::try_from(low).map_err(wide)?,
            u64::try_from(high).map_err(wide)?,
        );
        if low == high {
            self.asm.jump_if_const(number, cond::EQ, low, label);
            return Ok(());
        }
        let outside = self.asm.label();
        self.asm.jump_if_const(number, cond::LT, low, outside);
        self.asm.jump_if_const(number, cond::LE, high, label);
        self.asm.place(outside);
        Ok(())
    }
}

fn too_far() -> Unavailable {
    Unavailable::Unsupported("an offset of more than 2 GiB".into())
}
