//! The target process: its modules, mappings, namespaces and end.
//!
//! This room reads `/proc` and a pidfd: no ptrace, no stop, no write. A helper process reads the
//! pages that hits have missed (`paging`). All of this is untrusted text, because a process chooses
//! its name, its argument list and the names of the files that it maps.

pub mod launch;
mod list;
mod maps;
mod memory;
pub(crate) mod paging;
pub mod select;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::base::address::FileOffset;

pub use list::{ListedProcess, has_debug_info, list_processes, process_by_name};
pub use maps::{Mapping, parse_maps};
pub use memory::read_words;

/// The reason why a process cannot be a target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is no process with this pid.
    #[error("no process has pid {pid}")]
    NoSuchProcess {
        /// The requested pid.
        pid: u32,
    },
    /// The pid is a thread of the kernel, which has no program.
    #[error("pid {pid} (`{name}`) is a kernel thread")]
    KernelThread {
        /// The requested pid.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// The pid is a thread, not a process.
    #[error("{pid} is a thread of process {process}")]
    Thread {
        /// The requested id.
        pid: u32,
        /// The process that it belongs to.
        process: u32,
    },
    /// The process is a zombie, which waits for its parent.
    #[error("process {pid} has exited already")]
    Exited {
        /// The requested pid.
        pid: u32,
    },
    /// The process is our own.
    #[error("pid {pid} is this tracer itself")]
    Ourselves {
        /// The requested pid.
        pid: u32,
    },
    /// No process has this name.
    #[error("no process is named `{name}`")]
    NoSuchName {
        /// The requested name.
        name: String,
    },
    /// More than one process has this name.
    #[error("{} processes are named `{name}`: {}", pids.len(), join(pids))]
    AmbiguousName {
        /// The requested name.
        name: String,
        /// The matching pids.
        pids: Vec<u32>,
    },
    /// `/proc` could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
}

fn join(pids: &[u32]) -> String {
    let shown: Vec<String> = pids.iter().take(8).map(u32::to_string).collect();
    let more = if pids.len() > 8 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

impl TargetError {
    /// Returns a suggestion for the user.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchProcess { .. } | Self::Exited { .. } | Self::NoSuchName { .. } => {
                Some("`ps -e` lists what runs; without `--pid` a picker opens".into())
            }
            Self::KernelThread { .. } => Some("only programs in user space can be traced".into()),
            Self::Thread { process, .. } => Some(format!(
                "use `--pid {process}`: a probe fires for every thread of the process"
            )),
            Self::Ourselves { .. } => None,
            Self::AmbiguousName { .. } => Some("name one by its pid".into()),
            Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(if rustix::process::geteuid().is_root() {
                    "not even root may look at it here: the system, a container or a security module protects it"
                } else {
                    "run it with sudo"
                }
                .into())
            }
            Self::Read { .. } => None,
        }
    }

    /// Returns true if the process exists, but this user may not look at it.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// The executable of a process in its mappings.
struct ExeFile<'p> {
    path: &'p Path,
    inode: Option<u64>,
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    name: String,
    exe: PathBuf,
    exe_replaced: bool,
    pidfd: OwnedFd,
}

/// A file with code that the process has mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedModule {
    /// Path in the process's view, for display. It may name another file by now.
    pub path: PathBuf,
    /// Last component of `path`.
    pub name: String,
    /// Path at which *we* can open exactly the mapped file, even if it was replaced or deleted, or
    /// is in another mount namespace.
    pub open_path: PathBuf,
    /// True if the file is the process's own executable.
    pub main: bool,
    /// True if the file is no longer at `path`, or another one is.
    pub replaced: bool,
    /// Device and inode of the mapped file, from `/proc/PID/maps`.
    pub identity: (u64, u64),
    /// Version that distinguishes the file from a later one with the same inode; `None` if it
    /// cannot be read.
    pub version: Option<FileVersion>,
    /// Its mappings, by address.
    pub mappings: Vec<Mapping>,
    /// Run addresses of the zeroed memory after a writable mapping, for which the file has no
    /// bytes.
    pub zeroed: Vec<Range<u64>>,
}

impl MappedModule {
    /// Returns true if both are the same file.
    #[must_use]
    pub fn is_file_of(&self, other: &Self) -> bool {
        self.identity == other.identity && self.version == other.version
    }

    /// Returns true if the process has mapped the byte at `offset` of the file as executable.
    #[must_use]
    pub fn executes(&self, offset: FileOffset) -> bool {
        let mut executable = self.mappings.iter().filter(|mapping| mapping.execute);
        executable.any(|mapping| {
            let distance = offset.0.checked_sub(mapping.offset);
            distance.is_some_and(|distance| distance < mapping.end - mapping.start)
        })
    }

