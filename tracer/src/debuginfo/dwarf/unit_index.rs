//! An index of a unit: the entries that enclose others, functions by address, and the hashes of
//! the names of types and statics. [`super::unit_index_reader`] makes it.

use std::sync::Arc;

use gimli::UnitOffset;

use super::cache::Cache;
use super::die_id::SectionKey;
use crate::debuginfo::budget::KeptMemory;

/// Levels of enclosing entries that are distinguished.
pub(super) const MAX_DEPTH: usize = 512;
/// Units whose index is kept. One more drops all of them.
const MAX_INDEXES: usize = 512;

/// Index of one unit. Offsets count from the unit's header.
#[derive(Default)]
pub(in crate::debuginfo) struct UnitIndex {
    /// Containers in the order of the unit.
    pub(super) containers: Vec<Container>,
    /// Functions by first address.
    pub(super) functions: Vec<FunctionRange>,
    /// Named types and statics.
    pub(in crate::debuginfo) names: Vec<IndexedName>,
    /// Offsets of the virtual tables of Rust's trait objects.
    pub(in crate::debuginfo) vtables: Vec<u32>,
    pub(super) kept: Option<KeptMemory>,
}

/// An entry that qualifies the names of the entries inside it.
pub(super) struct Container {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) parent: u32,
}

/// A code range of a function.
pub(super) struct FunctionRange {
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) offset: u32,
}

/// A named type or static.
#[derive(Clone, Copy, Debug)]
pub(in crate::debuginfo) struct IndexedName {
    /// [`hash`] of its name without the path.
    pub(in crate::debuginfo) hash: u32,
    /// Offset of the entry.
    pub(in crate::debuginfo) offset: u32,
    /// True for a type, false for a static.
    pub(in crate::debuginfo) is_type: bool,
}

impl UnitIndex {
    /// Returns the entry that encloses the one at `offset` and names it: a namespace, a type, a
    /// function.
    pub(in crate::debuginfo) fn parent(&self, offset: UnitOffset) -> Option<UnitOffset> {
        let offset = u32::try_from(offset.0).ok()?;
        let after = self
            .containers
            .partition_point(|container| container.start < offset);
        let mut number = after.checked_sub(1)?;
        for _ in 0..MAX_DEPTH {
            let container = self.containers.get(number)?;
            if offset < container.end {
                return Some(UnitOffset(container.start as usize));
            }
            number = usize::try_from(container.parent).ok()?;
        }
        None
    }

    /// Returns the innermost function with code at `address`.
    pub(in crate::debuginfo) fn function(&self, address: u64) -> Option<UnitOffset> {
        let after = self
            .functions
            .partition_point(|function| function.begin <= address);
        let around = self.functions.get(..after)?.iter().rev().take(64);
        around
            .filter(|function| address < function.end)
            .min_by_key(|function| function.end - function.begin)
            .map(|function| UnitOffset(function.offset as usize))
    }
}

/// Returns the hash of a name (FNV-1a). It only serves to find candidates.
pub(in crate::debuginfo) fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Cache of the indexes of recently used units.
#[derive(Default)]
pub(in crate::debuginfo) struct UnitIndexCache(Cache<(SectionKey, u64), Arc<UnitIndex>>);

impl UnitIndexCache {
    /// Returns the index of the unit at an offset of a section.
    pub(super) fn get(
        &self,
        section: SectionKey,
        start: u64,
        read: impl FnOnce() -> UnitIndex,
    ) -> Arc<UnitIndex> {
        let read = || Arc::new(read());
        self.0.get_or_read(MAX_INDEXES, (section, start), read)
    }
}
