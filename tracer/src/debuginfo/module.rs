//! A module: one ELF file with its debug information, and the queries that other rooms make.
//!
//! [`Module`] is the facade. It holds the module's [`Files`] and the [`Caches`] of the passes
//! that read them. Each folder adds its queries in an `impl Module`. The passes below take the
//! files and their own cache.

use std::ops::Deref;
use std::path::Path;

use crate::base::address::LinkAddr;
use crate::debuginfo::caches::Caches;
use crate::debuginfo::calls::imports::stub_at;
use crate::debuginfo::dwarf::dies::Dies;
use crate::debuginfo::error::DebugInfoError;
use crate::debuginfo::file::find::DebugOptions;
use crate::debuginfo::files::Files;
use crate::debuginfo::frames::cfi::FrameSections;
use crate::debuginfo::lines::unit_cache::CodeReader;
use crate::debuginfo::model::names::demangle;

pub use crate::debuginfo::files::{TlsSegment, UnwindSection};

/// One ELF file and its debug information.
///
/// It dereferences to its [`Files`], so sections, symbols and units are available from a module.
pub struct Module {
    pub(in crate::debuginfo) files: Files,
    pub(in crate::debuginfo) caches: Caches,
}

impl Deref for Module {
    type Target = Files;

    fn deref(&self) -> &Files {
        &self.files
    }
}

impl Module {
    /// Opens a file and looks for its debug information in the system's directories.
    ///
    /// # Errors
    /// Fails if the file is not an ELF file or cannot be read. Missing debug information is not
    /// an error.
    pub fn open(path: &Path) -> Result<Self, DebugInfoError> {
        Self::open_as(path, path, &DebugOptions::default())
    }

    /// Opens the file at `path` (for instance `/proc/PID/exe`), called `display` in messages.
    ///
    /// Debug files are looked for in the directory of `display`. It is a path below the target's
    /// root if the options name one.
    ///
    /// # Errors
    /// Fails as [`Module::open`] does, and if the debug file that the options name cannot be read
    /// or belongs to another build.
    pub fn open_as(
        path: &Path,
        display: &Path,
        options: &DebugOptions,
    ) -> Result<Self, DebugInfoError> {
        Ok(Self {
            files: Files::open(path, display, options)?,
            caches: Caches::default(),
        })
    }

    /// Returns a reader of the module's debug entries, for one query.
    pub(in crate::debuginfo) fn dies(&self) -> Dies<'_> {
        Dies::new(&self.files, &self.caches)
    }

    /// Returns a reader of the code and the line tables of the module's units.
    pub(in crate::debuginfo) fn code(&self) -> CodeReader<'_> {
        CodeReader::new(&self.files, &self.caches.units)
    }

    /// Returns the call frame information.
    pub(in crate::debuginfo) fn frame_sections(&self) -> FrameSections<'_> {
        FrameSections::of(&self.files, &self.caches.frames)
    }

    /// Returns the demangled name of the code or data at `address`, without a version, and the
    /// distance of `address` from its start. A stub of the procedure linkage table is `NAME@plt`.
    #[must_use]
    pub fn name_at(&self, address: LinkAddr) -> Option<(String, u64)> {
        if let Some(symbol) = self.symbol_at(address) {
            let distance = address.0.checked_sub(symbol.address.0)?;
            return Some((demangle(symbol.unversioned()), distance));
        }
        let (start, name) = stub_at(&self.files, &self.caches.linked_names, address)?;
        Some((format!("{}@plt", demangle(name)), address.0 - start.0))
    }
}

#[cfg(test)]
mod tests;
