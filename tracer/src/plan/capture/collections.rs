//! Follows what a vector, a hash table or a B-tree refers to: the loops.
//!
//! `plan::collections` makes the same steps over the chunks.

use tracer_common::op::{COPY, LOAD, LOAD_RECORD, MARK, Op, alu, cond};
use tracer_common::record::CHUNK_PLAN;

use super::super::asm::{Label, SINK};
use super::super::shape::{Node, SeqLen, SeqNode, Slot, TableNode, TreeNode, TreePart};
use super::{Capture, Frame, too_far};
use crate::unavailable::Unavailable;

impl Capture<'_, '_> {
    pub(super) fn seq(
        &mut self,
        node: &mut SeqNode,
        frame: &Frame,
        at: u64,
    ) -> Result<(), Unavailable> {
        if node.stride == 0 {
            return Ok(());
        }
        let skip = self.asm.label();
        let pointer = frame.load(self.asm, at.saturating_add(node.pointer), 8, skip)?;
        let count = match node.len {
            SeqLen::Count(len) | SeqLen::End(len) | SeqLen::Ring { len, .. } => {
                frame.load(self.asm, at.saturating_add(len), 8, skip)?
            }
            SeqLen::Known(count) => {
                let register = self.asm.take()?;
                self.asm.constant(register, count);
                register
            }
        };
        if let SeqLen::End(_) = node.len {
            self.asm.alu(alu::SUB, count, count, pointer);
            self.asm.alu_const(alu::DIV, count, count, node.stride);
        }
        if node.addend != 0 {
            self.asm
                .alu_const(alu::ADD, pointer, pointer, node.addend as u64);
        }
        if let SeqLen::Ring {
            head, cap, slot, ..
        } = node.len
        {
            let head = frame.load(self.asm, at.saturating_add(head), 8, skip)?;
            let first = frame.load(self.asm, at.saturating_add(cap), 8, skip)?;
            self.at_most(count, node.limit);
            self.asm.alu(alu::SUB, first, first, head);
            let wraps = self.asm.label();
            self.asm.jump_if(first, cond::LE, count, wraps);
            self.asm.alu_const(alu::ADD, first, count, 0);
            self.asm.place(wraps);
            self.asm.alu_const(alu::MUL, head, head, node.stride);
            self.asm.alu(alu::ADD, head, head, pointer);
            self.asm.alu(alu::SUB, count, count, first);
            self.run_of(node, node.slot, head, first)?;
            self.asm.give(head);
            self.asm.give(first);
            self.run_of(node, slot, pointer, count)?;
        } else {
            self.run_of(node, node.slot, pointer, count)?;
        }
        self.asm.give(pointer);
        self.asm.give(count);
        self.asm.place(skip);
        Ok(())
    }

    /// Copies elements that lie in a row, then follows each.
    pub(super) fn run_of(
        &mut self,
        node: &mut SeqNode,
        slot: Slot,
        pointer: u8,
        count: u8,
    ) -> Result<(), Unavailable> {
        self.elements(
            (&mut node.element, node.stride, node.limit),
            slot,
            pointer,
            count,
        )
    }

    /// The same for a shape, bytes from element to element, and elements at most.
    pub(super) fn elements(
        &mut self,
        (element, stride, limit): (&mut Node, u64, u64),
        slot: Slot,
        pointer: u8,
        count: u8,
    ) -> Result<(), Unavailable> {
        let bytes = limit.saturating_mul(stride);
        if !element.follows() {
            self.counted(slot, SINK, pointer, count, stride, bytes);
            return Ok(());
        }
        let base = self.asm.take()?;
        self.counted(slot, base, pointer, count, stride, bytes);
        let none = self.asm.label();
        self.asm.jump_if_const(base, cond::EQ, 0, none);
        let end = self.asm.take()?;
        let distance = if element.needs_address() {
            let distance = self.asm.take()?;
            self.asm.alu(alu::SUB, distance, pointer, base);
            Some(distance)
        } else {
            None
        };
        self.asm.alu_const(alu::ADD, end, count, 0);
        self.at_most(end, limit);
        self.asm.alu_const(alu::MUL, end, end, stride);
        self.asm.alu(alu::ADD, end, end, base);
        self.each(element, (base, end, distance), stride);
        if let Some(distance) = distance {
            self.asm.give(distance);
        }
        self.asm.give(end);
        self.asm.give(base);
        self.asm.place(none);
        Ok(())
    }

