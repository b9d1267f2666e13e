//! The open split files of a module, and the places where they were looked for.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock};

use crate::debuginfo::file::find::DebugFileLookup;
use crate::debuginfo::file::object::{FileIdentity, ObjectFile};

/// The split files of a module, opened on first use.
#[derive(Default)]
pub(in crate::debuginfo) struct SplitFiles {
    pub(super) package: OnceLock<Option<ObjectFile>>,
    /// Files by the number of their skeleton.
    pub(super) files: OnceLock<Box<[OnceLock<Option<ObjectFile>>]>>,
    pub(super) looked: Mutex<Vec<DebugFileLookup>>,
    pub(super) kept_bytes: AtomicU64,
    /// Files for which the budget was raised.
    pub(super) counted: Mutex<HashSet<FileIdentity>>,
}

impl SplitFiles {
    /// Returns the first file that was cut short while it was read.
    pub(in crate::debuginfo) fn changed(&self) -> Option<&ObjectFile> {
        let package = self.package.get().into_iter().flatten();
        let files = self.files.get().into_iter().flatten();
        let files = files.filter_map(OnceLock::get).flatten();
        package.chain(files).find(|file| !file.intact())
    }
}

/// Numbers of a module's split units that were found and missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitUnits {
    /// Units whose DWARF is in other files.
    pub units: usize,
    /// Split units without their file.
    pub missing: usize,
    /// Files that should have the missing units.
    pub missing_files: Vec<PathBuf>,
}
