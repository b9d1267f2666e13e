//! Processes that targets fork become targets, until they end or execute another program.
//!
//! The kernel reports a new process before the process runs its first instruction. The session
//! attaches its probes a moment later. Hits in between are not seen, and no counter has them. Some
//! of the hits while the probes are being attached are seen. The length of that time is measured
//! and reported.
//!
//! With [`Forks::Exact`] the sites are in all processes that run the file, and the kernel's side
//! knows the family. A new process then has the probes before its first instruction, and the
//! session only needs to know which processes live. The session lives as long as any process of the
//! family.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::Sender;
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use tracer_common::forks::{EXECUTED, FORKED, FamilyMessage};

use super::accounts::closed::TargetEnd;
use super::departures::Departure;
use super::executables::EarlyProcess;
use super::{Live, LiveMessage};
use crate::base::causes::chain;
use crate::event::{TargetId, TargetOrigin, TargetStatus};
use crate::kernel::{FamilyMember, Forks, KernelError, MemberOrigin, ProcessSelection};
use crate::session::Notice;
use crate::session::actor::{Backend as _, Message};
use crate::session::followed::{FollowedProcesses, Milliseconds, Unseen};
use crate::session::live::selection_rules::SelectedTargets;
use crate::session::locks::lock;
use crate::session::reader::clock::monotonic_ns;
use crate::session::reader::wait::Stopper;
use crate::session::targets::{Target, Targets, open_process};
use crate::target::{Process, has_exited};

/// Processes that are named when they come. Further ones are only counted.
const MAX_NAMED: u64 = 16;
/// Events that are taken from the kernel at a time.
const MAX_EVENTS: usize = 64;

/// Numbers of the watched descriptors that are not a target's pidfd.
const STOP: u64 = u64::MAX;
const MESSAGES: u64 = u64::MAX - 1;
pub(super) const CGROUPS: u64 = u64::MAX - 2;

/// Follows a family of processes: the parts that exist before the session does.
pub(crate) struct FamilyWatch {
    family: ProcessSelection,
    epoll: OwnedFd,
    targets: Targets,
    /// The choice of the targets, where it is not one process.
    selected: Option<SelectedTargets>,
    all_gone: Stopper,
    stop: Stopper,
    /// Hits are seen from each process's first instruction on.
    exact: bool,
}

impl FamilyWatch {
    /// Has forks of a process told from now on.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn new(
        mut family: ProcessSelection,
        process: &Process,
        forks: Forks,
    ) -> Result<Self, KernelError> {
        family.add(process.pid(), MemberOrigin::Chosen { follow: true })?;
        let mut watch_all = Self::open(family, forks == Forks::Exact).map_err(cannot_wait)?;
        let pidfd = process.pidfd().try_clone().map_err(cannot_wait)?;
        let number = number_of(watch_all.targets.next_id());
        watch(&watch_all.epoll, pidfd.as_fd(), number).map_err(cannot_wait)?;
        let (targets, name) = (&mut watch_all.targets, process.program_name());
        targets.add(process.pid(), pidfd, TargetOrigin::Chosen, name.into());
        Ok(watch_all)
    }

    /// Has processes that match told from now on.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn selected(
        mut kernel: ProcessSelection,
        mut selected: SelectedTargets,
    ) -> Result<Self, KernelError> {
        selected.begin(&mut kernel)?;
        let watch_all = Self::open(kernel, true).map_err(cannot_wait)?;
        if let Some(cgroups) = &selected.watch {
            watch(&watch_all.epoll, cgroups.as_fd(), CGROUPS).map_err(cannot_wait)?;
        }
        Ok(Self {
            selected: Some(selected),
            ..watch_all
        })
    }

    fn open(family: ProcessSelection, exact: bool) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let stop = Stopper::new()?;
        watch(&epoll, family.as_fd(), MESSAGES)?;
        watch(&epoll, stop.as_fd(), STOP)?;
        Ok(Self {
            family,
            epoll,
            targets: Targets::default(),
            selected: None,
            all_gone: Stopper::new()?,
            stop,
            exact,
        })
    }

    /// Readable when the last process of the family has exited.
    pub(crate) fn all_gone(&self) -> BorrowedFd<'_> {
        self.all_gone.as_fd()
    }

    /// Starts the thread that turns events of processes into messages. It ends with the session's
    /// owner.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(&self, messages: Sender<LiveMessage>) -> io::Result<()> {
        let epoll = self.epoll.try_clone()?;
        // Open for as long as `epoll` names them, whoever else closes them.
        let stop = self.stop.as_fd().try_clone_to_owned()?;
        thread::Builder::new()
            .name("follower".into())
            .spawn(move || {
                while forward(&epoll, &messages) {}
                drop(stop);
            })?;
        Ok(())
    }
}

