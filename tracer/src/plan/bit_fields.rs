//! Bit fields by name: the bytes that hold one, and the number in their bits.

use tracer_common::op::alu;

use super::build::{Builder, nested};
use super::ir::{Ir, Spot, Spots};
use crate::debuginfo::types::{StructType, TypeId, TypeKind};
use crate::unavailable::Unavailable;

/// Levels of anonymous members and base classes.
const LEVELS: u32 = 8;

/// A bit field in a value.
pub(super) struct BitField {
    /// Bytes from the start of the value.
    offset: u64,
    /// Bits from the lowest of the byte there, and how many they are.
    bits: (u64, u64),
    /// The type that it is declared with.
    pub(super) ty: TypeId,
    /// Bytes of that type.
    size: u64,
    signed: bool,
}

impl Builder<'_> {
    /// The bit field of that name, of the value itself, its anonymous members or bases.
    pub(super) fn bit_member(&self, body: &StructType, name: &str, level: u32) -> Option<BitField> {
        if level > LEVELS {
            return None;
        }
        let mut members = body.members.iter();
        let own = members.find_map(|one| Some((one, one.bits?)).filter(|_| one.name == name));
        if let Some((member, bits)) = own {
            let ty = self.resolve(member.ty);
            let signed = match ty.kind {
                TypeKind::Int { signed } | TypeKind::Char { signed } => signed,
                TypeKind::Enum { signed, .. } => signed,
                _ => false,
            };
            return Some(BitField {
                offset: member.offset,
                bits,
                ty: member.ty,
                size: ty.size?,
                signed,
            });
        }
        nested(body).find_map(|(offset, ty)| match &self.resolve(ty).kind {
            TypeKind::Struct(inner) | TypeKind::Union(inner) => {
                let found = self.bit_member(inner, name, level + 1)?;
                let offset = offset.checked_add(found.offset)?;
                Some(BitField { offset, ..found })
            }
            _ => None,
        })
    }
}

impl BitField {
    /// Its number, of a value of `whole` bytes at `spots`.
    pub(super) fn spots(&self, spots: &Spots, whole: u64) -> Spots {
        // There are 64 at most, else there is no number.
        let bits = self.bits.1.min(64) as u8;
        let number = self.number(spots, whole);
        let spot = number.map_or_else(Spot::Missing, |number| Spot::Bits(number, bits));
        Spots::whole(self.size, spot)
    }

    fn number(&self, spots: &Spots, whole: u64) -> Result<Ir, Unavailable> {
        let (shift, bits) = self.bits;
        let broken = || Unavailable::BadDebugInfo("bits of a bit field".into());
        if !(1..=64).contains(&bits) || !(1..=8).contains(&self.size) {
            return Err(broken());
        }
        let first = shift
            .checked_add(self.offset.checked_mul(8).ok_or_else(broken)?)
            .ok_or_else(broken)?;
        let end = first.checked_add(bits).ok_or_else(broken)?.div_ceil(8);
        // The least that can be loaded at once, and lies within the value.
        let load = [1, 2, 4, 8].into_iter().find_map(|bytes: u64| {
            let from = (first / 8).min(whole.checked_sub(bytes)?);
            (from + bytes >= end).then_some((from, bytes))
        });
        let Some((from, bytes)) = load else {
            return Err(Unavailable::Unsupported("a bit field across words".into()));
        };
        let number = spots.project(from, bytes).number()?;
        let top = Ir::Const(64 - (first - from * 8) - bits);
        let top = Ir::alu(alu::SHL, number, top);
        let down = if self.signed { alu::SAR } else { alu::SHR };
        Ok(Ir::alu(down, top, Ir::Const(64 - bits)))
    }
}
