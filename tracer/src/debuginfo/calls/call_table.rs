//! The calls of a unit, by the function that they call. [`super::call_sites`] reads them.

use std::sync::Arc;

use crate::base::address::LinkAddr;
use crate::debuginfo::dwarf::cache::Cache;
use crate::debuginfo::dwarf::die_id::SectionKey;

/// Units whose calls are kept. One more drops all of them.
const MAX_UNITS: usize = 512;
/// Functions whose callers are kept. One more drops all of them.
const MAX_FUNCTIONS: usize = 1 << 17;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::debuginfo) struct Call {
    pub(super) target: u64,
    /// Link address of the instruction after the call.
    pub(in crate::debuginfo) returns_to: u64,
    /// Debug entry of the call in the unit.
    pub(in crate::debuginfo) site: gimli::UnitOffset,
}

/// The calls of a unit.
#[derive(Debug, Default)]
pub(in crate::debuginfo) struct Calls {
    /// Calls whose target is in the instruction, by target.
    pub(super) direct: Vec<Call>,
    /// Calls through a word, by return address. Their target is the word's address.
    pub(super) through: Vec<Call>,
}

impl Calls {
    /// Returns the calls of the function at `entry`.
    pub(in crate::debuginfo) fn to(&self, entry: LinkAddr) -> impl Iterator<Item = &Call> {
        let direct = &self.direct;
        let from = direct.partition_point(|call| call.target < entry.0);
        let rest = direct.get(from..).unwrap_or_default();
        rest.iter().take_while(move |call| call.target == entry.0)
    }

    /// Returns the call that returns to an address.
    pub(in crate::debuginfo) fn returning_to(&self, address: u64) -> Option<&Call> {
        let through = self
            .through
            .binary_search_by_key(&address, |call| call.returns_to);
        let through = through.ok().and_then(|index| self.through.get(index));
        let mut direct = self.direct.iter();
        through.or_else(|| direct.find(|call| call.returns_to == address))
    }
}

/// Calls that were read so far.
#[derive(Default)]
pub(in crate::debuginfo) struct CallCache {
    units: Cache<(SectionKey, u64), Arc<Calls>>,
    /// By entry: true if a function may be entered again by jumps.
    entered: Cache<u64, bool>,
    /// By entry: return addresses of calls of a function from other units.
    callers: Cache<u64, Arc<[u64]>>,
}

impl CallCache {
    /// Returns the calls of the unit at an offset of a section.
    pub(super) fn calls(
        &self,
        section: SectionKey,
        start: u64,
        read: impl FnOnce() -> Calls,
    ) -> Arc<Calls> {
        let read = || Arc::new(read());
        self.units.get_or_read(MAX_UNITS, (section, start), read)
    }

    /// Returns true if the function at an entry may be entered again by jumps.
    pub(in crate::debuginfo) fn enters_itself(
        &self,
        entry: LinkAddr,
        look: impl FnOnce() -> bool,
    ) -> bool {
        self.entered.get_or_read(MAX_FUNCTIONS, entry.0, look)
    }

    /// Returns the return addresses of calls of a function from units other than its own.
    pub(super) fn callers(&self, entry: LinkAddr, look: impl FnOnce() -> Vec<u64>) -> Arc<[u64]> {
        let look = || look().into();
        self.callers.get_or_read(MAX_FUNCTIONS, entry.0, look)
    }
}
