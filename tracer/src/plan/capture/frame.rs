//! The place of a value's bytes in the record while its pointers are followed.

use tracer_common::op::{alu, cond};

use crate::base::unavailable::Unavailable;
use crate::plan::capture::too_far;
use crate::plan::ops::asm::{Asm, Label, UNRESOLVED};
use crate::program::Op;

/// The parts of a value in the record.
pub(super) struct RecordedValue {
    pub(super) parts: Vec<(u64, u64, At)>,
    /// The value's run address, if it is known and needed.
    pub(super) origin: Option<AddressSum>,
}

/// A run address, as a sum.
#[derive(Clone, Copy)]
pub(super) struct AddressSum {
    pub(super) base: u8,
    pub(super) more: Option<u8>,
    pub(super) addend: i64,
}

impl AddressSum {
    /// The address in a register plus a constant.
    pub(super) fn of(base: u8, addend: i64) -> Self {
        Self {
            base,
            more: None,
            addend,
        }
    }

    /// `register += self + at`.
    pub(super) fn add_to(self, asm: &mut Asm, register: u8, at: u64) {
        asm.alu(alu::ADD, register, register, self.base);
        if let Some(more) = self.more {
            asm.alu(alu::ADD, register, register, more);
        }
        let addend = (self.addend as u64).wrapping_add(at);
        if addend != 0 {
            asm.alu_const(alu::ADD, register, register, addend);
        }
    }
}

#[derive(Clone)]
pub(super) enum At {
    /// Record offset in a register. It is 0 if the chunk has no data, unless `checked`.
    Record {
        register: u8,
        checked: bool,
    },
    Known(Vec<u8>),
    Missing(Unavailable),
}

impl RecordedValue {
    /// A contiguous value. Its record offset is valid.
    pub(super) fn at(register: u8, len: u64) -> Self {
        let checked = true;
        Self {
            parts: vec![(0, len, At::Record { register, checked })],
            origin: None,
        }
    }

    /// A contiguous element. The register `distance` leads from its record offset to its run
    /// address.
    pub(super) fn element(register: u8, len: u64, distance: Option<u8>) -> Self {
        let origin = distance.map(|distance| AddressSum {
            base: register,
            more: Some(distance),
            addend: 0,
        });
        Self {
            origin,
            ..Self::at(register, len)
        }
    }

    /// Checks once that the value's only chunk has data.
    pub(super) fn check(&mut self, asm: &mut Asm, end: Label) {
        if let [(_, _, At::Record { register, checked })] = &mut self.parts[..] {
            asm.jump_if_const(*register, cond::EQ, 0, end);
            *checked = true;
        }
    }

    pub(super) fn find(&self, at: u64, size: u64) -> Option<(u64, &At)> {
        let end = at.checked_add(size)?;
        self.parts.iter().find_map(|(offset, len, data)| {
            (*offset <= at && end <= offset.saturating_add(*len)).then(|| (at - offset, data))
        })
    }

    /// The register of the chunk with these bytes, whether it is checked, and the offset within the
    /// chunk.
    pub(super) fn record(&self, at: u64, size: u64) -> Result<(u8, bool, u64), Unavailable> {
        match self.find(at, size) {
            Some((delta, At::Record { register, checked })) => Ok((*register, *checked, delta)),
            Some((_, At::Missing(why))) => Err(why.clone()),
            _ => Err(Unavailable::Unsupported("pointers in pieces".into())),
        }
    }

    /// Loads a number of the value into a new register. Jumps to `skip` if its chunk has no data.
    pub(super) fn load(
        &self,
        asm: &mut Asm,
        at: u64,
        size: u8,
        skip: Label,
    ) -> Result<u8, Unavailable> {
        if !matches!(size, 1 | 2 | 4 | 8) {
            return Err(Unavailable::Unsupported(format!(
                "a number of {size} bytes"
            )));
        }
        if let Some((delta, At::Known(bytes))) = self.find(at, u64::from(size)) {
            let mut wide = [0; 8];
            let from = usize::try_from(delta).unwrap_or(usize::MAX);
            let known = bytes.get(from..).unwrap_or_default();
            for (to, from) in wide.iter_mut().zip(known.iter().take(usize::from(size))) {
                *to = *from;
            }
            let dst = asm.take()?;
            asm.constant(dst, u64::from_le_bytes(wide));
            return Ok(dst);
        }
        let (base, checked, delta) = self.record(at, u64::from(size))?;
        if !checked {
            asm.jump_if_const(base, cond::EQ, 0, skip);
        }
        let dst = asm.take()?;
        let op = Op::LoadRecord {
            dst,
            base,
            offset: i32::try_from(delta).map_err(|_| too_far())?,
            size,
            outside: UNRESOLVED,
        };
        asm.emit_to(op, skip);
        Ok(dst)
    }
}
