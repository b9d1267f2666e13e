//! Address ranges of DIEs, read with checked arithmetic.

use gimli::{AttributeValue, DebuggingInformationEntry};

use super::units::Unit;
use crate::debuginfo::Slice;
use crate::debuginfo::budget::{ReadBudget, ReaderKind};

/// Ranges of one DIE that are read; compilers write some dozens.
const MAX_RANGES: usize = 64 << 10;

/// Steps to read one range.
pub(in crate::debuginfo) const RANGE_STEPS: u64 = 20;

/// Returns the ranges of `entry` in file order. The first range has the entry point, unless
/// `entry` has an attribute for it.
///
/// Each range counts against the budget, because many DIEs of a crafted file may share one long
/// list.
pub(in crate::debuginfo) fn die_ranges<'a>(
    budget: &ReadBudget,
    unit: &Unit<'a>,
    entry: &DebuggingInformationEntry<Slice<'a>>,
) -> Vec<(u64, u64)> {
    let reference = unit.reference();
    let address = |value| reference.attr_address(value).ok().flatten();
    let mut found = Vec::new();
    if let Some(value) = entry.attr_value(gimli::DW_AT_ranges)
        && let Ok(Some(mut list)) = reference.attr_ranges(value)
    {
        let mut meter = budget.meter(ReaderKind::Ranges);
        while found.len() < MAX_RANGES {
            let Ok(Some(range)) = list.next() else { break };
            if !meter.take(RANGE_STEPS) {
                break;
            }
            if range.begin < range.end {
                found.push((range.begin, range.end));
            }
        }
        return found;
    }
    let low = entry.attr_value(gimli::DW_AT_low_pc).and_then(address);
    let high = match entry.attr_value(gimli::DW_AT_high_pc) {
        Some(AttributeValue::Udata(size)) => low.and_then(|low| low.checked_add(size)),
        Some(value) => address(value),
        None => None,
    };
    if let (Some(low), Some(high)) = (low, high)
        && low < high
    {
        found.push((low, high));
    }
    found
}
