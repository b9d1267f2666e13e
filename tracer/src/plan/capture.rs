//! Writes the ops that capture values of known shape.
//!
//! Walks each shape depth first; `decode` walks it the same way. A part that
//! cannot be captured (no registers left, no room for ops) is taken out of the
//! shape here, with the reason, so that the decoder does not look for it.

mod beside;
mod chains;
mod collections;
mod frame;

use tracer_common::limits::MAX_COPY;
use tracer_common::op::{COPY, COPY_COUNTED, COPY_STRING, EMIT, MARK, Op, alu, cond};

use frame::{At, Frame, Origin};

use super::asm::{Asm, Exits, Label, SINK};
use super::build::Builder;
use super::ir::{Failure, Spot, Spots};
use super::limits::{MERGE_BYTES, MERGE_GAP};
use super::shape::{Block, Field, Node, PointerNode, Slot, TextNode, merged};
use crate::unavailable::Unavailable;

/// Registers that the code of one node may need beside those of the nodes around it.
const REGISTERS: u32 = 12;

/// One captured value: its bytes, in parts, and their shape.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) parts: Vec<Part>,
    pub(super) node: Node,
}

impl Root {
    /// Why nothing of the value will be there.
    pub(super) fn missing(&self) -> Option<Unavailable> {
        if let Node::Missing(why) = &self.node {
            return Some(why.clone());
        }
        let why = |part: &Part| match &part.data {
            PartData::Missing(why) => Some(why.clone()),
            _ => None,
        };
        let all: Option<Vec<Unavailable>> = self.parts.iter().map(why).collect();
        all?.into_iter().next()
    }
}

/// Some bytes of a value.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) data: PartData,
}

/// Where the record has them.
#[derive(Clone, Debug)]
pub(super) enum PartData {
    /// Not in the record: known.
    Known(Vec<u8>),
    /// Not in the record.
    Missing(Unavailable),
    /// A chunk of their own.
    Chunk(Slot),
    /// From an offset on in a chunk that other values share; which, by number.
    Shared(usize, u64),
}

/// A chunk with bytes of several values; made when the first of them is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared {
    pub(super) slot: Slot,
    pub(super) len: u64,
    register: u8,
    offset: i64,
    made: bool,
}

/// What the ops of a plan leave in the record.
#[derive(Clone, Debug, Default)]
pub(super) struct Captured {
    pub(super) roots: Vec<Root>,
    pub(super) shared: Vec<Shared>,
}

/// Ops to be written after all others: what happens when a place has no address.
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
    /// Holds the address of the value that is captured.
    held: Option<u8>,
}

