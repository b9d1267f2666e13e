//! Methods that ask about a value: `is_empty()`, `is_some()` and so on.

use tracer_common::op::cond;

use crate::base::diagnostic::Diagnostic;
use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Language, TypeId, TypeKind};
use crate::lang::ast::{Expr, Predicate};
use crate::plan::expr::enum_variants::{variant_names, variant_test};
use crate::plan::expr::pointers::is_address;
use crate::plan::expr::resolver::Resolver;
use crate::plan::methods::lengths;
use crate::plan::methods::optional::optional;
use crate::plan::methods::texts::text_parts;
use crate::plan::ops::ir::{Ir, Matcher, Test, TextTest};
use crate::plan::ops::spots::Spots;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;

/// The test whether a text or a collection is empty.
///
/// # Errors
/// The value is neither.
pub(in crate::plan) fn is_empty(
    resolver: &mut Resolver<'_, '_>,
    base: &Expr,
) -> Result<Test, Diagnostic> {
    let (spots, ty) = resolver.place(base)?;
    let Some(parts) = text_parts(resolver.builder, &spots, ty) else {
        return resolver.emptiness(base, &spots, ty);
    };
    let text = parts.map_err(|why| Diagnostic::at(&base.span, why.to_string()))?;
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

/// The test whether an enum, an optional value or a pointer is at the variant that the method
/// names.
///
/// # Errors
/// The value's type has no such variant.
pub(in crate::plan) fn is(
    resolver: &mut Resolver<'_, '_>,
    base: &Expr,
    asked: Predicate,
) -> Result<Test, Diagnostic> {
    let (spots, ty) = resolver.place(base)?;
    is_at(resolver, base, &spots, ty, asked)
}

/// The test of [`is`] for the value at a place.
///
/// # Errors
/// The value's type has no such variant.
pub(in crate::plan) fn is_at(
    resolver: &Resolver<'_, '_>,
    base: &Expr,
    spots: &Spots,
    ty: TypeId,
    asked: Predicate,
) -> Result<Test, Diagnostic> {
    let (behind, inner) = resolver.behind_references(spots, ty);
    match answer(resolver.builder, &behind, inner, asked) {
        Some(answer) => answer.map_err(|why| Diagnostic::at(&base.span, why.to_string())),
        None => Err(not_asked(resolver, base, ty, inner, asked)),
    }
}

/// The test for the value at a place. `None` if its type has no such variant.
fn answer(
    builder: &Builder<'_>,
    spots: &Spots,
    ty: TypeId,
    asked: Predicate,
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
                Predicate::Null => false,
                Predicate::None if resolved.language != Language::Rust => false,
                Predicate::Some if resolved.language != Language::Rust => true,
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
                "std::unique_ptr" => (
                    crate::plan::presenters::cpp_parts::head(builder, body, 0, 0)?.0,
                    8,
                ),
                "std::shared_ptr" => (find(&["_M_ptr"])?, 8),
                "std::__1::unique_ptr" => {
                    let pair = find(&["__ptr_", "__value_"]);
                    (pair.or_else(|| find(&["__ptr_"]))?, 8)
                }
                "std::__1::shared_ptr" => (find(&["__ptr_"])?, 8),
                "std::expected" => {
                    let wanted = match asked {
                        Predicate::Ok => true,
                        Predicate::Err => false,
                        _ => return None,
                    };
                    return Some(is_set(find(&["_M_has_value"])?, 1, wanted));
                }
                _ => return None,
            };
            match asked {
                Predicate::Some => Some(is_set(offset, size, true)),
                Predicate::None => Some(is_set(offset, size, false)),
                Predicate::Null if size == 8 => Some(is_set(offset, size, false)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The error for a method that the value's type lacks. `first` is its type, `last` the type behind
/// references.
fn not_asked(
    resolver: &Resolver<'_, '_>,
    base: &Expr,
    first: TypeId,
    last: TypeId,
    asked: Predicate,
) -> Diagnostic {
    let builder = resolver.builder;
    let name = display_names::without_paths(&builder.resolve(first).name);
    let wanted = match asked {
        Predicate::Some | Predicate::None if resolver.is_c() => "a pointer",
        Predicate::Some | Predicate::None => "an `Option`",
        Predicate::Ok | Predicate::Err => "a `Result`",
        Predicate::Null => "a pointer",
    };
    let typed = resolver.typed(base);
    let variants = variant_names(builder, last);
    let has = |name: &str| variants.iter().any(|one| one == name);
    let hint = if has("Some") && has("None") {
        Some(format!("write `{typed}.is_some()` or `{typed}.is_none()`"))
    } else if has("Ok") && has("Err") {
        Some(format!("write `{typed}.is_ok()` or `{typed}.is_err()`"))
    } else {
        let variant = variants.first();
        variant.map(|variant| format!("compare it with a variant: `{typed} == {variant}`"))
    };
    Diagnostic::at(&base.span, format!("`{name}` is not {wanted}")).maybe_hint(hint)
}

/// The error for a value that is neither true nor false. It suggests a method. `error` is the one
/// for a number that cannot be read.
pub(in crate::plan) fn no_truth(
    resolver: &Resolver<'_, '_>,
    expr: &Expr,
    error: Diagnostic,
    spots: &Spots,
    ty: TypeId,
) -> Diagnostic {
    if !matches!(resolver.scalar_at(spots, ty), Some(Err(_))) {
        return error;
    }
    let builder = resolver.builder;
    let typed = resolver.typed(expr);
    let name = display_names::without_paths(&builder.resolve(ty).name);
    let (behind, inner) = resolver.behind_references(spots, ty);
    let asks = |asked| answer(builder, &behind, inner, asked).is_some();
    let hint = if asks(Predicate::Some) {
        Some(format!("ask `{typed}.is_some()`"))
    } else if asks(Predicate::Ok) {
        Some(format!("ask `{typed}.is_ok()`"))
    } else if text_parts(builder, &behind, inner).is_some()
        || resolver.emptiness(expr, &behind, inner).is_ok()
    {
        Some(format!("ask `!{typed}.is_empty()`"))
    } else {
        let variants = variant_names(builder, inner);
        let variant = variants.first();
        variant.map(|variant| format!("compare it with a variant: `{typed} == {variant}`"))
    };
    Diagnostic::at(&expr.span, format!("`{name}` is neither true nor false")).maybe_hint(hint)
}
