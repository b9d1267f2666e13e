//! Loops over linked lists, binary trees and deques.
//!
//! `decode::chains` makes the same steps over the chunks.

use tracer_common::op::{alu, cond};
use tracer_common::record::CHUNK_PLAN;

use crate::base::unavailable::Unavailable;
use crate::plan::capture::{Capture, RecordedValue, too_far};
use crate::plan::ops::asm::SINK;
use crate::plan::shape::{BitCount, BitRowNode, BlocksNode, ChainNode, ChainStep, PagesNode, Slot};
use crate::program::Op;

impl Capture<'_, '_> {
    /// One node after the other: its entry, the targets of its pointers, the way to the next node.
    pub(super) fn chain(
        &mut self,
        node: &ChainNode,
        frame: &RecordedValue,
        at: u64,
    ) -> Result<(), Unavailable> {
        let (skip, end) = (self.asm.label(), self.asm.label());
        let here = frame.load(self.asm, at.saturating_add(node.first), 8, skip)?;
        let left = match node.count {
            Some(count) => {
                let left = frame.load(self.asm, at.saturating_add(count), 8, skip)?;
                self.at_most(left, node.limit);
                left
            }
            None => {
                // One node more than the limit tells the decoder that the list goes on.
                let left = self.asm.take()?;
                self.asm.constant(left, node.limit.saturating_add(1));
                left
            }
        };
        let last = match (node.last, node.step) {
            (Some(last), ChainStep::Next(offset)) => {
                let last = frame.load(self.asm, at.saturating_add(last), 8, skip)?;
                self.unless_empty(here, offset, end)?;
                Some(last)
            }
            _ => None,
        };
        let next = self.asm.here();
        self.asm.jump_if_const(here, cond::EQ, 0, end);
        self.asm.jump_if_const(left, cond::EQ, 0, end);
        self.entry(node, here)?;
        self.asm.alu_const(alu::SUB, left, left, 1);
        self.asm.jump_if_const(left, cond::EQ, 0, end);
        if let Some(last) = last {
            self.asm.jump_if(here, cond::EQ, last, end);
        }
        match node.step {
            ChainStep::Next(offset) => {
                self.load_user(here, here, offset, 8, end)?;
                self.asm.jump(next);
            }
            ChainStep::Tree {
                left: smaller,
                right: greater,
                parent,
            } => {
                let (work, other) = (self.asm.take()?, self.asm.take()?);
                let up = self.asm.label();
                self.load_user(work, here, greater, 8, end)?;
                self.asm.jump_if_const(work, cond::EQ, 0, up);
                // The successor is the least node of the subtree with greater entries.
                let down = self.asm.here();
                self.asm.alu_const(alu::ADD, here, work, 0);
                self.load_user(work, here, smaller, 8, end)?;
                self.asm.jump_if_const(work, cond::NE, 0, down);
                self.asm.jump(next);
                // Without such a subtree, the successor is the first ancestor that is greater than
                // this node.
                self.asm.place(up);
                self.load_user(work, here, parent, 8, end)?;
                self.asm.jump_if_const(work, cond::EQ, 0, end);
                self.load_user(other, work, greater, 8, end)?;
                self.asm.alu(alu::SUB, other, other, here);
                self.asm.alu_const(alu::ADD, here, work, 0);
                self.asm.jump_if_const(other, cond::EQ, 0, up);
                self.asm.jump(next);
                self.asm.give(work);
                self.asm.give(other);
            }
        }
        self.asm.place(end);
        self.mark(node.end);
        for register in [Some(here), Some(left), last].into_iter().flatten() {
            self.asm.give(register);
        }
        self.asm.place(skip);
        Ok(())
    }

    /// Ends if the first node of a ring is its own successor: that node is the list itself.
    fn unless_empty(
        &mut self,
        first: u8,
        next: u64,
        end: crate::plan::ops::asm::Label,
    ) -> Result<(), Unavailable> {
        let second = self.asm.take()?;
        self.load_user(second, first, next, 8, end)?;
        self.asm.jump_if(second, cond::EQ, first, end);
        self.asm.give(second);
        Ok(())
    }

    fn entry(&mut self, node: &ChainNode, here: u8) -> Result<(), Unavailable> {
        let value = node
            .value
            .as_ref()
            .is_some_and(|(_, node)| self.follows(node));
        let follows = self.follows(&node.key.1) || value;
        let base = if follows { self.asm.take()? } else { SINK };
        self.asm.emit(Op::Copy {
            slot: self.numbered(node.slot),
            dst: base,
            base: here,
            offset: i32::try_from(node.payload).map_err(|_| too_far())?,
            length: node.stride as u32,
        });
        if follows {
            let done = self.asm.label();
            self.asm.jump_if_const(base, cond::EQ, 0, done);
            let frame = RecordedValue::at(base, node.stride);
            self.follow(&node.key.1, &frame, node.key.0);
            if let Some((offset, value)) = &node.value {
                self.follow(value, &frame, *offset);
            }
            self.asm.place(done);
            self.asm.give(base);
        }
        Ok(())
    }

    fn mark(&mut self, slot: Slot) {
        let slot = self.numbered(slot);
        let status = CHUNK_PLAN;
        self.asm.emit(Op::Mark { slot, status });
    }

