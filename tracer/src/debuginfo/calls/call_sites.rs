//! Calls by the function that they call: the address that each returns to, and the debug entry
//! that describes the passed values.
//!
//! All calls of a unit are read at once. The code tells which units have calls of a function, so
//! units without any are never read.
//!
//! The callee comes from the instruction, not from the origin in the debug information, because
//! several copies of a function have the same origin.

use std::rc::Rc;

use super::call_table::{Call, Calls};
use super::code_search::{TransferSearch, direct_target_before, direct_transfers};
use super::imports::word_before;
use crate::arch::TransferKind;
use crate::base::address::LinkAddr;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::dwarf::dies::{Dies, Entry, ParsedUnit};

/// Steps to skip an entry, and to look at a call.
const SKIP_STEPS: u64 = 12;
const CALL_STEPS: u64 = 150;
/// Bytes that are kept of a call.
const KEPT_BYTES: u64 = 48;
/// Calls of one unit that are kept.
const MAX_CALLS: usize = 1 << 20;

impl Calls {
    fn read<'a>(dies: &Dies<'a>, unit: &ParsedUnit<'a>) -> Self {
        let mut calls = Self::default();
        // Entries before an error are kept.
        let _ = calls.add_all(dies, unit);
        let direct = &mut calls.direct;
        direct.sort_by_key(|call| (call.target, call.returns_to));
        calls.through.sort_by_key(|call| call.returns_to);
        calls
    }

    fn add_all<'a>(&mut self, dies: &Dies<'a>, unit: &ParsedUnit<'a>) -> Option<()> {
        let dwarf = dies.dwarf(unit.section.file)?;
        let mut raw = unit.unit.entries_raw(None).ok()?;
        let mut entry = Entry::null();
        let budget = &dies.files.budget;
        let mut meter = budget.meter(ReaderKind::Entries);
        while !raw.is_empty() && self.direct.len() + self.through.len() < MAX_CALLS {
            let site = raw.next_offset();
            let mut ahead = raw.clone();
            let Some(abbreviation) = ahead.read_abbreviation().ok()? else {
                raw = ahead;
                continue;
            };
            let tag = abbreviation.tag();
            if !meter.take(SKIP_STEPS + abbreviation.attributes().len() as u64 * 2) {
                break;
            }
            if tag != gimli::DW_TAG_call_site && tag != gimli::DW_TAG_GNU_call_site {
                ahead.skip_attributes(abbreviation.attributes()).ok()?;
                raw = ahead;
                continue;
            }
            raw.read_entry(&mut entry).ok()?;
            let returns_to = entry
                .attr_value(gimli::DW_AT_call_return_pc)
                .or_else(|| entry.attr_value(gimli::DW_AT_low_pc))
                .and_then(|value| dwarf.attr_address(&unit.unit, value).ok().flatten());
            let Some(returns_to) = returns_to else {
                continue;
            };
            if !meter.take(CALL_STEPS) || !budget.hold(ReaderKind::Entries, KEPT_BYTES) {
                break;
            }
            let call = |target| Call {
                target,
                returns_to,
                site,
            };
            if let Some(target) = direct_target_before(dies.files, returns_to) {
                self.direct.push(call(target));
            } else if let Some(word) = word_before(dies.files, returns_to) {
                self.through.push(call(word.0));
            }
        }
        Some(())
    }
}

/// Returns the calls of a unit. They are read on first use.
pub(in crate::debuginfo) fn calls_of<'a>(
    dies: &Dies<'a>,
    unit: &ParsedUnit<'a>,
) -> std::sync::Arc<Calls> {
    let read = || Calls::read(dies, unit);
    dies.caches.calls.calls(unit.section, unit.start, read)
}

/// Returns at most `most` calls of the function at `entry` from code of other units.
pub(in crate::debuginfo) fn from_other_units<'a>(
    dies: &Dies<'a>,
    entry: LinkAddr,
    most: usize,
) -> Vec<(Rc<ParsedUnit<'a>>, Call)> {
    let own = dies.files.unit_at(entry);
    let is_other = |returns_to: u64| dies.files.unit_at(LinkAddr(returns_to - 1)) != own;
    let search = TransferSearch {
        kind: TransferKind::Call,
        to: entry,
        most,
    };
    let look = || direct_transfers(dies.files, search, is_other);
    let returns = dies.caches.calls.callers(entry, look);
    let known = returns.iter().filter_map(|&returns_to| {
        let (other, call) = returning_to(dies, returns_to)?;
        (call.target == entry.0).then_some((other, call))
    });
    known.collect()
}

/// Returns the call that returns to an address, if its unit has an entry for it.
pub(in crate::debuginfo) fn returning_to<'a>(
    dies: &Dies<'a>,
    returns_to: u64,
) -> Option<(Rc<ParsedUnit<'a>>, Call)> {
    // The call itself is in the unit, but the instruction after it may not be.
    let unit = dies.unit_at(LinkAddr(returns_to.checked_sub(1)?))?;
    let call = *calls_of(dies, &unit).returning_to(returns_to)?;
    Some((unit, call))
}
