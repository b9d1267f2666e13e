//! What methods without arguments ask of a value: `is_empty()`, `is_some()` and their like.

use tracer_common::op::cond;

use super::build::Builder;
use super::condition::{self, variant_test};
use super::expr::{Resolver, is_address};
use super::ir::{Ir, Matcher, Spots, Test, TextTest};
use super::texts::text_parts;
use super::{PlanError, lengths, names};
use crate::debuginfo::types::{Language, Type, TypeId, TypeKind, Variant};
use crate::lang::ast::{Asked, Expr};
use crate::unavailable::Unavailable;

/// Whether a text or a collection is empty.
///
/// # Errors
/// It is neither.
pub(super) fn is_empty(resolver: &mut Resolver<'_, '_>, base: &Expr) -> Result<Test, PlanError> {
    let (spots, ty) = resolver.place(base)?;
    let Some(parts) = text_parts(resolver.builder, &spots, ty) else {
        return resolver.emptiness(base, &spots, ty);
    };
    let text = parts.map_err(|why| PlanError::at(base, why.to_string()))?;
    Ok(match text.length {
        Some(length) => Test::compare(cond::EQ, length, Ir::Const(0)),
        None => Test::Text(TextTest {
            pointer: text.pointer,
            length: None,
            most: text.most,
            matcher: Matcher::Equal(Vec::new()),
        }),
    })
}

/// Whether a value is at the variant that is asked for: of an enum, an optional value or a pointer.
///
/// # Errors
/// This cannot be asked of its type.
pub(super) fn is(
    resolver: &mut Resolver<'_, '_>,
    base: &Expr,
    asked: Asked,
) -> Result<Test, PlanError> {
    let (spots, ty) = resolver.place(base)?;
    is_at(resolver, base, &spots, ty, asked)
}

/// The same of a value at a place.
///
/// # Errors
/// As above.
pub(super) fn is_at(
    resolver: &Resolver<'_, '_>,
    base: &Expr,
    spots: &Spots,
    ty: TypeId,
    asked: Asked,
) -> Result<Test, PlanError> {
    let (behind, inner) = resolver.behind_references(spots, ty);
    match answer(resolver.builder, &behind, inner, asked) {
        Some(answer) => answer.map_err(|why| PlanError::at(base, why.to_string())),
        None => Err(not_asked(resolver, base, ty, inner, asked)),
    }
}

