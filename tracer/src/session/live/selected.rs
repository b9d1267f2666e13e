//! Processes that match what the user selected, now and later.
//!
//! The kernel side decides whose hits count, so a process that it reports may have had hits already.
//! What is left to do here is to know each process: the program that it runs, its end, and its name
//! in events. A program that no target ran before is read, and gets the probes then.

use std::fmt;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_common::forks::{EXECUTED, EXITED, FORKED, FOUND, FamilyMessage, MATCHED};

use super::accounts::closed::TargetEnd;
use super::arrival::{Arrival, NewMember};
use super::departures::{Departure, Rejoining};
use super::executables::{
    Coming, EarlyProcess, Executable, ExecutableId, JoinedProcess, ProbeProgress,
};
use super::family::{CGROUPS, number_of, watch, watch_again};
use super::selection_rules::{NewPlaces, SelectedTargets};
use super::{Live, Placement};
use crate::base::causes::chain;
use crate::base::visible::Visible;
use crate::event::TargetId;
use crate::kernel::{FamilyMember, KernelError};
use crate::session::Notice;
use crate::session::actor::Backend as _;
use crate::session::followed::{Milliseconds, Unseen};
use crate::session::locks::lock;
use crate::session::probes::ProbeMap;
use crate::session::reader::clock::monotonic_ns;
use crate::session::sites::modules::Modules;
use crate::session::sites::process_modules::ProcessModules;
use crate::target::select::{ProcessFacts, Selection};
use crate::target::{ExecutableFile, Process, TargetError};

/// Processes that are remembered as gone before they joined, until the kernel side reports their end.
const MAX_GONE: usize = 4096;

/// Processes that are named when they come. Further ones are only counted.
const MAX_NAMED: u64 = 16;

/// Between two looks at all processes, where the kernel side finds them by itself: at their next
/// hit, if a program that they run has a probe.
const LOOK_PAUSE: Duration = Duration::from_secs(5);
/// The pause between looks if the kernel side does not find all of them: scripts with long names.
const NAMES_PAUSE: Duration = Duration::from_secs(1);
/// The pause between two looks is at least this many times as long as a look: it takes 1 % of a CPU
/// at most.
const LOOK_PARTS: u32 = 100;

/// The probes that have a place in a file, of all.
#[derive(Clone, Copy)]
struct ProbeShare {
    placed: usize,
    all: usize,
}

impl fmt::Display for ProbeShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { placed, all } if placed == all => f.write_str("has the probes"),
            Self { placed: 0, .. } => f.write_str("no probe has a place in it"),
            Self { placed, all } => write!(f, "has {placed} of the {all} probes"),
        }
    }
}

impl Live {
    /// A process matches: it is a target until it ends or runs another program.
    pub(crate) fn join(&mut self, member: NewMember) {
        let pid = member.process;
        if let Some(tracker) = &mut self.family {
            tracker.has_begun = true;
        }
        // It may have run another program before, or an earlier process had its id.
        let earlier = self.target_of(pid);
        let earlier = earlier.and_then(|id| self.leave(id, Departure::Rejoins));
        let read_ns = monotonic_ns();
        let process = match Process::open(pid) {
            Ok(process) => Arc::new(process),
            Err(error) => {
                self.could_not_join(member, &error, earlier.is_some());
                return;
            }
        };
        let executable = match self.executable_of(&process) {
            Ok(executable) => executable,
            Err(error) => {
                self.could_not_join(member, &error, earlier.is_some());
                return;
            }
        };
        let Some(tracker) = &mut self.family else {
            return;
        };
        if let Some(selected) = &mut tracker.selected {
            if !selected.still_matches(pid) {
                tracker.family.remove(pid);
                if earlier.is_some() {
                    self.tell_departure(pid, Departure::Executed);
                }
                return;
            }
            if let Err(error) = selected.admit(&process, member.is_reported, &mut tracker.family) {
                self.could_not_admit(pid, &error);
                return;
            }
        }
        let number = number_of(tracker.targets.next_id());
        let pidfd = process.pidfd().try_clone();
        let watched = pidfd.and_then(|pidfd| {
            watch(&tracker.epoll, pidfd.as_fd(), number)?;
            Ok(pidfd)
        });
        let pidfd = match watched {
            Ok(pidfd) => pidfd,
            Err(error) => {
                tracker.counts.missed += 1;
                if tracker.counts.missed <= MAX_NAMED {
                    self.warn(format!("process {pid} cannot be watched: {error}"));
                }
                return;
            }
        };
        let status = {
            let name = process.program_name().into();
            tracker
                .targets
                .add_of(executable, pid, pidfd, name, read_ns)
        };
        let known = FamilyMember {
            process: pid,
            initial: member.initial,
        };
        if let Err(error) = lock(&self.machine).follow(known) {
            tracing::debug!(pid, error = %chain(&error), "a selected process is not kept");
        }
        self.shared.labels().came(pid);
        self.place_modules(pid);
        self.shared.tell(Notice::TargetCame(status));
        let program = process.exe().to_owned();
        let joined = JoinedProcess {
            member,
            program,
            executable,
        };
        self.has_joined(joined, earlier);
    }