fn cannot_wait(source: io::Error) -> KernelError {
    KernelError::Call {
        what: "wait for processes",
        source,
    }
}

/// The number of the watch of a target.
pub(super) fn number_of(TargetId(id): TargetId) -> u64 {
    id.into()
}

/// Watches a descriptor for one event; [`watch_again`] has it watched for the next.
pub(super) fn watch(epoll: &OwnedFd, fd: BorrowedFd<'_>, number: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(number);
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
    Ok(epoll::add(epoll, fd, data, flags)?)
}

pub(super) fn watch_again(epoll: &OwnedFd, fd: BorrowedFd<'_>, number: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(number);
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
    Ok(epoll::modify(epoll, fd, data, flags)?)
}

/// Waits for events and reports them. Returns false when the session is over.
fn forward(epoll: &OwnedFd, messages: &Sender<LiveMessage>) -> bool {
    let mut events: Vec<epoll::Event> = Vec::with_capacity(MAX_EVENTS);
    match epoll::wait(epoll, spare_capacity(&mut events), None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => {
            tracing::error!(%error, "processes are not followed any more");
            return false;
        }
    }
    events.iter().all(|event| {
        let message = match event.data.u64() {
            STOP => return false,
            MESSAGES => Message::Forks,
            CGROUPS => Message::CgroupsChanged,
            number => Message::ProcessEnded(number),
        };
        messages.send(message).is_ok()
    })
}

/// The family, as the session's owner has it.
pub(super) struct FamilyTracker {
    pub(super) family: ProcessSelection,
    pub(super) epoll: OwnedFd,
    pub(super) targets: Targets,
    pub(super) selected: Option<SelectedTargets>,
    /// A process has become a target, and may be gone by now.
    pub(super) has_begun: bool,
    all_gone: Stopper,
    /// Ends the thread when this is dropped.
    stop: Stopper,
    /// Start of the session, in ns of `CLOCK_MONOTONIC`.
    pub(super) began_ns: u64,
    /// Missed forks that the kernel had counted at the last look.
    missed: u64,
    /// Time when the first probes were in, in ns of `CLOCK_MONOTONIC`; 0 if there were none. `None` until then.
    pub(super) probes_since_ns: Option<u64>,
    /// Processes that have joined before the first probes were in.
    pub(super) early: Vec<EarlyProcess>,
    /// Number of selected processes that were reported by name.
    pub(super) named: u64,
    /// Number of new cgroups that were reported.
    pub(super) cgroups_named: u64,
    pub(super) counts: FollowedProcesses,
    /// Processes that were gone before they could join.
    pub(super) gone: BTreeSet<u32>,
    /// The user knows that more processes match than can be probed.
    pub(super) told_too_many: bool,
    /// The launched process was gone, too, and had executed a program that nobody knows.
    pub(super) launched_is_unknown: bool,
}

impl FamilyTracker {
    pub(super) fn new(watch: FamilyWatch) -> Self {
        let FamilyWatch {
            family,
            epoll,
            targets,
            selected,
            all_gone,
            stop,
            exact,
        } = watch;
        Self {
            counts: FollowedProcesses {
                exact,
                selected: selected.is_some(),
                ..FollowedProcesses::default()
            },
            family,
            epoll,
            targets,
            has_begun: selected.is_none(),
            selected,
            all_gone,
            stop,
            began_ns: monotonic_ns(),
            missed: 0,
            probes_since_ns: None,
            early: Vec::new(),
            named: 0,
            cgroups_named: 0,
            gone: BTreeSet::new(),
            told_too_many: false,
            launched_is_unknown: false,
        }
    }
}

