//! The events that have the kernel run a program of ours.

use std::path::PathBuf;

use crate::base::address::FileOffset;

/// An event in a process at which the kernel runs a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An instruction is about to run, or a function returns.
    Uprobe(Uprobe),
}

/// A place in a file, wherever processes have the file mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uprobe {
    /// The file, by a path that opens exactly the mapped one.
    pub path: PathBuf,
    /// The first byte of an instruction in the file.
    pub offset: FileOffset,
    /// The place is the entry of a function, and a hit is each return of it, by the kernel's return
    /// trampoline.
    pub returns: bool,
    /// The number of two bytes that the kernel raises by 1 in each process in which the place is
    /// probed, and lowers again when it is not. It does so when the link ends in any way.
    pub counter: Option<FileOffset>,
}

impl Trigger {
    /// A place in a file; a hit is each time that a thread comes there.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>, offset: FileOffset) -> Self {
        Self::Uprobe(Uprobe {
            path: path.into(),
            offset,
            returns: false,
            counter: None,
        })
    }

    /// The place in a file.
    #[must_use]
    pub const fn uprobe(&self) -> &Uprobe {
        let Self::Uprobe(uprobe) = self;
        uprobe
    }
}