    /// The kernel side refuses a process that matches.
    fn could_not_admit(&mut self, pid: u32, error: &KernelError) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        tracker.counts.missed += 1;
        let told = tracker.counts.missed;
        let why = chain(error);
        match error {
            // Each further process would be told the same.
            KernelError::TooMany { .. } if tracker.told_too_many => {}
            KernelError::TooMany { .. } => {
                tracker.told_too_many = true;
                let hint = error.hint().unwrap_or_default();
                self.warn(format!(
                    "process {pid} and further ones are not probed: {why} ({hint})"
                ));
            }
            _ if told <= MAX_NAMED => {
                self.warn(format!("process {pid} cannot be probed: {why}"));
            }
            _ => {}
        }
    }

    /// Looks for what no report tells: files and cgroups that were made anew, and processes that have
    /// come to match without executing a program.
    pub(super) fn look_for_selected(&mut self) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        let Some(selected) = &mut tracker.selected else {
            return;
        };
        if selected.closed {
            return;
        }
        let Some(mut selection) = selected.selection.take() else {
            return;
        };
        let now = Instant::now();
        let looked = selected.look(&mut selection, &mut tracker.family);
        let NewPlaces {
            are_new,
            cgroups,
            error,
        } = looked;
        let least = match (selected.listed, selected.long_names) {
            (true, _) => Duration::ZERO,
            (false, true) => NAMES_PAUSE,
            (false, false) => LOOK_PAUSE,
        };
        let pause = least.max(selected.look_took * LOOK_PARTS);
        let found = if are_new || now.duration_since(selected.looked) >= pause {
            let known = tracker.targets.pids();
            let began = Instant::now();
            let found = selection.scan_others(&|pid| known.contains(&pid));
            selected.looked = Instant::now();
            selected.look_took = selected.looked.duration_since(began);
            found.unwrap_or_default()
        } else {
            Vec::new()
        };
        let paths = if are_new {
            selection.paths()
        } else {
            Vec::new()
        };
        let is_listed = selected.listed;
        let session_ns = tracker.began_ns;
        selected.selection = Some(selection);
        if let Some(error) = error {
            self.warn(format!("later processes may be missed: {}", chain(&error)));
        }
        self.tell_cgroups(&cgroups);
        for path in paths {
            self.expect_program(
                &path,
                ProbeProgress::Coming(Coming {
                    replaced: Some(path.clone()),
                    joined: Vec::new(),
                }),
            );
        }
        for process in found {
            if self.target_of(process.pid).is_none() {
                let counted_ns = match (is_listed, self.selected()) {
                    (false, Some(selected)) => selected.counted_since(&process),
                    _ => monotonic_ns(),
                };
                self.join(NewMember {
                    process: process.pid,
                    initial: process.pid,
                    is_reported: false,
                    arrival: Arrival::found(&process, session_ns, counted_ns),
                });
            }
        }
    }

    /// Has cgroups looked at that were made, and the next ones watched for.
    pub(super) fn cgroups_have_changed(&mut self) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        let Some(selected) = &mut tracker.selected else {
            return;
        };
        let Some(watch) = &selected.watch else {
            return;
        };
        selected.looked_at_cgroups.is_wanted |= watch.take_changes();
        if let Err(error) = watch_again(&tracker.epoll, watch.as_fd(), CGROUPS) {
            self.warn(format!("new cgroups are found later: {error}"));
        }
        self.look_for_selected();
    }

    /// Reports cgroups that were made while the session runs.
    fn tell_cgroups(&mut self, paths: &[String]) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        for path in paths {
            tracker.cgroups_named += 1;
            if tracker.cgroups_named > MAX_NAMED {
                return;
            }
            let last = match tracker.cgroups_named {
                MAX_NAMED => "; further cgroups are selected silently",
                _ => "",
            };
            let path = Visible(path);
            self.shared.note(format!(
                "the cgroup `{path}` is new, and its processes are probed{last}"
            ));
        }
    }

    /// The probes are placed in the selected files before a process runs them.
    pub(crate) fn expect_programs(&mut self) {
        let selected = self.selected();
        let selection = selected.and_then(|selected| selected.selection.as_ref());
        let paths = selection.filter(|selection| !selection.selector().now_only);
        for path in paths.map(Selection::paths).unwrap_or_default() {
            self.expect_program(&path, ProbeProgress::Attached { since_ns: 0 });
        }
    }

    /// Prepares a program that no process runs yet, unless the session knows it.
    fn expect_program(&mut self, path: &Path, progress: ProbeProgress) {
        let Ok((file, held)) = ExecutableFile::hold(path) else {
            return;
        };
        if self.executables.of_file(file).is_some() {
            return;
        }
        let modules = Modules::of_program(path, file, &self.options.debug).holding_main(held);
        let is_program = modules
            .all()
            .first()
            .is_some_and(|main| main.debug().is_ok());
        if is_program {
            let modules = ProcessModules::new(None, self.options.debug.clone(), modules);
            self.executables
                .add(file, Arc::new(modules), &self.options, progress);
        }
    }

    /// Takes one report of the kernel side.
    pub(super) fn take_report(&mut self, message: &FamilyMessage) {
        if let Some(tracker) = &mut self.family {
            if matches!(message.kind, EXECUTED | EXITED) {
                tracker.gone.remove(&message.process);
            }
            // A look at all processes has found it in a later state.
            let (pid, time_ns) = (message.process, message.ktime_ns);
            if tracker.targets.is_newer_than(pid, time_ns) {
                return;
            }
        }
        let was_target = self.target_of(message.process).is_some();
        if message.kind == EXECUTED || (message.kind == MATCHED && was_target) {
            self.executed.push(message.initial);
        }
        match message.kind {
            // It was listed just before.
            FOUND if self.target_of(message.process).is_some() => {}
            FORKED | MATCHED | FOUND => self.join(NewMember {
                process: message.process,
                initial: message.initial,
                is_reported: true,
                arrival: self.arrival_of(message),
            }),
            EXECUTED | EXITED => {
                let departure = match message.kind {
                    EXECUTED => Departure::Executed,
                    _ => Departure::Ended,
                };
                match self.target_of(message.process) {
                    Some(id) => {
                        let _gone = self.leave(id, departure);
                    }
                    // It had ended before the session looked at it.
                    None => self.settle_accounts(message.process, None, TargetEnd::Gone),
                }
            }
            _ => {}
        }
    }

    /// The arrival of a process that the kernel side reports.
    fn arrival_of(&self, message: &FamilyMessage) -> Arrival {
        let reported = Arrival::Reported {
            began_ns: message.ktime_ns,
        };
        if message.kind != FOUND {
            return reported;
        }
        // The time is that of its first hit.
        let session_ns = self.family.as_ref().map_or(0, |tracker| tracker.began_ns);
        let Some(process) = ProcessFacts::read(message.process) else {
            return reported;
        };
        let selected = self.selected();
        let counted_ns = selected.map_or(0, |one| one.counted_since(&process));
        Arrival::found(&process, session_ns, counted_ns)
    }

    /// The program that a process runs. It is read if no target ran it before.
    fn executable_of(&mut self, process: &Arc<Process>) -> Result<ExecutableId, TargetError> {
        let (file, held) = process.executable_file()?;
        if let Some(known) = self.executables.of_file(file) {
            let id = known.id;
            let standing = known.modules.process();
            if standing.is_none_or(|standing| !standing.is_alive()) {
                // It is the first that runs it, or all others have ended.
                known.modules.set_process(Arc::clone(process));
                self.watch_linkers();
            }
            return Ok(id);
        }
        let modules = Modules::read(process, &self.options.debug)
            .map_err(|error| match process.has_program() {
                true => error,
                false => TargetError::NoSuchProcess { pid: process.pid() },
            })?
            .holding_main(held);
        let (now, _) = process.executable_file()?;
        if now != file {
            // It has executed another program meanwhile, which is reported next.
            return Err(TargetError::NoSuchProcess { pid: process.pid() });
        }
        let first = self.executables.first().modules.now();
        let modules = ProcessModules::new(
            Some(Arc::clone(process)),
            self.options.debug.clone(),
            modules.with_files_of(&first),
        );
        let modules = Arc::new(modules);
        self.shared
            .processes()
            .set(process.pid(), Arc::clone(&modules));
        let coming = ProbeProgress::Coming(Coming::default());
        let id = self.executables.add(file, modules, &self.options, coming);
        self.watch_linkers();
        Ok(id)
    }

    /// Counts a process that matches, and reports it once its program has the probes.
    fn has_joined(&mut self, joined: JoinedProcess, earlier: Option<Rejoining>) {
        let executable = joined.executable;
        let Some(tracker) = &mut self.family else {
            return;
        };
        match earlier {
            // Reports of a process that executes programs in a row are read after the last one.
            Some(earlier) if earlier.executable == Some(executable) => return,
            Some(_) => {}
            None => tracker.counts.followed += 1,
        }
        let Some(executable) = self.executables.get_mut(executable) else {
            return;
        };
        match &mut executable.progress {
            ProbeProgress::Coming(coming) => coming.joined.push(joined),
            ProbeProgress::Attached { since_ns } => {
                let since_ns = *since_ns;
                self.tell_joined(joined, since_ns);
            }
        }
    }

    /// Reports the programs that have the probes now, and the processes that run them.
    pub(super) fn tell_attached_programs(&mut self, probes: &ProbeMap<Placement>) {
        let is_coming = |one: &Executable| matches!(one.progress, ProbeProgress::Coming(_));
        if !self.executables.iter().any(is_coming) {
            return;
        }
        let since_ns = monotonic_ns();
        let mut attached = Vec::new();
        for executable in self.executables.iter_mut() {
            let id = executable.id;
            let placements = || probes.iter().filter_map(|probe| probe.placement());
            if placements().any(|placement| placement.lacks(id)) {
                continue;
            }
            if let ProbeProgress::Coming(coming) = &mut executable.progress {
                let placed = placements().filter(|placement| placement.placed.contains(&id));
                let share = ProbeShare {
                    placed: placed.count(),
                    all: placements().count(),
                };
                attached.push((std::mem::take(coming), share));
                executable.progress = ProbeProgress::Attached { since_ns };
            }
        }
        for (coming, share) in attached {
            if let Some(path) = coming.replaced {
                let path = path.to_string_lossy();
                self.shared.note(format!(
                    "`{}` is another file now, and {share}",
                    Visible(&path)
                ));
            }
            for joined in coming.joined {
                self.tell_joined(joined, since_ns);
            }
        }
    }

    /// Reports the processes that came before the first probes were in. `since_ns` is the time of these, if there
    /// are any.
    pub(super) fn tell_early(&mut self, since_ns: Option<u64>) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        tracker.probes_since_ns = Some(since_ns.unwrap_or(0));
        for EarlyProcess { joined, since_ns } in std::mem::take(&mut tracker.early) {
            self.tell_joined(joined, since_ns);
        }
    }

    /// Reports a process whose program has the probes since a time, in ns of `CLOCK_MONOTONIC`.
    fn tell_joined(&mut self, joined: JoinedProcess, since_ns: u64) {
        let executable = self.executables.get(joined.executable);
        // Without a probe yet, a process is probed as soon as there is one.
        let has_place =
            self.placements == 0 || executable.is_some_and(|executable| executable.has_place);
        let Some(tracker) = &mut self.family else {
            return;
        };
        let Some(probes_since_ns) = tracker.probes_since_ns else {
            tracker.early.push(EarlyProcess { joined, since_ns });
            return;
        };
        let since_ns = since_ns.max(probes_since_ns);
        let (began_ns, since_ns) = match joined.member.arrival {
            Arrival::Before => return,
            Arrival::Reported { began_ns } => (Some(began_ns), since_ns),
            Arrival::Found {
                started_ns,
                counted_ns,
            } => (started_ns, since_ns.max(counted_ns)),
        };
        // Without a place for any probe, no hit is missing.
        let unseen_ns = began_ns
            .filter(|_| has_place)
            .and_then(|began_ns| since_ns.checked_sub(began_ns))
            .filter(|&ns| ns > 0);
        let launched = tracker.selected.as_ref().and_then(|one| one.launched);
        if has_place && unseen_ns.is_none() && launched == Some(joined.member.process) {
            // It is what the session is for.
            return;
        }
        if let Some(ns) = unseen_ns {
            tracker.counts.unseen = Some(Unseen::with(tracker.counts.unseen, ns));
        }
        tracker.named += 1;
        if tracker.named > MAX_NAMED {
            return;
        }
        let last = if tracker.named == MAX_NAMED {
            "; further processes are probed silently"
        } else {
            ""
        };
        let unseen = unseen_ns.map_or_else(String::new, |ns| {
            format!("; its first {} ms were not seen", Milliseconds(ns))
        });
        let pid = joined.member.process;
        let program = joined.program.to_string_lossy();
        let program = Visible(&program);
        self.shared.note(match has_place {
            true => format!("process {pid} is probed, and runs `{program}`{unseen}{last}"),
            false => {
                format!("process {pid} runs `{program}`, in which no probe has a place{last}")
            }
        });
    }

    /// A process that matches is gone, or cannot be read.
    fn could_not_join(&mut self, member: NewMember, error: &TargetError, was_target: bool) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        if matches!(
            error,
            TargetError::NoSuchProcess { .. } | TargetError::Exited { .. }
        ) {
            if was_target {
                self.tell_departure(member.process, Departure::Ended);
                return;
            }
            // The kernel side reports each program that it has executed.
            if tracker.gone.len() >= MAX_GONE {
                tracker.gone.clear();
            }
            let is_first = tracker.gone.insert(member.process);
            let selected = tracker.selected.as_ref();
            let is_launched =
                selected.is_some_and(|selected| selected.launched == Some(member.process));
            if !is_first {
                if is_launched && !std::mem::replace(&mut tracker.launched_is_unknown, true) {
                    // It has executed another program, which nobody knows.
                    tracker.counts.followed = tracker.counts.followed.saturating_sub(1);
                    tracker.counts.too_short += 1;
                }
                return;
            }
            // The kernel side knew it, so its hits in known programs were seen. All programs are known if
            // they were selected by their files, and so is the first one of a launched process.
            match is_launched || selected.is_some_and(SelectedTargets::knows_files) {
                true => tracker.counts.followed += 1,
                false => tracker.counts.too_short += 1,
            }
            let known = FamilyMember {
                process: member.process,
                initial: member.initial,
            };
            // The times that it has begun are left behind.
            let mut machine = lock(&self.machine);
            if machine.follow(known).is_ok() {
                machine.leave(&[member.process], true);
            }
            drop(machine);
            self.settle_accounts(member.process, None, TargetEnd::Gone);
            return;
        }
        tracker.counts.missed += 1;
        if tracker.counts.missed <= MAX_NAMED {
            let pid = member.process;
            self.warn(format!("process {pid} matches and cannot be read: {error}"));
        }
    }

    /// The choice of the targets, where it is not one process with those that it forks.
    pub(super) fn selected(&self) -> Option<&SelectedTargets> {
        self.family.as_ref()?.selected.as_ref()
    }

    /// The target with a process id.
    pub(super) fn target_of(&self, pid: u32) -> Option<TargetId> {
        self.family.as_ref()?.targets.of_pid(pid)
    }

    /// A target is gone. Another process that runs its program stands for it from now on.
    pub(super) fn replace_standing(&mut self, executable: ExecutableId, gone: u32) {
        self.shared.processes().remove(gone);
        let Some(one) = self.executables.get(executable) else {
            return;
        };
        if one.pid() != Some(gone) {
            return;
        }
        let other = self
            .family
            .as_ref()
            .and_then(|tracker| tracker.targets.running(executable));
        let opened = other.and_then(|pid| Process::open(pid).ok());
        let is_target = |process: &Process| {
            let tracker = self.family.as_ref();
            // If it is one now, its pid was not another process's meanwhile.
            tracker.is_some_and(|tracker| tracker.targets.is_running(process.pid()))
        };
        if let Some(process) = opened.filter(is_target) {
            one.modules.set_process(Arc::new(process));
        }
    }

    /// The end of the note on a library that is found now: the longest time for which a process that came during
    /// this session may have run its code without the probes.
    pub(super) fn unseen_of_library(&self) -> String {
        let Some(tracker) = &self.family else {
            return String::new();
        };
        let Some(selected) = &tracker.selected else {
            return String::new();
        };
        let began_ns = |pid: u32| {
            if selected.launched == Some(pid) {
                return tracker.probes_since_ns;
            }
            let facts = ProcessFacts::read(pid)?;
            let Arrival::Found { started_ns, .. } = Arrival::found(&facts, tracker.began_ns, 0)
            else {
                return None;
            };
            // An older process may have loaded the library long ago.
            started_ns.map(|ns| ns.max(tracker.probes_since_ns.unwrap_or(0)))
        };
        let pids = self.target_statuses().into_iter().map(|target| target.pid);
        let first = pids.filter_map(|pid| Some((began_ns(pid)?, pid))).min();
        first.map_or_else(String::new, |(began_ns, pid)| {
            let unseen = Milliseconds(monotonic_ns().saturating_sub(began_ns));
            format!("; up to {unseen} ms of process {pid} were not seen")
        })
    }
}
