//! Keys of enums whose data is elsewhere: the variant, without its data.
//!
//! A niche enum keeps data of one variant in the bytes of its discriminant.
//! All these bytes are one key, so that the kernel has one entry a variant.

use tracer_common::op::cond;

use crate::base::unavailable::Unavailable;
use crate::plan::ops::ir::{Ir, Test};
use crate::plan::ops::spots::Spots;
use crate::plan::shape::{Arm, EMPTY_ENUM, Node, VariantsNode};
use crate::value::{OmittedFields, Value, Variant};

/// Bytes of a discriminant that can be a key.
const WORD: u8 = 8;

/// The keys of an enum: one number for each variant.
#[derive(Clone, Debug)]
pub(super) struct VariantKeys {
    /// The enum's name.
    name: Box<str>,
    variants: Vec<VariantKey>,
}

/// One variant.
#[derive(Clone, Debug)]
struct VariantKey {
    name: Box<str>,
    /// The line that a coroutine waits at.
    line: Option<u64>,
    data: Option<OmittedFields>,
    /// Discriminants, inclusive; none: any other.
    values: Vec<(u64, u64)>,
}

/// The variants of a value, and how far into it these are; `None`: it is no enum.
pub(super) fn of_node(node: &Node) -> Option<(u64, &VariantsNode)> {
    match node {
        // A choice that adds to a value is no choice of the program's.
        Node::Variants(variants) if !variants.adds => Some((0, variants)),
        Node::Inside(offset, inner) => {
            let (more, variants) = of_node(inner)?;
            Some((offset.checked_add(more)?, variants))
        }
        Node::Ordered(_, inner) => of_node(inner),
        _ => None,
    }
}

/// The number that is the key of an enum at a place, and what it means.
///
/// # Errors
/// The discriminant is not known.
pub(super) fn key(
    spots: &Spots,
    at: u64,
    node: &VariantsNode,
) -> Result<(Ir, VariantKeys), Unavailable> {
    let variants = node.arms.iter().map(VariantKey::new);
    let keys = VariantKeys {
        name: node.name.as_ref().into(),
        variants: variants.collect::<Result<_, _>>()?,
    };
    if keys.variants.is_empty() {
        return Err(Unavailable::Invalid(EMPTY_ENUM.to_owned()));
    }
    let Some((offset, size)) = node.tag else {
        return Ok((Ir::Const(0), keys));
    };
    let discriminant = spots.project(at.saturating_add(offset), u64::from(size));
    let discriminant = discriminant.number()?;
    Ok((keys.number(discriminant, size), keys))
}

impl VariantKey {
    fn new(arm: &Arm) -> Result<Self, Unavailable> {
        let wide = |_| Unavailable::Unsupported("a discriminant of more than 64 bits".into());
        let word = |value: u128| u64::try_from(value).map_err(wide);
        let values = arm.values.iter();
        Ok(Self {
            name: arm.name.as_ref().into(),
            line: arm.line,
            data: arm.fields.first().map(|field| match &*field.name {
                "0" => OmittedFields::Tuple,
                _ => OmittedFields::Named,
            }),
            values: values
                .map(|(low, high)| Ok((word(*low)?, word(*high)?)))
                .collect::<Result<_, Unavailable>>()?,
        })
    }

    fn has(&self, discriminant: u64) -> bool {
        let mut ranges = self.values.iter();
        ranges.any(|(low, high)| (*low..=*high).contains(&discriminant))
    }

    fn value(&self, ty: &str) -> Value {
        Value::Variant(Variant {
            ty: ty.to_owned(),
            name: self.name.to_string(),
            line: self.line,
            fields: Vec::new(),
            omitted: self.data,
        })
    }
}

impl VariantKeys {
    /// The variant that a key stands for.
    pub(super) fn value(&self, key: u64) -> Value {
        let known = self.variants.iter().find(|variant| variant.has(key));
        let rest = || self.variants.iter().find(|one| one.values.is_empty());
        match known.or_else(rest) {
            Some(variant) => variant.value(&self.name),
            None => Value::Unavailable(Unavailable::Invalid(format!("discriminant {key}"))),
        }
    }

    /// One number for all discriminants of a variant.
    fn number(&self, discriminant: Ir, size: u8) -> Ir {
        let mut number = discriminant.clone();
        for variant in &self.variants {
            if let [(first, _), ..] = variant.values[..]
                && variant.values.iter().any(|value| *value != (first, first))
            {
                let mine = within(&discriminant, &variant.values);
                number = Ir::Choose(Box::new(mine), Box::new(Ir::Const(first)), Box::new(number));
            }
        }
        let ranges = self.ranges();
        let all = u64::MAX >> (64 - u32::from(size.clamp(1, WORD)) * 8);
        let rest = self.variants.iter().any(|one| one.values.is_empty());
        match first_outside(&ranges) {
            Some(other) if rest && other <= all => {
                let listed = within(&discriminant, &ranges);
                Ir::Choose(
                    Box::new(listed),
                    Box::new(number),
                    Box::new(Ir::Const(other)),
                )
            }
            _ => number,
        }
    }

    /// The discriminants that variants list, in order, those side by side joined.
    fn ranges(&self) -> Vec<(u64, u64)> {
        let all = self.variants.iter().flat_map(|variant| &variant.values);
        let mut all: Vec<(u64, u64)> = all.copied().collect();
        all.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (low, high) in all {
            match joined.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
                _ => joined.push((low, high)),
            }
        }
        joined
    }
}

/// The least number in none of the ranges, which are in order and apart.
fn first_outside(ranges: &[(u64, u64)]) -> Option<u64> {
    match ranges.first() {
        Some((0, end)) => end.checked_add(1),
        _ => Some(0),
    }
}

fn within(number: &Ir, ranges: &[(u64, u64)]) -> Test {
    let compare = |relation, with| Test::compare(relation, number.clone(), Ir::Const(with));
    let mut tests = ranges.iter().map(|(low, high)| match (*low, *high) {
        (low, high) if low == high => compare(cond::EQ, low),
        (0, high) => compare(cond::LE, high),
        (low, high) => Test::And(
            Box::new(compare(cond::GE, low)),
            Box::new(compare(cond::LE, high)),
        ),
    });
    let first = tests.next().unwrap_or(Test::Known(false));
    tests.fold(first, |test, one| Test::Or(Box::new(test), Box::new(one)))
}
