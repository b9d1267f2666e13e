//! A selector that was looked up on this machine, and the processes that it matches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::{
    CgroupDirectory, CgroupMembership, CgroupMount, SelectedCgroup, find_directory,
};
use super::container::{KnownContainers, SelectedContainer};
use super::executable::SelectedExecutable;
use super::facts::ProcessFacts;
use super::inode::InodeId;
use super::proc_files::pids;
use super::reports::{MatchReport, WaitReport};
use super::selector::{Selector, SelectorKind};
use super::unit::SelectedUnit;
use crate::base::causes::chain;
use crate::base::diagnostic::Diagnostic;
use crate::base::users;
use crate::base::visible::Visible;
use crate::target::{Process, TargetError, without_deleted};

impl Selector {
    /// Looks the selector up on this machine.
    ///
    /// # Errors
    /// It is empty, a process of a pid is gone, or there is no such file, cgroup, container or user.
    /// With `wait`, file, cgroup and container may come later.
    pub fn resolve(&self) -> Result<Selection, Diagnostic> {
        self.resolve_in(Path::new("/"))
    }

    /// Looks the selector up, with the state files of container runtimes and systemd below `root`.
    ///
    /// # Errors
    /// As of [`Self::resolve`].
    pub fn resolve_in(&self, root: &Path) -> Result<Selection, Diagnostic> {
        if self.is_empty() {
            return Err(Diagnostic::new("no process is selected").hint(
                "select some by `--pid`, `--name`, `--exe`, `--unit`, `--cgroup`, `--container` or `--user`",
            ));
        }
        let wait = self.wait;
        let exe = |path: &PathBuf| SelectedExecutable::find(path, wait);
        let unit = |text: &String| SelectedUnit::find(text, root);
        let cgroup = |text: &String| SelectedCgroup::find(text, wait);
        let user = |text: &String| user_id(text);
        Ok(Selection {
            pids: self.identities()?,
            executables: self.exes.iter().map(exe).collect::<Result<_, _>>()?,
            units: self.units.iter().map(unit).collect::<Result<_, _>>()?,
            cgroups: self.cgroups.iter().map(cgroup).collect::<Result<_, _>>()?,
            containers: self.containers_in(root)?,
            users: self.users.iter().map(user).collect::<Result<_, _>>()?,
            selector: self.clone(),
            root: root.to_owned(),
            empty_ns: None,
        })
    }

    /// The processes of the pids, and those that have the names given as pids.
    fn identities(&self) -> Result<Vec<ProcessIdentity>, Diagnostic> {
        let of_pid = |&pid: &u32| ProcessIdentity::of_pid(pid);
        let mut identities: Vec<_> = self.pids.iter().map(of_pid).collect::<Result<_, _>>()?;
        if self.pid_names.is_empty() {
            return Ok(identities);
        }
        let running = all_processes()?;
        for glob in &self.pid_names {
            let named = |process: &&ProcessFacts| process.is_named(glob);
            let before = identities.len();
            identities.extend(running.iter().filter(named).map(ProcessIdentity::from));
            if identities.len() == before {
                return Err(
                    Diagnostic::new(format!("no process is named `{glob}`")).hint(format!(
                        "`ps -e` lists what runs; `--wait --name {glob}` waits for such a process"
                    )),
                );
            }
        }
        Ok(identities)
    }

    fn containers_in(&self, root: &Path) -> Result<Vec<SelectedContainer>, Diagnostic> {
        if self.containers.is_empty() {
            return Ok(Vec::new());
        }
        let known = KnownContainers::read(root);
        let running = all_processes()?;
        let find = |text: &String| SelectedContainer::find(text, &known, &running, self.wait);
        self.containers.iter().map(find).collect()
    }
}

/// A process that stays itself even if its pid is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcessIdentity {
    pid: u32,
    start_time: u64,
}