impl Drop for FamilyTracker {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl Live {
    /// Counts of the processes that the target has forked. `None` if they are not followed.
    pub(super) fn followed_counts(&self) -> Option<FollowedProcesses> {
        self.family.as_ref().map(|tracker| FollowedProcesses {
            missed_hits: tracker.family.missed().hits,
            ..tracker.counts
        })
    }

    /// The processes that are probed.
    pub(super) fn target_statuses(&self) -> Vec<TargetStatus> {
        match &self.family {
            Some(family) => family.targets.statuses(),
            None => {
                let process = self.executables.first().modules.process();
                // Another process may have its pid by now.
                let running = process.filter(|process| process.is_alive());
                let chosen = running.map(|process| TargetStatus {
                    id: TargetId(0),
                    pid: process.pid(),
                    origin: TargetOrigin::Chosen,
                    program: self.executables.first().name().into(),
                });
                chosen.into_iter().collect()
            }
        }
    }

    /// Takes the kernel's reports of forks and executions.
    pub(super) fn follow_forks(&mut self) {
        while self.take_messages() {}
        self.end_if_gone();
        let Some(tracker) = &self.family else {
            return;
        };
        if let Err(error) = watch_again(&tracker.epoll, tracker.family.as_fd(), MESSAGES) {
            self.warn(format!("processes are not followed any more: {error}"));
        }
    }

    /// A process that is watched has exited.
    pub(super) fn follow_end(&mut self, number: u64) {
        // Before the end: who has ended may have forked.
        while self.take_messages() {}
        if let Ok(id) = u32::try_from(number) {
            let _ended = self.leave(TargetId(id), Departure::Ended);
        }
        // No process is left that could fork, so these messages are the last.
        while self.is_family_gone() && self.take_messages() {}
        self.end_if_gone();
    }

    /// Ends the session if no target is left.
    fn end_if_gone(&self) {
        if self.is_family_gone()
            && let Some(tracker) = &self.family
        {
            tracker.all_gone.stop();
        }
    }

    /// Returns true if no target is left, and none can come.
    pub(super) fn is_family_gone(&self) -> bool {
        let family = self.family.as_ref();
        family.is_some_and(|tracker| {
            let can_come = tracker.selected.as_ref().is_some_and(|one| !one.ends());
            tracker.has_begun && tracker.targets.is_empty() && !can_come
        })
    }

    /// Follows forked processes, and leaves those that execute another program. Returns true if
    /// there were any messages.
    fn take_messages(&mut self) -> bool {
        let Some(tracker) = &mut self.family else {
            return false;
        };
        let messages = tracker.family.messages();
        let missed = tracker.family.missed().processes;
        tracker.counts.missed += missed.saturating_sub(tracker.missed);
        tracker.missed = missed;
        let is_selected = tracker.selected.is_some();
        for message in &messages {
            if is_selected {
                self.take_report(message);
                continue;
            }
            match message.kind {
                FORKED => self.forked(message),
                EXECUTED => {
                    self.executed.push(message.initial);
                    self.executed(message.process);
                }
                _ => {}
            }
        }
        !messages.is_empty()
    }

