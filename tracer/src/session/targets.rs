//! The processes that a session probes: the one that was chosen, and those that it forks.
//!
//! A process that is forked becomes a target like the first one. Each leaves when it exits or executes
//! another program than the probes are for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::live::ExecutableId;
use crate::event::{TargetId, TargetOrigin, TargetStatus};
use crate::target::has_exited;

/// A process that is probed.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) status: TargetStatus,
    /// Readable when it has exited.
    pub(super) pidfd: OwnedFd,
    /// The program that it runs. `None` for that of the chosen process.
    pub(super) executable: Option<ExecutableId>,
    /// A signal has stopped it, at the last look.
    stopped: bool,
    /// Its state is that of this time or later, in ns of `CLOCK_MONOTONIC`.
    read_ns: u64,
}

impl Target {
    /// Returns true if the user chose it.
    pub(super) fn is_chosen(&self) -> bool {
        self.status.origin == TargetOrigin::Chosen
    }

    /// Returns true if it has exited, noticed or not.
    pub(super) fn has_exited(&self) -> bool {
        has_exited(&self.pidfd)
    }
}

/// The processes that are probed now.
#[derive(Debug, Default)]
pub(super) struct Targets {
    live: BTreeMap<TargetId, Target>,
    next: u32,
}

impl Targets {
    /// The id of the next target.
    pub(super) fn next_id(&self) -> TargetId {
        TargetId(self.next)
    }

    /// Adds a target under [`Self::next_id`].
    pub(super) fn add(
        &mut self,
        pid: u32,
        pidfd: OwnedFd,
        origin: TargetOrigin,
        program: Arc<str>,
    ) -> TargetStatus {
        let id = self.next_id();
        self.next += 1;
        let status = TargetStatus {
            id,
            pid,
            origin,
            program,
        };
        let target = Target {
            status: status.clone(),
            pidfd,
            executable: None,
            stopped: false,
            read_ns: 0,
        };
        self.live.insert(id, target);
        status
    }

    /// Adds a target under [`Self::next_id`] that runs a program of the session.
    pub(super) fn add_of(
        &mut self,
        executable: ExecutableId,
        pid: u32,
        pidfd: OwnedFd,
        program: Arc<str>,
        read_ns: u64,
    ) -> TargetStatus {
        let status = self.add(pid, pidfd, TargetOrigin::Matched, program);
        if let Some(target) = self.live.get_mut(&status.id) {
            target.executable = Some(executable);
            target.read_ns = read_ns;
        }
        status
    }

    /// A process that runs a program of the session.
    pub(super) fn running(&self, executable: ExecutableId) -> Option<u32> {
        let mut all = self.live.values();
        all.find(|target| target.executable == Some(executable) && !target.has_exited())
            .map(|target| target.status.pid)
    }

    /// Returns true if the process with this id is a target and has not exited.
    pub(super) fn is_running(&self, pid: u32) -> bool {
        let mut all = self.live.values();
        all.any(|target| target.status.pid == pid && !target.has_exited())
    }

    /// Removes a target. `None` if it has left already.
    pub(super) fn remove(&mut self, id: TargetId) -> Option<Target> {
        self.live.remove(&id)
    }

    /// Takes out all but the chosen one.
    pub(super) fn remove_forked(&mut self) -> Vec<Target> {
        let (chosen, forked) = std::mem::take(&mut self.live)
            .into_iter()
            .partition(|(_, target)| target.is_chosen());
        self.live = chosen;
        BTreeMap::into_values(forked).collect()
    }

    /// The forked target that has a process id.
    pub(super) fn forked(&self, pid: u32) -> Option<TargetId> {
        let mut all = self.live.values();
        all.find(|target| target.status.pid == pid && !target.is_chosen())
            .map(|target| target.status.id)
    }

    /// The target that has a process id.
    pub(super) fn of_pid(&self, pid: u32) -> Option<TargetId> {
        let mut all = self.live.values();
        all.find(|target| target.status.pid == pid)
            .map(|target| target.status.id)
    }

    /// The process ids of all.
    pub(super) fn pids(&self) -> BTreeSet<u32> {
        let live = self.live.values();
        live.map(|target| target.status.pid).collect()
    }

    /// All targets by their process ids, oldest first.
    pub(super) fn ids_by_pid(&self) -> impl Iterator<Item = (u32, TargetId)> {
        self.live
            .iter()
            .map(|(id, target)| (target.status.pid, *id))
    }

    /// The process that the user chose, while it lives.
    pub(super) fn chosen(&self) -> Option<&Target> {
        self.live.values().find(|target| target.is_chosen())
    }

    /// The next targets behind one, at most `most`; from the first on behind the last.
    pub(super) fn after(&self, one: Option<TargetId>, most: usize) -> Vec<TargetStatus> {
        let from = one.map_or(Bound::Unbounded, Bound::Excluded);
        let mut next = self.live.range((from, Bound::Unbounded)).peekable();
        let all = match next.peek() {
            Some(_) => next,
            None => self.live.range(..).peekable(),
        };
        all.take(most).map(|(_, one)| one.status.clone()).collect()
    }

    /// Returns true if a report on a process is older than the state of its target.
    pub(super) fn is_newer_than(&self, pid: u32, report_ns: u64) -> bool {
        let mut all = self.live.values();
        all.any(|target| target.status.pid == pid && report_ns < target.read_ns)
    }

    /// Notes whether a target is stopped. Returns true if that is news.
    pub(super) fn set_stopped(&mut self, id: TargetId, stopped: bool) -> bool {
        let target = self.live.get_mut(&id);
        target.is_some_and(|target| std::mem::replace(&mut target.stopped, stopped) != stopped)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// All that have not exited, oldest first.
    pub(super) fn statuses(&self) -> Vec<TargetStatus> {
        self.live
            .values()
            .filter(|target| !target.has_exited())
            .map(|target| target.status.clone())
            .collect()
    }
}

/// Opens a process. `None` if it is gone.
pub(super) fn open_process(pid: u32) -> Option<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};

    use super::*;

    #[test]
    fn targets_leave_one_by_one_and_their_ids_do_not_come_again() {
        let own = || open_process(std::process::id()).expect("this process");
        let mut targets = Targets::default();
        let first = targets.add(1, own(), TargetOrigin::Chosen, "a".into());
        let second = targets.add(2, own(), TargetOrigin::Forked { parent: 1 }, "a".into());
        assert_eq!(targets.forked(2), Some(second.id));
        assert_eq!(targets.forked(1), None, "that one was chosen");
        assert!(targets.remove(second.id).is_some());
        assert!(targets.remove(second.id).is_none());
        let third = targets.add(2, own(), TargetOrigin::Forked { parent: 1 }, "a".into());
        assert!(third.id > second.id);
        assert_eq!(targets.remove_forked().len(), 1);
        assert_eq!(targets.statuses(), std::slice::from_ref(&first));
        assert!(targets.remove(first.id).is_some() && targets.is_empty());
    }

    #[test]
    fn reports_that_are_older_than_a_target_are_known() {
        let own = open_process(std::process::id()).expect("this process");
        let mut targets = Targets::default();
        targets.add_of(ExecutableId::FIRST, 1, own, "a".into(), 100);
        assert!(targets.is_newer_than(1, 99));
        assert!(!targets.is_newer_than(1, 100) && !targets.is_newer_than(2, 99));
    }

    #[test]
    fn process_that_has_exited_is_told_before_it_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().expect("true");
        let pidfd = open_process(child.id()).expect("a child that is not waited for");
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        poll(&mut fds, None).expect("its end");
        assert!(has_exited(&pidfd));
        child.wait().expect("its end");
    }
}
