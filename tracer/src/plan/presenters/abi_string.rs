//! Strings of libstdc++ without a full description in the debug information.
//!
//! libstdc++ contains the code of its usual strings. clang therefore only declares the class, or
//! its nested `_Alloc_hider` with the pointer, in programs that use it. The ABI defines the layout
//! of these classes, so such strings are read by the ABI, as long as no described member
//! contradicts it.

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, StructType, Type, TypeId, TypeKind};
use crate::plan::presenters::old_abi;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::presenter::DeclaredPresenter;
use crate::plan::shape::{Node, TextNode};

/// Bytes of a string of the C++11 ABI.
pub(in crate::plan) const STRING: u64 = 32;
/// Offsets of the pointer, the length, and the characters of a short text.
pub(in crate::plan) const POINTER: u64 = 0;
pub(in crate::plan) const LENGTH: u64 = 8;
const LOCAL: u64 = 16;
/// Bytes for the characters of a short text.
const LOCAL_BYTES: u64 = 16;
/// Bytes of a string of the older ABI: one pointer.
const OLD_STRING: u64 = 8;

const OWN_NAME: &str = "std::__cxx11::basic_string<";
const OLD_NAME: &str = "std::basic_string<";

/// Bytes of a character of a C++11 ABI string without a described pointer: the class itself or that
/// of the pointer is only declared. `None` for other types.
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

/// The character type of such a string, if the debug information has it.
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

/// Returns true if the name is that of a string with the C++11 ABI's layout.
pub(in crate::plan) fn is_named(ty: &Type) -> bool {
    declared_unit(ty, OWN_NAME).is_some()
}

/// Strings of classes that the debug information only declares.
pub(in crate::plan) const DECLARED: DeclaredPresenter = DeclaredPresenter {
    size: |builder, ty| unit(builder, ty).map(|_| STRING),
    present: node,
};

/// The shape of a string without a described pointer.
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

/// Bytes of a character of an older string, if only the class of its pointer is declared. The name
/// is not enough: other libraries have classes of that name.
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

/// Returns true if the described members are where the C++11 ABI has them.
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

/// Returns true if the pointer's class is only declared, and characters have `unit` bytes.
fn has_hidden_pointer(builder: &Builder<'_>, body: &StructType, unit: u8) -> bool {
    let Some((POINTER, hider)) = builder.find(body, &["_M_dataplus"]) else {
        return false;
    };
    let argument = body.type_arguments.first().map(|(_, ty)| *ty);
    let size = argument.and_then(|ty| builder.size(ty));
    builder.declared_size(hider).is_none() && size == Some(u64::from(unit))
}

/// Bytes of a character by the name of the string class, with default traits and allocator.
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
