//! Cgroups that a test makes, laid out as systemd and container runtimes do.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::wait_for;

/// A cgroup of cgroup v2. It is removed at the end, with those above it that were made for it.
pub(crate) struct Cgroup {
    root: PathBuf,
    /// Path as in `/proc/PID/cgroup`.
    pub(crate) path: String,
}

impl Cgroup {
    /// Makes a cgroup below the mounted root of the hierarchy.
    #[track_caller]
    pub(crate) fn make(root: &Path, path: &str) -> Self {
        let made = Self {
            root: root.to_owned(),
            path: path.to_owned(),
        };
        fs::create_dir_all(made.directory()).expect("root may make cgroups");
        made
    }

    /// Its directory.
    pub(crate) fn directory(&self) -> PathBuf {
        self.root.join(self.path.trim_start_matches('/'))
    }

    /// Has a command be executed in this cgroup: its process is in it before.
    pub(crate) fn enter(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        let procs = self.directory().join("cgroup.procs");
        let procs = std::ffi::CString::new(procs.into_os_string().into_encoded_bytes());
        let procs = procs.expect("no zero byte");
        let enter = move || {
            let file = rustix::fs::open(
                &*procs,
                rustix::fs::OFlags::WRONLY,
                rustix::fs::Mode::empty(),
            )?;
            // 0 stands for the writer.
            rustix::io::write(&file, b"0")?;
            Ok(())
        };
        #[expect(unsafe_code, reason = "runs between fork and exec")]
        // SAFETY: the closure makes two system calls, and allocates nothing.
        unsafe {
            command.pre_exec(enter);
        }
    }

    /// Moves a process into it.
    #[track_caller]
    pub(crate) fn take(&self, pid: u32) {
        fs::write(self.directory().join("cgroup.procs"), pid.to_string()).expect("a process");
    }

    /// Removes it as soon as its processes are gone.
    #[track_caller]
    pub(crate) fn remove(&self) {
        wait_for("the cgroup to be empty", || {
            match fs::remove_dir(self.directory()) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => None,
                Err(error) => panic!("{}: {error}", self.path),
                Ok(()) => Some(()),
            }
        });
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let mut directory = self.directory();
        // Those above are used by other tests, or by this machine, if they cannot be removed.
        while directory != self.root {
            let _ = fs::remove_dir(&directory);
            directory.pop();
        }
    }
}