impl From<&ProcessFacts> for ProcessIdentity {
    fn from(process: &ProcessFacts) -> Self {
        Self {
            pid: process.pid,
            start_time: process.start_time,
        }
    }
}

impl ProcessIdentity {
    fn of_pid(pid: u32) -> Result<Self, Diagnostic> {
        // It has the messages for threads, kernel threads and processes that have exited.
        let opened = Process::open(pid);
        let diagnostic = |error: TargetError| Diagnostic {
            needs_privilege: error.is_permission(),
            ..Diagnostic::new(chain(&error)).maybe_hint(error.hint())
        };
        opened.map_err(diagnostic)?;
        let facts = ProcessFacts::read(pid);
        let facts = facts.ok_or_else(|| Diagnostic::new(format!("no process has pid {pid}")))?;
        Ok(Self::from(&facts))
    }
}

/// The processes that a selector stands for, now and later.
#[derive(Clone, Debug)]
pub struct Selection {
    selector: Selector,
    /// Directory of the state files.
    root: PathBuf,
    pids: Vec<ProcessIdentity>,
    executables: Vec<SelectedExecutable>,
    units: Vec<SelectedUnit>,
    cgroups: Vec<SelectedCgroup>,
    containers: Vec<SelectedContainer>,
    users: Vec<u32>,
    /// No process matched at this time, in ns of `CLOCK_MONOTONIC`.
    empty_ns: Option<u64>,
}

impl Selection {
    /// Returns the selector as it was written.
    #[must_use]
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// Returns true if processes that start later can match.
    #[must_use]
    pub fn can_grow(&self) -> bool {
        !self.selector.now_only && !self.has(SelectorKind::Pid)
    }

