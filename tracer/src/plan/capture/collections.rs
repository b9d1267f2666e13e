//! Loops over vectors, hash tables and B-trees.
//!
//! `decode::collections` makes the same steps over the chunks.

use tracer_common::op::{alu, cond};
use tracer_common::record::CHUNK_PLAN;

use crate::base::unavailable::Unavailable;
use crate::plan::capture::{Capture, RecordedValue, too_far};
use crate::plan::ops::asm::{Label, SINK, UNRESOLVED};
use crate::plan::shape::{Node, SeqLen, SeqNode, Slot, TableNode, TreeNode, TreePart};
use crate::program::Op;

impl Capture<'_, '_> {
    pub(super) fn seq(
        &mut self,
        node: &SeqNode,
        frame: &RecordedValue,
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
            let known = self.changes.count();
            self.run_of(node, slot, pointer, count)?;
            if self.changes.count() > known {
                // The first run has captured parts that the second run has no room for.
                return Err(Unavailable::Unsupported("nested too deeply".into()));
            }
        } else {
            self.run_of(node, node.slot, pointer, count)?;
        }
        self.asm.give(pointer);
        self.asm.give(count);
        self.asm.place(skip);
        Ok(())
    }

    /// Copies contiguous elements, then follows the pointers of each.
    pub(super) fn run_of(
        &mut self,
        node: &SeqNode,
        slot: Slot,
        pointer: u8,
        count: u8,
    ) -> Result<(), Unavailable> {
        self.elements(&node.element, node.stride, node.limit, slot, pointer, count)
    }

    /// Copies elements of a shape with this stride, at most `limit` of them.
    pub(super) fn elements(
        &mut self,
        element: &Node,
        stride: u64,
        limit: u64,
        slot: Slot,
        pointer: u8,
        count: u8,
    ) -> Result<(), Unavailable> {
        let bytes = limit.saturating_mul(stride);
        if !self.follows(element) {
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
        self.each(element, base, end, distance, stride);
        if let Some(distance) = distance {
            self.asm.give(distance);
        }
        self.asm.give(end);
        self.asm.give(base);
        self.asm.place(none);
        Ok(())
    }

    /// Follows the pointers of elements from record offset `at`, which is advanced, to `end`.
    /// `distance` leads from the record to memory.
    pub(super) fn each(
        &mut self,
        element: &Node,
        at: u8,
        end: u8,
        distance: Option<u8>,
        stride: u64,
    ) {
        let done = self.asm.label();
        let next = self.asm.here();
        self.asm.jump_if(at, cond::GE, end, done);
        self.follow(element, &RecordedValue::element(at, stride, distance), 0);
        self.asm.alu_const(alu::ADD, at, at, stride);
        self.asm.jump(next);
        self.asm.place(done);
    }

    /// Captures control bytes, then full buckets, then targets of their pointers.
    pub(super) fn table(
        &mut self,
        node: &TableNode,
        frame: &RecordedValue,
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
        self.asm.emit(Op::Copy {
            slot: self.numbered(node.slot),
            dst: base,
            base: bucket,
            offset: 0,
            length: node.stride as u32,
        });
        let value = node
            .value
            .as_ref()
            .is_some_and(|(_, node)| self.follows(node));
        if self.follows(&node.key.1) || value {
            let entry_done = self.asm.label();
            self.asm.jump_if_const(base, cond::EQ, 0, entry_done);
            let frame = RecordedValue::at(base, node.stride);
            self.follow(&node.key.1, &frame, node.key.0);
            if let Some((offset, value)) = &node.value {
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
        let op = Op::LoadRecord {
            dst,
            base: src,
            offset,
            size,
            outside: UNRESOLVED,
        };
        self.asm.emit_to(op, label);
    }

    /// Captures entries in order. Nodes link to their parents.
    pub(super) fn tree(
        &mut self,
        node: &TreeNode,
        frame: &RecordedValue,
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
        // Up until a node has entries left. `index` becomes the node's index in its parent.
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
        self.cell(&node.key, here, index, work)?;
        if let Some(value) = &node.value {
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
        self.asm.emit(Op::Mark {
            slot: self.numbered(node.end),
            status: CHUNK_PLAN,
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
        let op = Op::Load {
            dst,
            base: src,
            offset: i32::try_from(offset).map_err(|_| too_far())?,
            size,
            signed: false,
            fault: UNRESOLVED,
        };
        self.asm.emit_to(op, label);
        Ok(())
    }

    /// The key or value at `index` of a B-tree node.
    pub(super) fn cell(
        &mut self,
        part: &TreePart,
        here: u8,
        index: u8,
        work: u8,
    ) -> Result<(), Unavailable> {
        if part.stride == 0 {
            return Ok(());
        }
        self.asm.alu_const(alu::MUL, work, index, part.stride);
        self.asm.alu(alu::ADD, work, work, here);
        let follows = self.follows(&part.node);
        let base = if follows { self.asm.take()? } else { SINK };
        self.asm.emit(Op::Copy {
            slot: self.numbered(part.slot),
            dst: base,
            base: work,
            offset: i32::try_from(part.offset).map_err(|_| too_far())?,
            length: part.stride as u32,
        });
        if follows {
            let done = self.asm.label();
            self.asm.jump_if_const(base, cond::EQ, 0, done);
            self.follow(&part.node, &RecordedValue::at(base, part.stride), 0);
            self.asm.place(done);
            self.asm.give(base);
        }
        Ok(())
    }
}
