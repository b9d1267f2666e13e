//! Members, bases and variants of structs, classes and unions.

use gimli::AttributeValue;

use super::type_attributes::{BIG_ENDIAN, is_alias, is_big_endian, number};
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Die, Dies};
use crate::debuginfo::location::{LocationContext, OBJECT, from_object};
use crate::debuginfo::model::place::{Binary, LocationExpr, Term};
use crate::debuginfo::model::types::{
    Base, BaseOffset, Language, StructMember, StructType, Type, TypeId, TypeKind, VariantPart,
    VariantType,
};

/// Typedefs, qualifiers and arrays that are followed to the type of a number.
const MAX_CHAIN: usize = 32;
/// Entries that are read to find out if variants can have a value.
const MAX_LOOKED_AT: usize = 1 << 12;
/// Discriminant values of one variant that are read.
const MAX_VALUES: usize = 1 << 12;

/// Reads the data members, bases and type arguments of a struct, class or union.
pub(in crate::debuginfo) fn read_struct<'a>(dies: &Dies<'a>, die: &Die<'a>) -> StructType {
    let mut found = StructType {
        polymorphic: die.attr(gimli::DW_AT_containing_type).is_some(),
        ..StructType::default()
    };
    for child in dies.children(die) {
        match child.tag() {
            gimli::DW_TAG_member => found.members.extend(read_member(dies, &child)),
            gimli::DW_TAG_inheritance => found.bases.extend(read_base(dies, &child)),
            gimli::DW_TAG_template_type_parameter => {
                found.type_arguments.push(type_argument(dies, &child));
            }
            gimli::DW_TAG_GNU_template_parameter_pack => {
                for argument in dies.children(&child) {
                    if argument.tag() == gimli::DW_TAG_template_type_parameter {
                        found.type_arguments.push(type_argument(dies, &argument));
                    }
                }
            }
            gimli::DW_TAG_subprogram => {
                let virtuality = child.attr(gimli::DW_AT_virtuality);
                found.polymorphic |= virtuality.is_some_and(|virtuality| {
                    virtuality != AttributeValue::Virtuality(gimli::DW_VIRTUALITY_none)
                });
            }
            _ => {}
        }
    }
    found.polymorphic |= found
        .members
        .iter()
        .any(|member| member.name.starts_with("_vptr"))
        || found
            .bases
            .iter()
            .any(|base| matches!(base.offset, BaseOffset::VtableSlot(_)));
    refuse_big_endian(dies, &mut found);
    found
}

/// Makes enums and bit fields unsupported if their struct has its numbers in the other byte
/// order. The byte order is the struct's, but compilers mark only numbers. Bits also count from
/// the other end then.
fn refuse_big_endian(dies: &Dies<'_>, structure: &mut StructType) {
    let scalars: Vec<_> = structure
        .members
        .iter()
        .map(|member| scalar_of(dies, member.ty))
        .collect();
    if !scalars.iter().flatten().any(is_big_endian) {
        return;
    }
    let is_enum = |die: &Die<'_>| die.tag() == gimli::DW_TAG_enumeration_type;
    for (member, scalar) in structure.members.iter_mut().zip(&scalars) {
        if member.bits.is_none() && !scalar.as_ref().is_some_and(is_enum) {
            continue;
        }
        let refused = dies.caches.types.make(Type {
            name: String::new(),
            size: scalar
                .as_ref()
                .and_then(|die| die.unsigned(gimli::DW_AT_byte_size)),
            language: Language::C,
            kind: TypeKind::Unsupported(BIG_ENDIAN.to_owned()),
        });
        member.ty = refused.unwrap_or(TypeId::VOID);
    }
}

/// Returns the type of a member without its aliases. For an array it is the type of the elements.
fn scalar_of<'a>(dies: &Dies<'a>, ty: TypeId) -> Option<Die<'a>> {
    let mut die = dies.die(DieId(ty.0))?;
    for _ in 0..MAX_CHAIN {
        if die.tag() != gimli::DW_TAG_array_type && !is_alias(die.tag()) {
            return Some(die);
        }
        die = dies.die(dies.type_of(&die)?)?;
    }
    None
}