    /// Returns the time of the last [`Self::look`] that found no process, in ns of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn empty_ns(&self) -> Option<u64> {
        self.empty_ns
    }

    /// Returns the processes that match now, and remembers the time if there are none.
    ///
    /// # Errors
    /// As of [`Self::scan`].
    pub fn look(&mut self) -> Result<Vec<ProcessFacts>, Diagnostic> {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now = Duration::try_from(now).unwrap_or_default();
        let found = self.scan()?;
        if found.is_empty() {
            self.empty_ns = u64::try_from(now.as_nanos()).ok();
        }
        Ok(found)
    }

    /// Looks again: for a file that was replaced, a cgroup or a container that was made again. What
    /// was found before stays selected. Returns true if there is something new.
    pub fn refresh(&mut self) -> bool {
        let new_file = self.refresh_files();
        self.refresh_cgroups() || new_file
    }

    /// Looks again for files alone, which takes a few microseconds for each.
    pub fn refresh_files(&mut self) -> bool {
        let refresh = |is_new, one: &mut SelectedExecutable| one.refresh() || is_new;
        self.executables.iter_mut().fold(false, refresh)
    }

    /// Returns the path of a selected program that is there and whole.
    ///
    /// # Errors
    /// One of the files is not a program.
    pub fn ready_program(&self) -> Result<Option<&Path>, Diagnostic> {
        for one in &self.executables {
            if one.is_ready()? {
                return Ok(Some(one.path()));
            }
        }
        Ok(None)
    }

    /// Looks again for cgroups and containers. This reads the files of container runtimes, and `/proc` if
    /// the first digits of an id wait for their container.
    pub fn refresh_cgroups(&mut self) -> bool {
        let mut is_new = false;
        if !self.cgroups.is_empty() {
            let mounts = CgroupMount::all();
            for cgroup in &mut self.cgroups {
                is_new |= cgroup.look(&mounts);
            }
        }
        if !self.containers.is_empty() {
            let known = KnownContainers::read(&self.root);
            let is_awaited = self.containers.iter().any(SelectedContainer::is_unknown);
            let running = match is_awaited {
                true => all_processes().unwrap_or_default(),
                false => Vec::new(),
            };
            for container in &mut self.containers {
                // An id that became ambiguous while it is waited for is found when it is not.
                is_new |= container.look(&known, &running).unwrap_or(false);
            }
        }
        is_new
    }

    /// Returns true if the process is selected.
    ///
    /// It says nothing on kernel threads and this process, which [`Self::scan`] leaves out.
    #[must_use]
    pub fn matches(&self, process: &ProcessFacts) -> bool {
        SelectorKind::ALL
            .into_iter()
            .all(|kind| self.matches_kind(kind, process))
    }

    fn matches_kind(&self, kind: SelectorKind, process: &ProcessFacts) -> bool {
        match kind {
            SelectorKind::Pid => !self.has(kind) || self.pids.contains(&process.into()),
            SelectorKind::Name => {
                let globs = &self.selector.names;
                globs.is_empty() || globs.iter().any(|glob| process.is_named(glob))
            }
            SelectorKind::Exe => {
                let mut of_path = self.executables.iter();
                self.executables.is_empty() || of_path.any(|one| one.matches(process))
            }
            SelectorKind::User => self.users.is_empty() || self.users.contains(&process.uid),
            SelectorKind::Unit | SelectorKind::Cgroup | SelectorKind::Container => {
                let within = |one| self.cgroup_prefix(kind, one).is_some();
                !self.has(kind) || process.cgroups.iter().any(within)
            }
        }
    }

    /// Returns true if the process matches by a name that the kernel has cut, so that the kernel does not know
    /// that it matches.
    #[must_use]
    pub fn has_cut_name(&self, process: &ProcessFacts) -> bool {
        let mut globs = self
            .selector
            .names
            .iter()
            .filter(|glob| process.is_named(glob));
        self.has(SelectorKind::Name) && globs.all(|glob| process.is_named_by_script_alone(glob))
    }

    /// Returns true if the selector has one of this kind.
    fn has(&self, kind: SelectorKind) -> bool {
        match kind {
            SelectorKind::Pid => {
                !self.selector.pids.is_empty() || !self.selector.pid_names.is_empty()
            }
            SelectorKind::Name => !self.selector.names.is_empty(),
            SelectorKind::Exe => !self.executables.is_empty(),
            SelectorKind::Unit => !self.units.is_empty(),
            SelectorKind::Cgroup => !self.cgroups.is_empty(),
            SelectorKind::Container => !self.containers.is_empty(),
            SelectorKind::User => !self.users.is_empty(),
        }
    }

    /// Returns the part of a cgroup's path that one kind of selector stands for: a unit, a cgroup or a
    /// container. Everything in the cgroup of that path, or below it, is selected.
    ///
    /// `None` if it is not selected, or the kind selects no cgroups.
    #[must_use]
    pub fn cgroup_prefix<'p>(
        &self,
        kind: SelectorKind,
        membership: &'p CgroupMembership,
    ) -> Option<&'p str> {
        match kind {
            SelectorKind::Unit => self.units.iter().find_map(|one| one.prefix_of(membership)),
            SelectorKind::Cgroup => self
                .cgroups
                .iter()
                .find_map(|one| one.prefix_of(membership)),
            SelectorKind::Container => {
                let mut containers = self.containers.iter();
                containers.find_map(|one| one.prefix_of(membership))
            }
            _ => None,
        }
    }

    /// Returns true if a selected cgroup may be below this one.
    pub(super) fn may_be_below(&self, membership: &CgroupMembership) -> bool {
        !self.containers.is_empty()
            || self.units.iter().any(|one| one.is_below(membership))
            || self.cgroups.iter().any(|one| one.is_below(membership))
    }

    /// Returns the cgroups that one kind of selector stands for now, with their directories and ids:
    /// those that have processes, and those that were selected by path.
    #[must_use]
    pub fn cgroup_directories(&self, kind: SelectorKind) -> Vec<CgroupDirectory> {
        if !self.has(kind) {
            return Vec::new();
        }
        let mounts = CgroupMount::all();
        let mut found: Vec<CgroupDirectory> = match kind {
            SelectorKind::Cgroup => {
                let cgroups = self.cgroups.iter();
                cgroups.flat_map(|one| one.directories(&mounts)).collect()
            }
            _ => Vec::new(),
        };
        for process in all_processes().unwrap_or_default() {
            for membership in &process.cgroups {
                let Some(path) = self.cgroup_prefix(kind, membership) else {
                    continue;
                };
                let is_known = |one: &CgroupDirectory| {
                    one.hierarchy == membership.hierarchy && one.path == path
                };
                if !found.iter().any(is_known) {
                    found.extend(find_directory(&mounts, &membership.hierarchy, path));
                }
            }
        }
        found
    }

    /// Returns the files that were at the selected paths, the last found last.
    #[must_use]
    pub fn files(&self) -> Vec<InodeId> {
        let files = self.executables.iter().map(SelectedExecutable::files);
        files.flatten().copied().collect()
    }

    /// Returns the chosen pids, with those of the names that were given as pids.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.pids.iter().map(|identity| identity.pid).collect()
    }

    /// Returns the selected paths of executables, absolute.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let executables = self.executables.iter();
        executables.map(|one| one.path().to_owned()).collect()
    }

    /// Returns the numbers of the selected users.
    #[must_use]
    pub fn users(&self) -> &[u32] {
        &self.users
    }

    /// Returns the processes that match now, by pid.
    ///
    /// Left out are kernel threads, processes that have exited, this process, and its helpers.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub fn scan(&self) -> Result<Vec<ProcessFacts>, Diagnostic> {
        let mut all = all_processes()?;
        all.retain(|process| self.matches(process));
        Ok(all)
    }

    /// Returns the processes that match now, without those that are known already.
    ///
    /// Costs less than [`Self::scan`]: no facts are read on a known process, or on one that runs
    /// another file than the selected ones.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub fn scan_others(
        &self,
        is_known: &dyn Fn(u32) -> bool,
    ) -> Result<Vec<ProcessFacts>, Diagnostic> {
        let mut others = processes(&|pid| !is_known(pid) && self.may_run_selected(pid))?;
        others.retain(|process| self.matches(process));
        Ok(others)
    }

    /// Returns false if a process certainly runs another file than the selected ones.
    fn may_run_selected(&self, pid: u32) -> bool {
        if self.executables.is_empty() {
            return true;
        }
        let link = format!("/proc/{pid}/exe");
        match fs::metadata(&link) {
            Ok(file) => {
                let file = InodeId::from(&file);
                let mut executables = self.executables.iter();
                executables.any(|one| one.files().contains(&file))
                    // A deleted file is recognised by its path.
                    || fs::read_link(&link)
                        .is_ok_and(|path| without_deleted(&path) != path)
            }
            // A kernel thread, or the process is gone.
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Returns the line on the processes that match.
    #[must_use]
    pub fn report<'s>(&'s self, processes: &'s [ProcessFacts]) -> MatchReport<'s> {
        MatchReport {
            selector: &self.selector,
            processes,
        }
    }

    /// Returns the note on a script among the processes that match by name: what runs is its interpreter.
    #[must_use]
    pub fn note_on_scripts(&self, processes: &[ProcessFacts]) -> Option<String> {
        if !self.has(SelectorKind::Name) {
            return None;
        }
        let mut scripts = processes
            .iter()
            .filter_map(|one| Some((one, one.script()?)));
        let (process, script) = scripts.next()?;
        Some(format!(
            "process {} is the script `{}`, so the probes are for its interpreter, `{}`; `--exe PROGRAM` \
             selects a program that the script executes",
            process.pid,
            Visible(&script),
            Visible(&process.executable.path.to_string_lossy())
        ))
    }

    /// Returns the line on what is waited for.
    #[must_use]
    pub fn waiting(&self) -> WaitReport<'_> {
        WaitReport {
            selector: &self.selector,
        }
    }

    /// Returns the reason why no process matches, for the user.
    #[must_use]
    pub fn nothing_matches(&self) -> Diagnostic {
        let threads = kernel_threads(&self.selector);
        if let [first, ..] = threads.as_slice() {
            let which = match threads.len() {
                1 => format!("pid {} (`{}`), a kernel thread", first.pid, first.comm),
                count => format!("{count} kernel threads, such as `{}`", first.comm),
            };
            return Diagnostic::new(format!("`{}` matches only {which}", self.selector))
                .hint("only programs in user space can be traced");
        }
        Diagnostic::new(format!("no process matches `{}`", self.selector)).hint(
            match self.failing_kind() {
                Some(kind) => format!(
                    "processes match the rest, but not `{}`; `--wait` waits for one that matches all",
                    kind.option()
                ),
                None => "`ps -e` lists what runs; `--wait` waits for the first process".to_owned(),
            },
        )
    }

    /// The kind without which processes would match, if there is just one.
    fn failing_kind(&self) -> Option<SelectorKind> {
        let used = |kind: &SelectorKind| self.has(*kind);
        let kinds: Vec<SelectorKind> = SelectorKind::ALL.into_iter().filter(used).collect();
        let processes = all_processes().unwrap_or_default();
        let without = |left_out: &SelectorKind| {
            let others = || kinds.iter().filter(|kind| *kind != left_out);
            let matches =
                |process: &ProcessFacts| others().all(|&kind| self.matches_kind(kind, process));
            processes.iter().any(matches)
        };
        let mut failing = kinds.iter().filter(|kind| kinds.len() > 1 && without(kind));
        match (failing.next(), failing.next()) {
            (Some(&kind), None) => Some(kind),
            _ => None,
        }
    }
}

