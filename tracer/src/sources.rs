//! Reads source files that debug information names.
//!
//! Debug information is untrusted text, and the tracer may read every file of the machine. A source
//! is shown only if all of these hold, or if it is below a directory that the user has named for
//! sources (see [`SourcePlaces`]):
//!
//! - it is below the target's root directory. Links and `..` cannot leave the root. The root of
//!   a program that does not run is ours;
//! - it is a regular file of at most [`SOURCE_BYTES`] bytes of text, not below `/proc`, `/sys` or
//!   `/dev`, and not in a file system that the kernel makes up (procfs, sysfs, tracefs, …);
//! - the user of the process or the owner of its program may read it, by the permission bits of
//!   the file and of every directory on the way. Root may read everything, so for root the file
//!   itself must be readable by everyone.
//!
//! A separate thread does the reading, because a file system may never answer.

mod elsewhere;
mod finder;
mod own;
mod reader;
mod walk;

use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use rustix::fs::{Mode, OFlags};

use crate::base::limits::{SOURCE_BYTES, SOURCE_WAIT};
use crate::target::Process;
pub use elsewhere::{SourceMap, SourcePlaces};
use finder::SourceFinder;
pub(crate) use own::{is_installed, is_own_source};
use reader::SourceReader;
use walk::{Readers, WalkStart};

/// The reason why a source file is not shown.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no file at the path.
    #[error("the file does not exist")]
    Absent,
    /// The path is a directory, a device or a pipe.
    #[error("it is not a regular file")]
    NotRegular,
    /// The file is below `/proc`, `/sys` or `/dev`, or in a virtual file system of the kernel.
    #[error("it is a file of the kernel or a device's")]
    Kernel,
    /// Permissions forbid it; see the [module documentation](self).
    #[error("neither the process's user nor its program's owner may read it")]
    Forbidden {
        /// True if the user or the owner is root.
        root: bool,
    },
    /// The file is larger than [`SOURCE_BYTES`].
    #[error("it has {bytes} bytes, over the limit of {SOURCE_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The file contains a NUL byte.
    #[error("it is not text")]
    NotText,
    /// The path contains a circle of links, or is far too long.
    #[error("its path has too many links or components")]
    TooLong,
    /// The file system did not answer within [`SOURCE_WAIT`].
    #[error("its file system has not answered within {} s", SOURCE_WAIT.as_secs())]
    NoAnswer,
    /// The file is one of a container, say, and has no path among our files.
    #[error("it is in the target's own root directory, where no editor of ours finds it")]
    OtherRoot,
    /// The process is gone, and its files with it.
    #[error("the target has exited")]
    Exited,
    /// The system refuses the access.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl SourceError {
    /// Returns true if the file simply does not exist.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Returns a suggestion for the user.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Forbidden { root: true } => {
                "a source of a root's program must be readable by everyone (`chmod o+r`)".into()
            }
            Self::Forbidden { root: false } => {
                "the user of the process must be able to read its sources".into()
            }
            Self::OtherRoot => "`--source-dir DIR` names a copy of the sources here".into(),
            _ => "probes work without the source; `--source-dir DIR` says where it is".into(),
        }
    }
}

impl From<rustix::io::Errno> for SourceError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.into())
    }
}

/// A source file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// Its text.
    pub text: String,
    /// Its path. `None` if it is the path in the debug information.
    pub elsewhere: Option<PathBuf>,
}

/// The source files of one process or program.
#[derive(Clone)]
pub struct Sources(Arc<SharedSources>);

struct SharedSources {
    subject: SourceAccess,
    places: SourcePlaces,
    /// True if a thread is still waiting for a file system.
    stuck: AtomicBool,
}

