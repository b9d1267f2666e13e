//! An ELF file and its DWARF: lines, functions, scopes, variables, types.
//!
//! Knows files and link addresses; knows no process, no kernel, no probe.
//! [`Module`] is one ELF file with all that belongs to it; everything else here
//! asks it.

mod code;
pub mod error;
pub mod image;
pub mod index;
mod lines;
pub mod module;
pub mod names;
pub mod object;
pub mod place;
mod prologue;
mod ranges;
pub mod resolve;
mod sections;
pub mod site;
pub mod symbols;
pub mod types;
pub mod units;
pub mod variable;

pub use error::DebugInfoError;
pub use index::SourceFileInfo;
pub use module::{DebugOptions, Module};
pub use resolve::{FunctionInfo, SiteError};
pub use units::{Unit, UnitId, UnitInfo};

/// The reader that all DWARF is parsed with: a slice of a module's bytes.
pub type Slice<'a> = gimli::EndianSlice<'a, gimli::LittleEndian>;
