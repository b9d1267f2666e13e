//! Reads debug entries into [`Type`]s.
//!
//! The reader reads one entry at a time and refers to component types by id, so types may refer
//! to each other in any way. [`super::type_names`] builds names, [`super::type_members`] reads
//! members and variants.

use std::sync::Arc;

use gimli::AttributeValue;

use super::type_attributes::{BIG_ENDIAN, dimensions, in_width, is_alias, is_big_endian, number};
use super::type_members::{read_struct, read_variants};
use super::type_names::type_name;
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::{Die, Dies};
use crate::debuginfo::dwarf::name_lookup::definition_of;
use crate::debuginfo::model::types::{
    Language, PointerKind, StructType, Type, TypeId, TypeKind, TypeSource,
};

/// Typedefs, qualifiers and elements that are followed to the size of a type.
const MAX_CHAIN: usize = 32;
/// Named values of one enum that are read.
const MAX_ENUMERATORS: usize = 1 << 14;
/// Size in bytes of a pointer whose entry does not have one.
const POINTER: u64 = 8;

/// Reads types and keeps them in the cache.
pub(in crate::debuginfo) struct TypeReader<'t, 'a> {
    /// The debug entries that are read.
    pub(in crate::debuginfo) dies: &'t Dies<'a>,
}

impl TypeSource for TypeReader<'_, '_> {
    fn type_of(&self, id: TypeId) -> Arc<Type> {
        if id == TypeId::VOID {
            return Arc::new(void());
        }
        let kept = self.dies.caches.types.get(id, || self.read(DieId(id.0)));
        kept.unwrap_or_else(|| Arc::new(unsupported(String::new(), "a type that was forgotten")))
    }
}

