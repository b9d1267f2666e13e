//! What is kept of a module's DWARF from one question to the next: where units
//! begin, abbreviations, indexes of units, types that were read.
//!
//! Owns no bytes of the file, so that a module can own both.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, OnceLock, RwLock};

use super::dies::{DieId, FileNumber, SectionKey};
use super::name_index::NameIndex;
use super::types::{Type, TypeId};
use super::unit_index::UnitIndex;

/// Types that are kept; when there are more, all are forgotten and read again.
const MAX_TYPES: usize = 1 << 17;
/// Types of our own making (pointers to types that DWARF has no pointer for).
const MAX_MADE: usize = 1 << 16;
/// Units whose index is kept; when there are more, all are forgotten.
const MAX_INDEXES: usize = 512;
/// Abbreviation tables that are kept; when there are more, all are forgotten.
const MAX_ABBREVIATIONS: usize = 1 << 14;
/// Set in the id of a type of our own making.
const MADE: u64 = 1 << 63;

type Shared<K, V> = RwLock<HashMap<K, V>>;

/// See the module.
#[derive(Default)]
pub(super) struct DieCache {
    starts: Shared<SectionKey, Arc<[u64]>>,
    abbreviations: Shared<(FileNumber, usize), Arc<gimli::Abbreviations>>,
    signatures: Shared<FileNumber, Arc<HashMap<u64, DieId>>>,
    indexes: Shared<(SectionKey, u64), Arc<UnitIndex>>,
    types: Shared<TypeId, Arc<Type>>,
    made: RwLock<Vec<Arc<Type>>>,
    /// Names of the whole module, made when first asked for.
    pub(super) names: OnceLock<NameIndex>,
}

impl DieCache {
    /// Offsets of a section's units; `read` finds them the first time.
    pub(super) fn unit_starts(
        &self,
        section: SectionKey,
        read: impl FnOnce() -> Vec<u64>,
    ) -> Arc<[u64]> {
        keep(&self.starts, usize::MAX, section, || Some(read().into())).unwrap_or_default()
    }

    /// One table of abbreviations.
    pub(super) fn abbreviations(
        &self,
        key: (FileNumber, usize),
        read: impl FnOnce() -> Option<Arc<gimli::Abbreviations>>,
    ) -> Option<Arc<gimli::Abbreviations>> {
        keep(&self.abbreviations, MAX_ABBREVIATIONS, key, read)
    }

    /// Type units of a file by signature.
    pub(super) fn signatures(
        &self,
        file: FileNumber,
        read: impl FnOnce() -> HashMap<u64, DieId>,
    ) -> Arc<HashMap<u64, DieId>> {
        keep(&self.signatures, usize::MAX, file, || {
            Some(Arc::new(read()))
        })
        .unwrap_or_default()
    }

    /// The index of one unit.
    pub(super) fn unit_index(
        &self,
        key: (SectionKey, u64),
        read: impl FnOnce() -> UnitIndex,
    ) -> Arc<UnitIndex> {
        keep(&self.indexes, MAX_INDEXES, key, || Some(Arc::new(read()))).unwrap_or_default()
    }

    /// One type; `read` reads it the first time.
    pub(super) fn read_type(&self, id: TypeId, read: impl FnOnce() -> Type) -> Option<Arc<Type>> {
        if id.0 & MADE != 0 {
            let made = self.made.read().ok()?;
            return made
                .get(usize::try_from(id.0 & !MADE).ok()?.checked_sub(1)?)
                .cloned();
        }
        keep(&self.types, MAX_TYPES, id, || Some(Arc::new(read())))
    }

    /// Keeps a type that no entry describes; `None` when there are too many.
    pub(super) fn make_type(&self, ty: Type) -> Option<TypeId> {
        let mut made = self.made.write().ok()?;
        let number = match made.iter().position(|known| **known == ty) {
            Some(position) => position,
            None if made.len() >= MAX_MADE => return None,
            None => {
                made.push(Arc::new(ty));
                made.len() - 1
            }
        };
        Some(TypeId(MADE | (number as u64 + 1)))
    }
}

/// The value of `key`, read when it is not there. A lock that was poisoned
/// only costs the keeping.
fn keep<K: Eq + Hash, V: Clone>(
    map: &Shared<K, V>,
    most: usize,
    key: K,
    read: impl FnOnce() -> Option<V>,
) -> Option<V> {
    if let Ok(map) = map.read()
        && let Some(value) = map.get(&key)
    {
        return Some(value.clone());
    }
    let value = read()?;
    if let Ok(mut map) = map.write() {
        if map.len() >= most {
            map.clear();
        }
        map.insert(key, value.clone());
    }
    Some(value)
}
