//! Functions that a linker folded into others with the same code, found by their symbols.
//!
//! LLD (`--icf`) keeps the symbols of a folded function and its rows in the line table, but
//! removes the address from its debug entry. This file restores the address of such an entry:
//! from a symbol with its name and size that shares its address with another function, if the
//! unit has a row there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gimli::DebuggingInformationEntry;

use crate::base::address::LinkAddr;
use crate::debuginfo::Slice;
use crate::debuginfo::budget::ReaderKind;
use crate::debuginfo::dwarf::units::Unit;
use crate::debuginfo::file::symbols::{Symbol, SymbolKind};
use crate::debuginfo::files::Files;
use crate::debuginfo::lines::line_table::UnitLines;

/// Entries followed to a function's name.
const MAX_LINKS: usize = 8;
/// Addresses of one name that are tried.
const MAX_PLACES: usize = 64;
/// Bytes that are kept of a symbol, without its name.
const SYMBOL_BYTES: u64 = 96;
/// Steps to add one symbol, and to look for the symbol of an entry.
const SYMBOL_STEPS: u64 = 20;
const ENTRY_STEPS: u64 = 100;

/// The functions that share their address with others.
#[derive(Default)]
pub(in crate::debuginfo) struct FoldedFunctions {
    /// Addresses by linkage name.
    places: HashMap<Box<[u8]>, Vec<FoldedAddress>>,
    sizes: HashSet<u64>,
}

/// The address and the size of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FoldedAddress {
    entry: LinkAddr,
    size: u64,
}

impl FoldedFunctions {
    /// Reads all symbols of a module's files.
    pub(in crate::debuginfo) fn read(files: &Files) -> Self {
        let mut found = Self::default();
        let mut meter = files.budget.meter(ReaderKind::Symbols);
        let mut at_one: Vec<Symbol<'_>> = Vec::new();
        let is_function = |symbol: &Symbol<'_>| symbol.kind == SymbolKind::Function;
        for symbol in files.symbols().filter(is_function) {
            if !meter.take(SYMBOL_STEPS) {
                return found;
            }
            if at_one
                .last()
                .is_some_and(|last| last.address != symbol.address)
            {
                found.add(files, &at_one);
                at_one.clear();
            }
            at_one.push(symbol);
        }
        found.add(files, &at_one);
        found
    }

    /// Adds the symbols of one address if they name several functions.
    fn add(&mut self, files: &Files, symbols: &[Symbol<'_>]) {
        let Some((first, rest)) = symbols.split_first() else {
            return;
        };
        let first = first.unversioned();
        if !rest
            .iter()
            .any(|other| is_other(first, other.unversioned()))
        {
            return;
        }
        for symbol in symbols.iter().filter(|symbol| symbol.size > 0) {
            let name = symbol.unversioned();
            let bytes = SYMBOL_BYTES + name.len() as u64;
            if !files.budget.hold(ReaderKind::Symbols, bytes) {
                return;
            }
            let place = FoldedAddress {
                entry: symbol.address,
                size: symbol.size,
            };
            let places = self.places.entry(name.into()).or_default();
            if places.len() < MAX_PLACES && !places.contains(&place) {
                places.push(place);
            }
            self.sizes.insert(symbol.size);
        }
    }

    /// Returns the entry of a folded function whose debug entry has a size but no address.
    pub(in crate::debuginfo) fn entry_of<'a>(
        &self,
        files: &Files,
        unit: &Unit<'a>,
        function: &DebuggingInformationEntry<Slice<'a>>,
        size: u64,
        lines: impl FnOnce() -> Option<Arc<UnitLines>>,
    ) -> Option<LinkAddr> {
        if !self.sizes.contains(&size) || !files.budget.spend(ReaderKind::Names, ENTRY_STEPS, 0) {
            return None;
        }
        let places = self.places.get(&symbol_name(files, unit, function)?)?;
        let mut places = places.iter().filter(|place| place.size == size).peekable();
        places.peek()?;
        // A unit whose copy the linker dropped has no row there.
        let lines = lines()?;
        let begins = |place: &&FoldedAddress| {
            let row = lines.row_at(place.entry.0);
            row.is_some_and(|row| row.address == place.entry.0)
        };
        let place = places.find(begins)?;
        Some(place.entry)
    }
}

/// Returns true if two names of one address belong to different functions. Constructors and
/// destructors of C++ have several names each.
fn is_other(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() || !one.starts_with(b"_ZN") {
        return one != other;
    }
    let mut differing = one
        .iter()
        .zip(other)
        .enumerate()
        .filter(|(_, (a, b))| a != b);
    let Some((at, (a, b))) = differing.next() else {
        return false;
    };
    let before = at.checked_sub(1).and_then(|before| one.get(before));
    let is_variant =
        a.is_ascii_digit() && b.is_ascii_digit() && matches!(before, Some(b'C' | b'D'));
    !is_variant || differing.next().is_some()
}

/// The name attributes in a function's debug entry.
#[derive(Default)]
struct EntryName {
    linkage: Option<Box<[u8]>>,
    plain: Option<Box<[u8]>>,
    /// The entry that it defines or is a copy of.
    of: Option<u64>,
}

impl EntryName {
    fn read<'a>(
        files: &Files,
        unit: &Unit<'a>,
        entry: &DebuggingInformationEntry<Slice<'a>>,
    ) -> Self {
        let string = |name| unit.string(entry.attr_value(name)?).map(Box::<[u8]>::from);
        let linkage = string(gimli::DW_AT_linkage_name);
        let link = entry.attr_value(gimli::DW_AT_specification);
        let link = link.or_else(|| entry.attr_value(gimli::DW_AT_abstract_origin));
        Self {
            linkage: linkage.or_else(|| string(gimli::DW_AT_MIPS_linkage_name)),
            plain: string(gimli::DW_AT_name),
            of: link.and_then(|link| files.referenced(unit, &link)),
        }
    }
}

/// Returns the linkage name of a function, from its own entry or its declaration.
fn symbol_name<'a>(
    files: &Files,
    unit: &Unit<'a>,
    function: &DebuggingInformationEntry<Slice<'a>>,
) -> Option<Box<[u8]>> {
    let mut name = EntryName::read(files, unit, function);
    let mut plain = name.plain.take();
    for _ in 0..MAX_LINKS {
        if name.linkage.is_some() {
            break;
        }
        let Some(die) = name.of else { break };
        let (unit, offset) = files.unit_of_die(die).ok()?;
        let entry = unit.unit.entry(offset).ok()?;
        name = EntryName::read(files, &unit, &entry);
        plain = plain.or_else(|| name.plain.take());
    }
    name.linkage.or(plain)
}

#[cfg(test)]
mod tests {
    use super::is_other;

    #[test]
    fn names_of_one_constructor_are_not_those_of_several_functions() {
        assert!(!is_other(b"_ZN1AC1Ev", b"_ZN1AC2Ev"));
        assert!(!is_other(b"_ZN1AD0Ev", b"_ZN1AD2Ev"));
        assert!(!is_other(b"work", b"work"));
        assert!(is_other(b"_ZN1AC1Ev", b"_ZN1BC2Ev"));
        assert!(is_other(b"_ZN1A1fEv", b"_ZN1B1fEv"));
        assert!(is_other(b"first", b"second"));
        assert!(is_other(b"C1", b"C2"));
    }
}