    /// Returns true if both are the same file at the same addresses.
    #[must_use]
    pub fn is_mapped_as(&self, other: &Self) -> bool {
        self.is_file_of(other) && self.mappings == other.mappings && self.zeroed == other.zeroed
    }
}

/// Size and modification time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl FileVersion {
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Self::from)
    }
}

impl From<&fs::Metadata> for FileVersion {
    fn from(file: &fs::Metadata) -> Self {
        Self {
            bytes: file.size(),
            seconds: file.mtime(),
            nanoseconds: file.mtime_nsec(),
        }
    }
}

/// An executable file, and the version of it: a file may be written anew under its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutableFile {
    /// Device and inode, as `stat` gives them.
    identity: (u64, u64),
    version: FileVersion,
}

impl ExecutableFile {
    /// Returns the file at a path, held open for as long as the descriptor lives.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn hold(path: &Path) -> io::Result<(Self, OwnedFd)> {
        let held = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_CLOEXEC)
            .open(path)?;
        let file = held.metadata()?;
        let this = Self {
            identity: (file.dev(), file.ino()),
            version: FileVersion::from(&file),
        };
        Ok((this, held.into()))
    }

    /// Returns its identity as `/proc/PID/maps` gives it, and its version.
    ///
    /// Some file systems, such as overlayfs and btrfs, give another device there.
    #[must_use]
    pub fn mapped(&self) -> ((u64, u64), FileVersion) {
        let (device, inode) = self.identity;
        let joined = u64::from(libc::major(device)) << 32 | u64::from(libc::minor(device));
        ((joined, inode), self.version)
    }
}

/// Flag of a kernel thread in `/proc/PID/stat` (`PF_KTHREAD`).
pub(crate) const KERNEL_THREAD: u64 = 0x0020_0000;

/// Distinguishes one execution of a program from the next: the file, and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageId {
    file: (u64, u64),
    start: u64,
}

impl Process {
    /// Opens the process `pid`.
    ///
    /// # Errors
    /// Fails if the process does not exist, has no program, or may not be read.
    pub fn open(pid: u32) -> Result<Self, TargetError> {
        if pid == std::process::id() {
            return Err(TargetError::Ourselves { pid });
        }
        let status = read_text(pid, "status").map_err(|error| match error {
            TargetError::Read { ref source, .. } if is_gone(source) => {
                TargetError::NoSuchProcess { pid }
            }
            other => other,
        })?;
        let name = status_field(&status, "Name").unwrap_or_default().to_owned();
        let tgid = status_field(&status, "Tgid").and_then(|field| field.parse().ok());
        match tgid {
            // It was gone before its status was written.
            Some(0) => return Err(TargetError::NoSuchProcess { pid }),
            Some(process) if process != pid => {
                return Err(TargetError::Thread { pid, process });
            }
            _ => {}
        }
        if status_field(&status, "State").is_some_and(|state| state.starts_with(['Z', 'X'])) {
            return Err(TargetError::Exited { pid });
        }
        let pidfd = open_pidfd(pid)?;
        let link = PathBuf::from(format!("/proc/{pid}/exe"));
        let exe = match fs::read_link(&link) {
            Ok(exe) => exe,
            // A kernel thread has no program. A process that exits has none any more.
            Err(error) if is_gone(&error) => {
                return Err(match is_kernel_thread(pid) {
                    true => TargetError::KernelThread { pid, name },
                    false => TargetError::Exited { pid },
                });
            }
            Err(source) => return Err(TargetError::Read { path: link, source }),
        };
        let exe_replaced = is_replaced(pid, &exe, &link);
        let process = Self {
            pid,
            name,
            exe: without_deleted(&exe),
            exe_replaced,
            pidfd,
        };
        match process.is_alive() {
            true => Ok(process),
            false => Err(TargetError::Exited { pid }),
        }
    }

    /// Returns the process id in our pid namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns the name, which the process chooses itself (at most 15 bytes).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the path of the executable in the process's own view.
    #[must_use]
    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// Returns the file name of the executable, which is hostile text.
    #[must_use]
    pub fn program_name(&self) -> String {
        let name = self.exe.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Returns true if [`Self::exe`] names another file by now, or none.
    #[must_use]
    pub fn exe_replaced(&self) -> bool {
        self.exe_replaced
    }

    /// Returns the path of the process's root directory in our view.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }

    /// Returns a file descriptor that becomes readable when the process exits.
    #[must_use]
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// Returns another such file descriptor, which lives on its own.
    ///
    /// # Errors
    /// Fails if there are too many open files.
    pub fn held(&self) -> Result<OwnedFd, TargetError> {
        self.pidfd.try_clone().map_err(|source| TargetError::Read {
            path: PathBuf::from(format!("/proc/{}", self.pid)),
            source,
        })
    }

    /// Returns true if the process has not exited.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !has_exited(&self.pidfd)
    }

