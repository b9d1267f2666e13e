//! Attaches the probes to the processes that are followed.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Machine;
use super::closing::close_apart;
use super::installed::Link;
use crate::kernel::error::KernelError;
use crate::kernel::selection::{FamilyMember, ProcessSelection};

impl Machine {
    /// The kernel's side of the choice of processes, if it was loaded for that; there is one. Raises
    /// the number of files that this process may have open, since each process needs some.
    pub fn take_selection(&mut self) -> Option<ProcessSelection> {
        let selection = self.selection.take()?;
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            // Then fewer processes can be followed, and the others are reported.
            tracing::debug!(%error, "the number of open files stays");
        }
        Some(selection)
    }

    /// Attaches all probes to another process, and from now on each new probe. Sites that are
    /// attached in all processes are in it already.
    ///
    /// # Errors
    /// A probe could not be attached there. Then none is attached.
    pub fn follow(&mut self, member: FamilyMember) -> Result<(), KernelError> {
        self.members.push(member);
        if self.processes.are_checked() {
            return Ok(());
        }
        // Those attached last run first at an instruction, see `order.rs`.
        let mut order: Vec<usize> = (0..self.installed.len()).collect();
        let begins = |index: &usize| {
            let installed = self.installed.get(*index);
            installed.is_some_and(|installed| !installed.begins.is_empty())
        };
        order.sort_by_key(begins);
        for index in order {
            if let Err(error) = self.link_member(index, member.process) {
                self.leave(&[member.process], true);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Removes all probes from processes: in the background if the processes are gone, and at once
    /// if they continue as another program.
    pub fn leave(&mut self, processes: &[u32], are_gone: bool) {
        let is_theirs = |process: &u32| processes.contains(process);
        let mut links = Vec::new();
        for installed in &mut self.installed {
            let others = std::mem::take(&mut installed.others);
            let (theirs, left) = others
                .into_iter()
                .partition(|(process, _)| is_theirs(process));
            installed.others = left;
            links.extend(
                theirs
                    .into_iter()
                    .flat_map(|(_, links): (u32, Vec<Link>)| links),
            );
        }
        if are_gone {
            self.closing.close(links);
        } else {
            close_apart(links);
        }
        let (gone, left) = self
            .members
            .drain(..)
            .partition(|member| is_theirs(&member.process));
        self.members = left;
        // Other processes may get their ids, and frames at the same addresses.
        let gone: Vec<FamilyMember> = gone;
        let ids: Vec<u32> = gone.iter().map(|member| member.initial).collect();
        let timed = self.installed.iter().any(|one| one.reserved.times);
        if timed && let Err(error) = self.maps.forget_begun(|key| ids.contains(&key.process)) {
            tracing::debug!(%error, "beginnings of processes that are gone stay");
        }
    }
}
