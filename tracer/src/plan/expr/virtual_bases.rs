//! Members of virtual bases of C++ objects. The object's virtual table has their distance.

use tracer_common::op::alu;

use crate::debuginfo::types::{BaseOffset, StructType, TypeId, TypeKind};
use crate::plan::ops::ir::Ir;
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::shape::builder::Builder;

/// Most levels of base classes.
const LEVELS: u32 = 8;

/// A member of a virtual base at any level. `None` if there is none of that name, or if the object
/// is not in one piece of memory.
pub(in crate::plan) fn member(
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