fn type_argument<'a>(dies: &Dies<'a>, die: &Die<'a>) -> (String, TypeId) {
    let ty = dies.type_of(die).map_or(TypeId::VOID, DieId::as_type);
    (dies.name(die).unwrap_or_default(), ty)
}

/// Returns a data member, or `None` for static members and members without a place.
fn read_member<'a>(dies: &Dies<'a>, die: &Die<'a>) -> Option<StructMember> {
    let is_static = die.flag(gimli::DW_AT_external) || die.flag(gimli::DW_AT_declaration);
    if is_static {
        return None;
    }
    let location = match die.attr(gimli::DW_AT_data_member_location) {
        Some(value) => constant_offset(dies, die, value)?,
        None => 0,
    };
    let (offset, bits) = match die.unsigned(gimli::DW_AT_bit_size) {
        Some(size) => {
            let first = first_bit(dies, die, location, size)?;
            (first / 8, Some((first % 8, size)))
        }
        None => match die.unsigned(gimli::DW_AT_data_bit_offset) {
            Some(first) if first % 8 == 0 => (location.checked_add(first / 8)?, None),
            Some(_) => return None,
            None => (location, None),
        },
    };
    Some(StructMember {
        name: dies.name(die).unwrap_or_default(),
        ty: dies.type_of(die).map_or(TypeId::VOID, DieId::as_type),
        offset,
        bits,
        artificial: die.flag(gimli::DW_AT_artificial),
    })
}

/// Returns the first bit of a bit field, counted from the least significant bit of the containing
/// value's first byte.
fn first_bit<'a>(dies: &Dies<'a>, die: &Die<'a>, location: u64, size: u64) -> Option<u64> {
    let base = location.checked_mul(8)?;
    if let Some(first) = die.unsigned(gimli::DW_AT_data_bit_offset) {
        return base.checked_add(first);
    }
    // DWARF 2 and 3 count from the most significant bit of a storage unit.
    let Some(from_top) = die.attr(gimli::DW_AT_bit_offset) else {
        return Some(base);
    };
    // The offset is negative if the field extends beyond its unit. Some compilers write it as an
    // unsigned number of eight bytes.
    let from_top = match from_top {
        AttributeValue::Sdata(value) => value,
        other => other.udata_value()?.cast_signed(),
    };
    let storage = die
        .unsigned(gimli::DW_AT_byte_size)
        .or_else(|| storage_size(dies, die))?;
    let first = i64::try_from(base.checked_add(storage.checked_mul(8)?)?)
        .ok()?
        .checked_sub(from_top)?
        .checked_sub(i64::try_from(size).ok()?)?;
    u64::try_from(first).ok()
}

/// Returns the bytes of the declared type of a bit field.
fn storage_size<'a>(dies: &Dies<'a>, die: &Die<'a>) -> Option<u64> {
    let mut ty = dies.die(dies.type_of(die)?)?;
    for _ in 0..16 {
        if let Some(size) = ty.unsigned(gimli::DW_AT_byte_size) {
            return Some(size);
        }
        ty = dies.die(dies.type_of(&ty)?)?;
    }
    None
}

/// Returns an offset that is a number, or an expression that adds a number to the object's
/// address.
fn constant_offset<'a>(
    dies: &Dies<'a>,
    die: &Die<'a>,
    value: crate::debuginfo::dwarf::dies::Attr<'a>,
) -> Option<u64> {
    if let Some(offset) = value.udata_value() {
        return Some(offset);
    }
    match location(dies, die, value)?.0.as_slice() {
        [term] if *term == OBJECT => Some(0),
        [term, Term::Const(offset), Term::Binary(Binary::Add)] if *term == OBJECT => Some(*offset),
        _ => None,
    }
}

