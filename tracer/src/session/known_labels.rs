//! The names, cgroups and containers of processes, for values such as `$process`.
//!
//! A process is looked at when it becomes a target, or at its first event. It keeps what it had then: if it is
//! gone, or has moved to another cgroup meanwhile, its values are as before.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::limits::ENDED_PROCESSES;
use crate::base::unavailable::Unavailable;
use crate::event::ProcessLabels;
use crate::target::select::{KnownContainers, ProcessFacts};

/// Between two looks at the files of container runtimes, for a container that they did not know.
const CONTAINERS_PAUSE: Duration = Duration::from_secs(1);
/// Digits of a container's id that stand for it, as runtimes show it.
const SHORT_ID: usize = 12;

/// The processes of a session, as values show them.
#[derive(Default)]
pub(super) struct KnownLabels {
    by_pid: HashMap<u32, Arc<ProcessLabels>>,
    /// Processes that have ended, in the order of their ends.
    gone: VecDeque<u32>,
    containers: KnownContainers,
    containers_read: Option<Instant>,
}

impl KnownLabels {
    /// A process has become a target, or executes another program: looks at it anew.
    pub(super) fn came(&mut self, pid: u32) {
        let before = self.gone.len();
        self.gone.retain(|gone| *gone != pid);
        let is_another = self.gone.len() < before;
        if let Some(labels) = self.read(pid) {
            self.by_pid.insert(pid, Arc::new(labels));
        } else if is_another {
            // It has ended already, and an earlier process of that number is not this one.
            self.by_pid.remove(&pid);
        }
    }

    /// A process has ended. It keeps its names.
    pub(super) fn left(&mut self, pid: u32) {
        if !self.by_pid.contains_key(&pid) {
            return;
        }
        self.gone.push_back(pid);
        if self.gone.len() > ENDED_PROCESSES
            && let Some(first) = self.gone.pop_front()
        {
            self.by_pid.remove(&first);
        }
    }

    /// The process with this id. `name` is what the kernel side knows of it.
    pub(super) fn of(&mut self, pid: u32, name: &[u8]) -> Arc<ProcessLabels> {
        if let Some(known) = self.by_pid.get(&pid) {
            return Arc::clone(known);
        }
        let labels = self.read(pid).unwrap_or_else(|| {
            let name = String::from_utf8_lossy(name);
            ProcessLabels::gone(Some(&*name).filter(|name| !name.is_empty()))
        });
        let labels = Arc::new(labels);
        self.by_pid.insert(pid, Arc::clone(&labels));
        if labels.cgroup.is_err() {
            self.left(pid);
        }
        labels
    }

    fn read(&mut self, pid: u32) -> Option<ProcessLabels> {
        let facts = ProcessFacts::read(pid)?;
        let container = facts.container_id().map(|id| self.container(id));
        Some(ProcessLabels {
            name: Ok(facts.name().into()),
            cgroup: facts
                .cgroup()
                .map(Arc::from)
                .ok_or(Unavailable::ProcessGone),
            container: container.ok_or(Unavailable::NoContainer),
        })
    }

    /// The name of a container by its id, or the first digits of the id.
    fn container(&mut self, id: &str) -> Arc<str> {
        let may_look = self
            .containers_read
            .is_none_or(|read| read.elapsed() >= CONTAINERS_PAUSE);
        if self.containers.get(id).is_none() && may_look {
            self.containers = KnownContainers::read(Path::new("/"));
            self.containers_read = Some(Instant::now());
        }
        let short = || id.get(..SHORT_ID).unwrap_or(id);
        let known = self.containers.get(id);
        known
            .map_or_else(short, |container| container.name())
            .into()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn process_that_is_gone_keeps_what_it_had() {
        let mut labels = KnownLabels::default();
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = child.id();
        while ProcessFacts::read(pid).is_none_or(|facts| facts.comm != "sleep") {
            std::thread::yield_now();
        }
        labels.came(pid);
        let before = labels.of(pid, b"");
        assert_eq!(before.name.as_deref(), Ok("sleep"));
        assert!(
            before
                .cgroup
                .as_deref()
                .is_ok_and(|path| path.starts_with('/'))
        );
        child.kill().expect("killed");
        child.wait().expect("its end");
        labels.left(pid);
        assert_eq!(labels.of(pid, b"other"), before);
        labels.came(pid);
        let gone = labels.of(pid, b"other");
        assert_eq!(
            gone.name.as_deref(),
            Ok("other"),
            "a process that nobody saw"
        );
        assert_eq!(gone.container, Err(Unavailable::ProcessGone));
    }

    #[test]
    fn ended_processes_are_bounded() {
        let mut labels = KnownLabels::default();
        let first = 1 << 24;
        let last = first + ENDED_PROCESSES as u32;
        for pid in first..=last {
            labels.of(pid, b"short");
        }
        assert_eq!(labels.by_pid.len(), ENDED_PROCESSES);
        assert!(!labels.by_pid.contains_key(&first) && labels.by_pid.contains_key(&last));
    }
}
