//! What is kept of a module's DWARF from one question to the next: where units
//! begin, abbreviations, indexes of units, types that were read.
//!
//! Owns no bytes of the file, so that a module can own both.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, OnceLock, RwLock};

use super::Slice;
use super::budget::Budget;
use super::calls::Calls;
use super::classes::ClassIndex;
use super::dies::{DieId, FileNumber, SectionKey};
use super::imports::Imported;
use super::name_index::NameIndex;
use super::types::{Type, TypeId};
use super::unit_index::UnitIndex;
use super::unit_parser::{AbbreviationTable, parse_abbreviations};

/// Types that are kept; when there are more, all are forgotten and read again.
const MAX_TYPES: usize = 1 << 17;
/// Types of our own making (pointers to types that DWARF has no pointer for).
const MAX_MADE: usize = 1 << 16;
/// Units whose index is kept; when there are more, all are forgotten.
const MAX_INDEXES: usize = 512;
/// Abbreviations and attributes of the tables that are kept; when there are more, all are forgotten.
const MAX_ABBREVIATIONS: usize = 1 << 20;
/// Entries whose list of blocks is kept; when there are more, all are forgotten.
const MAX_BLOCKS: usize = 512;
/// Names of imports, and functions with such names, that are kept; when there are more, all are forgotten.
const MAX_IMPORTS: usize = 1 << 12;
/// Set in the id of a type of our own making.
const MADE: u64 = 1 << 63;

type Shared<K, V> = RwLock<HashMap<K, V>>;

/// Tables of abbreviations, by file and offset; `None` for one that cannot be read.
#[derive(Default)]
struct Abbreviations {
    tables: HashMap<(FileNumber, usize), Option<AbbreviationTable>>,
    weight: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct DieCache {
    starts: Shared<SectionKey, Arc<[u64]>>,
    abbreviations: RwLock<Abbreviations>,
    signatures: Shared<FileNumber, Arc<HashMap<u64, DieId>>>,
    indexes: Shared<(SectionKey, u64), Arc<UnitIndex>>,
    types: Shared<TypeId, Arc<Type>>,
    calls: Shared<(SectionKey, u64), Arc<Calls>>,
    /// By entry: whether a function may come to be entered again by jumps.
    entered: Shared<u64, bool>,
    /// By entry: where calls of a function from other units return to.
    callers: Shared<u64, Arc<[u64]>>,
    /// By entry: the names that others can import a function by.
    exported: Shared<u64, Arc<[Vec<u8>]>>,
    /// By name: calls of what is imported under it; `None`: nothing is.
    imports: Shared<Vec<u8>, Option<Arc<[Imported]>>>,
    blocks: Shared<DieId, Arc<Blocks>>,
    made: RwLock<Vec<Arc<Type>>>,
    /// Names of the whole module, made when first asked for.
    pub(super) names: OnceLock<NameIndex>,
    /// Classes of C++ by their bases, made when first asked for.
    pub(super) classes: OnceLock<ClassIndex>,
    /// Full names of classes of C++ that it exports or imports, made when first asked for.
    pub(super) named_classes: OnceLock<HashSet<String>>,
}

/// What stands in a function or block: entries of variables, and blocks with their addresses.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// In the order of the entries.
    pub(super) variables: Vec<DieId>,
    /// Blocks and inlined copies, in the order of the entries.
    pub(super) inside: Vec<Inside>,
}

/// One block or inlined copy.
#[derive(Debug)]
pub(super) struct Inside {
    /// Its entry.
    pub(super) die: DieId,
    /// A copy, and not a block.
    pub(super) inlined: bool,
    /// Where its code is; `None`: it says nothing of that.
    pub(super) ranges: Option<Vec<(u64, u64)>>,
}

