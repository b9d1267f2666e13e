//! The events that have the kernel run a program of ours.

use std::path::PathBuf;

use crate::base::address::{FileOffset, RunAddr};

/// An event in a process at which the kernel runs a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An instruction is about to run, or a function returns.
    Uprobe(Uprobe),
    /// A thread of a process has accessed a value.
    Watch(WatchedMemory),
}

/// A value in the memory of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedMemory {
    /// The process.
    pub pid: u32,
    /// The only thread whose accesses are hits, with all that it starts. `None` for all threads.
    pub thread: Option<u32>,
    /// The first byte of the value.
    pub address: RunAddr,
    /// Its size in bytes, from 1 to [`MAX_WATCHED_BYTES`](tracer_common::watch::MAX_WATCHED_BYTES).
    pub size: u32,
    /// The accesses that are hits.
    pub on: WatchOn,
    /// The function whose frame has the value. `None` if it is on no stack, or if that is not known.
    pub owner: Option<OwnerFrame>,
}

/// A function that is being called, by the place of its return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerFrame {
    /// The place.
    pub slot: RunAddr,
    /// The return address.
    pub return_address: u64,
}

/// The accesses to a watched value that are hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WatchOn {
    /// Writes, of the same value too.
    #[default]
    Write,
    /// Reads and writes. The processor does not tell them apart.
    Any,
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

    /// The place in a file. `None` if the trigger is not a uprobe.
    #[must_use]
    pub const fn uprobe(&self) -> Option<&Uprobe> {
        match self {
            Self::Uprobe(uprobe) => Some(uprobe),
            Self::Watch(_) => None,
        }
    }

    /// The watched value, if the trigger is one.
    #[must_use]
    pub const fn watch(&self) -> Option<&WatchedMemory> {
        match self {
            Self::Uprobe(_) => None,
            Self::Watch(watch) => Some(watch),
        }
    }
}