/// Returns the address of a member or base, computed from [`OBJECT`].
fn location<'a>(
    dies: &Dies<'a>,
    die: &Die<'a>,
    value: crate::debuginfo::dwarf::dies::Attr<'a>,
) -> Option<LocationExpr> {
    let bytecode = value.exprloc_value()?;
    let context = LocationContext::without_frame(dies);
    from_object(&context, &die.unit, bytecode, OBJECT).ok()
}

fn read_base<'a>(dies: &Dies<'a>, die: &Die<'a>) -> Option<Base> {
    let ty = dies.type_of(die)?.as_type();
    let offset = match die.attr(gimli::DW_AT_data_member_location) {
        None => BaseOffset::Fixed(0),
        Some(value) => match constant_offset(dies, die, value) {
            Some(offset) => BaseOffset::Fixed(offset),
            None => vtable_slot(&location(dies, die, value)?)?,
        },
    };
    Some(Base { ty, offset })
}

/// Returns the slot in `object + *(*object + slot)`, which all compilers write for a virtual
/// base.
fn vtable_slot(expr: &LocationExpr) -> Option<BaseOffset> {
    let [object, vtable @ .., Term::Binary(Binary::Add)] = expr.0.as_slice() else {
        return None;
    };
    let [again, Term::Deref(8), slot @ .., Term::Deref(8)] = vtable else {
        return None;
    };
    if *object != OBJECT || *again != OBJECT {
        return None;
    }
    match slot {
        [] => Some(BaseOffset::VtableSlot(0)),
        [Term::Const(slot), Term::Binary(Binary::Add)] => {
            Some(BaseOffset::VtableSlot(*slot as i64))
        }
        _ => None,
    }
}

/// Reads the variants of a Rust enum with data.
pub(in crate::debuginfo) fn read_variants<'a>(
    dies: &Dies<'a>,
    die: &Die<'a>,
) -> Option<VariantPart> {
    let part = dies
        .children(die)
        .into_iter()
        .find(|child| child.tag() == gimli::DW_TAG_variant_part)?;
    let discriminant = dies
        .reference(&part, gimli::DW_AT_discr)
        .and_then(|id| read_member(dies, &dies.die(id)?));
    let form = discriminant
        .as_ref()
        .and_then(|member| DiscriminantForm::of(dies, member.ty))
        .unwrap_or(DiscriminantForm::WIDEST);
    let mut variants = Vec::new();
    for child in dies.children(&part) {
        if child.tag() == gimli::DW_TAG_variant {
            variants.extend(read_variant(dies, &child, form));
        }
    }
    if discriminant.is_none() && variants.len() > 1 {
        // Only one variant exists in memory. The others have a member of a type without values.
        let mut budget = MAX_LOOKED_AT;
        variants.retain(|variant| is_inhabited(dies, variant.ty, 0, &mut budget));
    }
    Some(VariantPart {
        discriminant,
        variants,
    })
}

/// Returns true if a Rust type has values, or if that is not known. An enum without variants,
/// `!`, and a type with a member of such a type have none.
fn is_inhabited(dies: &Dies<'_>, ty: TypeId, level: usize, budget: &mut usize) -> bool {
    if level > MAX_CHAIN || *budget == 0 {
        return true;
    }
    *budget -= 1;
    let Some(die) = dies.die(DieId(ty.0)) else {
        return true;
    };
    match die.tag() {
        gimli::DW_TAG_base_type => dies.name(&die).is_none_or(|name| name != "!"),
        gimli::DW_TAG_structure_type => dies.children(&die).iter().all(|child| match child.tag() {
            gimli::DW_TAG_member => is_member_inhabited(dies, child, level, budget),
            gimli::DW_TAG_variant_part => {
                let mut variants = dies.children(child).into_iter();
                variants.any(|variant| {
                    let variant = (variant.tag() == gimli::DW_TAG_variant).then_some(variant);
                    variant.is_some_and(|variant| {
                        let members = dies.children(&variant);
                        let mut members = members.iter();
                        members.all(|member| is_member_inhabited(dies, member, level, budget))
                    })
                })
            }
            _ => true,
        }),
        _ => true,
    }
}

