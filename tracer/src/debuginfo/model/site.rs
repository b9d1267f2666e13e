//! Sites: the addresses in the code that correspond to a location in the source.

use std::path::PathBuf;
use std::sync::Arc;

use super::usdt::UsdtProbe;
use crate::base::address::LinkAddr;

/// Identifies one source file of one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceLine {
    /// Absolute path from the debug information (directory, comp_dir and name joined).
    pub file: Arc<PathBuf>,
    /// Line number, from 1.
    pub line: u64,
    /// Column number, from 1; 0 is unknown.
    pub column: u64,
}

/// Identifies one function with code of its own among functions that may have the same code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId(pub(in crate::debuginfo) u64);

/// One address in the code that corresponds to a location.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Address of the first instruction of the statement, which always has a row in the line
    /// table.
    pub address: LinkAddr,
    /// The row of the line table at `address`, or the line of the call if copies are outside of
    /// the site's scope. `None` if only a symbol names the function, and no debug information
    /// describes it.
    pub source: Option<SourceLine>,
    /// Demangled name of the function or inlined function that contains the location: the
    /// innermost at `address`, except those counted by `outside`.
    pub function: String,
    /// Selects the names that are meant among all that are in scope at `address`.
    pub scope: ScopeKey,
    /// For a site in an inlined copy, the functions around it, innermost first, each with the
    /// place of its call. The last one has code of its own.
    pub inlined_into: Vec<InlinedInto>,
    /// The way in which the function is left here. `None` if it is not left, or if that was not
    /// requested.
    pub exit: Option<Exit>,
    /// The USDT probe that the location names. `None` if it names something else.
    pub usdt: Option<Arc<UsdtProbe>>,
}

impl Site {
    /// Returns true if no debug information describes the site. It then has no line and no names.
    #[must_use]
    pub const fn is_bare(&self) -> bool {
        self.source.is_none()
    }
}

/// Selects one of the functions whose code contains an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeKey {
    /// The function with code of its own that is meant, if a linker may have folded others into
    /// it. `None` is the only one.
    pub code_of: Option<FunctionId>,
    /// Number of the innermost inlined copies that are not meant. An inlined call begins at the
    /// same address as the statement that contains it.
    pub outside: usize,
}

/// The position at which names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Address of the position.
    pub address: LinkAddr,
    /// Scope whose names are meant.
    pub scope: ScopeKey,
    /// Line of the position; `None` is the line from the line table.
    pub line: Option<u64>,
}

impl From<LinkAddr> for Position {
    fn from(address: LinkAddr) -> Self {
        Self {
            address,
            scope: ScopeKey::default(),
            line: None,
        }
    }
}

impl From<&Site> for Position {
    fn from(site: &Site) -> Self {
        Self {
            address: site.address,
            scope: site.scope,
            line: site
                .source
                .as_ref()
                .map(|source| source.line)
                .filter(|line| *line != 0),
        }
    }
}

/// The way in which a function is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A return: the returned value is available.
    Return,
    /// A jump to another function, which returns in its place.
    Jump,
    /// Any return to the caller, seen by the kernel's return trampoline. The site is the
    /// function's entry.
    Trampoline,
}

/// One step out of an inlined copy.
#[derive(Clone, Debug, PartialEq)]
pub struct InlinedInto {
    /// Demangled name of the function that contains the copy.
    pub function: String,
    /// Source line of the call.
    pub call: Option<SourceLine>,
}

/// The sites of one line, function or address.
#[derive(Clone, Debug, PartialEq)]
pub struct Sites {
    /// The sites by address, at least one.
    pub sites: Vec<Site>,
    /// The requested line, if it has no row and the next statement's line was taken.
    pub moved_from: Option<u64>,
}
