//! Where a returned value is, at a function's `ret` instruction.
//!
//! The System V calling convention says it for C; for Rust and C++ only where
//! every version of their compilers agrees. Whatever is not certain is
//! unavailable.

use tracer_common::op::TARGET_REGISTERS;

use super::build::Builder;
use super::ir::{Ir, Spot, Spots};
use crate::debuginfo::types::{BaseOffset, Language, TypeId, TypeKind};
use crate::unavailable::Unavailable;

/// `rax` and `rdx`, in the order in which parts are returned.
const REGISTERS: [u8; 2] = [TARGET_REGISTERS, TARGET_REGISTERS + 1];
/// Parts of a value of at most 16 bytes.
const MAX_LEAVES: usize = 16;
/// Types within each other.
const DEPTH: u32 = 16;

/// What a function returns, at one of its exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Its type; `None`: nothing.
    pub ty: Option<TypeId>,
    /// The function leaves by a jump to another, whose value is not there yet.
    pub by_jump: bool,
}

/// A number somewhere in a value.
#[derive(Clone, Copy)]
struct Leaf {
    offset: u64,
    size: u64,
    float: bool,
}

/// The place of a value of that type.
pub(super) fn place(builder: &Builder<'_>, ty: TypeId, by_jump: bool) -> Spots {
    let size = builder.size(ty).unwrap_or(0);
    let missing =
        |why: &str| Spots::whole(size, Spot::Missing(Unavailable::Unsupported(why.into())));
    if by_jump {
        return missing("a value that the function jumped to returns");
    }
    let resolved = builder.resolve(ty);
    let Some(leaves) = leaves(builder, ty) else {
        return match resolved.language {
            Language::C | Language::Cpp if size > 16 => in_memory(size),
            Language::Rust if size > 32 => in_memory(size),
            _ => missing("a returned value of such parts"),
        };
    };
    if size > 16 {
        // Rust returns two 128-bit numbers in registers.
        let wide = leaves.iter().any(|leaf| leaf.size > 8);
        return if wide && resolved.language == Language::Rust {
            missing("a returned value of such parts")
        } else {
            in_memory(size)
        };
    }
    let aggregate = matches!(
        resolved.kind,
        TypeKind::Struct(_) | TypeKind::Union(_) | TypeKind::Array { .. }
    );
    match resolved.language {
        _ if leaves.is_empty() => Spots::whole(size, Spot::Bytes(Vec::new())),
        Language::C => parts(size, &leaves),
        _ if !aggregate => parts(size, &leaves),
        Language::Rust => match leaves.as_slice() {
            [one] if one.offset == 0 && one.size == size => parts(size, &leaves),
            [a, b] if a.size == 8 && b.size == 8 && size == 16 && !a.float && !b.float => {
                parts(size, &leaves)
            }
            _ => missing("where Rust returns such a value"),
        },
        _ => missing("where C++ returns a class of at most 16 bytes"),
    }
}

/// Where the caller wanted it; its address is in `rax` at the return.
fn in_memory(size: u64) -> Spots {
    Spots::whole(size, Spot::Memory(Ir::Register(REGISTERS[0])))
}

/// Eight bytes in each register, as the convention classifies them.
fn parts(size: u64, leaves: &[Leaf]) -> Spots {
    let mut integers = REGISTERS.into_iter();
    let mut floats = 0;
    let mut spots = Vec::new();
    let mut at = 0;
    while at < size {
        let bytes = (size - at).min(8);
        let within = |leaf: &&Leaf| leaf.offset < at + 8 && leaf.offset + leaf.size > at;
        let unaligned =
            |leaf: &&Leaf| leaf.size.is_power_of_two() && !leaf.offset.is_multiple_of(leaf.size);
        let mut mine = leaves.iter().filter(within).peekable();
        let spot = if leaves.iter().any(|leaf| unaligned(&leaf)) {
            Spot::Missing(Unavailable::Unsupported(
                "a returned value of packed parts".into(),
            ))
        } else if leaves.iter().any(|leaf| leaf.float && leaf.size > 8) {
            Spot::Missing(Unavailable::Register("st0".into()))
        } else if mine.peek().is_none() || mine.all(|leaf| leaf.float) {
            floats += 1;
            Spot::Missing(Unavailable::Register(format!("xmm{}", floats - 1)))
        } else {
            match integers.next() {
                Some(register) => Spot::Number(Ir::Register(register)),
                None => Spot::Missing(Unavailable::OptimisedOut),
            }
        };
        spots.push((bytes, spot));
        at += bytes;
    }
    Spots(spots)
}

/// The numbers that a value is made of; `None`: it has variants, or too many.
fn leaves(builder: &Builder<'_>, ty: TypeId) -> Option<Vec<Leaf>> {
    let mut found = Vec::new();
    collect(builder, ty, 0, DEPTH, &mut found)?;
    Some(found)
}

fn collect(
    builder: &Builder<'_>,
    ty: TypeId,
    offset: u64,
    depth: u32,
    found: &mut Vec<Leaf>,
) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let resolved = builder.resolve(ty);
    let size = resolved.size.unwrap_or(0);
    match &resolved.kind {
        TypeKind::Void => {}
        TypeKind::Struct(body) | TypeKind::Union(body) => {
            if body.variants.is_some() {
                return None;
            }
            for base in &body.bases {
                let BaseOffset::Fixed(at) = base.offset else {
                    return None;
                };
                collect(builder, base.ty, offset.checked_add(at)?, depth, found)?;
            }
            for member in &body.members {
                collect(
                    builder,
                    member.ty,
                    offset.checked_add(member.offset)?,
                    depth,
                    found,
                )?;
            }
        }
        TypeKind::Array {
            element,
            dimensions,
        } => {
            let stride = builder.size(*element)?;
            let mut count = 1_u64;
            for dimension in dimensions {
                count = count.checked_mul((*dimension)?)?;
            }
            if count > MAX_LEAVES as u64 {
                return None;
            }
            for index in 0..count {
                collect(
                    builder,
                    *element,
                    offset.checked_add(index * stride)?,
                    depth,
                    found,
                )?;
            }
        }
        TypeKind::Unsupported(_) | TypeKind::Function | TypeKind::Alias(_) => return None,
        kind => found.push(Leaf {
            offset,
            size,
            float: matches!(kind, TypeKind::Float),
        }),
    }
    (found.len() <= MAX_LEAVES).then_some(())
}
