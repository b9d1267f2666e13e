//! How processes come to a session.

use super::Live;
use crate::session::followed::Milliseconds;
use crate::session::reader::clock::{monotonic_ns, monotonic_of_ticks};
use crate::target::select::ProcessFacts;

/// A process that is to become a target.
#[derive(Clone, Copy)]
pub(crate) struct NewMember {
    pub(crate) process: u32,
    /// Its id in the initial pid namespace.
    pub(crate) initial: u32,
    /// The kernel side has reported it, so that it counts its hits already.
    pub(crate) is_reported: bool,
    pub(crate) arrival: Arrival,
}

/// How a process came to a session. Times are in ns of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy)]
pub(crate) enum Arrival {
    /// It ran before the session did.
    Before,
    /// The kernel side reports it.
    Reported {
        /// It began to run its program.
        began_ns: u64,
    },
    /// A look at all processes found it.
    Found {
        /// Its start, perhaps with another program, or the time when it did not match yet. `None` if it is
        /// older than the session.
        started_ns: Option<u64>,
        /// Time since which the kernel side counts its hits. 0 if it has a rule for them.
        counted_ns: u64,
    },
}

impl Arrival {
    /// A process found running, in a session that began at `session_ns`.
    pub(super) fn found(process: &ProcessFacts, session_ns: u64, counted_ns: u64) -> Self {
        // The kernel rounds down to a tick, perhaps to before the session.
        let next_ns = monotonic_of_ticks(process.start_time.saturating_add(1));
        let started_ns =
            monotonic_of_ticks(process.start_time).filter(|_| next_ns > Some(session_ns));
        Self::Found {
            started_ns: started_ns.map(|started_ns| started_ns.max(session_ns)),
            counted_ns,
        }
    }

    /// A process found when none had matched at `empty_ns`.
    pub(in crate::session) fn awaited(process: &ProcessFacts, empty_ns: u64) -> Self {
        let started_ns = monotonic_of_ticks(process.start_time).unwrap_or(0);
        Self::Found {
            started_ns: Some(started_ns.max(empty_ns)),
            counted_ns: 0,
        }
    }
}

impl Live {
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
