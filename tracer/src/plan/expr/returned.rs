//! The place of a returned value at a function's `ret` instruction.
//!
//! The System V calling convention defines it for C. For Rust and C++ it counts only where every
//! version of their compilers agrees. The value is unavailable wherever that is uncertain.

use tracer_common::op::TARGET_REGISTERS;

use crate::arch::{FLOAT_RETURN, RETURN_VALUE};
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{BaseOffset, Language, TypeId, TypeKind, VariantPart};
use crate::plan::ops::ir::Ir;
use crate::plan::ops::spots::{Spot, Spots};
use crate::plan::shape::builder::Builder;

/// Registers of returned values, in order.
const REGISTERS: [u8; 2] = [
    TARGET_REGISTERS + RETURN_VALUE[0],
    TARGET_REGISTERS + RETURN_VALUE[1],
];
/// Most numbers in a value of at most 16 bytes.
const MAX_LEAVES: usize = 16;
/// Deepest nesting of types.
const DEPTH: u32 = 16;
/// Reason for a value that the compiler may have omitted.
const LEFT_AWAY: &str = "a value that no caller reads, which the compiler may have dropped";
/// Reason for a small value of Rust without a known place.
const SHAPE: &str = "a value of this shape: Rust does not specify where it is returned";

/// Facts about the value that a function returns at one of its exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// Its type. `None` if the function returns nothing.
    pub ty: Option<TypeId>,
    /// No debug information says what the function returns.
    pub unknown: bool,
    /// The function leaves by a jump to another function, which has not computed the value yet.
    pub by_jump: bool,
    /// The compiler notes that it changed the calling convention of the function.
    pub changed: bool,
    /// No caller reads the first register, and nobody else can call the function.
    pub unread: bool,
    /// No caller reads the second register.
    pub half_read: bool,
    /// The function's parameters, if it has any, are in its frame, as in unoptimised code.
    pub homed: bool,
    /// `rax` holds the first argument at each return.
    pub handed_back: bool,
    /// The value is redacted, because the function's own name is one that is.
    pub redacted: bool,
}

/// A number within a value.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Leaf {
    offset: u64,
    size: u64,
    kind: LeafKind,
    /// How Rust treats the number.
    group: Group,
}

/// How a number is part of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    /// A plain member.
    Alone,
    /// An element of an array.
    Array,
    /// A member of a union, or of an enum that Rust treats as a row of bytes.
    Union,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LeafKind {
    Number,
    Pointer,
    Float,
    /// A tag that tells the variants apart. Some enums use spare values of another number.
    Tag,
}

impl Leaf {
    fn is_float(&self) -> bool {
        self.kind == LeafKind::Float
    }
}

/// The place of a returned value of type `ty`.
pub(in crate::plan) fn place(builder: &Builder<'_>, ty: TypeId, returned: Returned) -> Spots {
    let size = builder.size(ty).unwrap_or(0);
    let missing =
        |why: &str| Spots::whole(size, Spot::Missing(Unavailable::Unsupported(why.into())));
    if returned.by_jump {
        return missing("a value that the function jumped to returns");
    }
    if returned.changed {
        return missing("a value of a function whose calls the compiler changed");
    }
    let resolved = builder.resolve(ty);
    let Some(leaves) = leaves(builder, ty) else {
        return match resolved.language {
            Language::C | Language::Cpp if size > 16 => in_memory(size),
            Language::Rust if size > 32 => rust_in_memory(size, returned),
            _ => missing("a returned value with such parts"),
        };
    };
    if size > 16 {
        // Rust returns a pair of 128-bit numbers in registers.
        let wide = leaves.iter().any(|leaf| leaf.size > 8);
        return if resolved.language == Language::Rust && wide && size <= 32 {
            missing("a returned value with such parts")
        } else if resolved.language == Language::Rust {
            rust_in_memory(size, returned)
        } else {
            in_memory(size)
        };
    }
    let aggregate = matches!(
        resolved.kind,
        TypeKind::Struct(_) | TypeKind::Union(_) | TypeKind::Array { .. }
    );
    let spots = match resolved.language {
        _ if leaves.is_empty() => return Spots::whole(size, Spot::Bytes(Vec::new())),
        Language::C => parts(size, &leaves),
        _ if !aggregate => parts(size, &leaves),
        Language::Rust => pair(size, &leaves)
            .or_else(|| {
                row(
                    size,
                    &leaves,
                    matches!(resolved.kind, TypeKind::Array { .. }),
                )
            })
            .unwrap_or_else(|| missing(SHAPE)),
        _ => missing("where C++ returns a class of at most 16 bytes"),
    };
    let is_there = |(_, spot): &(u64, Spot)| !matches!(spot, Spot::Missing(_));
    if returned.unread && spots.0.iter().any(is_there) {
        return missing(LEFT_AWAY);
    }
    if returned.half_read {
        return without_second(spots);
    }
    spots
}

