//! The hierarchy of cgroup v2: a walk to the selected cgroups, whether or not a process is in them,
//! and a watch for new ones.
//!
//! A unit that restarts gets a new cgroup before its first process. So a new cgroup is found before a
//! program is executed in it, most of the time.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::cgroup::{CgroupDirectory, CgroupHierarchy, CgroupMembership, CgroupMount};
use super::limits::CGROUPS_READ;
use super::selection::Selection;
use super::selector::SelectorKind;

/// Bytes of events that are read at a time.
const BUFFER: usize = 4096;

/// Watches the directories in which selected cgroups may be made.
#[derive(Debug)]
pub struct CgroupWatch {
    inotify: OwnedFd,
}

impl CgroupWatch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// This user watches too much already.
    pub fn new() -> io::Result<Self> {
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        Ok(Self {
            inotify: inotify::init(flags)?,
        })
    }

    /// Watches one more directory. One that is watched already stays as it is.
    fn add(&self, directory: &Path) {
        // A directory that is gone, or beyond the user's limit of watches, is looked at later.
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        let _ = inotify::add_watch(&self.inotify, directory, flags);
    }

    /// Returns true if something was made since the last call.
    pub fn take_changes(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut has_changed = false;
        while events.next().is_ok() {
            has_changed = true;
        }
        has_changed
    }
}

impl AsFd for CgroupWatch {
    /// Readable if something was made.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl Selection {
    /// Returns the cgroups of cgroup v2 that the selection stands for now, with or without processes,
    /// and has the directories watched in which others may be made.
    #[must_use]
    pub fn cgroups(&self, watch: Option<&CgroupWatch>) -> Vec<CgroupDirectory> {
        let mounts = CgroupMount::all();
        // The one that shows most.
        let unified = mounts.iter().filter(|mount| mount.is_shown_unified());
        let Some(mount) = unified.min_by_key(|mount| mount.root().len()) else {
            return Vec::new();
        };
        let Ok(metadata) = fs::metadata(mount.mount_point()) else {
            return Vec::new();
        };
        let mut walk = CgroupWalk {
            selection: self,
            watch,
            found: Vec::new(),
            left: CGROUPS_READ,
        };
        walk.visit(CgroupDirectory {
            hierarchy: CgroupHierarchy::Unified,
            path: mount.root().to_owned(),
            directory: mount.mount_point().to_owned(),
            id: metadata.ino(),
        });
        walk.found
    }
}

/// A walk from the root of the hierarchy to the selected cgroups.
struct CgroupWalk<'s> {
    selection: &'s Selection,
    watch: Option<&'s CgroupWatch>,
    found: Vec<CgroupDirectory>,
    /// Directories that may still be read.
    left: usize,
}

impl CgroupWalk<'_> {
    fn visit(&mut self, cgroup: CgroupDirectory) {
        let membership = CgroupMembership {
            hierarchy: cgroup.hierarchy.clone(),
            path: cgroup.path,
        };
        let is_selected = |kind| {
            let prefix = self.selection.cgroup_prefix(kind, &membership);
            prefix == Some(membership.path.as_str())
        };
        if SelectorKind::ALL.into_iter().any(is_selected) {
            self.found.push(CgroupDirectory {
                path: membership.path,
                ..cgroup
            });
            return;
        }
        if self.left == 0 || !self.selection.may_be_below(&membership) {
            return;
        }
        self.left -= 1;
        if let Some(watch) = self.watch {
            watch.add(&cgroup.directory);
        }
        for (name, id) in directories(&cgroup.directory) {
            let path = match membership.path.trim_end_matches('/') {
                "" => format!("/{name}"),
                path => format!("{path}/{name}"),
            };
            self.visit(CgroupDirectory {
                hierarchy: CgroupHierarchy::Unified,
                path,
                directory: cgroup.directory.join(&name),
                id,
            });
        }
    }
}

/// Names and inodes of the directories in a directory.
fn directories(directory: &Path) -> Vec<(String, u64)> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let named = |entry: fs::DirEntry| Some((entry.file_name().into_string().ok()?, entry.ino()));
    entries
        .filter_map(Result::ok)
        .filter(is_directory)
        .filter_map(named)
        .collect()
}
