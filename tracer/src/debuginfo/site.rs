//! Sites: the addresses at which a location of the source is in the code.

use std::path::PathBuf;
use std::sync::Arc;

use crate::address::LinkAddr;

/// Names one source file of one module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceLine {
    /// Absolute path as the debug information gives it (directory, comp_dir and name joined).
    pub file: Arc<PathBuf>,
    /// From 1.
    pub line: u64,
    /// From 1; 0 is unknown.
    pub column: u64,
}

/// Names one function with code of its own, of those that may have the same code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionId(pub(super) u64);

/// One address where a location is in the code.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// First instruction of the statement; always a row of the line table.
    pub address: LinkAddr,
    /// What the line table says about `address`; where copies are `outside`, the place of the call.
    pub source: SourceLine,
    /// The function or inlined function that the location is in, demangled: the innermost at
    /// `address`, less those of `outside`.
    pub function: String,
    /// The function with code of its own that is meant: a linker may have folded others into it.
    /// `None`: the only one.
    pub code_of: Option<FunctionId>,
    /// Innermost inlined copies at `address` that the location is not in: what it calls, and was
    /// inlined, begins there.
    pub outside: usize,
    /// For a site in an inlined copy: the functions around it, innermost first,
    /// each with the place of its call. The last one has code of its own.
    pub inlined_into: Vec<InlinedInto>,
    /// No debug information describes it: its function is a symbol's, and has no line and no names.
    pub bare: bool,
    /// How the function is left here; `None`: it is not, or that was not asked for.
    pub exit: Option<Exit>,
}

/// Where names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The address.
    pub address: LinkAddr,
    /// Innermost inlined copies there whose names are not meant.
    pub outside: usize,
    /// The line there; `None`: that of the line table.
    pub line: Option<u64>,
    /// The function with code of its own that is meant; `None`: the only one.
    pub code_of: Option<FunctionId>,
}

impl From<LinkAddr> for Position {
    fn from(address: LinkAddr) -> Self {
        Self {
            address,
            outside: 0,
            line: None,
            code_of: None,
        }
    }
}

impl From<&Site> for Position {
    fn from(site: &Site) -> Self {
        Self {
            address: site.address,
            outside: site.outside,
            line: Some(site.source.line).filter(|line| *line != 0),
            code_of: site.code_of,
        }
    }
}

/// How a function is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By a return: its value is there.
    Return,
    /// By a jump to another function, which returns for it.
    Jump,
    /// By any return to its caller, which the kernel's return trampoline sees; the site is its entry.
    Trampoline,
}

/// One step out of an inlined copy.
#[derive(Clone, Debug, PartialEq)]
pub struct InlinedInto {
    /// The function that contains the copy, demangled.
    pub function: String,
    /// Where it calls.
    pub call: Option<SourceLine>,
}

/// The sites of one line, function or address.
#[derive(Clone, Debug, PartialEq)]
pub struct Sites {
    /// At least one, by address.
    pub sites: Vec<Site>,
    /// Set when the line asked for has no row and the next statement's was taken.
    pub moved_from: Option<u64>,
}
