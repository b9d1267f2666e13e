//! State files of container runtimes: bounded reads, and a list of what could not be read.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::target::select::limits::{CONTAINERS, STATE_BYTES};

/// Problems that are kept. Further ones are the same ones, most likely.
const PROBLEMS: usize = 8;

/// Reader of the state files below one root.
pub(super) struct StateFiles {
    root: PathBuf,
    /// Containers that may still be read.
    left: usize,
    /// What could not be read, and why.
    pub(super) problems: Vec<String>,
}

impl StateFiles {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            left: CONTAINERS,
            problems: Vec::new(),
        }
    }

    /// The names in a directory, in order. None if it is absent.
    pub(super) fn names(&mut self, directory: &str) -> Vec<String> {
        let listed = fs::read_dir(self.root.join(directory));
        let entries = match listed {
            Ok(entries) => entries,
            Err(error) => {
                self.problem(directory, &error);
                return Vec::new();
            }
        };
        let name = |entry: io::Result<fs::DirEntry>| entry.ok().map(|entry| entry.file_name());
        let text = |name: OsString| name.into_string().ok();
        let mut names: Vec<String> = entries
            .take(CONTAINERS)
            .filter_map(name)
            .filter_map(text)
            .collect();
        names.sort_unstable();
        names
    }

    /// Reads a file of one container. `None` if it is absent or broken, or beyond the limit of
    /// containers.
    pub(super) fn container<T: DeserializeOwned>(&mut self, path: &str) -> Option<T> {
        if self.left == 0 {
            let limit = io::Error::other(format!("the limit is {CONTAINERS} containers"));
            self.problem(path, &limit);
            return None;
        }
        let read = self.json(path);
        self.left -= usize::from(read.is_some());
        read
    }

    /// Reads a file. `None` if it is absent or broken.
    pub(super) fn json<T: DeserializeOwned>(&mut self, path: &str) -> Option<T> {
        let parsed = read_bytes(&self.root.join(path))
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(path, &error);
                None
            }
        }
    }

    fn problem(&mut self, path: &str, error: &io::Error) {
        let absent = matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        );
        if !absent && self.problems.len() < PROBLEMS {
            self.problems
                .push(format!("cannot read `/{path}`: {error}"));
        }
    }
}

/// Reads a regular file that is not too large.
fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    if metadata.len() > STATE_BYTES {
        let bytes = metadata.len();
        let why = format!("it has {bytes} bytes; the limit is {STATE_BYTES}");
        return Err(io::Error::other(why));
    }
    let mut bytes = Vec::new();
    file.take(STATE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
