//! The part of a watch in one executable.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::session::prepare::ReadySite;
use crate::session::reader::retired::HelperSites;
use crate::session::reader::site_table::WatchedObject;

/// Time between looks at the same threads. A look reads memory of each of them.
const NEXT_LOOK: Duration = Duration::from_secs(2);

/// A process with a value, or a thread with one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session) struct ValueOwner {
    pub(in crate::session) pid: u32,
    pub(in crate::session) thread: Option<u32>,
}

/// A look at the threads of a process.
struct ThreadLook {
    threads: Vec<u32>,
    at: Instant,
}

/// The part of a watch in one executable.
#[derive(Default)]
pub(in crate::session) struct WatchedPart {
    /// The value, for processes that come later.
    pub(in crate::session) value: Option<ReadySite>,
    /// The processes in which it is watched, or their threads.
    pub(in crate::session) owners: Vec<ValueOwner>,
    /// The last looks at the threads of the processes, if each thread has a value of its own.
    looks: BTreeMap<u32, ThreadLook>,
    /// The sites that find the object, before they are attached.
    pub(in crate::session) finders: Vec<ReadySite>,
    /// The sites at which the watch ends, before they are attached.
    pub(in crate::session) enders: Vec<ReadySite>,
    /// The sites that find the object.
    pub(in crate::session) finding: Option<HelperSites>,
    /// The plans of the object, by the sites that find it.
    pub(in crate::session) objects: BTreeMap<u32, ReadySite>,
    /// The object that was found.
    pub(in crate::session) object: Option<WatchedObject>,
    /// The sites at which the watch ends.
    pub(in crate::session) ending: Option<HelperSites>,
}

impl WatchedPart {
    /// Returns true if a thread may have a value by now that is not watched yet.
    pub(in crate::session) fn may_have_more(&self, pid: u32, threads: &[u32]) -> bool {
        let Some(last) = self.looks.get(&pid) else {
            return true;
        };
        let is_owner = |&thread: &u32| {
            let thread = Some(thread);
            self.owners.contains(&ValueOwner { pid, thread })
        };
        // A thread may get its copy of the variable when it first uses it.
        last.threads != threads || last.at.elapsed() >= NEXT_LOOK && !threads.iter().all(is_owner)
    }

    /// Forgets the looks at other processes, which have ended.
    pub(in crate::session) fn keep_looks(&mut self, processes: &[u32]) {
        self.looks.retain(|pid, _| processes.contains(pid));
    }

    /// The values of these threads are looked for now.
    pub(in crate::session) fn looked(&mut self, pid: u32, threads: Vec<u32>) {
        let at = Instant::now();
        self.looks.insert(pid, ThreadLook { threads, at });
    }

    /// The sites whose hits are no events.
    pub(in crate::session) fn helpers(&self) -> impl Iterator<Item = HelperSites> {
        self.finding.iter().chain(&self.ending).cloned()
    }

    /// The number of sites that seek the object. 0 once it is found.
    pub(in crate::session) fn seeking(&self) -> usize {
        match (&self.finding, &self.object) {
            (Some(finding), None) => finding.cookies.len(),
            _ => 0,
        }
    }
}