    /// Returns true if the process has not begun to exit.
    #[must_use]
    pub fn has_program(&self) -> bool {
        // The link is gone with the address space. Its pid may be that of another process by then.
        fs::metadata(format!("/proc/{}/exe", self.pid)).is_ok() && self.is_alive()
    }

    /// Fails if the process has exited: another one may have its pid, and may be the one that was just read.
    fn require_alive(&self) -> Result<(), TargetError> {
        match self.is_alive() {
            true => Ok(()),
            false => Err(TargetError::NoSuchProcess { pid: self.pid }),
        }
    }

    /// Returns the current execution, or `None` if the process is gone or between two programs.
    #[must_use]
    pub fn image(&self) -> Option<ImageId> {
        let file = fs::metadata(format!("/proc/{}/exe", self.pid)).ok()?;
        let stat = read_text(self.pid, "stat").ok()?;
        self.require_alive().ok()?;
        Some(ImageId {
            file: (file.dev(), file.ino()),
            start: start_code(&stat)?,
        })
    }

    /// Returns the file that the process executes, held open.
    ///
    /// # Errors
    /// Fails if the process is gone, or may not be read.
    pub fn executable_file(&self) -> Result<(ExecutableFile, OwnedFd), TargetError> {
        let path = PathBuf::from(format!("/proc/{}/exe", self.pid));
        let held = ExecutableFile::hold(&path);
        self.require_alive()?;
        match held {
            Ok(held) => Ok(held),
            Err(source) if is_gone(&source) => Err(TargetError::NoSuchProcess { pid: self.pid }),
            Err(source) => Err(TargetError::Read { path, source }),
        }
    }

    /// Returns the files with code that the process has mapped now, its executable first.
    ///
    /// # Errors
    /// Fails if the process is gone, or its mappings may not be read.
    pub fn modules(&self) -> Result<Vec<MappedModule>, TargetError> {
        let path = PathBuf::from(format!("/proc/{}/maps", self.pid));
        let failed = |source| TargetError::Read {
            path: path.clone(),
            source,
        };
        let text = fs::File::open(&path).map_err(failed)?;
        let exe = fs::metadata(format!("/proc/{}/exe", self.pid)).ok();
        let exe_inode = exe.as_ref().map(MetadataExt::ino);
        // The process may have executed another program since it was opened.
        let exe_path = fs::read_link(format!("/proc/{}/exe", self.pid));
        let exe_path = exe_path.map_or_else(|_| self.exe.clone(), |path| without_deleted(&path));
        let exe = ExeFile {
            path: &exe_path,
            inode: exe_inode,
        };
        let mut files: Vec<FileMappings> = Vec::new();
        let mut known: HashMap<(u64, u64), usize> = HashMap::new();
        // The previous writable mapping, and its module.
        let mut before: Option<(u64, (u64, u64))> = None;
        maps::read_maps(io::BufReader::new(text), |mut mapping| {
            let behind = before.take().filter(|(end, _)| *end == mapping.start);
            // A process may have tens of thousands of mappings with long paths, so only the
            // module's path is kept.
            let Some(path) = mapping.path.take() else {
                let of = behind.filter(|_| mapping.anonymous && mapping.write);
                let index = of.and_then(|(_, identity)| known.get(&identity));
                if let Some(file) = index.and_then(|index| files.get_mut(*index)) {
                    file.zeroed.push(mapping.start..mapping.end);
                }
                return;
            };
            let identity = (mapping.device, mapping.inode);
            before = mapping.write.then_some((mapping.end, identity));
            let index = known.get(&identity);
            match index.and_then(|index| files.get_mut(*index)) {
                Some(file) => file.mappings.push(mapping),
                None => {
                    known.insert(identity, files.len());
                    files.push(FileMappings {
                        path,
                        identity,
                        mappings: vec![mapping],
                        zeroed: Vec::new(),
                    });
                }
            }
        })
        .map_err(failed)?;
        // The text of the executable, or of a library, may have been moved to other memory. Other
        // files without code are not opened, because their server may hang.
        files.retain(|file| {
            let is_exe = exe_inode == Some(file.identity.1);
            is_exe || file.is_named_as_library() || file.has_code()
        });
        let mut modules: Vec<MappedModule> = files
            .into_iter()
            .filter_map(|file| {
                let first = file.mappings.first()?.clone();
                Some(MappedModule {
                    mappings: file.mappings,
                    zeroed: file.zeroed,
                    ..self.module(&file.path, first, &exe)
                })
            })
            .collect();
        modules.retain(|module| {
            let executable = |mapping: &Mapping| mapping.execute;
            module.main || module.name.contains(".so") || module.mappings.iter().any(executable)
        });
        modules.sort_by_key(|module| !module.main);
        self.require_alive()?;
        Ok(modules)
    }

