//! Members of an object of C++ that are in a virtual base of it: the way there
//! leads through the object's virtual table.

use tracer_common::op::alu;

use super::build::Builder;
use super::ir::{Ir, Spot, Spots};
use crate::debuginfo::types::{BaseOffset, StructType, TypeId, TypeKind};

/// Levels of base classes.
const LEVELS: u32 = 8;

/// A member of a virtual base, at any level; `None` when there is none of the
/// name, or the object is not in one place in memory.
pub(super) fn member(
    builder: &Builder<'_>,
    spots: &Spots,
    body: &StructType,
    name: &str,
    level: u32,
) -> Option<(Spots, TypeId)> {
    if level > LEVELS {
        return None;
    }
    body.bases.iter().find_map(|base| {
        let ty = builder.resolve(base.ty);
        let TypeKind::Struct(inner) = &ty.kind else {
            return None;
        };
        let size = ty.size.unwrap_or(0);
        let there = match base.offset {
            BaseOffset::Fixed(offset) => spots.project(offset, size),
            BaseOffset::VtableSlot(slot) => {
                let object = spots.address()?.clone();
                let distance = object.clone().load(8, false).plus(slot as u64);
                let address = Ir::alu(alu::ADD, object, distance.load(8, false));
                let there = Spots::whole(size, Spot::Memory(address));
                if let Some((offset, ty)) = builder.member(inner, name, 0) {
                    let size = builder.size(ty).unwrap_or(0);
                    return Some((there.project(offset, size), ty));
                }
                there
            }
        };
        member(builder, &there, inner, name, level + 1)
    })
}
