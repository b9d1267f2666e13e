//! Values that differ between two steps.

use crate::base::unavailable::Unavailable;
use crate::event::NamedValue;
use crate::value::{Map, Pointer, Sequence, Struct, Value, Variant};

/// A value that is another one than before, is new, or is gone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueChange<'v> {
    /// The value before. `None` if it was not in scope.
    pub before: Option<&'v NamedValue>,
    /// The value now. `None` if it is not in scope any more.
    pub now: Option<&'v NamedValue>,
}

impl ValueChange<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        let value = self.now.or(self.before);
        value.map_or("", |value| &value.expr)
    }
}

/// Returns true if the value says that no variable of the name is in scope.
#[must_use]
pub fn is_absent(value: &NamedValue) -> bool {
    match &value.value {
        Value::Unavailable(Unavailable::OutOfScope) => true,
        // A recording keeps the words.
        Value::Unavailable(Unavailable::Recorded(words)) => {
            *words == Unavailable::OutOfScope.to_string()
        }
        _ => false,
    }
}

/// The first value of a name that is in scope.
#[must_use]
pub fn named<'v>(values: &'v [NamedValue], name: &str) -> Option<&'v NamedValue> {
    let mut present = values.iter().filter(|value| !is_absent(value));
    present.find(|value| &*value.expr == name)
}

/// The differences between two lists of values. Those that are gone come last.
#[must_use]
pub fn changes<'v>(before: &'v [NamedValue], now: &'v [NamedValue]) -> Vec<ValueChange<'v>> {
    let mut changes = Vec::new();
    for (index, value) in now.iter().enumerate() {
        if is_absent(value) {
            continue;
        }
        let old = counterpart(before, value, index);
        if old.is_none_or(|old| !same_value(&old.value, &value.value)) {
            changes.push(ValueChange {
                before: old,
                now: Some(value),
            });
        }
    }
    for (index, value) in before.iter().enumerate() {
        if !is_absent(value) && counterpart(now, value, index).is_none() {
            changes.push(ValueChange {
                before: Some(value),
                now: None,
            });
        }
    }
    changes
}

/// The value of the same name in another list, most likely at the same index.
fn counterpart<'v>(
    values: &'v [NamedValue],
    value: &NamedValue,
    index: usize,
) -> Option<&'v NamedValue> {
    let is_same = |other: &&NamedValue| other.expr == value.expr;
    let near = values.get(index).filter(is_same);
    let found = near.or_else(|| values.iter().find(is_same));
    found.filter(|found| !is_absent(found))
}

/// Returns true if two values are the same. Floats are compared by their bits, so that NaN is the same as NaN.
#[must_use]
pub fn same_value(one: &Value, two: &Value) -> bool {
    let same_fields = |one: &[(String, Value)], two: &[(String, Value)]| {
        one.len() == two.len()
            && one
                .iter()
                .zip(two)
                .all(|((name, one), (other, two))| name == other && same_value(one, two))
    };
    match (one, two) {
        (Value::Float32(one), Value::Float32(two)) => one.to_bits() == two.to_bits(),
        (Value::Float64(one), Value::Float64(two)) => one.to_bits() == two.to_bits(),
        (Value::Struct(one), Value::Struct(two)) => {
            let Struct {
                name,
                fields,
                has_more,
            } = one;
            *name == two.name && *has_more == two.has_more && same_fields(fields, &two.fields)
        }
        (Value::Variant(one), Value::Variant(two)) => {
            let Variant { ty, name, line, .. } = one;
            (ty, name, line, one.omitted) == (&two.ty, &two.name, &two.line, two.omitted)
                && same_fields(&one.fields, &two.fields)
        }
        (Value::Tuple(one), Value::Tuple(two)) => same_items(one, two),
        (Value::Range(one), Value::Range(two)) => same_items(&**one, &**two),
        (Value::Sequence(one), Value::Sequence(two)) => {
            let Sequence { items, cut, set } = one;
            (cut, set) == (&two.cut, &two.set) && same_items(items, &two.items)
        }
        (Value::Map(one), Value::Map(two)) => {
            let Map { entries, cut } = one;
            *cut == two.cut
                && entries.len() == two.entries.len()
                && entries
                    .iter()
                    .zip(&two.entries)
                    .all(|(one, two)| same_value(&one.0, &two.0) && same_value(&one.1, &two.1))
        }
        (Value::Pointer(one), Value::Pointer(two)) => {
            let Pointer {
                address,
                symbol,
                target,
                transparent,
            } = one;
            let same_target = match (target, &two.target) {
                (Some(one), Some(two)) => same_value(one, two),
                (one, two) => one.is_none() && two.is_none(),
            };
            (address, symbol, transparent) == (&two.address, &two.symbol, &two.transparent)
                && same_target
        }
        (one, two) => one == two,
    }
}

fn same_items(one: &[Value], two: &[Value]) -> bool {
    one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same_value(one, two))
}
