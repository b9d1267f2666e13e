//! The selection of the user, as rules for the kernel side.
//!
//! The kernel side knows rules for files, names, cgroups of version 2 and users. Anything else is
//! listed: this process looks for the processes that match, and tells the kernel side their ids.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use crate::kernel::{
    KernelError, MemberOrigin, NameRule, ProcessSelection, Processes, RuleKinds, SelectionRule,
};
use crate::session::reader::clock::monotonic_ns;
use crate::session::{Aim, Forks};
use crate::target::Process;
use crate::target::select::{
    CgroupDirectory, CgroupHierarchy, CgroupMembership, CgroupWatch, ProcessFacts, Selection,
    SelectorKind,
};

/// Kinds of selectors that stand for cgroups.
const CGROUP_KINDS: [SelectorKind; 3] = [
    SelectorKind::Unit,
    SelectorKind::Cgroup,
    SelectorKind::Container,
];

/// Bytes of a name in the kernel, to which it cuts the names of scripts.
const COMM_BYTES: usize = 15;
/// Between two looks at the selected files, which may be replaced.
const FILES_PAUSE: Duration = Duration::from_millis(200);
/// Between two looks at cgroups and containers that no watch asks for.
const CGROUPS_PAUSE: Duration = Duration::from_secs(2);

/// The kernel side's choice of processes for a session.
pub(crate) fn processes_of(aim: &Aim, forks: Forks) -> Processes {
    match aim {
        Aim::Process(_) => Processes::Family(forks),
        Aim::Launched { .. } => Processes::Selected(RuleKinds::PIDS),
        Aim::Selection(selection) => Processes::Selected(rule_kinds(selection)),
    }
}

/// The kinds of rules that the kernel side asks for.
fn rule_kinds(selection: &Selection) -> RuleKinds {
    if is_listed(selection) {
        return RuleKinds::PIDS;
    }
    let mut kinds = RuleKinds::default();
    for kind in SelectorKind::ALL {
        if !selection.selector().texts(kind).is_empty() {
            kinds = kinds.and(match kind {
                SelectorKind::Pid => RuleKinds::PIDS,
                SelectorKind::Name => RuleKinds::NAMES,
                SelectorKind::Exe => RuleKinds::EXES,
                SelectorKind::User => RuleKinds::USERS,
                SelectorKind::Unit | SelectorKind::Cgroup | SelectorKind::Container => {
                    RuleKinds::CGROUPS
                }
            });
        }
    }
    kinds
}

/// Returns true if userspace has to list the processes: no later ones are wanted, or the kernel side
/// cannot ask for cgroups of version 1, for two kinds of cgroups that narrow each other, or for sets
/// of characters in names.
fn is_listed(selection: &Selection) -> bool {
    let selector = selection.selector();
    let of_kind = |kind: &SelectorKind| !selector.texts(*kind).is_empty();
    let kinds: Vec<SelectorKind> = CGROUP_KINDS.into_iter().filter(of_kind).collect();
    let is_old = |kind: &SelectorKind| {
        let directories = selection.cgroup_directories(*kind);
        let is_unified = |hierarchy: &CgroupHierarchy| *hierarchy == CgroupHierarchy::Unified;
        !directories.iter().any(|one| is_unified(&one.hierarchy))
    };
    // The kernel side has no `[a-z]`, and its `?` is one byte.
    let mut names = selector.names.iter();
    let is_unknown = |name: &str| {
        let has_sets = name.contains(['[', '\\']);
        has_sets || !name.is_ascii() || NameRule::new(name.as_bytes()).is_none()
    };
    let has_unknown = names.any(|name| is_unknown(name.as_str()));
    selector.now_only || has_unknown || kinds.len() > 1 || kinds.iter().any(is_old)
}

/// A rule for a cgroup.
#[derive(Debug)]
struct CgroupRule {
    directory: CgroupDirectory,
    /// Time of the rule, in ns of `CLOCK_MONOTONIC`. 0 if it is from the start.
    since_ns: u64,
}

