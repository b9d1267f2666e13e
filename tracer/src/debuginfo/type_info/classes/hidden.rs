//! C++ classes in anonymous namespaces. Several units may have such a class with the same name.
//!
//! The functions in a virtual table tell which of the classes it belongs to, because a function
//! that the class itself defines is described inside the class. A table without such functions
//! stays unknown.

use super::{TYPE_INFO, full_name};
use crate::base::address::LinkAddr;
use crate::debuginfo::dwarf::die_id::DieId;
use crate::debuginfo::dwarf::dies::Dies;
use crate::debuginfo::dwarf::unit_index_reader::index_of;
use crate::debuginfo::file::relocated;
use crate::debuginfo::file::symbols::SymbolKind;
use crate::debuginfo::model::types::TypeId;
use crate::debuginfo::module::Module;
use crate::debuginfo::type_info::type_names::path_name;

/// Tables of one module that are read; if a module has more, none is used.
const MAX_TABLES: usize = 1 << 12;
/// Bytes of one table that are read.
const MAX_TABLE_BYTES: u64 = 4096;
/// Size in bytes of an address.
const WORD: u64 = 8;
/// Prefix of the mangled name of a class's virtual table, and the part of mangled names that
/// marks anonymous namespaces.
const TABLE: &[u8] = b"_ZTV";
const ANONYMOUS: &[u8] = b"_GLOBAL__N_";

/// A virtual table: the class that it is named after, and its address range.
struct VirtualTable {
    class: String,
    begin: u64,
    end: u64,
}

/// Returns each class whose virtual table is certain, with its type information.
pub(super) fn read(module: &Module) -> Vec<(TypeId, LinkAddr)> {
    let tables = tables(module);
    if tables.is_empty() || tables.len() > MAX_TABLES {
        return Vec::new();
    }
    let mut ranges: Vec<_> = tables
        .iter()
        .map(|table| (table.begin, table.end))
        .collect();
    let words = relocated::words(&module.files, &mut ranges);
    let dies = module.dies();
    let mut found = Vec::new();
    for table in tables {
        let at = |at: u64| words.get(&at).copied();
        let places = (table.begin..table.end).step_by(WORD as usize);
        // The symbol may cover several tables, each after the entries for virtual bases. Each
        // table has the type information.
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

fn tables(module: &Module) -> Vec<VirtualTable> {
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
        Some(VirtualTable {
            class: full_name(&[TYPE_INFO, rest].concat())?,
            begin,
            end,
        })
    });
    tables.take(MAX_TABLES + 1).collect()
}

/// Returns the class with this name that contains the description of a function.
fn owner<'a>(dies: &Dies<'a>, function: LinkAddr, class: &str) -> Option<DieId> {
    let unit = dies.unit_at(function)?;
    let offset = index_of(dies, &unit).function(function.0)?;
    let die = dies.root_origin(&dies.die(unit.id(offset))?);
    let around = index_of(dies, &die.unit).parent(die.entry.offset())?;
    let owner = dies.die(die.unit.id(around))?;
    (path_name(dies, &owner) == class).then(|| owner.id())
}

/// Returns the id if all ids are equal, or `None` if they differ or there are none.
fn only(mut ids: impl Iterator<Item = DieId>) -> Option<DieId> {
    let first = ids.next()?;
    ids.all(|id| id == first).then_some(first)
}
