//! The facts that selectors ask about a process, from `/proc`.

use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup::{CgroupMembership, memberships};
use super::container::container_id;
use super::inode::InodeId;
use super::name::NameGlob;
use super::proc_files::read_bounded;
use crate::target::{KERNEL_THREAD, status_field, without_deleted};

/// Bytes of a process's name in the kernel, without the zero behind it.
const COMM_BYTES: usize = 15;

/// Attempts to read a process that executes another program meanwhile.
const ATTEMPTS: usize = 4;

/// A process as selectors see it, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Its pid in our pid namespace.
    pub pid: u32,
    /// The pid of its parent.
    pub parent: u32,
    /// Time of its start, in clock ticks since boot. With the pid, it identifies the process.
    pub start_time: u64,
    /// Its name, which it chooses itself (at most 15 bytes).
    pub comm: String,
    /// The file that it runs.
    pub executable: ExecutableFacts,
    /// The file name of its script, if the kernel cut it to fit into `comm`.
    script: Option<String>,
    /// Its cgroup in each hierarchy.
    pub cgroups: Vec<CgroupMembership>,
    /// Effective user, as `ps` shows it.
    pub uid: u32,
    /// Real user, who started it.
    pub real_uid: u32,
    /// True if it sees the mounts that we see.
    pub(super) shares_our_mounts: bool,
    /// True for a thread of the kernel, which has no program.
    pub(super) is_kernel_thread: bool,
}

/// The file that a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutableFacts {
    /// Its path in the process's view, without the mark of a deleted file.
    pub path: PathBuf,
    /// True if the file is no longer at its path.
    pub deleted: bool,
    /// Device and inode. `None` if this user may not look.
    pub inode: Option<InodeId>,
}

impl ExecutableFacts {
    fn read(process: &Path) -> Self {
        let link = process.join("exe");
        let Ok(text) = fs::read_link(&link) else {
            return Self::default();
        };
        let inode = fs::metadata(&link).ok().as_ref().map(InodeId::from);
        let path = without_deleted(&text);
        // A file can also be named so.
        let is_there = |path: &Path| {
            let below = path.strip_prefix("/").unwrap_or(path);
            let there = fs::metadata(process.join("root").join(below)).ok();
            there.as_ref().map(InodeId::from) == inode
        };
        let deleted = path != text && !is_there(&text);
        Self {
            path: if deleted { path } else { text },
            deleted,
            inode,
        }
    }

