//! Parts of recorded values: fields, elements, targets of pointers.

use std::borrow::Cow;

use super::NotKnown;
use crate::base::unavailable::Unavailable;
use crate::lang::ast::Predicate;
use crate::value::{Sequence, Value, Variant};

/// Pointers to pointers that are followed.
const POINTERS: usize = 16;

/// Why a part is not there.
#[derive(Debug)]
pub(super) enum Missing {
    /// The value has no such part.
    NoPart,
    /// The part was left out of the record.
    NotRecorded,
    /// Another variant is active.
    OtherVariant(String),
    /// It is outside of the bounds, which are these.
    OutOfBounds(usize),
    /// The pointer's target was not read, or the pointer is null.
    NoTarget(u64),
}

impl Missing {
    /// The reason, for a part of an expression.
    pub(super) fn of(self, base: &str, part: &str) -> NotKnown {
        let whole = match part.starts_with('[') || base == "*" {
            true => format!("{base}{part}"),
            false => format!("{base}.{part}"),
        };
        match self {
            Self::NoPart => NotKnown::Unsupported(format!("`{base}` has no `{part}`")),
            Self::NotRecorded => NotKnown::NotRecorded(whole),
            Self::OtherVariant(name) => {
                NotKnown::Unsupported(format!("`{base}` is `{name}`, so there is no `{whole}`"))
            }
            Self::OutOfBounds(length) => {
                NotKnown::Unsupported(format!("`{whole}` is out of bounds: {length} elements"))
            }
            Self::NoTarget(0) => NotKnown::Unavailable {
                what: whole,
                why: Unavailable::Null,
            },
            Self::NoTarget(_) => NotKnown::NotRecorded(whole),
        }
    }
}

type Part<'v> = Result<Cow<'v, Value>, Missing>;

/// A value without the references around it.
pub(super) fn plain(value: &Value) -> &Value {
    let mut value = value;
    for _ in 0..POINTERS {
        match value {
            Value::Pointer(pointer) if pointer.transparent => match pointer.target.as_deref() {
                Some(target) => value = target,
                None => break,
            },
            _ => break,
        }
    }
    value
}

/// A part of a value, as borrowed as the value is.
fn part<'v>(
    value: Cow<'v, Value>,
    find: impl for<'a> FnOnce(&'a Value) -> Result<&'a Value, Missing>,
) -> Part<'v> {
    match value {
        Cow::Borrowed(value) => find(value).map(Cow::Borrowed),
        Cow::Owned(value) => find(&value).cloned().map(Cow::Owned),
    }
}

/// The field of a value, of the target of a pointer, or of an enum's active variant.
pub(super) fn field<'v>(value: Cow<'v, Value>, name: &str) -> Part<'v> {
    if let Some(bytes) = text_element(&value, name.parse().ok()) {
        return bytes.map(Cow::Owned);
    }
    part(value, |value| field_of(value, name, POINTERS))
}

fn field_of<'a>(value: &'a Value, name: &str, pointers: usize) -> Result<&'a Value, Missing> {
    let of = |fields: &'a [(String, Value)]| {
        let found = fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value)
    };
    match value {
        Value::Pointer(pointer) => match pointer.target.as_deref() {
            Some(target) if pointers > 0 => field_of(target, name, pointers - 1),
            _ => Err(Missing::NoTarget(pointer.address)),
        },
        Value::Struct(one) => of(&one.fields).ok_or(match one.has_more {
            true => Missing::NotRecorded,
            false => Missing::NoPart,
        }),
        Value::Variant(variant) if variant.name == name => Ok(value),
        Value::Variant(variant) => match (of(&variant.fields), variant.omitted) {
            (Some(value), _) => Ok(value),
            (None, Some(_)) => Err(Missing::NotRecorded),
            (None, None) => Err(Missing::OtherVariant(variant.name.clone())),
        },
        Value::Tuple(items) => {
            let at: Option<usize> = name.parse().ok();
            at.and_then(|at| items.get(at)).ok_or(Missing::NoPart)
        }
        Value::Range(ends) => match name {
            "start" => Ok(&ends[0]),
            "end" => Ok(&ends[1]),
            _ => Err(Missing::NoPart),
        },
        _ => Err(Missing::NoPart),
    }
}