/// The spots without those in the second register.
fn without_second(mut spots: Spots) -> Spots {
    let [_, second] = REGISTERS;
    for (_, spot) in &mut spots.0 {
        if *spot == Spot::Number(Ir::Register(second)) {
            *spot = Spot::Missing(Unavailable::Unsupported(LEFT_AWAY.into()));
        }
    }
    spots
}

/// The place of a value that every version of Rust returns as one or two numbers, each in its own
/// register.
///
/// These are structs of at most two numbers, and enums whose variants have at most one number each,
/// all of one kind, at one offset, after the tag.
fn pair(size: u64, leaves: &[Leaf]) -> Option<Spots> {
    let mut scalars: Vec<Leaf> = Vec::new();
    for leaf in leaves.iter().filter(|leaf| leaf.kind != LeafKind::Tag) {
        let same = |other: &&Leaf| (other.offset, other.size) == (leaf.offset, leaf.size);
        match scalars.iter().find(same) {
            Some(other) if other.kind != leaf.kind => return None,
            Some(_) => {}
            None => scalars.push(*leaf),
        }
    }
    for tag in leaves.iter().filter(|leaf| leaf.kind == LeafKind::Tag) {
        let covered = |leaf: &Leaf| (leaf.offset, leaf.size) == (tag.offset, tag.size);
        if !scalars.iter().any(covered) {
            scalars.push(*tag);
        }
    }
    if scalars
        .iter()
        .any(|leaf| leaf.group != Group::Alone || leaf.size > 8)
    {
        return None;
    }
    scalars.sort_by_key(|leaf| leaf.offset);
    let spot = |leaf: &Leaf, register: u8| match leaf.is_float() {
        true => Spot::Missing(Unavailable::Register(FLOAT_RETURN.into())),
        false => Spot::Number(Ir::Register(register)),
    };
    let [first, second] = REGISTERS;
    match scalars.as_slice() {
        [one] if one.offset == 0 && one.size == size => Some(Spots::whole(size, spot(one, first))),
        [a, b] => {
            let behind = (a.offset + a.size).next_multiple_of(b.size.max(1));
            let whole = (b.offset + b.size).next_multiple_of(a.size.max(b.size).max(1));
            let laid_out = a.offset == 0 && b.offset == behind && size == whole;
            // Floats may share registers with each other.
            if !laid_out || a.is_float() || b.is_float() {
                return None;
            }
            let mut spots = vec![(a.size, spot(a, first))];
            let gap = |bytes| (bytes, Spot::Missing(Unavailable::OptimisedOut));
            let padding = [b.offset - a.size, size - b.offset - b.size];
            spots.extend((padding[0] > 0).then(|| gap(padding[0])));
            spots.push((b.size, spot(b, second)));
            spots.extend((padding[1] > 0).then(|| gap(padding[1])));
            Some(Spots(spots))
        }
        _ => None,
    }
}

/// The place of a value that every version of Rust returns as a row of bytes in one register: three
/// or more numbers in at most eight bytes, none of them in a union or an enum.
///
/// A struct of one array may be a vector, which has another place.
fn row(size: u64, leaves: &[Leaf], is_array: bool) -> Option<Spots> {
    let plain = |leaf: &Leaf| leaf.group != Group::Union && leaf.kind != LeafKind::Tag;
    let alone = |leaf: &Leaf| leaf.group == Group::Alone;
    let is_row = size <= 8
        && leaves.len() > 2
        && leaves.iter().all(plain)
        && (is_array || leaves.iter().any(alone));
    is_row.then(|| Spots::whole(size, Spot::Number(Ir::Register(REGISTERS[0]))))
}

