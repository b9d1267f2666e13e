//! What the user selected, as rules for the kernel side.
//!
//! The kernel side knows rules for files, names, cgroups of version 2 and users. Anything else is
//! listed: this process looks for the processes that match, and tells the kernel side their ids.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::{Duration, Instant};

use crate::kernel::{
    KernelError, MemberOrigin, NameRule, ProcessSelection, Processes, RuleKinds, SelectionRule,
};
use crate::session::{Aim, Forks};
use crate::target::select::{CgroupHierarchy, ProcessFacts, Selection, SelectorKind};

/// Kinds of selectors that stand for cgroups.
const CGROUP_KINDS: [SelectorKind; 3] = [
    SelectorKind::Unit,
    SelectorKind::Cgroup,
    SelectorKind::Container,
];

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

/// The choice of a session's targets.
#[derive(Debug)]
pub(crate) struct SelectedTargets {
    /// `None` for a process that the tracer has launched.
    pub(super) selection: Option<Selection>,
    launched: Option<u32>,
    /// The processes that chosen ones fork are targets, too.
    follow: bool,
    /// Userspace lists the processes; see [`is_listed`].
    pub(super) listed: bool,
    /// No process can become a target any more.
    pub(super) closed: bool,
    /// Ids of the rules that the kernel side has.
    files: BTreeSet<(u64, u64)>,
    cgroups: BTreeSet<u64>,
    pub(super) looked_at_files: Instant,
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
            closed: selection.as_ref().is_none_or(only_pids),
            follow: forks.are_told(),
            selection,
            launched,
            files: BTreeSet::new(),
            cgroups: BTreeSet::new(),
            looked_at_files: now,
            looked: now,
            look_took: Duration::ZERO,
        }
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
                self.add_places(&selection, kernel)?;
            }
            for pid in selection.pids() {
                let origin = MemberOrigin::Chosen {
                    follow: self.follow,
                };
                kernel.add(pid, origin)?;
            }
            self.selection = Some(selection);
        }
        kernel.begin()
    }

    /// Adds rules for the files and cgroups that the selection has found.
    pub(super) fn add_places(
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
        for directory in CGROUP_KINDS
            .into_iter()
            .flat_map(|kind| selection.cgroup_directories(kind))
        {
            let is_unified = directory.hierarchy == CgroupHierarchy::Unified;
            if is_unified && self.cgroups.insert(directory.id) {
                kernel.add_rule(&SelectionRule::Cgroup(directory.id))?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, file: &File, kernel: &mut ProcessSelection) -> Result<(), KernelError> {
        let key = kernel.identify(file)?;
        if self.files.insert((key.device, key.inode)) {
            kernel.add_rule(&SelectionRule::Exe(key))?;
        }
        Ok(())
    }

    /// Has the kernel side count the hits of a process that matches.
    pub(super) fn admit(
        &mut self,
        pid: u32,
        kernel: &mut ProcessSelection,
    ) -> Result<(), KernelError> {
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
        kernel.add(pid, origin).map(drop)
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