    /// Follows elements from record offset `at` (which moves on) to `end`,
    /// which lie in memory at a distance from there.
    pub(super) fn each(
        &mut self,
        element: &mut Node,
        (at, end, distance): (u8, u8, Option<u8>),
        stride: u64,
    ) {
        let done = self.asm.label();
        let next = self.asm.here();
        self.asm.jump_if(at, cond::GE, end, done);
        self.follow(element, &Frame::element(at, stride, distance), 0);
        self.asm.alu_const(alu::ADD, at, at, stride);
        self.asm.jump(next);
        self.asm.place(done);
    }

    /// Control bytes first, then each full bucket, then what it refers to.
    pub(super) fn table(
        &mut self,
        node: &mut TableNode,
        frame: &Frame,
        at: u64,
    ) -> Result<(), Unavailable> {
        let skip = self.asm.label();
        let bucket = frame.load(self.asm, at.saturating_add(node.ctrl), 8, skip)?;
        let end = frame.load(self.asm, at.saturating_add(node.mask), 8, skip)?;
        let control = self.asm.take()?;
        let (byte, shown, base) = (self.asm.take()?, self.asm.take()?, self.asm.take()?);
        self.asm.alu_const(alu::ADD, end, end, 1);
        self.counted(node.ctrl_slot, control, bucket, end, 1, node.buckets);
        self.asm.jump_if_const(control, cond::EQ, 0, skip);
        self.at_most(end, node.buckets);
        self.asm.alu(alu::ADD, end, end, control);
        self.asm.constant(shown, 0);
        let (next, step) = (self.asm.here(), self.asm.label());
        self.asm.jump_if(control, cond::GE, end, skip);
        self.load_record(byte, control, 0, 1, skip);
        self.asm.alu_const(alu::SUB, bucket, bucket, node.stride);
        self.asm.jump_if_const(byte, cond::GE, 0x80, step);
        self.asm.emit(Op {
            code: COPY,
            dst: base,
            src: bucket,
            a: u32::from(node.slot),
            len: node.stride as u32,
            ..Op::default()
        });
        let value = node.value.as_ref().is_some_and(|(_, node)| node.follows());
        if node.key.1.follows() || value {
            let entry_done = self.asm.label();
            self.asm.jump_if_const(base, cond::EQ, 0, entry_done);
            let frame = Frame::at(base, node.stride);
            self.follow(&mut node.key.1, &frame, node.key.0);
            if let Some((offset, value)) = &mut node.value {
                self.follow(value, &frame, *offset);
            }
            self.asm.place(entry_done);
        }
        self.asm.alu_const(alu::ADD, shown, shown, 1);
        self.asm.jump_if_const(shown, cond::GE, node.limit, skip);
        self.asm.place(step);
        self.asm.alu_const(alu::ADD, control, control, 1);
        self.asm.jump(next);
        self.asm.place(skip);
        for register in [bucket, end, control, byte, shown, base] {
            self.asm.give(register);
        }
        Ok(())
    }

    pub(super) fn load_record(&mut self, dst: u8, src: u8, offset: i32, size: u8, label: Label) {
        let op = Op {
            code: LOAD_RECORD,
            dst,
            src,
            size,
            offset,
            ..Op::default()
        };
        self.asm.emit_to(op, label);
    }

