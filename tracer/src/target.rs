//! The process: modules, mappings, namespaces, liveness.
//!
//! Reads `/proc` and a pidfd, never the process itself: no ptrace, no stop, no
//! write. Everything that it reads is hostile text: a process chooses its name,
//! its argument list and the names of the files it maps.

mod list;
mod maps;
mod memory;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::address::FileOffset;

pub use list::{ProcessEntry, has_debug_info, list_processes, process_by_name};
pub use maps::{Mapping, parse_maps};
pub use memory::read_words;

/// Why a process cannot be a target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Nothing has this pid.
    #[error("no process has pid {pid}")]
    NoSuchProcess {
        /// As asked for.
        pid: u32,
    },
    /// A thread of the kernel: it has no program.
    #[error("pid {pid} (`{name}`) is a kernel thread")]
    KernelThread {
        /// As asked for.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// A thread, not a process.
    #[error("{pid} is a thread of process {process}")]
    Thread {
        /// As asked for.
        pid: u32,
        /// The process that it belongs to.
        process: u32,
    },
    /// A zombie, waiting for its parent.
    #[error("process {pid} has exited already")]
    Exited {
        /// As asked for.
        pid: u32,
    },
    /// It is our own process.
    #[error("pid {pid} is this tracer itself")]
    Ourselves {
        /// As asked for.
        pid: u32,
    },
    /// No process has this name.
    #[error("no process is named `{name}`")]
    NoSuchName {
        /// As asked for.
        name: String,
    },
    /// More than one process has this name.
    #[error("{} processes are named `{name}`: {}", pids.len(), join(pids))]
    AmbiguousName {
        /// As asked for.
        name: String,
        /// Those that match.
        pids: Vec<u32>,
    },
    /// `/proc` would not tell.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why it failed.
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
    /// What the user can do about it.
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

    /// The process is there, but this user may not look at it.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
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

/// A file that the process has mapped with code in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Where the process sees it; for display. May name another file by now.
    pub path: PathBuf,
    /// Last component of `path`.
    pub name: String,
    /// Where *we* open exactly the mapped file, even when it was replaced or
    /// deleted, or lives in another mount namespace.
    pub open_path: PathBuf,
    /// The file is the process's own executable.
    pub main: bool,
    /// The file is not at `path` any more, or another one is.
    pub replaced: bool,
    /// Device and inode of the mapped file, as `/proc/PID/maps` gives them.
    pub identity: (u64, u64),
    /// Tells the file from a later one that was given the same inode; `None` when it cannot be looked
    /// at.
    pub version: Option<FileVersion>,
    /// Its mappings, by address.
    pub mappings: Vec<Mapping>,
    /// Run addresses of the zeroed memory that follows a mapping that can be written: what the file
    /// has no bytes for.
    pub zeroed: Vec<Range<u64>>,
}

impl Module {
    /// Both are the same file.
    #[must_use]
    pub fn is_file_of(&self, other: &Self) -> bool {
        self.identity == other.identity && self.version == other.version
    }

    /// The process has the byte at `offset` of the file mapped to execute it.
    #[must_use]
    pub fn executes(&self, offset: FileOffset) -> bool {
        let mut executable = self.mappings.iter().filter(|mapping| mapping.execute);
        executable.any(|mapping| {
            let distance = offset.0.checked_sub(mapping.offset);
            distance.is_some_and(|distance| distance < mapping.end - mapping.start)
        })
    }

    /// Both are the same file at the same addresses.
    #[must_use]
    pub fn is_mapped_as(&self, other: &Self) -> bool {
        self.is_file_of(other) && self.mappings == other.mappings && self.zeroed == other.zeroed
    }
}

/// Size and time of the last change of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl FileVersion {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            bytes: file.size(),
            seconds: file.mtime(),
            nanoseconds: file.mtime_nsec(),
        })
    }
}

/// Tells one execution of a program from the next: the file, and where it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageId {
    file: (u64, u64),
    start: u64,
}