/// Places that a look has found.
#[derive(Default)]
pub(super) struct NewPlaces {
    pub(super) are_new: bool,
    /// Paths of cgroups.
    pub(super) cgroups: Vec<String>,
    /// A rule could not be added.
    pub(super) error: Option<KernelError>,
}

/// The last look at the cgroups, and when the next one may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct CgroupLook {
    at: Instant,
    /// It took this long.
    took: Duration,
    /// A cgroup was made since.
    pub(super) is_wanted: bool,
}

impl CgroupLook {
    fn first(now: Instant) -> Self {
        Self {
            at: now,
            took: Duration::ZERO,
            is_wanted: false,
        }
    }

    fn done(began: Instant) -> Self {
        let at = Instant::now();
        Self {
            at,
            took: at.duration_since(began),
            is_wanted: false,
        }
    }

    /// Returns true if it is time for the next look. Looks take a twentieth of the time at most, however
    /// many cgroups are made.
    pub(super) fn is_due(&self, pause: Duration) -> bool {
        let passed = self.at.elapsed();
        passed >= pause || self.is_wanted && passed >= self.took * 20
    }
}

/// Returns true if a selected name is longer than those of the kernel.
fn has_long_names(selection: &Selection) -> bool {
    let mut names = selection.selector().names.iter();
    names.any(|name| {
        let text = name.as_str().trim_matches('*');
        text.len() > COMM_BYTES
    })
}

/// The choice of a session's targets.
#[derive(Debug)]
pub(crate) struct SelectedTargets {
    /// `None` for a process that the tracer has launched.
    pub(super) selection: Option<Selection>,
    pub(super) launched: Option<u32>,
    /// The processes that chosen ones fork are targets, too.
    follow: bool,
    /// Userspace lists the processes; see [`is_listed`].
    pub(super) listed: bool,
    /// A selected name may be that of a script, and longer than the kernel's names.
    pub(super) long_names: bool,
    /// No process can become a target any more.
    pub(super) closed: bool,
    /// Ids of the rules that the kernel side has.
    files: BTreeSet<(u64, u64)>,
    cgroups: BTreeMap<u64, CgroupRule>,
    /// Watches for new cgroups. `None` if the kernel side has no rules for cgroups.
    pub(super) watch: Option<CgroupWatch>,
    /// The first rules are in force.
    began: bool,
    pub(super) looked_at_files: Instant,
    pub(super) looked_at_cgroups: CgroupLook,
    pub(super) looked: Instant,
    /// The time that the last look at all processes took.
    pub(super) look_took: Duration,
}

impl SelectedTargets {
    /// The choice that the user made.
    pub(crate) fn of(aim: Aim, forks: Forks) -> Self {
        let (selection, launched) = match aim {
            Aim::Process(pid) | Aim::Launched { pid, .. } => (None, Some(pid)),
            Aim::Selection(selection) => (Some(*selection), None),
        };
        let only_pids = |selection: &Selection| {
            let selector = selection.selector();
            selector.now_only || !selection.pids().is_empty()
        };
        let now = Instant::now();
        Self {
            listed: selection.as_ref().is_some_and(is_listed),
            long_names: selection.as_ref().is_some_and(has_long_names),
            closed: selection.as_ref().is_none_or(only_pids),
            follow: forks.are_told(),
            selection,
            launched,
            files: BTreeSet::new(),
            cgroups: BTreeMap::new(),
            watch: None,
            began: false,
            looked_at_files: now,
            looked_at_cgroups: CgroupLook::first(now),
            looked: now,
            look_took: Duration::ZERO,
        }
    }

    /// Returns true if targets run selected files alone.
    pub(super) fn knows_files(&self) -> bool {
        let selection = self.selection.as_ref();
        selection.is_some_and(|selection| !selection.selector().exes.is_empty())
    }