/// All processes with a program, by pid, but for this one and its helpers.
fn all_processes() -> Result<Vec<ProcessFacts>, Diagnostic> {
    processes(&|_| true)
}

/// The processes of the wanted pids, but for this one and its helpers.
fn processes(is_wanted: &dyn Fn(u32) -> bool) -> Result<Vec<ProcessFacts>, Diagnostic> {
    let own = std::process::id();
    let program = fs::metadata("/proc/self/exe").ok();
    let program = program.as_ref().map(InodeId::from);
    // The helper that reads pages, and a program of `tracer run` before it is executed.
    let is_helper = |process: &ProcessFacts| {
        process.parent == own && program.is_some() && process.executable.inode == program
    };
    let listed = pids().map_err(cannot_list)?;
    let others = listed
        .into_iter()
        .filter(|&pid| pid != own && is_wanted(pid));
    Ok(others
        .filter_map(ProcessFacts::read)
        .filter(|process| !process.is_kernel_thread && !is_helper(process))
        .collect())
}

fn cannot_list(error: io::Error) -> Diagnostic {
    Diagnostic::new(format!("cannot list `/proc`: {error}"))
}

/// The kernel threads that a selector by name alone would match.
fn kernel_threads(selector: &Selector) -> Vec<ProcessFacts> {
    let by_name_alone = SelectorKind::ALL
        .into_iter()
        .all(|kind| kind == SelectorKind::Name || selector.texts(kind).is_empty());
    if !by_name_alone {
        return Vec::new();
    }
    let named = |process: &ProcessFacts| {
        process.is_kernel_thread
            && selector
                .names
                .iter()
                .any(|glob| glob.matches(&process.comm))
    };
    let listed = pids().unwrap_or_default();
    listed
        .into_iter()
        .filter_map(ProcessFacts::read)
        .filter(named)
        .collect()
}

/// The number of a user.
fn user_id(text: &str) -> Result<u32, Diagnostic> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    users::id_of(text).ok_or_else(|| {
        Diagnostic::new(format!("no user is named `{text}`")).hint(
            "names come from `/etc/passwd`; of another user, give the number that `id -u` prints",
        )
    })
}