/// The place of a Rust value in the caller's memory, whose address the function returns.
///
/// LLVM returns the address as long as it keeps the calling convention. The optimiser may change
/// that.
fn rust_in_memory(size: u64, returned: Returned) -> Spots {
    let why = match (returned.homed, returned.handed_back) {
        (true, true) => return in_memory(size),
        (false, _) => "a value in memory: an optimised function need not return its address",
        (true, false) => "a value in memory: the function does not always return its address",
    };
    Spots::whole(size, Spot::Missing(Unavailable::Unsupported(why.into())))
}

/// The caller's memory. `rax` has its address at the return.
fn in_memory(size: u64) -> Spots {
    Spots::whole(size, Spot::Memory(Ir::Register(REGISTERS[0])))
}

/// Eight bytes in each register, by the classes of the calling convention.
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
        } else if leaves.iter().any(|leaf| leaf.is_float() && leaf.size > 8) {
            Spot::Missing(Unavailable::Register("st0".into()))
        } else if mine.peek().is_none() || mine.all(|leaf| leaf.is_float()) {
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

/// The numbers in a value, with those of all variants of an enum. `None` if there are too many.
fn leaves(builder: &Builder<'_>, ty: TypeId) -> Option<Vec<Leaf>> {
    let mut found = Vec::new();
    collect(builder, ty, 0, Group::Alone, DEPTH, &mut found)?;
    Some(found)
}

fn collect(
    builder: &Builder<'_>,
    ty: TypeId,
    offset: u64,
    group: Group,
    depth: u32,
    found: &mut Vec<Leaf>,
) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let resolved = builder.resolve(ty);
    let size = resolved.size.unwrap_or(0);
    match &resolved.kind {
        TypeKind::Void => {}
        TypeKind::Struct(body) | TypeKind::Union(body) => {
            let group = match resolved.kind {
                TypeKind::Union(_) => Group::Union,
                _ => group,
            };
            if let Some(part) = &body.variants {
                variants(builder, part, offset, group, depth, found)?;
            }
            for base in &body.bases {
                let BaseOffset::Fixed(at) = base.offset else {
                    return None;
                };
                collect(
                    builder,
                    base.ty,
                    offset.checked_add(at)?,
                    group,
                    depth,
                    found,
                )?;
            }
            for member in &body.members {
                collect(
                    builder,
                    member.ty,
                    offset.checked_add(member.offset)?,
                    group,
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
                    group.max(Group::Array),
                    depth,
                    found,
                )?;
            }
        }
        TypeKind::Unsupported(_) | TypeKind::Function | TypeKind::Alias(_) => return None,
        kind => found.push(Leaf {
            offset,
            size,
            kind: match kind {
                TypeKind::Float => LeafKind::Float,
                TypeKind::Pointer { .. } => LeafKind::Pointer,
                _ => LeafKind::Number,
            },
            group,
        }),
    }
    (found.len() <= MAX_LEAVES).then_some(())
}

/// The numbers of an enum's variants, and its tag.
fn variants(
    builder: &Builder<'_>,
    part: &VariantPart,
    offset: u64,
    group: Group,
    depth: u32,
    found: &mut Vec<Leaf>,
) -> Option<()> {
    let first = found.len();
    let mut data = Vec::new();
    for variant in &part.variants {
        let before = found.len();
        collect(builder, variant.ty, offset, group, depth, found)?;
        data.push(found.len() - before);
    }
    let Some(member) = &part.discriminant else {
        return Some(());
    };
    let tag = Leaf {
        offset: offset.checked_add(member.offset)?,
        size: builder.size(member.ty)?,
        kind: LeafKind::Tag,
        group,
    };
    let mine = found.get_mut(first..)?;
    let niche = mine
        .iter()
        .any(|leaf| leaf.offset < tag.offset + tag.size && tag.offset < leaf.offset + leaf.size);
    // Otherwise Rust treats the enum as a row of bytes, whose registers depend on the version.
    let numbers = if niche {
        data.iter().filter(|&&count| count > 0).count() <= 1
    } else {
        data.iter().all(|&count| count <= 1)
    };
    if !numbers {
        mine.iter_mut().for_each(|leaf| leaf.group = Group::Union);
    }
    found.push(tag);
    Some(())
}
