//! Queries for the source files of a module.

use std::path::Path;

use super::source_index::{SourceFileInfo, SourceIndex, normalise};
use crate::debuginfo::model::site::FileId;
use crate::debuginfo::module::Module;

impl Module {
    fn source_index(&self) -> &SourceIndex {
        let sources = &self.caches.sources;
        sources.get_or_init(|| SourceIndex::read(&self.files))
    }

    /// Returns all source files that the debug information names, by path.
    ///
    /// The files are read on first use. The list is empty without debug information.
    #[must_use]
    pub fn source_files(&self) -> &[SourceFileInfo] {
        &self.source_index().files
    }

    /// Returns the source file with this number.
    #[must_use]
    pub fn source_file(&self, id: FileId) -> Option<&SourceFileInfo> {
        self.source_files().get(usize::try_from(id.0).ok()?)
    }

    /// Returns the source file with exactly this path.
    #[must_use]
    pub fn file_of_path(&self, path: &Path) -> Option<FileId> {
        self.source_index().by_path.get(&path.to_owned()).copied()
    }

    /// Source files whose path ends with `suffix`, by whole components
    /// (`main.rs`, `src/main.rs`); an absolute one is the path itself.
    #[must_use]
    pub fn find_files(&self, suffix: &str) -> Vec<FileId> {
        let suffix = normalise(Path::new(suffix));
        if suffix.as_os_str().is_empty() {
            return Vec::new();
        }
        self.source_files()
            .iter()
            .filter(|file| file.path.ends_with(&suffix))
            .map(|file| file.id)
            .collect()
    }
}