enum SourceAccess {
    /// The sources of a process.
    Process {
        pid: u32,
        pidfd: Option<OwnedFd>,
        /// True if its root directory was ours at the first look.
        shares_root: bool,
        /// The users who may read.
        readers: Vec<SourceReader>,
    },
    /// The sources of a program that does not run.
    Program {
        readers: Vec<SourceReader>,
        /// The folder for names without a leading `/`.
        directory: PathBuf,
    },
}

impl Sources {
    /// Returns the source files of a process.
    #[must_use]
    pub fn of_process(process: &Process, places: &SourcePlaces) -> Self {
        let pid = process.pid();
        let readers = [
            SourceReader::of_process(pid),
            SourceReader::of_owner(&exe(pid)),
        ];
        let subject = SourceAccess::Process {
            pid,
            pidfd: process.pidfd().try_clone().ok(),
            shares_root: shares_root(pid),
            readers: readers.into_iter().flatten().collect(),
        };
        Self::new(subject, places)
    }

    /// Returns the source files of a program or library that need not run.
    #[must_use]
    pub fn of_program(path: &Path, places: &SourcePlaces) -> Self {
        let subject = SourceAccess::Program {
            readers: SourceReader::of_owner(path).into_iter().collect(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        };
        Self::new(subject, places)
    }

    fn new(subject: SourceAccess, places: &SourcePlaces) -> Self {
        Self(Arc::new(SharedSources {
            subject,
            places: places.clone(),
            stuck: AtomicBool::new(false),
        }))
    }

    /// Reads a source file.
    ///
    /// # Errors
    /// Fails with the reason why the file is not shown.
    pub fn read(&self, path: &Path) -> Result<SourceText, SourceError> {
        let path = path.to_owned();
        let answers = self.ask(move |shared, answer| {
            answer(read(&mut SourceFinder::new(shared), &path));
        })?;
        answers.next()?
    }

    /// Returns the path of a source file among our own files. It is one that could be shown.
    ///
    /// # Errors
    /// Fails with the reason why the file is not shown, or if it is one of the target's own root directory.
    pub fn path(&self, path: &Path) -> Result<PathBuf, SourceError> {
        let path = path.to_owned();
        let answers = self.ask(move |shared, answer| {
            let found = SourceFinder::new(shared).file(&path);
            answer(found.and_then(|found| match found.elsewhere {
                Some(elsewhere) => Ok(elsewhere),
                None => shared.own_path(&path),
            }));
        })?;
        answers.next()?
    }

    /// Returns true if each of these files could be shown, according to its type, place and
    /// permissions.
    #[must_use]
    pub fn are_there(&self, paths: Vec<Arc<PathBuf>>) -> Vec<bool> {
        let count = paths.len();
        let answers = self.ask(move |shared, answer| {
            let mut finder = SourceFinder::new(shared);
            for path in paths {
                answer(finder.file(&path).is_ok());
            }
        });
        let mut there = Vec::with_capacity(count);
        if let Ok(answers) = answers {
            while there.len() < count
                && let Ok(one) = answers.next()
            {
                there.push(one);
            }
        }
        there.resize(count, false);
        there
    }

    /// Returns true if this file could be shown.
    #[must_use]
    pub fn is_there(&self, path: &Arc<PathBuf>) -> bool {
        self.are_there(vec![Arc::clone(path)]) == [true]
    }

    /// Runs `work` on a thread that may wait forever, and returns its answer.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SharedSources, &mut dyn FnMut(T)) + Send + 'static,
    ) -> Result<Answers<T>, SourceError> {
        if self.0.stuck.load(Ordering::Acquire) {
            return Err(SourceError::NoAnswer);
        }
        let (sender, receiver) = mpsc::channel();
        let shared = Arc::clone(&self.0);
        thread::Builder::new()
            .name("sources".into())
            .spawn(move || {
                // Nobody waits any more if the answer takes too long.
                work(&shared, &mut |answer| drop(sender.send(answer)));
                shared.stuck.store(false, Ordering::Release);
            })?;
        Ok(Answers {
            receiver,
            shared: Arc::clone(&self.0),
        })
    }
}

