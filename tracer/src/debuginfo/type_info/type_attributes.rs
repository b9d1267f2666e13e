//! Attributes of types: array bounds, byte order, constant numbers.

use gimli::AttributeValue;

use crate::debuginfo::dwarf::dies::{Die, Dies};

/// Dimensions of one array.
const MAX_DIMENSIONS: usize = 32;
/// Reason why a value in the other byte order is not shown.
pub(in crate::debuginfo) const BIG_ENDIAN: &str = "big-endian numbers";

/// Returns the number of elements of each dimension of an array, as far as they are constant.
pub(in crate::debuginfo) fn dimensions<'a>(dies: &Dies<'a>, die: &Die<'a>) -> Vec<Option<u64>> {
    let dimensions = dies.children(die);
    let dimensions = dimensions.iter().filter(|child| {
        matches!(
            child.tag(),
            gimli::DW_TAG_subrange_type | gimli::DW_TAG_enumeration_type
        )
    });
    let mut counts: Vec<_> = dimensions.take(MAX_DIMENSIONS).map(count_of).collect();
    if counts.is_empty() {
        counts.push(None);
    }
    counts
}

/// Returns true if a scalar is not in this machine's byte order. Compilers mark numbers and omit
/// the mark on enums.
pub(in crate::debuginfo) fn is_big_endian(die: &Die<'_>) -> bool {
    match die.attr(gimli::DW_AT_endianity) {
        Some(AttributeValue::Endianity(order)) => order == gimli::DW_END_big,
        Some(other) => other.udata_value() == Some(u64::from(gimli::DW_END_big.0)),
        None => false,
    }
}

/// Returns the number of elements of a dimension, if it is constant.
fn count_of(die: &Die<'_>) -> Option<u64> {
    if let Some(count) = die.attr(gimli::DW_AT_count) {
        // Some compilers write -1 for "unknown".
        return count
            .udata_value()
            .filter(|count| *count < u64::from(u32::MAX) || *count >> 62 == 0);
    }
    let upper = die.attr(gimli::DW_AT_upper_bound)?;
    let upper = match upper {
        AttributeValue::Data8(value) => value as i64,
        AttributeValue::Sdata(value) => value,
        other => i64::try_from(other.udata_value()?).ok()?,
    };
    let lower = die.attr(gimli::DW_AT_lower_bound);
    let lower = lower.and_then(|lower| lower.sdata_value()).unwrap_or(0);
    u64::try_from(upper.checked_sub(lower)?.checked_add(1)?).ok()
}

/// Returns true for tags of types that are the same bytes under another name.
pub(in crate::debuginfo) fn is_alias(tag: gimli::DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_typedef
            | gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type
            | gimli::DW_TAG_immutable_type
            | gimli::DW_TAG_packed_type
            | gimli::DW_TAG_shared_type
            | gimli::DW_TAG_template_alias
            | gimli::DW_TAG_subrange_type
    )
}

/// Returns the number in an attribute of any form. Forms of fixed size have no sign, so their
/// bits are taken unchanged.
pub(in crate::debuginfo) fn number(
    value: AttributeValue<crate::debuginfo::Slice<'_>>,
) -> Option<i128> {
    match value {
        AttributeValue::Sdata(value) => Some(value.into()),
        AttributeValue::Data16(value) => Some(value as i128),
        AttributeValue::Block(bytes) => {
            let bytes = bytes.slice();
            let value = bytes
                .iter()
                .rev()
                .fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
            (bytes.len() <= 16).then_some(value as i128)
        }
        other => other.udata_value().map(i128::from),
    }
}

/// Returns the value of the low `size` bytes of `value`.
pub(in crate::debuginfo) fn in_width(value: i128, size: u64, signed: bool) -> i128 {
    let Some(shift) = 16_u64.checked_sub(size).map(|bytes| bytes * 8) else {
        return value;
    };
    if shift >= 128 {
        return value;
    }
    let high = (value as u128) << shift;
    if signed {
        (high as i128) >> shift
    } else {
        (high >> shift) as i128
    }
}