/// An element of a sequence, or a byte of a text.
pub(super) fn element<'v>(value: Cow<'v, Value>, at: i128) -> Part<'v> {
    let Ok(at) = usize::try_from(at) else {
        return Err(Missing::NoPart);
    };
    if let Some(byte) = text_element(&value, Some(at)) {
        return byte.map(Cow::Owned);
    }
    part(value, |value| match plain(value) {
        Value::Sequence(Sequence { items, cut, .. }) => items.get(at).ok_or(match cut {
            Some(cut) if cut.of.is_none_or(|of| (at as u64) < of) => Missing::NotRecorded,
            Some(cut) => {
                Missing::OutOfBounds(cut.of.and_then(|of| usize::try_from(of).ok()).unwrap_or(0))
            }
            None => Missing::OutOfBounds(items.len()),
        }),
        Value::Pointer(pointer) if at == 0 => match pointer.target.as_deref() {
            Some(target) => Ok(target),
            None => Err(Missing::NoTarget(pointer.address)),
        },
        Value::Pointer(_) => Err(Missing::NotRecorded),
        _ => Err(Missing::NoPart),
    })
}

/// A byte of a text. `None` if the value is none.
fn text_element(value: &Value, at: Option<usize>) -> Option<Result<Value, Missing>> {
    let Value::Text(text) = plain(value) else {
        return None;
    };
    let at = at?;
    let byte = text.bytes.get(at).map(|byte| Value::Uint((*byte).into()));
    Some(byte.ok_or(match text.cut {
        Some(_) => Missing::NotRecorded,
        None => Missing::OutOfBounds(text.bytes.len()),
    }))
}

/// The target of a pointer, or the value in an optional one.
pub(super) fn target(value: Cow<'_, Value>) -> Part<'_> {
    part(value, |value| match value {
        Value::Pointer(pointer) => match pointer.target.as_deref() {
            Some(target) => Ok(target),
            None => Err(Missing::NoTarget(pointer.address)),
        },
        Value::Variant(Variant { name, fields, .. }) if name == "Some" => {
            let first = fields.first().map(|(_, value)| value);
            first.ok_or(Missing::NotRecorded)
        }
        Value::Variant(variant) => Err(Missing::OtherVariant(variant.name.clone())),
        _ => Err(Missing::NoPart),
    })
}

/// The length of a collection or text. `Some(None)` if it is cut and its length is not known.
pub(super) fn length(value: &Value) -> Option<Option<u64>> {
    let of = |shown: usize, cut: Option<crate::value::Cut>| match cut {
        None => Some(shown as u64),
        Some(cut) => cut.of,
    };
    Some(match plain(value) {
        Value::Text(text) => of(text.bytes.len(), text.cut),
        Value::Sequence(sequence) => of(sequence.items.len(), sequence.cut),
        Value::Map(map) => of(map.entries.len(), map.cut),
        _ => return None,
    })
}

/// `is_some()` and the other predicates. `None` if the value has none of them.
pub(super) fn is(value: &Value, predicate: Predicate) -> Option<bool> {
    match (plain(value), predicate) {
        (Value::Variant(variant), predicate) => {
            let wanted = predicate.variant()?;
            let names: &[&str] = match wanted {
                "Some" | "None" => &["Some", "None"],
                _ => &["Ok", "Err"],
            };
            let is_such = names.contains(&&*variant.name);
            is_such.then_some(variant.name == wanted)
        }
        (Value::Pointer(pointer), Predicate::Null | Predicate::None) => Some(pointer.address == 0),
        (Value::Pointer(pointer), Predicate::Some) => Some(pointer.address != 0),
        _ => None,
    }
}

/// Equality with `null` or `None`. `None` if the value is never that.
pub(super) fn is_nothing(value: &Value) -> Option<bool> {
    match plain(value) {
        Value::Pointer(pointer) => Some(pointer.address == 0),
        Value::Variant(variant) if matches!(&*variant.name, "Some" | "None") => {
            Some(variant.name == "None")
        }
        // A C text that was read has a pointer to it.
        Value::Text(_) => Some(false),
        _ => None,
    }
}

/// Equality with the variant of a path: `Failed`, `State::Failed`. `None` if the value is no enum's.
pub(super) fn is_variant(value: &Value, path: &str) -> Option<bool> {
    let Value::Variant(variant) = plain(value) else {
        return None;
    };
    let mut segments = path.rsplit("::");
    let name = segments.next()?;
    let is_of_type = segments.next().is_none_or(|ty| {
        let bare = variant.ty.split('<').next().unwrap_or_default();
        // C++ writes the variants of a plain enum beside it.
        bare == ty || variant.ty.is_empty()
    });
    is_of_type.then_some(variant.name == name)
}
