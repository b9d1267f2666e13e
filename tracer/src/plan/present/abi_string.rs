//! Strings of libstdc++ that the debug information does not describe whole.
//!
//! libstdc++ has the code of its usual strings in its own file. clang therefore only declares the
//! class, or its nested `_Alloc_hider` that holds the pointer, in the programs that use them. The
//! ABI fixes the layout of these classes, so a string is read by the ABI, as long as no member that
//! is described contradicts it.

use super::super::build::Builder;
use super::super::shape::{Node, TextNode};
use super::old_abi;
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::unavailable::Unavailable;

/// Bytes of a string of the ABI of C++11.
pub(in crate::plan) const STRING: u64 = 32;
/// Where such a string has its pointer, its length and the characters of a short text.
pub(in crate::plan) const POINTER: u64 = 0;
pub(in crate::plan) const LENGTH: u64 = 8;
const LOCAL: u64 = 16;
/// Bytes of the characters of a short text.
const LOCAL_BYTES: u64 = 16;
/// Bytes of a string of the ABI before C++11: a pointer.
const OLD_STRING: u64 = 8;

const OWN_NAME: &str = "std::__cxx11::basic_string<";
const OLD_NAME: &str = "std::basic_string<";

/// Bytes of a character of a string of the ABI of C++11 whose pointer is not described: the
/// program only declares the class or the class of the pointer. `None` for any other type.
pub(in crate::plan) fn unit(builder: &Builder<'_>, ty: &Type) -> Option<u8> {
    let unit = declared_unit(ty, OWN_NAME)?;
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let fits = match ty.size {
        None => true,
        Some(size) => size == STRING && agrees(builder, body, unit),
    };
    fits.then_some(unit)
}

/// The type of a character of such a string, where the debug information has it.
pub(in crate::plan) fn character(builder: &Builder<'_>, ty: &Type) -> Option<TypeId> {
    let unit = unit(builder, ty)?;
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let argument = body.type_arguments.first().map(|(_, ty)| *ty);
    let named = || {
        let arguments = ty.name.strip_prefix(OWN_NAME)?;
        builder.named(arguments.split(',').next()?.trim())
    };
    let found = argument.or_else(named)?;
    (builder.size(found) == Some(u64::from(unit))).then_some(found)
}

/// Whether the name is that of a string whose layout the ABI of C++11 fixes.
pub(in crate::plan) fn is_named(ty: &Type) -> bool {
    declared_unit(ty, OWN_NAME).is_some()
}

/// The shape of a string whose pointer is not described.
pub(in crate::plan) fn node(builder: &mut Builder<'_>, ty: &Type) -> Option<Node> {
    if let Some(unit) = unit(builder, ty) {
        if !builder.reads_texts() {
            return Some(Node::Missing(Unavailable::Depth));
        }
        return Some(Node::Text(Box::new(TextNode {
            pointer: POINTER,
            addend: 0,
            len: Some(LENGTH),
            trim: 0,
            zero_ends: false,
            before: None,
            limit: builder.limits().string_bytes / u64::from(unit) * u64::from(unit),
            unit,
            short: None,
            slot: builder.slot().ok()?,
        })));
    }
    let unit = old_unit(builder, ty)?;
    old_abi::text(builder, POINTER, unit)
}

/// Bytes of a character of a string of the ABI before C++11, of which only the class of the pointer
/// is declared. Its name alone says too little: other libraries have a class of that name.
fn old_unit(builder: &Builder<'_>, ty: &Type) -> Option<u8> {
    let unit = declared_unit(ty, OLD_NAME)?;
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let only_member = matches!(body.members.as_slice(), [_]) && body.bases.is_empty();
    let fits =
        ty.size == Some(OLD_STRING) && only_member && has_hidden_pointer(builder, body, unit);
    fits.then_some(unit)
}

/// Whether the members that are described are where the ABI of C++11 has them.
fn agrees(builder: &Builder<'_>, body: &StructType, unit: u8) -> bool {
    let length = builder.find(body, &["_M_string_length"]);
    let local = builder.find(body, &["_M_local_buf"]);
    let (Some((length_at, length)), Some((local_at, local))) = (length, local) else {
        return false;
    };
    let TypeKind::Array { element, .. } = builder.resolve(local).kind else {
        return false;
    };
    has_hidden_pointer(builder, body, unit)
        && (length_at, builder.size(length)) == (LENGTH, Some(8))
        && (local_at, builder.size(local)) == (LOCAL, Some(LOCAL_BYTES))
        && builder.size(element) == Some(u64::from(unit))
}

/// Whether the class of the pointer is only declared, and the characters have as many bytes.
fn has_hidden_pointer(builder: &Builder<'_>, body: &StructType, unit: u8) -> bool {
    let Some((POINTER, hider)) = builder.find(body, &["_M_dataplus"]) else {
        return false;
    };
    let argument = body.type_arguments.first().map(|(_, ty)| *ty);
    let size = argument.and_then(|ty| builder.size(ty));
    builder.declared_size(hider).is_none() && size == Some(u64::from(unit))
}

/// Bytes of a character of a string with the traits and the allocator that are the default, by the
/// name of its class.
fn declared_unit(ty: &Type, class: &str) -> Option<u8> {
    if ty.language != Language::Cpp {
        return None;
    }
    let arguments = ty.name.strip_prefix(class)?;
    let character = arguments.split(',').next()?.trim();
    let unit = match character {
        "char" | "char8_t" => 1,
        "char16_t" => 2,
        "wchar_t" | "char32_t" => 4,
        _ => return None,
    };
    let rest: String = arguments.split_whitespace().collect();
    let whole = format!("{character},std::char_traits<{character}>,std::allocator<{character}>>");
    (rest == whole).then_some(unit)
}
