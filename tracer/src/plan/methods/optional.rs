//! Optional values and results: the place of the content, and how an expression names it.

use crate::debuginfo::types::{Type, TypeId, TypeKind, VariantType};
use crate::plan::methods::lengths;
use crate::plan::shape::builder::Builder;

/// Offsets of the flag and of the value in a `std::optional`, and the type of the value.
pub(in crate::plan) fn optional(builder: &Builder<'_>, ty: &Type) -> Option<(u64, u64, TypeId)> {
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

/// The expression for the content of an `Option` or `Result`, or of the only variant with content.
pub(in crate::plan) fn inner_value(
    builder: &Builder<'_>,
    typed: &str,
    ty: TypeId,
) -> Option<String> {
    let resolved = builder.resolve(ty);
    let TypeKind::Struct(body) = &resolved.kind else {
        return None;
    };
    if optional(builder, &resolved).is_some() {
        return Some(format!("*{typed}"));
    }
    let variants = &body.variants.as_ref()?.variants;
    let single = |variant: &&VariantType| match &builder.resolve(variant.ty).kind {
        TypeKind::Struct(body) => matches!(body.members.as_slice(), [only] if only.name == "__0"),
        _ => false,
    };
    let mut having = variants.iter().filter(single);
    let first = having.next()?;
    (first.name == "Ok" || having.next().is_none()).then(|| format!("{typed}.{}.0", first.name))
}

/// The expression for the content of an optional value or a `Result`, not of other enums.
pub(in crate::plan) fn optional_value(
    builder: &Builder<'_>,
    typed: &str,
    ty: TypeId,
) -> Option<String> {
    let inner = inner_value(builder, typed, ty)?;
    let known = [
        format!("*{typed}"),
        format!("{typed}.Some.0"),
        format!("{typed}.Ok.0"),
    ];
    known.contains(&inner).then_some(inner)
}
