//! Bit fields: the bytes that contain one, the number in its bits, and the meaning of that number.

use tracer_common::op::alu;

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{StructType, TypeId, TypeKind};
use crate::plan::ops::ir::Ir;
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::shape::builder::{Builder, nested};
use crate::plan::shape::{BitsNode, BitsOf, Node};

/// Most levels of anonymous members and base classes.
const LEVELS: u32 = 8;

/// A bit field within a value.
pub(in crate::plan) struct BitField {
    /// Bytes from the start of the value.
    offset: u64,
    /// Offset in bits from the lowest bit of the byte at `offset`, and number of bits.
    bits: (u64, u64),
    /// Its declared type.
    pub(in crate::plan) ty: TypeId,
    /// Bytes of that type.
    size: u64,
    signed: bool,
}

/// Most bits from the start of the first byte to the end of the field. The decoder reads them at
/// once.
const MOST_BITS: u64 = 128;

impl Builder<'_> {
    /// The shape of a bit field, from its type, its first bit and its number of bits.
    pub(in crate::plan) fn bit_field(
        &mut self,
        id: TypeId,
        shift: u64,
        bits: u64,
        depth: u32,
    ) -> Node {
        let whole = self.node(id, depth);
        let (signed, of) = match whole {
            Node::Int { signed, .. } => (signed, BitsOf::Number),
            Node::Bool { strict, .. } => (false, BitsOf::Bool { strict }),
            Node::Char { size } => {
                let signed = matches!(self.resolve(id).kind, TypeKind::Char { signed: true });
                (signed, BitsOf::Char { size })
            }
            Node::Enum(names) => (names.signed, BitsOf::Enum(names)),
            Node::Missing(why) => return Node::Missing(why),
            _ => {
                let why = "a bit field that is not a number".to_owned();
                return Node::Missing(Unavailable::BadDebugInfo(why));
            }
        };
        let end = shift.checked_add(bits);
        if bits == 0 || shift > 63 || end.is_none_or(|end| end > MOST_BITS) {
            return Node::Missing(Unavailable::BadDebugInfo("bits of a bit field".into()));
        }
        Node::Bits(Box::new(BitsNode {
            shift: shift as u32,
            bits: bits as u32,
            signed,
            of,
        }))
    }

    /// The bit field of that name in a value, its anonymous members or its bases.
    pub(in crate::plan) fn bit_member(
        &self,
        body: &StructType,
        name: &str,
        level: u32,
    ) -> Option<BitField> {
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
    /// The field's number, in a value of `whole` bytes at `spots`.
    pub(in crate::plan) fn spots(&self, spots: &Spots, whole: u64) -> Spots {
        // A number has at most 64 bits. A longer field has none.
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
        let (packed, below) = packed(spots, first / 8, end, first % 8, whole)?;
        let top = Ir::alu(alu::SHL, packed, Ir::Const(64 - below - bits));
        let down = if self.signed { alu::SAR } else { alu::SHR };
        Ok(Ir::alu(down, top, Ir::Const(64 - bits)))
    }
}

/// The bytes from `from` to `end` of a value of `whole` bytes as one number, and the number of bits
/// below the field, which begins `shift` bits into the first byte. The bits above the field are
/// undefined.
fn packed(
    spots: &Spots,
    from: u64,
    end: u64,
    shift: u64,
    whole: u64,
) -> Result<(Ir, u64), Unavailable> {
    // The smallest load that covers the bytes and stays within the value.
    let load = [1, 2, 4, 8].into_iter().find_map(|bytes: u64| {
        let from = from.min(whole.checked_sub(bytes)?);
        (from + bytes >= end).then_some((from, bytes))
    });
    if let Some((at, bytes)) = load
        && let part = spots.project(at, bytes)
        && let [_] = &part.0[..]
    {
        return Ok((part.number()?, shift + (from - at) * 8));
    }
    let mut at = from;
    let mut packed = None;
    while at < end {
        let (bytes, part) = next_part(spots, at, end);
        let number = part.number()?;
        let up = (at - from) * 8;
        let placed = match up.checked_sub(shift) {
            Some(up) => Ir::alu(alu::SHL, number, Ir::Const(up)),
            None => Ir::alu(alu::SHR, number, Ir::Const(shift - up)),
        };
        packed = Some(match packed {
            Some(low) => Ir::alu(alu::OR, low, placed),
            None => placed,
        });
        at += bytes;
    }
    let packed = packed.ok_or_else(|| Unavailable::BadDebugInfo("bits of a bit field".into()))?;
    Ok((packed, 0))
}

/// The longest run of bytes from `at` towards `end` that is a number at one spot, and its length.
fn next_part(spots: &Spots, at: u64, end: u64) -> (u64, Spots) {
    for bytes in [8, 4, 2] {
        let part = spots.project(at, bytes);
        if at + bytes <= end && part.0.len() == 1 {
            return (bytes, part);
        }
    }
    (1, spots.project(at, 1))
}
