//! An ELF file and its DWARF: lines, functions, scopes, variables, types.
//!
//! Knows files and link addresses; knows no process, no kernel, no probe.

pub mod place;
pub mod site;
pub mod types;
pub mod variable;
