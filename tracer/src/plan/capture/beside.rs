//! Follows the virtual table of a C++ object: to its virtual bases, and to the whole object that it
//! is a part of.

use tracer_common::op::{alu, cond};

use crate::base::unavailable::Unavailable;
use crate::debuginfo::Identity;
use crate::plan::capture::frame::RecordedValue;
use crate::plan::capture::{Capture, too_far};
use crate::plan::ops::addresses::AddressBase;
use crate::plan::ops::asm::{Exits, Label, SINK, UNRESOLVED};
use crate::plan::ops::ir::{Failure, Ir};
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::shape::{BesideNode, DynamicClass, DynamicNode, NO_CLASS, Node, Slot};
use crate::program::Op;

/// An address that no x86-64 system maps.
const NOWHERE: u64 = 1 << 63;
/// Offset of the type information's address in a virtual table, from its address point (Itanium C++
/// ABI, 2.5.2).
const INFO_AT: i32 = -8;
/// Offset of the distance to the start of the whole object.
const TOP_AT: i32 = -16;

impl Capture<'_, '_> {
    /// The spots of a value whose shape needs its address, with that address in a register and an
    /// offset.
    ///
    /// A computed address is computed once for all of them, since a thread of the target may change
    /// its inputs at any time.
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
        node: &BesideNode,
        frame: &RecordedValue,
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
        self.block(&node.block, address, 0)?;
        self.asm.give(address);
        self.asm.jump(end);
        self.fault(node.slot, fault);
        self.asm.place(end);
        self.asm.place(skip);
        Ok(())
    }

    /// Captures the type information, then the whole object as the class that it names, or as its
    /// known class.
    pub(super) fn dynamic(
        &mut self,
        node: &DynamicNode,
        frame: &RecordedValue,
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
        let labels = self.jumps_to_classes(&node.classes, info, fault)?;
        self.asm.give(info);
        self.tell_class(node.slot, NO_CLASS)?;
        self.asm.jump(plain);
        for ((number, class), label) in (0..).zip(&node.classes).zip(labels) {
            let fault = self.asm.label();
            self.asm.place(label);
            self.tell_class(node.slot, number)?;
            let address = self.asm.take()?;
            self.of_table(address, table, TOP_AT, fault);
            origin.add_to(self.asm, address, at);
            self.tell(class.slot, address);
            self.block(&class.block, address, 0)?;
            self.asm.give(address);
            self.asm.jump(end);
            self.fault(class.slot, fault);
            self.asm.jump(end);
        }
        self.asm.give(table);
        self.fault(node.slot, fault);
        self.asm.place(plain);
        self.follow(&node.plain, frame, at);
        self.asm.place(end);
        self.asm.place(skip);
        Ok(())
    }

    /// Jumps to a class if the type information at the address in `info` is its own, and to `unknown` if
    /// the place of a module is not known. Returns the targets.
    fn jumps_to_classes(
        &mut self,
        classes: &[DynamicClass],
        info: u8,
        unknown: Label,
    ) -> Result<Vec<Label>, Unavailable> {
        let distance = self.asm.take()?;
        let mut known = None;
        let mut labels = Vec::new();
        for class in classes {
            let base = class.elsewhere.unwrap_or(self.builder.own.1);
            if known != Some(base) {
                known = Some(base);
                let origin = self.base_of_class(base, unknown)?;
                self.asm.alu(alu::SUB, distance, info, origin);
                self.asm.give(origin);
            }
            let label = self.asm.label();
            let of_class = base.distance(class.info);
            self.asm.jump_if_const(distance, cond::EQ, of_class, label);
            labels.push(label);
        }
        self.asm.give(distance);
        Ok(labels)
    }

    /// A register with the run address of a base. No object is of a class of a module that is not
    /// loaded.
    fn base_of_class(&mut self, base: AddressBase, unknown: Label) -> Result<u8, Unavailable> {
        let AddressBase::Module(module) = base else {
            return self.origin_of(base);
        };
        let origin = self.asm.take()?;
        self.asm.module(origin, module, false, unknown);
        Ok(origin)
    }

    /// Writes a chunk with the index of a class.
    fn tell_class(&mut self, slot: Slot, number: u64) -> Result<(), Unavailable> {
        let register = self.asm.take()?;
        self.asm.constant(register, number);
        self.tell(slot, register);
        self.asm.give(register);
        Ok(())
    }

    /// Clears the address of a type information whose module was replaced.
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
            let Some(AddressBase::Bias(bias)) = class.elsewhere else {
                continue;
            };
            let run = bias.run(class.info).0;
            self.asm.jump_if_const(info, cond::EQ, run, label);
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

    /// Loads a number from a virtual table.
    fn of_table(&mut self, dst: u8, table: u8, offset: i32, fault: Label) {
        let op = Op::Load {
            dst,
            base: table,
            offset,
            size: 8,
            signed: false,
            fault: UNRESOLVED,
        };
        self.asm.emit_to(op, fault);
    }

    /// Writes a chunk with a number.
    pub(super) fn tell(&mut self, slot: Slot, register: u8) {
        let slot = self.numbered(slot);
        self.asm.emit(Op::Emit {
            slot,
            dst: SINK,
            src: register,
            size: 8,
        });
    }

    /// Writes a chunk that says that a table could not be read, or a module's place is not known.
    fn fault(&mut self, slot: Slot, label: Label) {
        self.asm.place(label);
        let slot = self.numbered(slot);
        let status = Failure::Fault as u8;
        self.asm.emit(Op::Mark { slot, status });
    }
}