impl Blocks {
    /// Worth keeping from one address to the next, and not too large for that.
    ///
    /// Finding the end of even one block inside can mean reading all that is in it.
    fn is_kept(&self) -> bool {
        (1..1 << 12).contains(&self.inside.len()) && self.variables.len() < 1 << 12
    }
}

impl DieCache {
    /// The blocks of one entry; an entry without any is read each time.
    pub(super) fn blocks(&self, die: DieId, read: impl FnOnce() -> Blocks) -> Arc<Blocks> {
        let kept = self.blocks.read().ok();
        if let Some(blocks) = kept.and_then(|kept| kept.get(&die).cloned()) {
            return blocks;
        }
        let blocks = Arc::new(read());
        if blocks.is_kept() {
            let again = || Some(Arc::clone(&blocks));
            return keep(&self.blocks, MAX_BLOCKS, die, again).unwrap_or_default();
        }
        blocks
    }

    /// Offsets of a section's units; `read` finds them the first time.
    pub(super) fn unit_starts(
        &self,
        section: SectionKey,
        read: impl FnOnce() -> Vec<u64>,
    ) -> Arc<[u64]> {
        keep(&self.starts, usize::MAX, section, || Some(read().into())).unwrap_or_default()
    }

    /// The abbreviations of a unit of a file, parsed once for all units that share them.
    pub(super) fn abbreviations<'a>(
        &self,
        budget: &Arc<Budget>,
        file: FileNumber,
        dwarf: &gimli::Dwarf<Slice<'a>>,
        header: &gimli::UnitHeader<Slice<'a>>,
    ) -> Option<Arc<gimli::Abbreviations>> {
        let offset = header.debug_abbrev_offset();
        let key = (file, offset.0);
        if let Ok(kept) = self.abbreviations.read()
            && let Some(table) = kept.tables.get(&key)
        {
            return table.as_ref().map(|table| Arc::clone(&table.parsed));
        }
        let table = parse_abbreviations(budget, dwarf, offset);
        let parsed = table.as_ref().map(|table| Arc::clone(&table.parsed));
        if let Ok(mut kept) = self.abbreviations.write() {
            let weight = table.as_ref().map_or(1, |table| table.weight);
            if kept.weight.saturating_add(weight) > MAX_ABBREVIATIONS {
                *kept = Abbreviations::default();
            }
            kept.weight = kept.weight.saturating_add(weight);
            kept.tables.insert(key, table);
        }
        parsed
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

    /// The calls of one unit.
    pub(super) fn calls(&self, key: (SectionKey, u64), read: impl FnOnce() -> Calls) -> Arc<Calls> {
        keep(&self.calls, MAX_INDEXES, key, || Some(Arc::new(read()))).unwrap_or_default()
    }

    /// Whether the function at an entry may come to be entered again by jumps.
    pub(super) fn enters_itself(&self, entry: u64, look: impl FnOnce() -> bool) -> bool {
        keep(&self.entered, MAX_TYPES, entry, || Some(look())).unwrap_or(true)
    }

    /// Where calls of the function at an entry return to, from units other than its own.
    pub(super) fn callers(&self, entry: u64, look: impl FnOnce() -> Vec<u64>) -> Arc<[u64]> {
        keep(&self.callers, MAX_TYPES, entry, || Some(look().into())).unwrap_or_default()
    }

    /// The names that others can import the function at an entry by.
    pub(super) fn exported_names(
        &self,
        entry: u64,
        look: impl FnOnce() -> Arc<[Vec<u8>]>,
    ) -> Arc<[Vec<u8>]> {
        keep(&self.exported, MAX_IMPORTS, entry, || Some(look())).unwrap_or_default()
    }

    /// Calls of what is imported under a name, if anything is.
    pub(super) fn imports(
        &self,
        name: &[u8],
        look: impl FnOnce() -> Option<Arc<[Imported]>>,
    ) -> Option<Arc<[Imported]>> {
        keep(&self.imports, MAX_IMPORTS, name.to_vec(), || Some(look())).flatten()
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
