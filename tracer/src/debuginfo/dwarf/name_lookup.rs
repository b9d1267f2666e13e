//! Looks up types and statics of a module by name.
//!
//! The index of the module is made on first use, in parallel, with one pass over each unit. The
//! path of a candidate is put together only when its name is looked up.

use rayon::prelude::*;

use super::die_id::{DieId, FileNumber, MAIN, SectionKey};
use super::dies::{Die, Dies};
use super::name_index::{MAX_CANDIDATES, NameEntry, NameIndex};
use super::unit_index::{IndexedName, hash};
use super::unit_index_reader::{index_of, read_index};
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::caches::Caches;
use crate::debuginfo::files::Files;
use crate::debuginfo::names::last_segment;
use crate::debuginfo::type_info::type_names::path_name;

/// Names of one module that are kept; names beyond are not found.
const MAX_NAMES: usize = 1 << 24;
/// Bytes that are kept of one name, including the memory for sorting and growing.
const NAME_BYTES: u64 = 64;
/// Maximum number of entries that one look-up returns.
pub(in crate::debuginfo) const MAX_FOUND: usize = 64;

/// Reads the names in all units of a module's files.
fn read_names(files: &Files, caches: &Caches) -> NameIndex {
    let units = units(files, caches);
    let read: Vec<(Vec<NameEntry>, Vec<DieId>)> = units
        .par_chunks(
            units
                .len()
                .div_ceil(rayon::current_num_threads() * 8)
                .max(1),
        )
        .map(|units| {
            let dies = Dies::new(files, caches);
            let (mut names, mut vtables) = (Vec::new(), Vec::new());
            for (section, start) in units {
                let Some(unit) = dies.unit(*section, *start) else {
                    continue;
                };
                let index = read_index(&dies, &unit);
                let bytes = index.names.len() as u64 * NAME_BYTES;
                if !files.budget.hold(ReaderKind::Names, bytes) {
                    break;
                }
                names.extend(index.names.iter().map(|named| entry(&unit, *named)));
                let at = |offset: &u32| unit.id(gimli::UnitOffset(*offset as usize));
                vtables.extend(index.vtables.iter().map(at));
            }
            files.release();
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
    NameIndex { names, vtables }
}

/// Returns the index of names of the whole module.
pub(in crate::debuginfo) fn index_of_names<'a>(dies: &Dies<'a>) -> &'a NameIndex {
    let names = &dies.caches.names;
    names.get_or_init(|| read_names(dies.files, dies.caches))
}

fn entry(unit: &super::dies::ParsedUnit<'_>, named: IndexedName) -> NameEntry {
    NameEntry {
        hash: named.hash,
        is_type: named.is_type,
        id: unit.id(gimli::UnitOffset(named.offset as usize)),
    }
}

/// Returns all units of a module: its own, split units instead of their skeletons, and those of
/// the supplementary file.
fn units(files: &Files, caches: &Caches) -> Vec<(SectionKey, u64)> {
    let dies = Dies::new(files, caches);
    let mut found = Vec::new();
    for (number, info) in files.units().iter().enumerate() {
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

/// Returns the types or statics whose full name is `name` or ends with `::name`. Exact matches
/// come first, and the search ends after `most` of them.
pub(in crate::debuginfo) fn find_named<'a>(
    dies: &Dies<'a>,
    name: &str,
    is_type: bool,
    most: usize,
) -> Vec<Die<'a>> {
    let ids = index_of_names(dies).candidates(hash(last_segment(name).as_bytes()), is_type);
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

/// Returns the types or statics of one unit whose full name is `name` or ends with `::name`.
pub(in crate::debuginfo) fn find_in_unit<'a>(
    dies: &Dies<'a>,
    unit: &super::dies::ParsedUnit<'a>,
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

/// Returns the definition of a type that `die` declares, from its own unit if possible, else from
/// any unit.
pub(in crate::debuginfo) fn definition_of<'a>(
    dies: &Dies<'a>,
    die: &Die<'a>,
    name: &str,
) -> Option<DieId> {
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

/// Returns `Some(true)` if the full name is `name`, `Some(false)` if it ends with `::name`, and
/// `None` if it does not match.
fn matches<'a>(dies: &Dies<'a>, die: &Die<'a>, name: &str) -> Option<bool> {
    let full = path_name(dies, die);
    if full == name {
        return Some(true);
    }
    full.strip_suffix(name)?.ends_with("::").then_some(false)
}
