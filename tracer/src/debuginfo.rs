//! An ELF file and its DWARF: lines, functions, scopes, variables, types.
//!
//! This room knows files and link addresses, but no process, kernel or probe. [`Module`] is one
//! ELF file with everything that belongs to it, and answers the queries of other rooms.

pub mod budget;
mod caches;
mod calls;
mod dwarf;
pub mod error;
mod file;
mod files;
mod frames;
mod functions;
pub mod limits;
mod lines;
mod location;
mod model;
pub mod module;
mod static_probes;
mod type_info;
mod variables;

pub use calls::linked_names::ExportedFunction;
pub use calls::neighbours::{Identity, Neighbour, Neighbours};
pub use calls::tail_call_cache::TailCall;
pub use calls::tail_calls::TailCallSearch;
pub use dwarf::split_files::SplitUnits;
pub use dwarf::units::{self, Unit, UnitId, UnitInfo};
pub use error::DebugInfoError;
pub use file::find::debuginfod::Servers;
pub use file::find::{DebugFileLookup, DebugOptions, LookupOutcome, WantedFile};
pub use file::{find, image, object, symbols};
pub use files::Files;
pub use frames::unwind;
pub use functions::{control_flow, function_code, omitted_values};
pub use lines::resolve::{self, FunctionInfo, SiteError};
pub use lines::returns::KnownExits;
pub use lines::source_index::SourceFileInfo;
pub use model::{names, place, site, types, usdt, variable};
pub use module::Module;
pub use static_probes::sites::UsdtSites;
pub use variables::{thread_db, tls};

/// The reader with which all DWARF is parsed: a slice of a module's bytes.
pub type Slice<'a> = gimli::EndianSlice<'a, gimli::LittleEndian>;
