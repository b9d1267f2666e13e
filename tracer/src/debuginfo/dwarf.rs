//! DWARF as a set of units and entries: where units begin, entries by offset, indexes of names.

pub(super) mod abbreviations;
pub(super) mod cache;
pub(super) mod die_id;
pub(super) mod dies;
pub(super) mod name_index;
pub(super) mod name_lookup;
pub(super) mod ranges;
pub(super) mod split;
pub(super) mod split_files;
pub(super) mod unit_index;
pub(super) mod unit_index_reader;
pub(super) mod unit_parser;
pub(super) mod unit_reader;
pub mod units;
