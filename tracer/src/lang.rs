//! The text that the user writes: probes, templates and expressions, as a
//! syntax tree with source positions.
//!
//! Knows the grammar of docs/probe-language.md and nothing of DWARF: names are
//! only names here.

pub mod ast;
