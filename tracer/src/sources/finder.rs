//! Tries the places of a source file, one after the other.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::elsewhere::{Candidate, Listed};
use super::walk::{Readers, Start, Walker};
use super::{Shared, SourceError, directory_at};

/// A source file that may be shown.
pub(super) struct Found {
    /// Opened for nothing yet.
    pub(super) file: OwnedFd,
    /// Where it is, when it is not at the path that was looked up.
    pub(super) elsewhere: Option<PathBuf>,
}

/// Looks up one path after the other.
pub(super) struct Finder<'s> {
    shared: &'s Shared,
    /// `None`: it was not needed yet.
    usual: Option<Result<Walker<'s>, SourceError>>,
    /// Below directories that the user has named; without a walker where there is no such directory.
    named: Vec<(PathBuf, Option<Walker<'s>>)>,
    listed: Listed,
}

impl<'s> Finder<'s> {
    pub(super) fn new(shared: &'s Shared) -> Self {
        Self {
            shared,
            usual: None,
            named: Vec::new(),
            listed: Listed::default(),
        }
    }

    /// The file of a path that debug information names.
    ///
    /// # Errors
    /// The file at the path itself may not be shown, and no other place has one.
    pub(super) fn file(&mut self, path: &Path) -> Result<Found, SourceError> {
        let places = &self.shared.places;
        if let Some(found) = self.first(places.mapped(path)) {
            return Ok(found);
        }
        let refused = match self.usual(path) {
            Ok(file) => {
                return Ok(Found {
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
            // The next path is told the same: the process is gone.
            Err(error) => {
                let told = std::mem::replace(error, SourceError::Exited);
                Err(told)
            }
        }
    }

    fn first(&mut self, candidates: Vec<Candidate>) -> Option<Found> {
        candidates.into_iter().find_map(|candidate| {
            let Candidate { root, below } = candidate;
            let file = self.named(&root)?.file(&below).ok()?;
            Some(Found {
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
    let start = Start {
        root: directory_at(root).ok()?,
        directory: Path::new("/"),
        readers: Readers::User,
    };
    Walker::new(start).ok()
}
