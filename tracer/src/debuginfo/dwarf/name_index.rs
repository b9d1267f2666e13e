//! Types and statics of a whole module, by the hashes of their names. [`super::name_lookup`]
//! makes the index and looks names up.

use super::die_id::DieId;

/// Entries with one name that are read.
pub(super) const MAX_CANDIDATES: usize = 1 << 12;

/// Index of names; see the [module documentation](self).
#[derive(Default)]
pub(in crate::debuginfo) struct NameIndex {
    /// Entries by the hash of their name.
    pub(super) names: Vec<NameEntry>,
    /// Virtual tables of Rust's trait objects, by address of their entries.
    pub(in crate::debuginfo) vtables: Vec<DieId>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NameEntry {
    pub(super) hash: u32,
    pub(super) is_type: bool,
    pub(super) id: DieId,
}

impl NameIndex {
    pub(super) fn candidates(&self, hash: u32, is_type: bool) -> impl Iterator<Item = DieId> {
        let key = (hash, is_type);
        let from = self
            .names
            .partition_point(|entry| (entry.hash, entry.is_type) < key);
        self.names
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(move |entry| (entry.hash, entry.is_type) == key)
            .take(MAX_CANDIDATES)
            .map(|entry| entry.id)
    }
}