    /// One block after the other.
    pub(super) fn blocks(
        &mut self,
        node: &BlocksNode,
        frame: &RecordedValue,
        at: u64,
    ) -> Result<(), Unavailable> {
        let (skip, end) = (self.asm.label(), self.asm.label());
        let load = |capture: &mut Self, offset: u64| {
            frame.load(capture.asm, at.saturating_add(offset), 8, skip)
        };
        let (cur, last) = (load(self, node.cur)?, load(self, node.last)?);
        let (here, size) = (load(self, node.node)?, load(self, node.first)?);
        let (end_cur, end_node) = (load(self, node.end_cur)?, load(self, node.end_node)?);
        let (left, count) = (self.asm.take()?, self.asm.take()?);
        self.asm.alu(alu::SUB, size, last, size);
        self.asm.constant(left, node.limit);
        let next = self.asm.here();
        let (inner, fits) = (self.asm.label(), self.asm.label());
        self.asm.jump_if(here, cond::NE, end_node, inner);
        self.asm.alu_const(alu::ADD, last, end_cur, 0);
        self.asm.place(inner);
        self.asm.alu(alu::SUB, count, last, cur);
        self.asm.alu_const(alu::DIV, count, count, node.stride);
        self.asm.jump_if(count, cond::LE, left, fits);
        self.asm.alu_const(alu::ADD, count, left, 0);
        self.asm.place(fits);
        self.elements(
            &node.element,
            node.stride,
            node.limit,
            node.slot,
            cur,
            count,
        )?;
        self.asm.alu(alu::SUB, left, left, count);
        self.asm.jump_if_const(left, cond::EQ, 0, end);
        self.asm.jump_if(here, cond::EQ, end_node, end);
        self.asm.alu_const(alu::ADD, here, here, 8);
        self.load_user(cur, here, 0, 8, end)?;
        self.asm.alu(alu::ADD, last, cur, size);
        self.asm.jump(next);
        self.asm.place(end);
        self.mark(node.end);
        for register in [cur, last, here, size, end_cur, end_node, left, count] {
            self.asm.give(register);
        }
        self.asm.place(skip);
        Ok(())
    }

    /// One block after the other, from the block with the first element on.
    pub(super) fn pages(
        &mut self,
        node: &PagesNode,
        frame: &RecordedValue,
        at: u64,
    ) -> Result<(), Unavailable> {
        let (skip, end) = (self.asm.label(), self.asm.label());
        let load = |capture: &mut Self, offset: u64| {
            frame.load(capture.asm, at.saturating_add(offset), 8, skip)
        };
        let (here, index) = (load(self, node.first)?, load(self, node.start)?);
        let left = load(self, node.count)?;
        let (cur, count) = (self.asm.take()?, self.asm.take()?);
        self.at_most(left, node.limit);
        // At this point `count` has the number of the block.
        self.asm.alu_const(alu::DIV, count, index, node.per_block);
        self.asm.alu_const(alu::MUL, cur, count, node.per_block);
        self.asm.alu(alu::SUB, index, index, cur);
        self.asm.alu_const(alu::MUL, count, count, 8);
        self.asm.alu(alu::ADD, here, here, count);
        let (next, fits) = (self.asm.here(), self.asm.label());
        self.asm.jump_if_const(left, cond::EQ, 0, end);
        self.load_user(cur, here, 0, 8, end)?;
        self.asm.alu_const(alu::MUL, count, index, node.stride);
        self.asm.alu(alu::ADD, cur, cur, count);
        self.asm.constant(count, node.per_block);
        self.asm.alu(alu::SUB, count, count, index);
        self.asm.jump_if(count, cond::LE, left, fits);
        self.asm.alu_const(alu::ADD, count, left, 0);
        self.asm.place(fits);
        self.elements(
            &node.element,
            node.stride,
            node.limit,
            node.slot,
            cur,
            count,
        )?;
        self.asm.alu(alu::SUB, left, left, count);
        self.asm.constant(index, 0);
        self.asm.alu_const(alu::ADD, here, here, 8);
        self.asm.jump(next);
        self.asm.place(end);
        self.mark(node.end);
        for register in [here, index, left, cur, count] {
            self.asm.give(register);
        }
        self.asm.place(skip);
        Ok(())
    }

    /// Captures the words with the bits.
    pub(super) fn bit_row(
        &mut self,
        node: &BitRowNode,
        frame: &RecordedValue,
        at: u64,
    ) -> Result<(), Unavailable> {
        let skip = self.asm.label();
        let start = frame.load(self.asm, at.saturating_add(node.start), 8, skip)?;
        let count = match node.count {
            BitCount::Count(count) => {
                let count = frame.load(self.asm, at.saturating_add(count), 8, skip)?;
                self.asm.alu_const(alu::ADD, count, count, 7);
                self.asm.alu_const(alu::SHR, count, count, 3);
                count
            }
            BitCount::End { end, rest } => {
                let count = frame.load(self.asm, at.saturating_add(end), 8, skip)?;
                let rest = frame.load(self.asm, at.saturating_add(rest), 4, skip)?;
                self.asm.alu(alu::SUB, count, count, start);
                self.asm.alu_const(alu::ADD, rest, rest, 7);
                self.asm.alu_const(alu::SHR, rest, rest, 3);
                self.asm.alu(alu::ADD, count, count, rest);
                self.asm.give(rest);
                count
            }
        };
        self.counted(node.slot, SINK, start, count, 1, node.limit.div_ceil(8));
        self.asm.give(start);
        self.asm.give(count);
        self.asm.place(skip);
        Ok(())
    }
}
