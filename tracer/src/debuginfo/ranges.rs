//! Address ranges of DIEs, read with checked arithmetic.

use gimli::{AttributeValue, DebuggingInformationEntry};

use super::Slice;
use super::budget::{Budget, Reader};
use super::units::Unit;

/// Ranges of one DIE; compilers write some dozens.
const MAX_RANGES: usize = 64 << 10;

/// Steps to read one.
pub(super) const RANGE_STEPS: u64 = 20;

/// The ranges of `entry`, in the order of the file; the first has its entry
/// point, unless it says otherwise.
///
/// Each counts against the budget: many DIEs of a crafted file may share one long list.
pub(super) fn die_ranges<'a>(
    budget: &Budget,
    unit: &Unit<'a>,
    entry: &DebuggingInformationEntry<Slice<'a>>,
) -> Vec<(u64, u64)> {
    let reference = unit.reference();
    let address = |value| reference.attr_address(value).ok().flatten();
    let mut found = Vec::new();
    if let Some(value) = entry.attr_value(gimli::DW_AT_ranges)
        && let Ok(Some(mut list)) = reference.attr_ranges(value)
    {
        let mut meter = budget.meter(Reader::Ranges);
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