/// The answers of a thread, one after the other.
struct Answers<T> {
    receiver: mpsc::Receiver<T>,
    shared: Arc<SharedSources>,
}

impl<T> Answers<T> {
    fn next(&self) -> Result<T, SourceError> {
        match self.receiver.recv_timeout(SOURCE_WAIT) {
            Ok(answer) => Ok(answer),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                self.shared.stuck.store(true, Ordering::Release);
                Err(SourceError::NoAnswer)
            }
            // The thread has no answer.
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(SourceError::Exited),
        }
    }
}

impl SharedSources {
    /// Returns the start of a path look-up, and the users who may read.
    fn start(&self) -> Result<WalkStart<'_>, SourceError> {
        match &self.subject {
            SourceAccess::Program { readers, directory } => Ok(WalkStart {
                root: directory_at(Path::new("/"))?,
                directory,
                readers: Readers::Of(readers),
            }),
            SourceAccess::Process {
                pid,
                pidfd,
                shares_root,
                readers,
            } => Ok(WalkStart {
                root: root_of(*pid, pidfd.as_ref(), *shares_root)?,
                directory: Path::new("/"),
                readers: Readers::Of(readers),
            }),
        }
    }
}

impl SharedSources {
    /// Returns the path of a file of the target among our own files.
    fn own_path(&self, path: &Path) -> Result<PathBuf, SourceError> {
        match &self.subject {
            SourceAccess::Program { directory, .. } => Ok(directory.join(path)),
            SourceAccess::Process {
                shares_root: true, ..
            } => Ok(Path::new("/").join(path)),
            SourceAccess::Process { .. } => Err(SourceError::OtherRoot),
        }
    }
}

/// Returns the root directory of a process, or ours if the process is gone and had ours.
fn root_of(pid: u32, pidfd: Option<&OwnedFd>, shares_root: bool) -> Result<OwnedFd, SourceError> {
    let root = directory_at(Path::new(&format!("/proc/{pid}/root")));
    // Another process may have the pid by now.
    match root {
        Ok(root) if pidfd.is_some_and(is_alive) => Ok(root),
        _ if shares_root => Ok(directory_at(Path::new("/"))?),
        Ok(_) => Err(SourceError::Exited),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SourceError::Exited),
        Err(error) => Err(error.into()),
    }
}

/// Returns true if the process of a pidfd has not exited.
fn is_alive(pidfd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&rustix::time::Timespec::default())) == Ok(0)
}

fn directory_at(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn exe(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/exe"))
}

/// Returns true if a process has our mount namespace and our root directory.
fn shares_root(pid: u32) -> bool {
    let same = |of: &str| {
        let identity = |who: &str| {
            let metadata = std::fs::metadata(format!("/proc/{who}/{of}")).ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        let theirs = identity(&pid.to_string());
        theirs.is_some() && theirs == identity("self")
    };
    same("ns/mnt") && same("root")
}

fn read(finder: &mut SourceFinder<'_>, path: &Path) -> Result<SourceText, SourceError> {
    let found = finder.file(path)?;
    Ok(SourceText {
        text: contents(&found.file)?,
        elsewhere: found.elsewhere,
    })
}

fn contents(found: &OwnedFd) -> Result<String, SourceError> {
    // The look-up has not opened the file for reading, because that could wake a device.
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
    text(&mut file)
}

/// Returns the content of a file, if it is text.
pub(crate) fn text(file: &mut impl io::Read) -> Result<String, SourceError> {
    let mut bytes = Vec::new();
    file.take(SOURCE_BYTES + 1).read_to_end(&mut bytes)?;
    let length = bytes.len() as u64;
    if length > SOURCE_BYTES {
        return Err(SourceError::TooLarge { bytes: length });
    }
    if memchr::memchr(0, &bytes).is_some() {
        return Err(SourceError::NotText);
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests;
