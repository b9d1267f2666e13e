//! An ELF file and its DWARF: lines, functions, scopes, variables, types.
//!
//! Knows files and link addresses; knows no process, no kernel, no probe.
//! [`Module`] is one ELF file with all that belongs to it; everything else here
//! asks it.

mod bare;
pub mod budget;
mod calls;
mod cfi;
mod classes;
mod code;
mod code_cache;
mod coroutines;
mod die_cache;
mod dies;
pub mod error;
pub mod find;
pub mod flow;
mod folded;
mod handed_back;
pub mod image;
mod imports;
pub mod index;
mod indirect;
mod landing;
pub mod limits;
mod lines;
mod location;
mod lost;
pub mod module;
mod name_filter;
mod name_index;
pub mod names;
mod neighbours;
pub mod object;
pub mod paths;
pub mod place;
mod prologue;
mod ranges;
mod relocated;
pub mod resolve;
mod returns;
mod scope;
mod sections;
pub mod site;
mod split;
mod starts;
mod statics;
pub mod symbols;
mod tail_calls;
pub mod thread_db;
pub mod tls;
mod type_members;
mod type_names;
mod type_reader;
pub mod types;
mod unit_index;
mod unit_parser;
pub mod units;
pub mod unread;
pub mod unwind;
pub mod variable;
mod variable_reader;
mod variables;
mod vtables;

pub use error::DebugInfoError;
pub use find::debuginfod::Servers;
pub use find::{DebugOptions, Looked, Outcome, Wanted};
pub use index::SourceFileInfo;
pub use module::Module;
pub use neighbours::{Identity, Neighbour, Neighbours};
pub use resolve::{FunctionInfo, SiteError};
pub use split::SplitUnits;
pub use tail_calls::{TailCall, TailCallSearch};
pub use units::{Unit, UnitId, UnitInfo};

/// The reader that all DWARF is parsed with: a slice of a module's bytes.
pub type Slice<'a> = gimli::EndianSlice<'a, gimli::LittleEndian>;
