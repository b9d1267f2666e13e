//! Notices from a session to its frontends.

use std::sync::Arc;

use super::ProbeStatus;
use crate::event::{Event, ProbeDone, ProbeLimited, TargetId, TargetStatus};

/// Bytes that an allocator adds to each block, and rounds it up by.
const BLOCK: usize = 16;

/// A notice from a session to its frontends.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A hit. It is shared with the other frontends.
    Event(Arc<Event>),
    /// A problem that the user should know: a limit reached, a site that could not be attached.
    Warning(String),
    /// A requested or expected change: a probe added, a library loaded.
    Note(String),
    /// A probe is over its rate limit, for the first time.
    Limited(ProbeLimited),
    /// A probe has sent its last event.
    Done(ProbeDone),
    /// All probes, by id, with counters of now: for frontends that ask for it, after each change of a probe
    /// and every 250 ms. Only the newest list waits to be taken.
    Probes(Vec<ProbeStatus>),
    /// A process has become a target.
    TargetCame(TargetStatus),
    /// A signal has stopped a target, or it runs again. A note reports that, too, for the first targets.
    TargetStopped {
        /// The target.
        id: TargetId,
        /// It is stopped.
        stopped: bool,
    },
    /// A target has exited, or executes another program.
    TargetLeft(TargetStatus),
    /// The last target is gone: exit code or signal when that is known. The session is over.
    TargetExited(Option<i32>),
}

impl Notice {
    /// Estimated bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Event(event) => event.weight(),
                Self::Warning(text) | Self::Note(text) => BLOCK + text.capacity(),
                Self::Limited(limited) => BLOCK + limited.name.capacity(),
                Self::Done(done) => BLOCK + done.name.capacity(),
                Self::Probes(probes) => BLOCK + probes.len() * size_of::<ProbeStatus>(),
                Self::TargetCame(_)
                | Self::TargetStopped { .. }
                | Self::TargetLeft(_)
                | Self::TargetExited(_) => 0,
            }
    }
}