fn is_member_inhabited<'a>(
    dies: &Dies<'a>,
    member: &Die<'a>,
    level: usize,
    budget: &mut usize,
) -> bool {
    let ty = dies.type_of(member).map(DieId::as_type);
    ty.is_none_or(|ty| is_inhabited(dies, ty, level + 1, budget))
}

/// The form of an enum's discriminant in memory.
#[derive(Clone, Copy)]
struct DiscriminantForm {
    /// Size in bytes.
    width: u64,
    signed: bool,
}

impl DiscriminantForm {
    /// Form for a discriminant that the debug information does not describe.
    const WIDEST: Self = Self {
        width: 16,
        signed: false,
    };

    fn of(dies: &Dies<'_>, ty: TypeId) -> Option<Self> {
        let die = dies.die(DieId(ty.0))?;
        Some(Self {
            width: die.unsigned(gimli::DW_AT_byte_size)?,
            signed: matches!(
                die.attr(gimli::DW_AT_encoding),
                Some(AttributeValue::Encoding(
                    gimli::DW_ATE_signed | gimli::DW_ATE_signed_char
                ))
            ),
        })
    }

    /// Returns the bits of a discriminant that an attribute gives.
    ///
    /// LLVM writes a signed discriminant in the fewest bytes that hold it with its sign: -3 takes
    /// one byte, 253 two.
    fn bits(self, value: AttributeValue<crate::debuginfo::Slice<'_>>) -> Option<u128> {
        let written = match value {
            AttributeValue::Data1(_) => 1,
            AttributeValue::Data2(_) => 2,
            AttributeValue::Data4(_) => 4,
            AttributeValue::Data8(_) => 8,
            _ => 16,
        };
        let value = number(value)?;
        let value = super::type_attributes::in_width(value, written, self.signed);
        Some(zero_extended(value, self.width))
    }
}

fn read_variant<'a>(dies: &Dies<'a>, die: &Die<'a>, form: DiscriminantForm) -> Option<VariantType> {
    let member = dies
        .children(die)
        .into_iter()
        .find(|child| child.tag() == gimli::DW_TAG_member)?;
    let ty = dies.type_of(&member)?;
    let mut values = Vec::new();
    let value = die.attr(gimli::DW_AT_discr_value);
    if let Some(value) = value.and_then(|value| form.bits(value)) {
        values.push((value, value));
    }
    if let Some(AttributeValue::Block(list)) = die.attr(gimli::DW_AT_discr_list) {
        values.extend(discriminants(list, form.width));
    }
    // Suspend points of coroutines have numbers for names; the name is that of their struct.
    let named = |name: &String| !name.starts_with(|c: char| c.is_ascii_digit());
    let name = dies.name(&member).filter(named);
    let name = name
        .or_else(|| dies.name(&dies.die(ty)?))
        .unwrap_or_default();
    Some(VariantType {
        name,
        values,
        ty: ty.as_type(),
        line: member.unsigned(gimli::DW_AT_decl_line),
    })
}

/// Returns the ranges of a `DW_AT_discr_list`. Its numbers are taken as unsigned.
fn discriminants(mut list: crate::debuginfo::Slice<'_>, width: u64) -> Vec<(u128, u128)> {
    use gimli::Reader as _;
    let mut found = Vec::new();
    while found.len() < MAX_VALUES {
        let Ok(kind) = list.read_u8() else { break };
        let Ok(first) = list.read_uleb128() else {
            break;
        };
        let first = zero_extended(first.into(), width);
        let last = match gimli::DwDsc(kind) {
            gimli::DW_DSC_range => match list.read_uleb128() {
                Ok(last) => zero_extended(last.into(), width),
                Err(_) => break,
            },
            _ => first,
        };
        found.push((first, last));
    }
    found
}

fn zero_extended(value: i128, width: u64) -> u128 {
    super::type_attributes::in_width(value, width, false) as u128
}