/// A part before it has its chunk.
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
        }
    }

    /// Captures values, each at its place and of its shape; what comes behind them, and what
    /// happens with the record, is written by `end`.
    pub(super) fn values(
        mut self,
        values: Vec<(Spots, Node)>,
        end: impl FnOnce(&mut Asm, &mut Builder<'b>),
    ) -> Captured {
        let values: Vec<_> = values.into_iter().map(implicit).collect();
        self.share(&values);
        let roots = values
            .into_iter()
            .map(|(spots, node)| self.root(&spots, node))
            .collect();
        // The ops go on into the end of the plan; what follows is only jumped to.
        end(self.asm, self.builder);
        for stub in std::mem::take(&mut self.stubs) {
            self.asm.place(stub.label);
            if let Some(base) = stub.base {
                self.asm.constant(base, 0);
            }
            self.asm.emit(Op {
                code: MARK,
                dst: SINK,
                size: stub.failure as u8,
                a: u32::from(stub.slot),
                ..Op::default()
            });
            self.asm.jump(stub.resume);
        }
        Captured {
            roots,
            shared: self.shared,
        }
    }

    /// Finds copies off the same register that lie close together.
    fn share(&mut self, values: &[(Spots, Node)]) {
        let mut by_register: Vec<(u8, Vec<(u64, u64)>)> = Vec::new();
        for (spots, node) in values.iter().filter(|(_, node)| !node.follows()) {
            for (offset, len, spot) in wanted(spots, node) {
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

    fn find_shared(&self, spot: &Spot, len: u64) -> Option<(usize, u64)> {
        let (register, offset) = shareable(spot)?;
        self.shared.iter().enumerate().find_map(|(index, shared)| {
            let delta = u64::try_from(offset.checked_sub(shared.offset)?).ok()?;
            let fits = shared.register == register && delta.checked_add(len)? <= shared.len;
            fits.then_some((index, delta))
        })
    }

    fn root(&mut self, spots: &Spots, mut node: Node) -> Root {
        if let Some(why) = spots.nowhere() {
            // One reason for the whole, rather than the same one for each field.
            node = Node::Missing(why.clone());
        }
        let follows = node.follows();
        let mut parts = Vec::new();
        let mut frame = Frame {
            parts: Vec::new(),
            origin: None,
        };
        let (spots, address) = self.located(spots, &node);
        frame.origin = address.map(|(register, offset)| Origin::of(register, offset.into()));
        self.held = address.map(|(register, _)| register);
        for (offset, len, spot) in wanted(&spots, &node) {
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
            parts.push(Part { offset, len, data });
        }
        if follows {
            let end = self.asm.label();
            frame.check(self.asm, end);
            self.follow(&mut node, &frame, 0);
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
        Root { parts, node }
    }

    /// Brings some bytes into the record.
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
        self.asm.emit(Op {
            code: COPY,
            dst: SINK,
            src: shared.register,
            a: u32::from(shared.slot),
            offset: shared.offset as i32,
            len: shared.len as u32,
            ..Op::default()
        });
    }

    /// One chunk with the bytes of a spot; its slot, the register with its record offset.
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
        let (src, offset, code) = match spot {
            Spot::Memory(address) => {
                let (src, offset) = self.asm.address(address, &mut exits)?;
                (src, offset, COPY)
            }
            Spot::Number(number) | Spot::Bits(number, _) => {
                (self.asm.value(number, &mut exits)?, 0, EMIT)
            }
            _ => return Err(Unavailable::OptimisedOut),
        };
        self.asm.emit(Op {
            code,
            dst,
            src,
            size: if code == EMIT { len.min(8) as u8 } else { 0 },
            a: u32::from(slot),
            offset,
            len: if code == COPY { len as u32 } else { 0 },
        });
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

    /// Writes the ops for everything that a node refers to.
    fn follow(&mut self, node: &mut Node, frame: &Frame, at: u64) {
        if !node.follows() {
            return;
        }
        if let Node::Inside(offset, inner) = node {
            return self.follow(inner, frame, at.saturating_add(*offset));
        }
        if let Node::Struct(_, fields) | Node::Tuple(fields) = node {
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
                // No room for what it may be: then what it is at least.
                *node = std::mem::replace(&mut dynamic.plain, Node::Unit);
                return self.follow(node, frame, at);
            }
            unfollow(node, &why);
        }
    }

    /// The fields of a struct, in an order of their own.
    fn ordered(&mut self, order: &[u16], node: &mut Node, frame: &Frame, at: u64) {
        if let Node::Struct(_, fields) | Node::Tuple(fields) = node {
            for index in order {
                if let Some(field) = fields.get_mut(usize::from(*index)) {
                    self.follow(&mut field.node, frame, at.saturating_add(field.offset));
                }
            }
        }
    }

    fn fields(&mut self, fields: &mut [Field], frame: &Frame, at: u64) {
        for field in fields {
            self.follow(&mut field.node, frame, at.saturating_add(field.offset));
        }
    }

    fn pointer(
        &mut self,
        node: &mut PointerNode,
        frame: &Frame,
        at: u64,
    ) -> Result<(), Unavailable> {
        let skip = self.asm.label();
        let register = frame.load(self.asm, at, 8, skip)?;
        self.asm.jump_if_const(register, cond::EQ, 0, skip);
        if let Ok(block) = &mut node.target {
            self.block(block, register, node.addend)?;
        }
        self.asm.give(register);
        self.asm.place(skip);
        Ok(())
    }

    /// A value in memory of its own, its address in a register.
    fn block(&mut self, block: &mut Block, address: u8, addend: i64) -> Result<(), Unavailable> {
        let follows = block.node.follows();
        let mut parts = Vec::new();
        for segment in &block.segments {
            let offset = addend
                .checked_add_unsigned(segment.offset)
                .and_then(|offset| i32::try_from(offset).ok())
                .ok_or_else(too_far)?;
            let register = if follows { self.asm.take()? } else { SINK };
            self.asm.emit(Op {
                code: COPY,
                dst: register,
                src: address,
                a: u32::from(segment.slot),
                offset,
                len: segment.len as u32,
                ..Op::default()
            });
            let checked = false;
            parts.push((
                segment.offset,
                segment.len,
                At::Record { register, checked },
            ));
        }
        if follows {
            let origin = Some(Origin::of(address, addend));
            let mut frame = Frame { parts, origin };
            let end = self.asm.label();
            frame.check(self.asm, end);
            self.follow(&mut block.node, &frame, 0);
            self.asm.place(end);
            for (_, _, at) in &frame.parts {
                if let At::Record { register, .. } = at {
                    self.asm.give(*register);
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, node: &TextNode, frame: &Frame, at: u64) -> Result<(), Unavailable> {
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
            self.asm.emit(Op {
                code: COPY_STRING,
                dst: SINK,
                src: pointer,
                a: u32::from(node.slot),
                offset: addend,
                len: limit as u32,
                ..Op::default()
            });
        }
        self.asm.give(pointer);
        self.asm.place(skip);
        Ok(())
    }

    fn jump_if_null(&mut self, pointer: u8, label: Label) {
        self.asm.jump_if_const(pointer, cond::EQ, 0, label);
    }

    /// The number that stands before where a pointer leads, in the record and in a register.
    fn number_before(
        &mut self,
        pointer: u8,
        before: u32,
        slot: Slot,
        skip: Label,
    ) -> Result<u8, Unavailable> {
        let base = self.asm.take()?;
        self.asm.emit(Op {
            code: COPY,
            dst: base,
            src: pointer,
            a: u32::from(slot),
            offset: i32::try_from(before).map_err(|_| too_far())?.wrapping_neg(),
            len: 8,
            ..Op::default()
        });
        self.asm.jump_if_const(base, cond::EQ, 0, skip);
        self.load_record(base, base, 0, 8, skip);
        Ok(base)
    }

    fn counted(&mut self, slot: Slot, dst: u8, pointer: u8, count: u8, stride: u64, bytes: u64) {
        self.asm.emit(Op {
            code: COPY_COUNTED,
            dst,
            src: pointer,
            size: count,
            a: u32::from(slot),
            offset: bytes as i32,
            len: stride as u32,
        });
    }

    /// Lowers a register to at most `most`.
    fn at_most(&mut self, register: u8, most: u64) {
        let below = self.asm.label();
        self.asm.jump_if_const(register, cond::LE, most, below);
        self.asm.constant(register, most);
        self.asm.place(below);
    }

    fn array(&mut self, node: &mut Node, frame: &Frame, at: u64) -> Result<(), Unavailable> {
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
        self.each(element, (from, end, distance), *stride);
        for register in [Some(from), Some(end), distance].into_iter().flatten() {
            self.asm.give(register);
        }
        self.asm.place(done);
        Ok(())
    }

    fn variants(&mut self, node: &mut Node, frame: &Frame, at: u64) -> Result<(), Unavailable> {
        let Node::Variants(variants) = node else {
            return Ok(());
        };
        let Some((offset, size)) = variants.tag else {
            // Without a discriminant there is one variant: the decoder's choice.
            if let Some(arm) = variants.arms.first_mut() {
                self.fields(&mut arm.fields, frame, at);
            }
            return Ok(());
        };
        let end = self.asm.label();
        let tag = frame.load(self.asm, at.saturating_add(offset), size, end)?;
        let mut arms = Vec::new();
        for (index, arm) in variants.arms.iter().enumerate() {
            if arm.values.is_empty() {
                continue;
            }
            let follows = arm.fields.iter().any(|field| field.node.follows());
            let label = if follows { self.asm.label() } else { end };
            for (low, high) in &arm.values {
                self.within(tag, *low, *high, label)?;
            }
            if follows {
                arms.push((index, label));
            }
        }
        self.asm.give(tag);
        let default = variants.arms.iter_mut().find(|arm| arm.values.is_empty());
        if let Some(arm) = default {
            self.fields(&mut arm.fields, frame, at);
        }
        self.asm.jump(end);
        for (index, label) in arms {
            self.asm.place(label);
            if let Some(arm) = variants.arms.get_mut(index) {
                self.fields(&mut arm.fields, frame, at);
            }
            self.asm.jump(end);
        }
        self.asm.place(end);
        Ok(())
    }

    /// Jumps when a number is within a range.
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

/// Takes everything that would be followed out of a shape.
fn unfollow(node: &mut Node, why: &Unavailable) {
    match node {
        Node::Struct(_, fields) | Node::Tuple(fields) => {
            fields
                .iter_mut()
                .for_each(|field| unfollow(&mut field.node, why));
        }
        Node::Variants(variants) => {
            for field in variants.arms.iter_mut().flat_map(|arm| &mut arm.fields) {
                unfollow(&mut field.node, why);
            }
        }
        Node::Array { element, .. } => unfollow(element, why),
        Node::Inside(_, inner) | Node::Ordered(_, inner) => unfollow(inner, why),
        Node::Pointer(pointer) => pointer.target = Err(why.clone()),
        Node::Dynamic(dynamic) => {
            *node = std::mem::replace(&mut dynamic.plain, Node::Unit);
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

/// A reference to an object without an address is shown as the object.
fn implicit((spots, node): (Spots, Node)) -> (Spots, Node) {
    if let ([(8, Spot::Implicit(object, offset))], Node::Pointer(pointer)) = (&spots.0[..], &node)
        && pointer.transparent
        && let Ok(block) = &pointer.target
        && let Some(from) = offset.checked_add(pointer.addend)
        && let Ok(from) = u64::try_from(from)
    {
        let end = block
            .segments
            .iter()
            .map(|segment| segment.offset.saturating_add(segment.len))
            .max()
            .unwrap_or(0);
        return implicit((object.project(from, end), block.node.clone()));
    }
    (spots, node)
}

/// The bytes that a shape needs, by the spots that have them.
fn wanted(spots: &Spots, node: &Node) -> Vec<(u64, u64, Spot)> {
    let mut ranges = Vec::new();
    node.ranges(0, &mut ranges);
    let ranges = merged(ranges, MERGE_GAP, u64::from(MAX_COPY));
    let mut out = Vec::new();
    let mut at = 0u64;
    for (size, spot) in &spots.0 {
        let end = at.saturating_add(*size);
        match spot {
            Spot::Memory(address) => {
                for (offset, len) in &ranges {
                    let from = at.max(*offset);
                    let to = end.min(offset.saturating_add(*len));
                    if from < to {
                        let place = Spot::Memory(address.clone().plus(from - at));
                        out.push((from, to - from, place));
                    }
                }
            }
            spot => {
                let used = ranges
                    .iter()
                    .any(|(offset, len)| *offset < end && offset.saturating_add(*len) > at);
                if used && *size > 0 {
                    out.push((at, *size, spot.clone()));
                }
            }
        }
        at = end;
    }
    out
}

/// Register and offset of a spot whose copy may be joined with others.
fn shareable(spot: &Spot) -> Option<(u8, i64)> {
    match spot {
        Spot::Memory(address) => {
            let (register, offset) = address.simple_address()?;
            Some((register, i64::from(offset)))
        }
        _ => None,
    }
}

/// Offsets from a register, negative ones too, in the order of their numbers.
fn biased(offset: i64) -> u64 {
    (offset as u64) ^ (1 << 63)
}

fn unbiased(offset: u64) -> i64 {
    (offset ^ (1 << 63)) as i64
}
