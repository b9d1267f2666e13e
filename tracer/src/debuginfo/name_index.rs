//! Types and statics of a whole module by name.
//!
//! Made when first asked for, in parallel, from one pass over each unit; the
//! paths of candidates are put together only when somebody asks for the name.

use rayon::prelude::*;

use super::budget::Reader;
use super::dies::{Die, DieId, Dies, FileNumber, MAIN, SectionKey};
use super::module::Module;
use super::type_names::path_name;
use super::unit_index::{Named, UnitIndex, hash, index_of};

/// Names of one module that are kept; those beyond are not found.
const MAX_NAMES: usize = 1 << 24;
/// Bytes that are kept of one name, with what sorting and growing take.
const NAME_BYTES: u64 = 64;
/// Entries of one name that are looked at.
const MAX_CANDIDATES: usize = 1 << 12;
/// Entries that one look-up gives.
pub(super) const MAX_FOUND: usize = 64;

/// See the module.
#[derive(Default)]
pub(super) struct NameIndex {
    /// By hash.
    names: Vec<Entry>,
    /// Virtual tables of Rust's trait objects, by address of their entries.
    pub(super) vtables: Vec<DieId>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    hash: u32,
    is_type: bool,
    id: DieId,
}

impl NameIndex {
    /// Reads all units of a module.
    pub(super) fn read(module: &Module) -> Self {
        let units = units(module);
        let read: Vec<(Vec<Entry>, Vec<DieId>)> = units
            .par_chunks(
                units
                    .len()
                    .div_ceil(rayon::current_num_threads() * 8)
                    .max(1),
            )
            .map(|units| {
                let dies = Dies::new(module);
                let (mut names, mut vtables) = (Vec::new(), Vec::new());
                for (section, start) in units {
                    let Some(unit) = dies.unit(*section, *start) else {
                        continue;
                    };
                    let index = UnitIndex::read(&dies, &unit);
                    let bytes = index.names.len() as u64 * NAME_BYTES;
                    if !module.budget.hold(Reader::Names, bytes) {
                        break;
                    }
                    names.extend(index.names.iter().map(|named| entry(&unit, *named)));
                    let at = |offset: &u32| unit.id(gimli::UnitOffset(*offset as usize));
                    vtables.extend(index.vtables.iter().map(at));
                }
                module.release();
                (names, vtables)
            })
            .collect();
        let (mut names, mut vtables) = (Vec::new(), Vec::new());
        for (of_names, of_vtables) in read {
            names.extend(of_names);
            vtables.extend(of_vtables);
        }
        names.truncate(MAX_NAMES);
        names.par_sort_unstable();
        vtables.sort_unstable();
        Self { names, vtables }
    }

    fn candidates(&self, hash: u32, is_type: bool) -> impl Iterator<Item = DieId> {
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

fn entry(unit: &super::dies::UnitAt<'_>, named: Named) -> Entry {
    Entry {
        hash: named.hash,
        is_type: named.is_type,
        id: unit.id(gimli::UnitOffset(named.offset as usize)),
    }
}

/// All units of a module: its own, split ones instead of their skeletons, the supplementary file's.
fn units(module: &Module) -> Vec<(SectionKey, u64)> {
    let dies = Dies::new(module);
    let mut found = Vec::new();
    for (number, info) in module.units().iter().enumerate() {
        let split = SectionKey {
            file: FileNumber::Split(number as u32),
            types: false,
        };
        match &info.split {
            Some(_) if dies.dwarf(split.file).is_some() => {
                let starts = dies.unit_starts(split).unwrap_or_default();
                found.extend(starts.iter().map(|start| (split, *start)));
            }
            _ => found.push((MAIN, info.offset)),
        }
    }
    for section in [
        SectionKey {
            file: FileNumber::Main,
            types: true,
        },
        SectionKey {
            file: FileNumber::Supplementary,
            types: false,
        },
    ] {
        let starts = dies.unit_starts(section).unwrap_or_default();
        found.extend(starts.iter().map(|start| (section, *start)));
    }
    found
}

/// Types or statics whose full name is `name` or ends with `::name`; those
/// that match exactly come first, of which `most` are enough.
pub(super) fn find_named<'a>(
    dies: &Dies<'a>,
    name: &str,
    is_type: bool,
    most: usize,
) -> Vec<Die<'a>> {
    let index = dies
        .cache
        .names
        .get_or_init(|| NameIndex::read(dies.module));
    let ids = index.candidates(hash(last_segment(name).as_bytes()), is_type);
    let mut exact = Vec::new();
    let mut suffix = Vec::new();
    for id in ids {
        if exact.len() >= most || exact.len() + suffix.len() >= MAX_FOUND {
            break;
        }
        let Some(die) = dies.die(id) else { continue };
        match matches(dies, &die, name) {
            Some(true) => exact.push(die),
            Some(false) => suffix.push(die),
            None => {}
        }
    }
    exact.extend(suffix);
    exact
}

