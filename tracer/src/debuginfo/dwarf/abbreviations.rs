//! Tables of abbreviations, each parsed once for all units that share it.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use super::die_id::FileNumber;
use super::unit_parser::{AbbreviationTable, parse_abbreviations};
use crate::debuginfo::Slice;
use crate::debuginfo::budget::ReadBudget;

/// Total abbreviations and attributes of the tables that are kept. A table beyond it drops all of
/// them.
const MAX_ABBREVIATIONS: usize = 1 << 20;

/// Cache of the tables that were read so far.
#[derive(Default)]
pub(in crate::debuginfo) struct AbbreviationCache(RwLock<Abbreviations>);

/// Tables by file and offset; `None` for a table that cannot be read.
#[derive(Default)]
struct Abbreviations {
    tables: HashMap<(FileNumber, usize), Option<AbbreviationTable>>,
    weight: usize,
}

impl AbbreviationCache {
    /// Returns the abbreviations of a unit of a file, parsed once for all units that share them.
    pub(in crate::debuginfo) fn get<'a>(
        &self,
        budget: &Arc<ReadBudget>,
        file: FileNumber,
        dwarf: &gimli::Dwarf<Slice<'a>>,
        header: &gimli::UnitHeader<Slice<'a>>,
    ) -> Option<Arc<gimli::Abbreviations>> {
        let offset = header.debug_abbrev_offset();
        let key = (file, offset.0);
        if let Ok(kept) = self.0.read()
            && let Some(table) = kept.tables.get(&key)
        {
            return table.as_ref().map(|table| Arc::clone(&table.parsed));
        }
        let table = parse_abbreviations(budget, dwarf, offset);
        let parsed = table.as_ref().map(|table| Arc::clone(&table.parsed));
        if let Ok(mut kept) = self.0.write() {
            let weight = table.as_ref().map_or(1, |table| table.weight);
            if kept.weight.saturating_add(weight) > MAX_ABBREVIATIONS {
                *kept = Abbreviations::default();
            }
            kept.weight = kept.weight.saturating_add(weight);
            kept.tables.insert(key, table);
        }
        parsed
    }
}