/// The answer of a value at a place; `None`: its type has none.
fn answer(
    builder: &Builder<'_>,
    spots: &Spots,
    ty: TypeId,
    asked: Asked,
) -> Option<Result<Test, Unavailable>> {
    let resolved = builder.resolve(ty);
    let is_set = |offset, size, wanted: bool| {
        let number = spots.project(offset, size).number();
        let relation = if wanted { cond::NE } else { cond::EQ };
        number.map(|number| Test::compare(relation, number, Ir::Const(0)))
    };
    match &resolved.kind {
        TypeKind::Pointer { .. } if is_address(&resolved) => {
            let wanted = match asked {
                Asked::Null => false,
                Asked::None if resolved.language != Language::Rust => false,
                Asked::Some if resolved.language != Language::Rust => true,
                _ => return None,
            };
            Some(is_set(0, 8, wanted))
        }
        TypeKind::Struct(body) => {
            if let Some(part) = &body.variants {
                let name = asked.variant()?;
                part.variants.iter().find(|one| one.name == name)?;
                return Some(variant_test(builder, spots, part, name));
            }
            let find = |path: &[&str]| builder.find(body, path).map(|(offset, _)| offset);
            let (offset, size) = match lengths::path(&resolved.name).as_str() {
                "std::optional" | "std::__1::optional" => (optional(builder, &resolved)?.0, 1),
                "std::unique_ptr" => (super::cpp::head(builder, body, (0, 0))?.0, 8),
                "std::shared_ptr" => (find(&["_M_ptr"])?, 8),
                "std::__1::unique_ptr" => {
                    let pair = find(&["__ptr_", "__value_"]);
                    (pair.or_else(|| find(&["__ptr_"]))?, 8)
                }
                "std::__1::shared_ptr" => (find(&["__ptr_"])?, 8),
                "std::expected" => {
                    let wanted = match asked {
                        Asked::Ok => true,
                        Asked::Err => false,
                        _ => return None,
                    };
                    return Some(is_set(find(&["_M_has_value"])?, 1, wanted));
                }
                _ => return None,
            };
            match asked {
                Asked::Some => Some(is_set(offset, size, true)),
                Asked::None => Some(is_set(offset, size, false)),
                Asked::Null if size == 8 => Some(is_set(offset, size, false)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The error for a value that this cannot be asked of. Its type is `first`, and `last` behind references.
fn not_asked(
    resolver: &Resolver<'_, '_>,
    base: &Expr,
    first: TypeId,
    last: TypeId,
    asked: Asked,
) -> PlanError {
    let builder = resolver.builder;
    let name = names::without_paths(&builder.resolve(first).name);
    let wanted = match asked {
        Asked::Some | Asked::None if resolver.is_c() => "a pointer",
        Asked::Some | Asked::None => "an `Option`",
        Asked::Ok | Asked::Err => "a `Result`",
        Asked::Null => "a pointer",
    };
    let typed = resolver.typed(base);
    let variants = condition::variant_names(builder, last);
    let has = |name: &str| variants.iter().any(|one| one == name);
    let hint = if has("Some") && has("None") {
        Some(format!("ask `{typed}.is_some()` or `{typed}.is_none()`"))
    } else if has("Ok") && has("Err") {
        Some(format!("ask `{typed}.is_ok()` or `{typed}.is_err()`"))
    } else {
        let variant = variants.first();
        variant.map(|variant| format!("compare it with a variant: `{typed} == {variant}`"))
    };
    PlanError::at(base, format!("`{name}` is not {wanted}")).hint(hint)
}

/// The error for a value that is neither true nor false, with what can be asked of it; `error` of
/// one that is a number and cannot be read.
pub(super) fn no_truth(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    error: PlanError,
    spots: &Spots,
    ty: TypeId,
) -> PlanError {
    if !matches!(resolver.scalar_at(spots, ty), Some(Err(_))) {
        return error;
    }
    let builder = resolver.builder;
    let typed = resolver.typed(expr);
    let name = names::without_paths(&builder.resolve(ty).name);
    let (behind, inner) = resolver.behind_references(spots, ty);
    let asks = |asked| answer(builder, &behind, inner, asked).is_some();
    let hint = if asks(Asked::Some) {
        Some(format!("ask `{typed}.is_some()`"))
    } else if asks(Asked::Ok) {
        Some(format!("ask `{typed}.is_ok()`"))
    } else if text_parts(builder, &behind, inner).is_some()
        || resolver.emptiness(expr, &behind, inner).is_ok()
    {
        Some(format!("ask `!{typed}.is_empty()`"))
    } else {
        let variants = condition::variant_names(builder, inner);
        let variant = variants.first();
        variant.map(|variant| format!("compare it with a variant: `{typed} == {variant}`"))
    };
    PlanError::at(expr, format!("`{name}` is neither true nor false")).hint(hint)
}

/// Offsets of the flag and of the value in a `std::optional`, and the type of the value.
pub(super) fn optional(builder: &Builder<'_>, ty: &Type) -> Option<(u64, u64, TypeId)> {
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let (engaged, value): (&[&str], &[&str]) = match lengths::path(&ty.name).as_str() {
        "std::optional" => (
            &["_M_payload", "_M_engaged"],
            &["_M_payload", "_M_payload", "_M_value"],
        ),
        "std::__1::optional" => (&["__engaged_"], &["__val_"]),
        _ => return None,
    };
    let (engaged, _) = builder.find(body, engaged)?;
    let (value, inner) = builder.find(body, value)?;
    Some((engaged, value, inner))
}

/// How to write the value in an `Option` or `Result`, or in the only variant that has one.
pub(super) fn inner_value(builder: &Builder<'_>, typed: &str, ty: TypeId) -> Option<String> {
    let resolved = builder.resolve(ty);
    let TypeKind::Struct(body) = &resolved.kind else {
        return None;
    };
    if optional(builder, &resolved).is_some() {
        return Some(format!("*{typed}"));
    }
    let variants = &body.variants.as_ref()?.variants;
    let single = |variant: &&Variant| match &builder.resolve(variant.ty).kind {
        TypeKind::Struct(body) => matches!(body.members.as_slice(), [only] if only.name == "__0"),
        _ => false,
    };
    let mut having = variants.iter().filter(single);
    let first = having.next()?;
    (first.name == "Ok" || having.next().is_none()).then(|| format!("{typed}.{}.0", first.name))
}

/// The same of an optional value or a `Result` alone.
pub(super) fn optional_value(builder: &Builder<'_>, typed: &str, ty: TypeId) -> Option<String> {
    let inner = inner_value(builder, typed, ty)?;
    let known = [
        format!("*{typed}"),
        format!("{typed}.Some.0"),
        format!("{typed}.Ok.0"),
    ];
    known.contains(&inner).then_some(inner)
}