    fn forked(&mut self, message: &FamilyMessage) {
        let process = message.process;
        // An earlier process of that number has ended, although its end was not looked at yet.
        let earlier = self
            .family
            .as_ref()
            .and_then(|tracker| tracker.targets.forked(process));
        if let Some(id) = earlier {
            let _ended = self.leave(id, Departure::Ended);
        }
        let Some(pidfd) = open_process(process).filter(|pidfd| !has_exited(pidfd)) else {
            self.forked_and_ended(message);
            return;
        };
        if let Some(pager) = self.shared.pager() {
            pager.forked(process);
        }
        let member = FamilyMember {
            process,
            initial: message.initial,
        };
        let followed = lock(&self.machine).follow(member);
        let Some(tracker) = &mut self.family else {
            return;
        };
        let number = number_of(tracker.targets.next_id());
        let followed = followed.map_err(|error| chain(&error)).and_then(|()| {
            watch(&tracker.epoll, pidfd.as_fd(), number).map_err(|error| {
                lock(&self.machine).leave(&[process], true);
                error.to_string()
            })
        });
        let Err(error) = followed else {
            let origin = TargetOrigin::Forked {
                parent: message.parent,
            };
            let name = self.executables.first().name().into();
            let status = tracker.targets.add(process, pidfd, origin, name);
            self.shared.labels().came(process);
            self.shared.tell(Notice::TargetCame(status));
            self.is_followed(message);
            return;
        };
        if has_exited(&pidfd) {
            tracker.counts.too_short += 1;
            return;
        }
        tracker.family.remove(process);
        tracker.counts.missed += 1;
        if tracker.counts.missed <= MAX_NAMED {
            self.shared
                .warn(format!("process {process} cannot be followed: {error}"));
        }
    }

    /// A process was forked and has ended since.
    fn forked_and_ended(&mut self, message: &FamilyMessage) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        if !tracker.counts.exact {
            tracker.counts.too_short += 1;
            return;
        }
        // The times that the process has begun are left behind.
        let mut machine = lock(&self.machine);
        let member = FamilyMember {
            process: message.process,
            initial: message.initial,
        };
        if machine.follow(member).is_ok() {
            machine.leave(&[message.process], true);
        }
        drop(machine);
        self.settle_accounts(message.process, None, TargetEnd::Gone);
        self.is_followed(message);
    }

    /// Counts a process that has or had the probes, and reports it.
    fn is_followed(&mut self, message: &FamilyMessage) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        let counts = &mut tracker.counts;
        let unseen_ns = (!counts.exact).then(|| monotonic_ns().saturating_sub(message.ktime_ns));
        counts.followed += 1;
        if let Some(ns) = unseen_ns {
            counts.unseen = Some(Unseen::with(counts.unseen, ns));
        }
        if counts.followed > MAX_NAMED {
            return;
        }
        let (process, parent) = (message.process, message.parent);
        let unseen = unseen_ns.map_or_else(String::new, |ns| {
            format!("; its first {} ms were not seen", Milliseconds(ns))
        });
        let last = if counts.followed == MAX_NAMED {
            "; further processes are followed silently"
        } else {
            ""
        };
        self.shared.note(format!(
            "process {process} is followed, forked by {parent}{unseen}{last}"
        ));
    }

    /// A process of the family has executed another program.
    fn executed(&mut self, process: u32) {
        let Some(tracker) = &mut self.family else {
            return;
        };
        let is_chosen = tracker
            .targets
            .chosen()
            .is_some_and(|target| target.status.pid == process);
        let left: Vec<Target> = match is_chosen {
            // The program that the others run is not the one any more that new probes are for.
            true => tracker.targets.remove_forked(),
            false => {
                let id = tracker.targets.forked(process);
                let target = id.and_then(|id| tracker.targets.remove(id));
                target.into_iter().collect()
            }
        };
        if left.is_empty() {
            return;
        }
        let processes: Vec<u32> = left.iter().map(|target| target.status.pid).collect();
        if is_chosen {
            // The others that execute, and those that exit, have left by themselves.
            let live = left.iter().filter(|target| !target.has_exited());
            live.for_each(|target| tracker.family.remove(target.status.pid));
        } else {
            tracker.counts.executed += 1;
        }
        lock(&self.machine).leave(&processes, false);
        for target in &left {
            let status = &target.status;
            self.settle_accounts(status.pid, Some(status.id), TargetEnd::Gone);
            self.shared.labels().left(status.pid);
            self.shared.tell(Notice::TargetLeft(target.status.clone()));
        }
        if !is_chosen {
            self.tell_departure(process, Departure::Executed);
        }
        if is_chosen {
            let who = match left.len() {
                1 => "1 process".to_owned(),
                count => format!("{count} processes"),
            };
            self.shared
                .note(format!("no longer following {who} of the previous program"));
        }
    }
}
