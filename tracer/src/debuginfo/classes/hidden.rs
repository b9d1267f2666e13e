//! Classes of C++ in anonymous namespaces: several units may have one of the same name.
//!
//! Which of them a virtual table belongs to, its functions tell: one that the class itself
//! defines is described within the class. A table with none of those stays unknown.

use super::super::dies::{DieId, Dies};
use super::super::module::Module;
use super::super::relocated;
use super::super::symbols::SymbolKind;
use super::super::type_names::path_name;
use super::super::types::TypeId;
use super::super::unit_index::index_of;
use super::{TYPE_INFO, full_name};
use crate::address::LinkAddr;

/// Tables of one module that are looked at; of a module with more, none is known.
const MAX_TABLES: usize = 1 << 12;
/// Bytes of one table that are looked at.
const MAX_TABLE_BYTES: u64 = 4096;
/// Bytes of an address.
const WORD: u64 = 8;
/// How the virtual table of a class is named, and what names in anonymous namespaces have in them.
const TABLE: &[u8] = b"_ZTV";
const ANONYMOUS: &[u8] = b"_GLOBAL__N_";

/// A virtual table: the class it is named after, and where it is.
struct Table {
    class: String,
    begin: u64,
    end: u64,
}

/// Every such class that is certain, with its type information.
pub(super) fn read(module: &Module) -> Vec<(TypeId, LinkAddr)> {
    let tables = tables(module);
    if tables.is_empty() || tables.len() > MAX_TABLES {
        return Vec::new();
    }
    let mut ranges: Vec<_> = tables
        .iter()
        .map(|table| (table.begin, table.end))
        .collect();
    let words = relocated::words(module, &mut ranges);
    let dies = Dies::new(module);
    let mut found = Vec::new();
    for table in tables {
        let at = |at: u64| words.get(&at).copied();
        let places = (table.begin..table.end).step_by(WORD as usize);
        // A table may be several, behind what virtual bases need: each with the type information.
        let info = places.clone().filter_map(at).find(|address| {
            let symbol = module.symbol_at(*address);
            symbol.is_some_and(|symbol| {
                symbol.address == *address
                    && full_name(symbol.name).as_deref() == Some(&table.class)
            })
        });
        let owners = places
            .filter_map(at)
            .filter(|address| module.is_code(*address))
            .filter_map(|function| owner(&dies, function, &table.class));
        if let (Some(info), Some(class)) = (info, only(owners)) {
            found.push((class.as_type(), info));
        }
    }
    found
}

fn tables(module: &Module) -> Vec<Table> {
    let hidden = |name: &[u8]| name.windows(ANONYMOUS.len()).any(|part| part == ANONYMOUS);
    let named = module.symbols().filter(|symbol| {
        symbol.kind == SymbolKind::Object
            && !symbol.global
            && symbol.name.starts_with(TABLE)
            && hidden(symbol.name)
    });
    let tables = named.filter_map(|symbol| {
        let rest = symbol.name.strip_prefix(TABLE)?;
        let begin = symbol.address.0;
        let end = begin.checked_add(symbol.size.min(MAX_TABLE_BYTES))?;
        Some(Table {
            class: full_name(&[TYPE_INFO, rest].concat())?,
            begin,
            end,
        })
    });
    tables.take(MAX_TABLES + 1).collect()
}

/// The class of that name that a function is described in.
fn owner<'a>(dies: &Dies<'a>, function: LinkAddr, class: &str) -> Option<DieId> {
    let unit = dies.unit_at(function)?;
    let offset = index_of(dies, &unit).function(function.0)?;
    let die = dies.root_origin(&dies.die(unit.id(offset))?);
    let around = index_of(dies, &die.unit).parent(die.entry.offset())?;
    let owner = dies.die(die.unit.id(around))?;
    (path_name(dies, &owner) == class).then(|| owner.id())
}

/// What all of them are; `None` when there is none, or when they differ.
fn only(mut ids: impl Iterator<Item = DieId>) -> Option<DieId> {
    let first = ids.next()?;
    ids.all(|id| id == first).then_some(first)
}