    /// Returns true if the session ends with its last target.
    pub(super) fn ends(&self) -> bool {
        self.closed
    }

    /// Gives the kernel side its first rules and chosen processes, and puts them into force.
    pub(super) fn begin(&mut self, kernel: &mut ProcessSelection) -> Result<(), KernelError> {
        if let Some(pid) = self.launched {
            let origin = MemberOrigin::Chosen {
                follow: self.follow,
            };
            kernel.add(pid, origin)?;
        }
        if let Some(selection) = self.selection.take() {
            if !self.listed {
                for glob in &selection.selector().names {
                    if let Some(glob) = NameRule::new(glob.as_str().as_bytes()) {
                        kernel.add_rule(&SelectionRule::Name(glob))?;
                    }
                }
                for &user in selection.users() {
                    kernel.add_rule(&SelectionRule::User(user))?;
                }
                self.add_files(&selection, kernel)?;
                self.add_first_cgroups(&selection, kernel)?;
            }
            for pid in selection.pids() {
                let origin = MemberOrigin::Chosen {
                    follow: self.follow,
                };
                kernel.add(pid, origin)?;
            }
            self.selection = Some(selection);
        }
        self.began = true;
        kernel.begin()
    }

    /// Looks for files and cgroups that were made anew, and adds rules for them.
    pub(super) fn look(
        &mut self,
        selection: &mut Selection,
        kernel: &mut ProcessSelection,
    ) -> NewPlaces {
        let mut new = NewPlaces::default();
        if self.looked_at_files.elapsed() >= FILES_PAUSE {
            self.looked_at_files = Instant::now();
            new.are_new = selection.refresh_files();
            if new.are_new && !self.listed {
                new.error = self.add_files(selection, kernel).err();
            }
        }
        let has_rules = self.watch.is_some();
        let pause = if has_rules {
            CGROUPS_PAUSE
        } else {
            FILES_PAUSE
        };
        if self.looked_at_cgroups.is_due(pause) {
            let began = Instant::now();
            new.are_new |= selection.refresh_cgroups();
            if has_rules {
                match self.add_cgroups(selection, kernel) {
                    Ok(cgroups) => new.cgroups = cgroups,
                    Err(error) => new.error = Some(error),
                }
                new.are_new |= !new.cgroups.is_empty();
            }
            self.looked_at_cgroups = CgroupLook::done(began);
        }
        new
    }

    /// Adds rules for the files that the selection has found.
    pub(super) fn add_files(
        &mut self,
        selection: &Selection,
        kernel: &mut ProcessSelection,
    ) -> Result<(), KernelError> {
        for path in selection.paths() {
            // It may be absent yet, or while it is replaced.
            if let Ok(file) = File::open(path) {
                self.add_file(&file, kernel)?;
            }
        }
        Ok(())
    }

    /// Adds rules for the cgroups that are there at the start, and watches for further ones.
    fn add_first_cgroups(
        &mut self,
        selection: &Selection,
        kernel: &mut ProcessSelection,
    ) -> Result<(), KernelError> {
        let selector = selection.selector();
        let kind = CGROUP_KINDS
            .into_iter()
            .find(|&kind| !selector.texts(kind).is_empty());
        let Some(kind) = kind else {
            return Ok(());
        };
        // Without it, new cgroups are found later.
        self.watch = CgroupWatch::new().ok();
        self.add_cgroups(selection, kernel)?;
        // Some may be deeper than the walk goes.
        for directory in selection.cgroup_directories(kind) {
            self.add_cgroup(directory, kernel)?;
        }
        Ok(())
    }

