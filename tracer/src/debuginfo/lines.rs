//! Maps source lines and functions to code: line tables, source files, sites.

pub(super) mod file_lines;
pub(super) mod line_starts;
pub(super) mod line_table;
pub(super) mod name_filter;
pub(super) mod prologue;
pub mod resolve;
pub(super) mod returns;
pub(super) mod source_files;
pub(super) mod source_index;
pub(super) mod symbol_functions;
pub(super) mod unit_cache;