impl Process {
    /// Takes hold of the process `pid`.
    ///
    /// # Errors
    /// It is not there, has no program, or may not be looked at.
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
        if let Some(process) = tgid.filter(|&tgid| tgid != pid) {
            return Err(TargetError::Thread { pid, process });
        }
        if status_field(&status, "State").is_some_and(|state| state.starts_with(['Z', 'X'])) {
            return Err(TargetError::Exited { pid });
        }
        let pidfd = open_pidfd(pid)?;
        let link = PathBuf::from(format!("/proc/{pid}/exe"));
        let exe = match fs::read_link(&link) {
            Ok(exe) => exe,
            // A kernel thread has no program, and so no address space.
            Err(error) if is_gone(&error) && status_field(&status, "VmSize").is_none() => {
                return Err(TargetError::KernelThread { pid, name });
            }
            Err(source) => return Err(TargetError::Read { path: link, source }),
        };
        let exe_replaced = is_replaced(pid, &exe, &link);
        Ok(Self {
            pid,
            name,
            exe: without_deleted(&exe),
            exe_replaced,
            pidfd,
        })
    }

    /// Its process id, as our pid namespace counts.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its name (at most 15 bytes, chosen by itself).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its executable, as it sees it.
    #[must_use]
    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// Another file, or none, stands at [`Self::exe`] by now.
    #[must_use]
    pub fn exe_replaced(&self) -> bool {
        self.exe_replaced
    }

    /// The root directory that the process sees, from here.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }

    /// A file descriptor that becomes readable when the process exits.
    #[must_use]
    pub fn pidfd(&self) -> &OwnedFd {
        &self.pidfd
    }

    /// The process has not exited.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut poll = libc::pollfd {
            fd: self.pidfd.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        #[expect(unsafe_code, reason = "poll has no safe wrapper in std")]
        // SAFETY: `poll` is one valid pollfd, and the count says one.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
        ready == 0
    }

    /// What it executes now; `None` when it is gone, or in between two programs.
    #[must_use]
    pub fn image(&self) -> Option<ImageId> {
        let file = fs::metadata(format!("/proc/{}/exe", self.pid)).ok()?;
        let stat = read_text(self.pid, "stat").ok()?;
        Some(ImageId {
            file: (file.dev(), file.ino()),
            start: start_code(&stat)?,
        })
    }

    /// The files with code that it has mapped now; its executable first.
    ///
    /// # Errors
    /// It is gone, or its mappings may not be read.
    pub fn modules(&self) -> Result<Vec<Module>, TargetError> {
        let path = PathBuf::from(format!("/proc/{}/maps", self.pid));
        let failed = |source| TargetError::Read {
            path: path.clone(),
            source,
        };
        let text = fs::File::open(&path).map_err(failed)?;
        let exe = fs::metadata(format!("/proc/{}/exe", self.pid)).ok();
        let exe_inode = exe.as_ref().map(MetadataExt::ino);
        // Not what it was when it was opened: it may have executed another program since.
        let exe_path = fs::read_link(format!("/proc/{}/exe", self.pid));
        let exe_path = exe_path.map_or_else(|_| self.exe.clone(), |path| without_deleted(&path));
        let exe = (exe_path.as_path(), exe_inode);
        let mut files: Vec<FileMappings> = Vec::new();
        let mut known: HashMap<(u64, u64), usize> = HashMap::new();
        // The writable mapping before, and whose it is.
        let mut before: Option<(u64, (u64, u64))> = None;
        maps::read_maps(io::BufReader::new(text), |mut mapping| {
            let behind = before.take().filter(|(end, _)| *end == mapping.start);
            // A process may have tens of thousands of mappings with long paths: the module's is enough.
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
        // The text of the executable, and of a library, may have been moved to other memory. Another
        // file without code may be one whose server hangs, so it is not even looked at.
        files.retain(|file| {
            let is_exe = exe_inode == Some(file.identity.1);
            is_exe || file.is_named_as_library() || file.has_code()
        });
        let mut modules: Vec<Module> = files
            .into_iter()
            .filter_map(|file| {
                let first = file.mappings.first()?.clone();
                Some(Module {
                    mappings: file.mappings,
                    zeroed: file.zeroed,
                    ..self.module(&file.path, first, exe)
                })
            })
            .collect();
        modules.retain(|module| {
            let executable = |mapping: &Mapping| mapping.execute;
            module.main || module.name.contains(".so") || module.mappings.iter().any(executable)
        });
        modules.sort_by_key(|module| !module.main);
        Ok(modules)
    }

    fn module(&self, file: &Path, mapping: Mapping, exe: (&Path, Option<u64>)) -> Module {
        let (exe_path, exe_inode) = exe;
        let path = without_deleted(file);
        // Bind mounts and overlays give the executable another device number in
        // maps than stat does, so path and inode together tell it.
        let main = exe_inode == Some(mapping.inode) && path == exe_path;
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
        Module {
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
    /// Opens the mapped file itself, whatever stands at its path by now.
    fn mapped_file(&self, path: &Path, mapping: &Mapping) -> PathBuf {
        let mapped = PathBuf::from(format!(
            "/proc/{}/map_files/{:x}-{:x}",
            self.pid, mapping.start, mapping.end
        ));
        let refused = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        if !fs::metadata(&mapped).is_err_and(refused) {
            return mapped;
        }
        // Those are CAP_CHECKPOINT_RESTORE's to open: by its path then, while it is the same file.
        let at_path = self.root().join(below(&self.root(), path));
        match fs::metadata(&at_path) {
            Ok(there) if there.ino() == mapping.inode => at_path,
            _ => mapped,
        }
    }
}

/// The mappings of one file, before the file itself is looked at.
struct FileMappings {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    mappings: Vec<Mapping>,
    /// Zeroed memory behind its writable mappings.
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

/// Another file than the one at `open_path` stands where the process saw it.
fn is_replaced(pid: u32, path: &Path, open_path: &Path) -> bool {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let seen = root.join(below(&root, path));
    match (fs::metadata(seen), fs::metadata(open_path)) {
        (Ok(there), Ok(mapped)) => (there.dev(), there.ino()) != (mapped.dev(), mapped.ino()),
        // Deleted, or unlinked and not yet written again.
        (Err(_), Ok(_)) => true,
        (_, Err(_)) => false,
    }
}

/// A path of `/proc/PID`, as it is below the process's root directory.
///
/// The kernel writes both as the reader sees them: after `chroot`, the path has that of the root
/// in front.
fn below(root: &Path, path: &Path) -> PathBuf {
    let seen = fs::read_link(root).unwrap_or_else(|_| PathBuf::from("/"));
    let path = path.strip_prefix(&seen).unwrap_or(path);
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// The kernel marks the path of an unlinked file; the mark is not part of it.
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

/// Run address of the program's first code, from `/proc/PID/stat`.
fn start_code(stat: &str) -> Option<u64> {
    // The second field is the name, in brackets, with anything in it; startcode is the 26th.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(23)?.parse().ok()
}

fn status_field<'a>(status: &'a str, field: &str) -> Option<&'a str> {
    status.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name == field).then(|| value.trim())
    })
}

fn open_pidfd(pid: u32) -> Result<OwnedFd, TargetError> {
    #[expect(unsafe_code, reason = "pidfd_open has no safe wrapper in std")]
    // SAFETY: the call takes two numbers and gives a new descriptor or -1.
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
    // SAFETY: `fd` was just made by the kernel for us and is owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests;