    fn module(&self, file: &Path, mapping: Mapping, exe: &ExeFile<'_>) -> MappedModule {
        let path = without_deleted(file);
        // With bind mounts and overlays, the executable's device number in maps differs from that
        // of stat. So path and inode together identify it.
        let main = exe.inode == Some(mapping.inode) && path == exe.path;
        let open_path = if main {
            PathBuf::from(format!("/proc/{}/exe", self.pid))
        } else {
            self.mapped_file(&path, &mapping)
        };
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let replaced = is_replaced(self.pid, file, &open_path);
        MappedModule {
            identity: (mapping.device, mapping.inode),
            version: FileVersion::of(&open_path),
            mappings: vec![mapping],
            zeroed: Vec::new(),
            path,
            name,
            open_path,
            main,
            replaced,
        }
    }
}

impl Process {
    /// Returns a path that opens the mapped file itself, whatever is at its own path by now.
    fn mapped_file(&self, path: &Path, mapping: &Mapping) -> PathBuf {
        let mapped = PathBuf::from(format!(
            "/proc/{}/map_files/{:x}-{:x}",
            self.pid, mapping.start, mapping.end
        ));
        let refused = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        if !fs::metadata(&mapped).is_err_and(refused) {
            return mapped;
        }
        // These entries need CAP_CHECKPOINT_RESTORE. Without it, the file is opened by its path, if
        // that is still the same file.
        let at_path = self.root().join(below(&self.root(), path));
        match fs::metadata(&at_path) {
            Ok(there) if there.ino() == mapping.inode => at_path,
            _ => mapped,
        }
    }
}

/// The mappings of one file, before the file itself is opened.
struct FileMappings {
    path: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
    mappings: Vec<Mapping>,
    /// Zeroed memory after its writable mappings.
    zeroed: Vec<std::ops::Range<u64>>,
}

impl FileMappings {
    fn has_code(&self) -> bool {
        self.mappings.iter().any(|mapping| mapping.execute)
    }

    fn is_named_as_library(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().contains(".so")
    }
}

/// Returns true if the process's path names another file than `open_path`.
fn is_replaced(pid: u32, path: &Path, open_path: &Path) -> bool {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let seen = root.join(below(&root, path));
    match (fs::metadata(seen), fs::metadata(open_path)) {
        (Ok(there), Ok(mapped)) => (there.dev(), there.ino()) != (mapped.dev(), mapped.ino()),
        // The file was deleted, or unlinked and not written again yet.
        (Err(_), Ok(_)) => true,
        (_, Err(_)) => false,
    }
}

/// Returns a path of `/proc/PID`, relative to the process's root directory.
///
/// The kernel writes both in the reader's view. After `chroot`, the path starts with that of the
/// root.
fn below(root: &Path, path: &Path) -> PathBuf {
    let seen = fs::read_link(root).unwrap_or_else(|_| PathBuf::from("/"));
    let path = path.strip_prefix(&seen).unwrap_or(path);
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// Removes the mark that the kernel appends to the path of an unlinked file.
fn without_deleted(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let bytes = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn read_text(pid: u32, what: &str) -> Result<String, TargetError> {
    let path = PathBuf::from(format!("/proc/{pid}/{what}"));
    match fs::read(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(source) => Err(TargetError::Read { path, source }),
    }
}

/// Returns true for a thread of the kernel.
fn is_kernel_thread(pid: u32) -> bool {
    let flags = read_text(pid, "stat").ok().and_then(|stat| {
        let (_, fields) = stat.rsplit_once(')')?;
        fields.split_whitespace().nth(6)?.parse::<u64>().ok()
    });
    flags.is_some_and(|flags| flags & KERNEL_THREAD != 0)
}

/// Returns run address of the program's first code, from `/proc/PID/stat`.
fn start_code(stat: &str) -> Option<u64> {
    // The second field is the name, in brackets, with any content. `startcode` is the 26th field.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(23)?.parse().ok()
}

fn status_field<'a>(status: &'a str, field: &str) -> Option<&'a str> {
    status.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.trim())
    })
}

/// Returns true if the process of a pidfd has exited.
#[must_use]
pub fn has_exited(pidfd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn open_pidfd(pid: u32) -> Result<OwnedFd, TargetError> {
    #[expect(unsafe_code, reason = "pidfd_open has no safe wrapper in std")]
    // SAFETY: the call takes two numbers and returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        let source = io::Error::last_os_error();
        if is_gone(&source) {
            return Err(TargetError::NoSuchProcess { pid });
        }
        return Err(TargetError::Read {
            path: PathBuf::from(format!("/proc/{pid}")),
            source,
        });
    }
    let fd = i32::try_from(fd).expect("file descriptors are small numbers");
    #[expect(unsafe_code, reason = "takes ownership of the descriptor")]
    // SAFETY: the kernel has just made `fd` for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests;
