//! Tries the places of a source file, one after the other.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::elsewhere::{Listed, SourceCandidate};
use super::walk::{Readers, WalkStart, Walker};
use super::{SharedSources, SourceError, directory_at};

/// A source file that may be shown.
pub(super) struct FoundSource {
    /// The file, not opened for reading.
    pub(super) file: OwnedFd,
    /// Its path, if that is not the requested one.
    pub(super) elsewhere: Option<PathBuf>,
}

/// Looks up one path after the other.
pub(super) struct SourceFinder<'s> {
    shared: &'s SharedSources,
    /// Look-up at the paths themselves; `None` until it is needed.
    usual: Option<Result<Walker<'s>, SourceError>>,
    /// Look-ups below directories that the user has named. There is no walker if the directory
    /// does not exist.
    named: Vec<(PathBuf, Option<Walker<'s>>)>,
    listed: Listed,
}

impl<'s> SourceFinder<'s> {
    pub(super) fn new(shared: &'s SharedSources) -> Self {
        Self {
            shared,
            usual: None,
            named: Vec::new(),
            listed: Listed::default(),
        }
    }

    /// Finds the file for a path in the debug information.
    ///
    /// # Errors
    /// Fails if the file at the path itself may not be shown and no other place has one.
    pub(super) fn file(&mut self, path: &Path) -> Result<FoundSource, SourceError> {
        let places = &self.shared.places;
        if let Some(found) = self.first(places.mapped(path)) {
            return Ok(found);
        }
        let refused = match self.usual(path) {
            Ok(file) => {
                return Ok(FoundSource {
                    file,
                    elsewhere: None,
                });
            }
            Err(refused) => refused,
        };
        let others = places.others(path, &mut self.listed);
        self.first(others).ok_or(refused)
    }

    fn usual(&mut self, path: &Path) -> Result<OwnedFd, SourceError> {
        let shared = self.shared;
        let walker = self
            .usual
            .get_or_insert_with(|| shared.start().and_then(Walker::new));
        match walker {
            Ok(walker) => walker.file(path),
            // The next path gets the same answer: the process is gone.
            Err(error) => {
                let told = std::mem::replace(error, SourceError::Exited);
                Err(told)
            }
        }
    }

    fn first(&mut self, candidates: Vec<SourceCandidate>) -> Option<FoundSource> {
        candidates.into_iter().find_map(|candidate| {
            let SourceCandidate { root, below } = candidate;
            let file = self.named(&root)?.file(&below).ok()?;
            Some(FoundSource {
                file,
                elsewhere: Some(root.join(below)),
            })
        })
    }

    fn named(&mut self, root: &Path) -> Option<&mut Walker<'s>> {
        let known = self.named.iter().position(|(known, _)| known == root);
        let index = known.unwrap_or_else(|| {
            self.named.push((root.to_owned(), walker_of(root)));
            self.named.len() - 1
        });
        self.named.get_mut(index)?.1.as_mut()
    }
}

fn walker_of<'s>(root: &Path) -> Option<Walker<'s>> {
    let start = WalkStart {
        root: directory_at(root).ok()?,
        directory: Path::new("/"),
        readers: Readers::User,
    };
    Walker::new(start).ok()
}