    /// Entries in order, by way of the nodes' links to their parents.
    pub(super) fn tree(
        &mut self,
        node: &mut TreeNode,
        frame: &Frame,
        at: u64,
    ) -> Result<(), Unavailable> {
        let (end, skip) = (self.asm.label(), self.asm.label());
        let here = frame.load(self.asm, at.saturating_add(node.root), 8, skip)?;
        let height = frame.load(self.asm, at.saturating_add(node.height), 8, skip)?;
        let left = frame.load(self.asm, at.saturating_add(node.length), 8, skip)?;
        let (index, work) = (self.asm.take()?, self.asm.take()?);
        let (descend, up, entry) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.at_most(left, node.limit);
        // Down along the first edges to a leaf.
        self.asm.place(descend);
        self.asm.jump_if_const(here, cond::EQ, 0, end);
        self.asm.constant(index, 0);
        self.asm.jump_if_const(height, cond::EQ, 0, up);
        self.load_user(here, here, node.edges, 8, end)?;
        self.asm.alu_const(alu::SUB, height, height, 1);
        self.asm.jump(descend);
        // Up while the node has no entry left; `index` becomes its place in the parent.
        self.asm.place(up);
        self.asm.jump_if_const(left, cond::EQ, 0, end);
        self.load_user(work, here, node.entries, 2, end)?;
        self.asm.jump_if(index, cond::LT, work, entry);
        self.load_user(index, here, node.parent_index, 2, end)?;
        self.load_user(here, here, node.parent, 8, end)?;
        self.asm.alu_const(alu::ADD, height, height, 1);
        self.asm.jump_if_const(here, cond::EQ, 0, end);
        self.asm.jump(up);
        self.asm.place(entry);
        self.cell(&mut node.key, here, index, work)?;
        if let Some(value) = &mut node.value {
            self.cell(value, here, index, work)?;
        }
        self.asm.alu_const(alu::SUB, left, left, 1);
        self.asm.alu_const(alu::ADD, index, index, 1);
        self.asm.jump_if_const(height, cond::EQ, 0, up);
        self.asm.alu_const(alu::MUL, work, index, 8);
        self.asm.alu(alu::ADD, work, work, here);
        self.load_user(here, work, node.edges, 8, end)?;
        self.asm.alu_const(alu::SUB, height, height, 1);
        self.asm.jump(descend);
        self.asm.place(end);
        self.asm.emit(Op {
            code: MARK,
            dst: SINK,
            size: CHUNK_PLAN,
            a: u32::from(node.end),
            ..Op::default()
        });
        for register in [here, height, left, index, work] {
            self.asm.give(register);
        }
        self.asm.place(skip);
        Ok(())
    }

    pub(super) fn load_user(
        &mut self,
        dst: u8,
        src: u8,
        offset: u64,
        size: u8,
        label: Label,
    ) -> Result<(), Unavailable> {
        let op = Op {
            code: LOAD,
            dst,
            src,
            size,
            offset: i32::try_from(offset).map_err(|_| too_far())?,
            ..Op::default()
        };
        self.asm.emit_to(op, label);
        Ok(())
    }

    /// Key or value number `index` of a B-tree's node.
    pub(super) fn cell(
        &mut self,
        part: &mut TreePart,
        here: u8,
        index: u8,
        work: u8,
    ) -> Result<(), Unavailable> {
        if part.stride == 0 {
            return Ok(());
        }
        self.asm.alu_const(alu::MUL, work, index, part.stride);
        self.asm.alu(alu::ADD, work, work, here);
        let follows = part.node.follows();
        let base = if follows { self.asm.take()? } else { SINK };
        self.asm.emit(Op {
            code: COPY,
            dst: base,
            src: work,
            a: u32::from(part.slot),
            offset: i32::try_from(part.offset).map_err(|_| too_far())?,
            len: part.stride as u32,
            ..Op::default()
        });
        if follows {
            let done = self.asm.label();
            self.asm.jump_if_const(base, cond::EQ, 0, done);
            self.follow(&mut part.node, &Frame::at(base, part.stride), 0);
            self.asm.place(done);
            self.asm.give(base);
        }
        Ok(())
    }
}
