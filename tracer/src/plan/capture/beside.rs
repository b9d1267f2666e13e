//! Follows what the virtual table of an object of C++ leads to: its virtual
//! bases, and the whole object that it is a part of.

use tracer_common::op::{EMIT, LOAD, MARK, Op, alu, cond};

use super::super::asm::{Exits, Label, SINK};
use super::super::ir::{Failure, Ir, Spot, Spots};
use super::super::shape::{BesideNode, DynamicClass, DynamicNode, Node, Slot};
use super::frame::Frame;
use super::{Capture, too_far};
use crate::debuginfo::Identity;
use crate::unavailable::Unavailable;

/// An address that nothing can be at, on any x86-64.
const NOWHERE: u64 = 1 << 63;
/// Where a virtual table has the address of the type information, from where
/// objects point to (Itanium C++ ABI, 2.5.2).
const INFO_AT: i32 = -8;
/// Where it has the distance to the start of the whole object.
const TOP_AT: i32 = -16;

impl Capture<'_, '_> {
    /// The spots of a value whose address its shape asks for, with that
    /// address in a register and an offset.
    ///
    /// An address that is computed is so once, for the bytes and for what lies
    /// beside them: a thread of the target may change it in between.
    pub(super) fn located(&mut self, spots: &Spots, node: &Node) -> (Spots, Option<(u8, i32)>) {
        let same = || (spots.clone(), None);
        let [(size, Spot::Memory(address))] = &spots.0[..] else {
            return same();
        };
        if !node.needs_address() {
            return same();
        }
        if let Some(simple) = address.simple_address() {
            return (spots.clone(), Some(simple));
        }
        let checkpoint = self.asm.checkpoint();
        let (failed, end) = (self.asm.label(), self.asm.label());
        let mut exits = Exits::to(failed);
        let computed = self.asm.value(address, &mut exits);
        let (Ok(from), Ok(register)) = (computed, self.asm.take()) else {
            self.asm.rollback(checkpoint);
            return same();
        };
        self.asm.alu_const(alu::ADD, register, from, 0);
        self.asm.give(from);
        self.asm.jump(end);
        self.asm.place(failed);
        self.asm.constant(register, NOWHERE);
        self.asm.place(end);
        let spot = Spot::Memory(Ir::Register(register));
        (Spots::whole(*size, spot), Some((register, 0)))
    }

    pub(super) fn beside(
        &mut self,
        node: &mut BesideNode,
        frame: &Frame,
        at: u64,
    ) -> Result<(), Unavailable> {
        let origin = frame.origin.ok_or_else(|| {
            Unavailable::Unsupported("a virtual base of an object that is not in one place".into())
        })?;
        let (skip, fault, end) = (self.asm.label(), self.asm.label(), self.asm.label());
        let address = frame.load(self.asm, at, 8, skip)?;
        let offset = i32::try_from(node.in_table).map_err(|_| too_far())?;
        self.of_table(address, address, offset, fault);
        origin.add_to(self.asm, address, at);
        self.tell(node.slot, address);
        self.block(&mut node.block, address, 0)?;
        self.asm.give(address);
        self.asm.jump(end);
        self.fault(node.slot, fault);
        self.asm.place(end);
        self.asm.place(skip);
        Ok(())
    }

    /// The type information first, then the whole object of the class that it
    /// is of, or the part that is known.
    pub(super) fn dynamic(
        &mut self,
        node: &mut DynamicNode,
        frame: &Frame,
        at: u64,
    ) -> Result<(), Unavailable> {
        let origin = frame
            .origin
            .ok_or_else(|| Unavailable::Unsupported("an object that is not in one place".into()))?;
        let (skip, fault, plain, end) = (
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
            self.asm.label(),
        );
        let table = frame.load(self.asm, at, 8, skip)?;
        let info = self.asm.take()?;
        self.of_table(info, table, INFO_AT, fault);
        self.forget_replaced(&node.classes, info)?;
        self.tell(node.slot, info);
        let mut labels = Vec::new();
        for class in &node.classes {
            let label = self.asm.label();
            self.asm.jump_if_const(info, cond::EQ, class.info, label);
            labels.push(label);
        }
        self.asm.give(info);
        self.asm.jump(plain);
        for (class, label) in node.classes.iter_mut().zip(labels) {
            let fault = self.asm.label();
            self.asm.place(label);
            let address = self.asm.take()?;
            self.of_table(address, table, TOP_AT, fault);
            origin.add_to(self.asm, address, at);
            self.tell(class.slot, address);
            self.block(&mut class.block, address, 0)?;
            self.asm.give(address);
            self.asm.jump(end);
            self.fault(class.slot, fault);
            self.asm.jump(end);
        }
        self.asm.give(table);
        self.fault(node.slot, fault);
        self.asm.place(plain);
        self.follow(&mut node.plain, frame, at);
        self.asm.place(end);
        self.asm.place(skip);
        Ok(())
    }

    /// Makes 0 of the address of the type information of a class whose module is not the one
    /// that had it there.
    fn forget_replaced(&mut self, classes: &[DynamicClass], info: u8) -> Result<(), Unavailable> {
        let (gone, known) = (self.asm.label(), self.asm.label());
        let mut checks: Vec<(u64, u64, Label)> = Vec::new();
        for class in classes {
            let Identity::Word { at, is } = class.identity else {
                continue;
            };
            let asked = checks.iter().find(|(known, ..)| *known == at.0);
            let label = match asked {
                Some((.., label)) => *label,
                None => {
                    let label = self.asm.label();
                    checks.push((at.0, is, label));
                    label
                }
            };
            self.asm.jump_if_const(info, cond::EQ, class.info, label);
        }
        if checks.is_empty() {
            return Ok(());
        }
        self.asm.jump(known);
        for (at, is, label) in checks {
            self.asm.place(label);
            let word = self.asm.take()?;
            self.asm.constant(word, at);
            self.of_table(word, word, 0, gone);
            self.asm.jump_if_const(word, cond::EQ, is, known);
            self.asm.give(word);
            self.asm.jump(gone);
        }
        self.asm.place(gone);
        self.asm.constant(info, 0);
        self.asm.place(known);
        Ok(())
    }

    /// A number of a virtual table.
    fn of_table(&mut self, dst: u8, table: u8, offset: i32, fault: Label) {
        let op = Op {
            code: LOAD,
            dst,
            src: table,
            size: 8,
            offset,
            ..Op::default()
        };
        self.asm.emit_to(op, fault);
    }

    /// A chunk with a number.
    fn tell(&mut self, slot: Slot, register: u8) {
        self.asm.emit(Op {
            code: EMIT,
            dst: SINK,
            src: register,
            size: 8,
            a: u32::from(slot),
            ..Op::default()
        });
    }

    /// What a chunk says in place of its number when the table could not be read.
    fn fault(&mut self, slot: Slot, label: Label) {
        self.asm.place(label);
        self.asm.emit(Op {
            code: MARK,
            dst: SINK,
            size: Failure::Fault as u8,
            a: u32::from(slot),
            ..Op::default()
        });
    }
}
