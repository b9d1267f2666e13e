//! Opens files in the target's mount namespace and in ours.
//!
//! The kernel resolves a path of the target below the target's root, links and `..` included, so
//! the path can never name a file of ours. Only regular files are opened for reading, so that no
//! device or pipe is touched.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Number of times that a look-up is repeated if something is renamed meanwhile.
const TRIES: usize = 16;

/// The root directory of paths.
pub(in crate::debuginfo) enum TargetRoot {
    /// The target's root directory.
    Target(OwnedFd),
    /// Our root directory.
    Host,
}

impl TargetRoot {
    /// Returns the root directory at `path` (`/proc/PID/root`).
    pub(super) fn of_target(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self::Target(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Returns true if this is the target's root.
    pub(super) const fn is_target(&self) -> bool {
        matches!(self, Self::Target(_))
    }

    /// Opens a regular file. Returns `None` if nothing is at `path`.
    ///
    /// # Errors
    /// Fails if `path` is not a regular file, or may not be read.
    pub(super) fn open(&self, path: &Path) -> io::Result<Option<File>> {
        // Without `O_PATH`, even opening a device could activate it.
        let found = match self.look_up(path) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let found = File::from(found);
        if !found.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let again = PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd()));
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
            .open(again)
            .map(Some)
    }

    fn look_up(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let Self::Target(root) = self else {
            return rustix::fs::open(path, flags, Mode::empty());
        };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let mut last = Errno::AGAIN;
        for _ in 0..TRIES {
            match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
                Err(error @ (Errno::AGAIN | Errno::INTR)) => last = error,
                other => return other,
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    fn text(root: &TargetRoot, path: &str) -> Option<String> {
        let mut text = String::new();
        root.open(Path::new(path))
            .expect("open")?
            .read_to_string(&mut text)
            .expect("read");
        Some(text)
    }

    #[test]
    fn target_links_and_dots_stay_below_its_root() {
        let outside = tempfile::tempdir().expect("directory");
        let root = outside.path().join("root");
        std::fs::create_dir_all(root.join("etc")).expect("directory");
        std::fs::write(outside.path().join("secret"), "ours").expect("write");
        std::fs::write(root.join("etc/file"), "theirs").expect("write");
        symlink("/etc/file", root.join("absolute")).expect("link");
        symlink("../../../etc/file", root.join("etc/dots")).expect("link");
        symlink(outside.path().join("secret"), root.join("escape")).expect("link");
        let root = TargetRoot::of_target(&root).expect("root");
        assert_eq!(text(&root, "/etc/file").as_deref(), Some("theirs"));
        assert_eq!(text(&root, "/absolute").as_deref(), Some("theirs"));
        assert_eq!(text(&root, "/etc/dots").as_deref(), Some("theirs"));
        assert_eq!(text(&root, "/../secret"), None);
        assert_eq!(text(&root, "/escape"), None);
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let directory = tempfile::tempdir().expect("directory");
        let made = std::process::Command::new("mkfifo")
            .arg(directory.path().join("pipe"))
            .status()
            .expect("mkfifo");
        assert!(made.success());
        for root in [
            TargetRoot::Host,
            TargetRoot::of_target(directory.path()).expect("root"),
        ] {
            let prefix = match root {
                TargetRoot::Host => directory.path(),
                TargetRoot::Target(_) => Path::new("/"),
            };
            assert!(root.open(&prefix.join("pipe")).is_err());
            assert!(root.open(prefix).is_err());
            assert!(matches!(root.open(&prefix.join("absent")), Ok(None)));
        }
    }
}