impl<'a> TypeReader<'_, 'a> {
    fn read(&self, id: DieId) -> Type {
        let Some(die) = self.dies.die(id) else {
            return unsupported(String::new(), "a type that cannot be read");
        };
        let name = type_name(self.dies, Some(id));
        let die = self.definition(die, &name);
        let mut ty = Type {
            name,
            size: self.size(&die),
            language: die.unit.language,
            kind: self.kind(&die),
        };
        if ty.kind == TypeKind::Void && die.tag() == gimli::DW_TAG_base_type {
            ty.size = Some(0);
        }
        ty
    }

    /// Returns the definition of a type that `die` only declares, if there is one; else `die`.
    fn definition(&self, die: Die<'a>, name: &str) -> Die<'a> {
        let by_signature = self.dies.reference(&die, gimli::DW_AT_signature);
        if by_signature.is_none() && !die.flag(gimli::DW_AT_declaration) {
            return die;
        }
        let id = by_signature.or_else(|| definition_of(self.dies, &die, name));
        id.and_then(|id| self.dies.die(id)).unwrap_or(die)
    }

    /// Returns the size in bytes of a value of the type `die`.
    fn size(&self, die: &Die<'a>) -> Option<u64> {
        let mut die = die.clone();
        let mut factor = 1_u64;
        for _ in 0..MAX_CHAIN {
            if let Some(size) = die.unsigned(gimli::DW_AT_byte_size) {
                return size.checked_mul(factor);
            }
            match die.tag() {
                gimli::DW_TAG_pointer_type
                | gimli::DW_TAG_reference_type
                | gimli::DW_TAG_rvalue_reference_type => return POINTER.checked_mul(factor),
                gimli::DW_TAG_array_type => {
                    for count in dimensions(self.dies, &die) {
                        factor = factor.checked_mul(count?)?;
                    }
                    if let Some(stride) = die.unsigned(gimli::DW_AT_byte_stride) {
                        return stride.checked_mul(factor);
                    }
                }
                gimli::DW_TAG_ptr_to_member_type => return self.member_pointer_size(&die),
                gimli::DW_TAG_unspecified_type => {
                    return is_nullptr(self.dies, &die).then_some(POINTER);
                }
                tag if is_alias(tag) => {}
                _ => return None,
            }
            die = self.dies.die(self.dies.type_of(&die)?)?;
        }
        None
    }

    /// Returns the size of two words for a pointer to a member function, and of one word for a
    /// pointer to a data member.
    fn member_pointer_size(&self, die: &Die<'a>) -> Option<u64> {
        let target = self.dies.die(self.dies.type_of(die)?)?;
        let function = target.tag() == gimli::DW_TAG_subroutine_type;
        Some(if function { 2 * POINTER } else { POINTER })
    }

    fn target(&self, die: &Die<'a>) -> Option<TypeId> {
        self.dies.type_of(die).map(DieId::as_type)
    }

    fn target_or_void(&self, die: &Die<'a>) -> TypeId {
        self.target(die).unwrap_or(TypeId::VOID)
    }

    fn kind(&self, die: &Die<'a>) -> TypeKind {
        let pointer = |kind| TypeKind::Pointer {
            target: self.target(die),
            kind,
        };
        match die.tag() {
            gimli::DW_TAG_base_type => self.base(die),
            gimli::DW_TAG_pointer_type => pointer(self.pointer_kind(die)),
            gimli::DW_TAG_reference_type => pointer(PointerKind::Reference),
            gimli::DW_TAG_rvalue_reference_type => pointer(PointerKind::RvalueReference),
            gimli::DW_TAG_ptr_to_member_type => TypeKind::MemberPointer {
                target: self.target(die),
                class: self
                    .dies
                    .reference(die, gimli::DW_AT_containing_type)
                    .map_or(TypeId::VOID, DieId::as_type),
            },
            gimli::DW_TAG_structure_type
            | gimli::DW_TAG_class_type
            | gimli::DW_TAG_interface_type => TypeKind::Struct(self.structure(die)),
            gimli::DW_TAG_union_type => TypeKind::Union(self.structure(die)),
            gimli::DW_TAG_enumeration_type => self.enumeration(die),
            gimli::DW_TAG_array_type => TypeKind::Array {
                element: self.target_or_void(die),
                dimensions: dimensions(self.dies, die),
            },
            gimli::DW_TAG_subroutine_type | gimli::DW_TAG_subprogram => TypeKind::Function,
            gimli::DW_TAG_unspecified_type if is_nullptr(self.dies, die) => {
                pointer(PointerKind::Raw)
            }
            gimli::DW_TAG_unspecified_type => TypeKind::Void,
            tag if is_alias(tag) => TypeKind::Alias(self.target_or_void(die)),
            other => TypeKind::Unsupported(other.to_string()),
        }
    }

    fn structure(&self, die: &Die<'a>) -> StructType {
        let mut structure = read_struct(self.dies, die);
        structure.variants = read_variants(self.dies, die);
        structure
    }

    fn pointer_kind(&self, die: &Die<'a>) -> PointerKind {
        let name = || self.dies.name(die);
        if die.unit.language == Language::Rust && name().is_some_and(|name| name.starts_with('&')) {
            return PointerKind::Reference;
        }
        PointerKind::Raw
    }

    fn base(&self, die: &Die<'a>) -> TypeKind {
        let name = self.dies.name(die).unwrap_or_default();
        let size = die.unsigned(gimli::DW_AT_byte_size);
        let Some(AttributeValue::Encoding(encoding)) = die.attr(gimli::DW_AT_encoding) else {
            return TypeKind::Unsupported("a base type without encoding".to_owned());
        };
        if matches!(name.as_str(), "()" | "!") || size == Some(0) {
            return TypeKind::Void;
        }
        // A single byte has no byte order.
        if size != Some(1) && is_big_endian(die) {
            return TypeKind::Unsupported(BIG_ENDIAN.to_owned());
        }
        let character = matches!(
            name.as_str(),
            "wchar_t" | "char8_t" | "char16_t" | "char32_t"
        );
        match encoding {
            gimli::DW_ATE_boolean => TypeKind::Bool,
            gimli::DW_ATE_float => TypeKind::Float,
            gimli::DW_ATE_UTF | gimli::DW_ATE_UCS | gimli::DW_ATE_ASCII => {
                TypeKind::Char { signed: false }
            }
            gimli::DW_ATE_signed_char => TypeKind::Char { signed: true },
            gimli::DW_ATE_unsigned_char => TypeKind::Char { signed: false },
            gimli::DW_ATE_signed if character => TypeKind::Char { signed: true },
            gimli::DW_ATE_unsigned if character => TypeKind::Char { signed: false },
            gimli::DW_ATE_signed => TypeKind::Int { signed: true },
            gimli::DW_ATE_unsigned | gimli::DW_ATE_address => TypeKind::Int { signed: false },
            other => TypeKind::Unsupported(other.to_string()),
        }
    }

    fn enumeration(&self, die: &Die<'a>) -> TypeKind {
        let below = self.target(die).map(|id| self.underlying(id));
        if let Some(TypeKind::Unsupported(why)) = below.as_ref().map(|below| &below.kind)
            && why == BIG_ENDIAN
        {
            return TypeKind::Unsupported(why.clone());
        }
        let size = die
            .unsigned(gimli::DW_AT_byte_size)
            .or_else(|| below.as_ref()?.size)
            .unwrap_or(4);
        let mut negative = false;
        let mut enumerators = Vec::new();
        for child in self.dies.children(die) {
            if child.tag() != gimli::DW_TAG_enumerator || enumerators.len() >= MAX_ENUMERATORS {
                continue;
            }
            let value = child.attr(gimli::DW_AT_const_value).and_then(number);
            if let (Some(name), Some(value)) = (self.dies.name(&child), value) {
                negative |= value < 0;
                enumerators.push((name, value));
            }
        }
        let signed = match below.map(|below| below.kind.clone()) {
            Some(TypeKind::Int { signed } | TypeKind::Char { signed }) => signed,
            _ => negative,
        };
        for (_, value) in &mut enumerators {
            *value = in_width(*value, size, signed);
        }
        TypeKind::Enum {
            size,
            signed,
            enumerators,
        }
    }

    /// Returns the type without typedefs and qualifiers.
    fn underlying(&self, mut id: TypeId) -> Arc<Type> {
        for _ in 0..MAX_CHAIN {
            match self.type_of(id).kind {
                TypeKind::Alias(next) => id = next,
                _ => break,
            }
        }
        self.type_of(id)
    }
}

fn is_nullptr<'a>(dies: &Dies<'a>, die: &Die<'a>) -> bool {
    dies.name(die).is_some_and(|name| name.contains("nullptr"))
}

/// Returns the type `void`.
fn void() -> Type {
    Type {
        name: "void".to_owned(),
        size: None,
        language: Language::Other,
        kind: TypeKind::Void,
    }
}

fn unsupported(name: String, what: &str) -> Type {
    Type {
        name,
        size: None,
        language: Language::Other,
        kind: TypeKind::Unsupported(what.to_owned()),
    }
}
