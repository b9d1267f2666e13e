//! How processes come to a session.

use crate::session::reader::clock::monotonic_of_ticks;
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