    /// Adds rules for cgroups that were made, and removes those of cgroups that are gone. Returns the
    /// paths of the new ones.
    pub(super) fn add_cgroups(
        &mut self,
        selection: &Selection,
        kernel: &mut ProcessSelection,
    ) -> Result<Vec<String>, KernelError> {
        let mut paths = Vec::new();
        for directory in selection.cgroups(self.watch.as_ref()) {
            let path = directory.path.clone();
            if self.add_cgroup(directory, kernel)? {
                paths.push(path);
            }
        }
        if !paths.is_empty() {
            self.cgroups.retain(|&id, one| {
                let metadata = std::fs::metadata(&one.directory.directory);
                let is_there = metadata.is_ok_and(|metadata| metadata.ino() == id);
                if !is_there {
                    kernel.remove_cgroup(id);
                }
                is_there
            });
        }
        Ok(paths)
    }

    /// Adds a rule for a cgroup. Returns true if there was none.
    fn add_cgroup(
        &mut self,
        directory: CgroupDirectory,
        kernel: &mut ProcessSelection,
    ) -> Result<bool, KernelError> {
        let is_unified = directory.hierarchy == CgroupHierarchy::Unified;
        if !is_unified || self.cgroups.contains_key(&directory.id) {
            return Ok(false);
        }
        kernel.add_rule(&SelectionRule::Cgroup(directory.id))?;
        let rule = CgroupRule {
            since_ns: if self.began { monotonic_ns() } else { 0 },
            directory,
        };
        self.cgroups.insert(rule.directory.id, rule);
        Ok(true)
    }

    /// Time since which the kernel side counts the hits of a process that it has a rule for, in ns of
    /// `CLOCK_MONOTONIC`. 0 if it has done so from the start.
    pub(super) fn counted_since(&self, process: &ProcessFacts) -> u64 {
        let selection = self.selection.as_ref();
        if selection.is_some_and(|selection| selection.has_cut_name(process)) {
            return monotonic_ns();
        }
        let rule_of = |membership: &CgroupMembership| {
            let mut rules = self.cgroups.values();
            rules.find(|rule| {
                let directory = &rule.directory;
                let below = membership.path.strip_prefix(&directory.path);
                membership.hierarchy == directory.hierarchy
                    && below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
            })
        };
        let rules = process.cgroups.iter().filter_map(rule_of);
        rules.map(|rule| rule.since_ns).min().unwrap_or(0)
    }

    fn add_file(&mut self, file: &File, kernel: &mut ProcessSelection) -> Result<(), KernelError> {
        let key = kernel.identify(file)?;
        if self.files.insert((key.device, key.inode)) {
            kernel.add_rule(&SelectionRule::Exe(key))?;
        }
        Ok(())
    }

    /// Has the kernel side count the hits of a process that matches, unless it does so already.
    pub(super) fn admit(
        &mut self,
        process: &Process,
        is_reported: bool,
        kernel: &mut ProcessSelection,
    ) -> Result<(), KernelError> {
        let pid = process.pid();
        let Some(selection) = &self.selection else {
            return Ok(());
        };
        if !self.listed && !selection.selector().exes.is_empty() {
            // It may run a file that was replaced since.
            if let Ok(file) = File::open(format!("/proc/{pid}/exe")) {
                self.add_file(&file, kernel)?;
            }
        }
        let origin = match self.listed {
            // Processes that it forks are in the same cgroup.
            true => MemberOrigin::Chosen {
                follow: !self.closed || self.follow,
            },
            false => MemberOrigin::Matched,
        };
        if is_reported && !self.listed {
            // By its rules, the kernel side has added it.
            return Ok(());
        }
        kernel.add(pid, origin).map(drop)?;
        if !process.is_alive() {
            // The kernel side removes a process at its end, which may have come before.
            kernel.remove(pid);
        }
        Ok(())
    }

    /// Returns true if a process still matches that the kernel side cannot check.
    pub(super) fn still_matches(&self, pid: u32) -> bool {
        match &self.selection {
            Some(selection) if self.listed && !self.closed => {
                ProcessFacts::read(pid).is_some_and(|facts| selection.matches(&facts))
            }
            _ => true,
        }
    }
}
