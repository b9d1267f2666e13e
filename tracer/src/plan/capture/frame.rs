//! Where the bytes of a value are in the record while its pointers are followed.

use tracer_common::op::{LOAD_RECORD, Op, alu, cond};

use super::super::asm::{Asm, Label};
use super::too_far;
use crate::unavailable::Unavailable;

/// Where the bytes of a value are while its pointers are followed.
pub(super) struct Frame {
    pub(super) parts: Vec<(u64, u64, At)>,
    /// Where in the target the value is, when that is known and asked for.
    pub(super) origin: Option<Origin>,
}

/// A run address: the sum of these.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) base: u8,
    pub(super) more: Option<u8>,
    pub(super) addend: i64,
}

impl Origin {
    /// The address in a register.
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
    /// Record offset in a register; 0 when the chunk has no data, unless that was checked.
    Record {
        register: u8,
        checked: bool,
    },
    Known(Vec<u8>),
    Missing(Unavailable),
}

impl Frame {
    /// Bytes in one row whose record offset is known to be good.
    pub(super) fn at(register: u8, len: u64) -> Self {
        let checked = true;
        Self {
            parts: vec![(0, len, At::Record { register, checked })],
            origin: None,
        }
    }

    /// The same of an element that is `distance` (a register) from its place in the record.
    pub(super) fn element(register: u8, len: u64, distance: Option<u8>) -> Self {
        let origin = distance.map(|distance| Origin {
            base: register,
            more: Some(distance),
            addend: 0,
        });
        Self {
            origin,
            ..Self::at(register, len)
        }
    }

    /// With only one chunk, asks once whether it has data.
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

    /// The register of the chunk with these bytes, whether it was checked, the offset in it.
    pub(super) fn record(&self, at: u64, size: u64) -> Result<(u8, bool, u64), Unavailable> {
        match self.find(at, size) {
            Some((delta, At::Record { register, checked })) => Ok((*register, *checked, delta)),
            Some((_, At::Missing(why))) => Err(why.clone()),
            _ => Err(Unavailable::Unsupported("pointers in pieces".into())),
        }
    }

    /// A number of the value in a new register; jumps when its chunk has no data.
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
        let op = Op {
            code: LOAD_RECORD,
            dst,
            src: base,
            size,
            offset: i32::try_from(delta).map_err(|_| too_far())?,
            ..Op::default()
        };
        asm.emit_to(op, skip);
        Ok(dst)
    }
}
