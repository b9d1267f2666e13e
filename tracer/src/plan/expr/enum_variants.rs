//! Variants of enums: their names, and tests for the active one.

use tracer_common::op::cond;

use crate::base::unavailable::Unavailable;
use crate::debuginfo::types::{Type, TypeId, TypeKind, VariantPart, VariantType};
use crate::plan::ops::ir::{Ir, Test};
use crate::plan::ops::spots::Spots;
use crate::plan::shape::builder::Builder;
use crate::plan::shape::display_names;
use crate::plan::shape::{EMPTY_ENUM, NO_DISCRIMINANT};

/// The names of an enum's variants without their paths. Empty for other types.
pub(in crate::plan) fn variant_names(builder: &Builder<'_>, ty: TypeId) -> Vec<String> {
    match &builder.resolve(ty).kind {
        TypeKind::Enum { enumerators, .. } => enumerators
            .iter()
            .map(|(name, _)| display_names::short(name).to_owned())
            .collect(),
        TypeKind::Struct(body) => body
            .variants
            .iter()
            .flat_map(|part| &part.variants)
            .map(|variant| variant.name.clone())
            .collect(),
        _ => Vec::new(),
    }
}

/// The test whether an enum is at the variant of that name. The path of the name is ignored. `None`
/// if the type has no such variant.
pub(super) fn variant(
    builder: &Builder<'_>,
    spots: &Spots,
    ty: TypeId,
    name: &str,
) -> Option<Result<Test, Unavailable>> {
    let name = display_names::short(name);
    match &builder.resolve(ty).kind {
        TypeKind::Enum {
            enumerators,
            size,
            signed,
            ..
        } => {
            let (_, value) = enumerators
                .iter()
                .find(|(known, _)| display_names::short(known) == name)?;
            let size = u8::try_from(*size).ok().filter(|size| *size <= 8)?;
            let number = spots.project(0, u64::from(size)).number();
            Some(number.map(|number| {
                let number = number.extend(size, *signed);
                Test::compare(cond::EQ, number, Ir::Const(*value as u64))
            }))
        }
        TypeKind::Struct(body) => {
            let part = body.variants.as_ref()?;
            part.variants.iter().find(|variant| variant.name == name)?;
            Some(variant_test(builder, spots, part, name))
        }
        _ => None,
    }
}

/// The test whether an enum with data is at a variant.
///
/// # Errors
/// The reason why its discriminant is unknown.
pub(in crate::plan) fn variant_test(
    builder: &Builder<'_>,
    spots: &Spots,
    part: &VariantPart,
    name: &str,
) -> Result<Test, Unavailable> {
    let Some(discriminant) = &part.discriminant else {
        return match part.variants.as_slice() {
            [] => Err(Unavailable::Invalid(EMPTY_ENUM.to_owned())),
            [only] => Ok(Test::Known(only.name == name)),
            _ => Err(Unavailable::BadDebugInfo(NO_DISCRIMINANT.to_owned())),
        };
    };
    let size = builder.size(discriminant.ty).unwrap_or(0);
    let tag = spots.project(discriminant.offset, size).number()?;
    let mask = u128::MAX >> (128 - size.clamp(1, 16) * 8);
    let within = |values: &[(u128, u128)]| -> Test {
        values.iter().fold(Test::Known(false), |test, (low, high)| {
            let (low, high) = ((low & mask) as u64, (high & mask) as u64);
            let one = if low == high {
                Test::compare(cond::EQ, tag.clone(), Ir::Const(low))
            } else {
                let above = Test::compare(cond::GE, tag.clone(), Ir::Const(low));
                let below = Test::compare(cond::LE, tag.clone(), Ir::Const(high));
                Test::And(Box::new(above), Box::new(below))
            };
            match test {
                Test::Known(false) => one,
                test => Test::Or(Box::new(test), Box::new(one)),
            }
        })
    };
    let Some(wanted) = part.variants.iter().find(|variant| variant.name == name) else {
        return Ok(Test::Known(false));
    };
    if !wanted.values.is_empty() {
        return Ok(within(&wanted.values));
    }
    let others: Vec<(u128, u128)> = part
        .variants
        .iter()
        .flat_map(|variant| variant.values.iter().copied())
        .collect();
    Ok(within(&others).negate())
}

/// The variants with a field of that name, and the offset and type of the field.
pub(super) fn having<'v>(
    builder: &Builder<'_>,
    part: &'v VariantPart,
    name: &str,
) -> impl Iterator<Item = (&'v VariantType, (u64, TypeId))> {
    let tuple = format!("__{name}");
    part.variants
        .iter()
        .filter_map(move |variant| match &builder.resolve(variant.ty).kind {
            TypeKind::Struct(body) => builder
                .member(body, name, 0)
                .or_else(|| builder.member(body, &tuple, 0))
                .map(|found| (variant, found)),
            _ => None,
        })
}

/// A hint that lists the ways to write the field if several variants have it.
pub(super) fn of_which_variant(builder: &Builder<'_>, ty: &Type, name: &str) -> Option<String> {
    let TypeKind::Struct(body) = &ty.kind else {
        return None;
    };
    let having = having(builder, body.variants.as_ref()?, name);
    let names: Vec<String> = having
        .take(4)
        .map(|(variant, _)| format!("`{}.{name}`", variant.name))
        .collect();
    (names.len() > 1).then(|| format!("name the variant: {}", names.join(", ")))
}