/// The same among the entries of one unit.
pub(super) fn find_in_unit<'a>(
    dies: &Dies<'a>,
    unit: &super::dies::UnitAt<'a>,
    name: &str,
    is_type: bool,
) -> Vec<Die<'a>> {
    let wanted = hash(last_segment(name).as_bytes());
    index_of(dies, unit)
        .names
        .iter()
        .filter(|named| named.hash == wanted && named.is_type == is_type)
        .take(MAX_CANDIDATES)
        .filter_map(|named| dies.die(unit.id(gimli::UnitOffset(named.offset as usize))))
        .filter(|die| matches(dies, die, name).is_some())
        .take(MAX_FOUND)
        .collect()
}

/// The definition of a type that `die` declares: in its own unit, else anywhere.
pub(super) fn definition_of<'a>(dies: &Dies<'a>, die: &Die<'a>, name: &str) -> Option<DieId> {
    dies.name(die)?;
    let fits =
        |found: &Die<'a>| same_kind(found.tag(), die.tag()) && path_name(dies, found) == name;
    let near = find_in_unit(dies, &die.unit, name, true);
    near.iter()
        .find(|found| fits(found))
        .map(Die::id)
        .or_else(|| {
            find_named(dies, name, true, MAX_FOUND)
                .iter()
                .find(|found| fits(found))
                .map(Die::id)
        })
}

fn same_kind(a: gimli::DwTag, b: gimli::DwTag) -> bool {
    let class = |tag| {
        matches!(
            tag,
            gimli::DW_TAG_structure_type | gimli::DW_TAG_class_type | gimli::DW_TAG_interface_type
        )
    };
    a == b || (class(a) && class(b))
}

/// Whether a full name is `name` (true), or ends with `::name` (false).
fn matches<'a>(dies: &Dies<'a>, die: &Die<'a>, name: &str) -> Option<bool> {
    let full = path_name(dies, die);
    if full == name {
        return Some(true);
    }
    full.strip_suffix(name)?.ends_with("::").then_some(false)
}

/// What stands behind the last `::` that is not within `<>`, `()` or `[]`.
fn last_segment(name: &str) -> &str {
    let bytes = name.as_bytes();
    let mut depth = 0_usize;
    for at in (1..bytes.len()).rev() {
        match (bytes.get(at - 1), bytes.get(at)) {
            (Some(b'-'), Some(b'>')) => {}
            (_, Some(b'>' | b')' | b']' | b'}')) => depth += 1,
            (_, Some(b'<' | b'(' | b'[' | b'{')) => depth = depth.saturating_sub(1),
            (Some(b':'), Some(b':')) if depth == 0 => return name.get(at + 1..).unwrap_or(name),
            _ => {}
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_segment_paths_and_generics_gives_what_is_behind_the_path() {
        assert_eq!(last_segment("COUNT"), "COUNT");
        assert_eq!(last_segment("a::b::COUNT"), "COUNT");
        assert_eq!(last_segment("a::Vec<b::C, d::E>"), "Vec<b::C, d::E>");
        assert_eq!(
            last_segment("a::F<fn(b::C) -> d::E>"),
            "F<fn(b::C) -> d::E>"
        );
        assert_eq!(
            last_segment("a::{closure_env#0}<b::C>"),
            "{closure_env#0}<b::C>"
        );
    }
}