    /// Returns the file's name.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl ProcessFacts {
    /// Reads a process. `None` if it is gone, has exited, or is a thread of another process.
    ///
    /// A kernel thread has no executable.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        for _ in 0..ATTEMPTS {
            let before = Stat::read(&process)?;
            let facts = Self::read_once(pid, &process, &before)?;
            // A program that is executed meanwhile changes name and file. Half of each is a process
            // that never was.
            if Stat::read(&process)? == before {
                return Some(facts);
            }
        }
        None
    }

    fn read_once(pid: u32, process: &Path, stat: &Stat) -> Option<Self> {
        let status = read_bounded(&process.join("status")).ok()?;
        let tgid: u32 = status_field(&status, "Tgid")?.parse().ok()?;
        if tgid != pid || matches!(stat.state, 'Z' | 'X') {
            return None;
        }
        let mut users = status_field(&status, "Uid")?.split_whitespace();
        let real_uid = users.next()?.parse().ok()?;
        let uid = users.next()?.parse().ok()?;
        let executable = ExecutableFacts::read(process);
        let script = cut_name(&stat.comm, &executable, process);
        let is_kernel_thread = stat.flags & KERNEL_THREAD != 0;
        let cgroups = read_bounded(&process.join("cgroup")).ok()?;
        Some(Self {
            pid,
            parent: stat.parent,
            start_time: stat.start_time,
            comm: stat.comm.clone(),
            shares_our_mounts: mounts(process).is_some_and(|theirs| {
                let ours = mounts(Path::new("/proc/self"));
                ours == Some(theirs)
            }),
            executable,
            script,
            cgroups: memberships(&cgroups),
            uid,
            real_uid,
            is_kernel_thread,
        })
    }

    /// Returns the name that messages show: that of the executable, or the one it chose if it is a
    /// script or has another name.
    #[must_use]
    pub fn name(&self) -> String {
        self.script.clone().unwrap_or_else(|| {
            let file = self.executable.name();
            // The kernel cuts long names.
            if file.as_bytes().starts_with(self.comm.as_bytes()) && self.comm.len() >= COMM_BYTES {
                file
            } else {
                self.comm.clone()
            }
        })
    }

    /// Returns the file name of the script that it runs, if it is an interpreter that the kernel has
    /// named after a script.
    #[must_use]
    pub fn script(&self) -> Option<String> {
        if self.script.is_some() || self.executable.name().starts_with(&self.comm) {
            return self.script.clone();
        }
        let process = PathBuf::from(format!("/proc/{}", self.pid));
        let arguments = read_bounded(&process.join("cmdline")).ok()?;
        let name = |argument: &str| argument.rsplit('/').next().map(str::to_owned);
        // The first one is the interpreter.
        let mut names = arguments.split('\0').skip(1).filter_map(name);
        names.find(|name| *name == self.comm)
    }

    /// Returns true if the pattern matches its own name, its script's or its executable's.
    pub(super) fn is_named(&self, glob: &NameGlob) -> bool {
        let script = self.script.as_deref();
        glob.matches(&self.comm)
            || glob.matches(&self.executable.name())
            || script.is_some_and(|script| glob.matches(script))
    }

    /// Returns true if the pattern matches only the whole name of its script, which the kernel has cut.
    pub(super) fn is_named_by_script_alone(&self, glob: &NameGlob) -> bool {
        self.is_named(glob) && !glob.matches(&self.comm) && !glob.matches(&self.executable.name())
    }

    /// Returns the cgroup that events show: that of cgroup v2, else of systemd's hierarchy, else the
    /// first that is not the root.
    #[must_use]
    pub fn cgroup(&self) -> Option<&str> {
        let below_root = |one: &&CgroupMembership| one.path != "/";
        let ranked = |one: &&CgroupMembership| one.hierarchy.rank();
        let found = self.cgroups.iter().filter(below_root).min_by_key(ranked);
        found
            .or_else(|| self.cgroups.iter().min_by_key(ranked))
            .map(|one| one.path.as_str())
    }

    /// Returns the id of the container that the process runs in, the innermost if they are nested.
    #[must_use]
    pub fn container_id(&self) -> Option<&str> {
        self.cgroups.iter().find_map(|one| container_id(&one.path))
    }
}

/// Returns true if a signal or a tracer has stopped the process. `None` if it is gone.
#[must_use]
pub fn is_stopped(pid: u32) -> Option<bool> {
    let stat = Stat::read(&PathBuf::from(format!("/proc/{pid}")))?;
    Some(matches!(stat.state, 'T' | 't'))
}

/// The full name of a script, if the kernel cut it. The kernel names a process after the script, but
/// the executable is the interpreter.
fn cut_name(comm: &str, executable: &ExecutableFacts, process: &Path) -> Option<String> {
    if comm.len() < COMM_BYTES || executable.name().starts_with(comm) {
        return None;
    }
    let arguments = read_bounded(&process.join("cmdline")).ok()?;
    let name = |argument: &str| argument.rsplit('/').next().map(str::to_owned);
    arguments
        .split('\0')
        .filter_map(name)
        .find(|name| name.starts_with(comm))
}

/// The mount namespace of a process.
fn mounts(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/mnt")).ok()
}

/// The parts of `/proc/PID/stat` that selectors need.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    comm: String,
    state: char,
    parent: u32,
    flags: u64,
    start_time: u64,
    start_code: u64,
}

impl Stat {
    fn read(process: &Path) -> Option<Self> {
        Self::parse(&read_bounded(&process.join("stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // The name is in brackets and may contain anything, brackets too.
        let (front, fields) = text.rsplit_once(')')?;
        let (_, comm) = front.split_once('(')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // The field after the name is the third.
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            comm: comm.to_owned(),
            state: field(3)?.chars().next()?,
            parent: field(4)?.parse().ok()?,
            flags: field(9)?.parse().ok()?,
            start_time: field(22)?.parse().ok()?,
            start_code: field(26)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_the_last_bracket_of_the_name() {
        let text = "42 (a) Z (b) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 901 1000 100 \
                    18446744073709551615 94000 95000";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(stat.comm, "a) Z (b");
        assert_eq!((stat.state, stat.parent), ('S', 7));
        assert_eq!((stat.start_time, stat.start_code), (901, 94000));
        assert_eq!(stat.flags, 4_194_560);
        for text in ["", "42", "42 (a", "42 (a) S", "42 (a) S x"] {
            assert_eq!(Stat::parse(text), None, "{text}");
        }
    }
}
