//! Messages to the thread that owns a session.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Ticket;
use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, ProbeId, TargetStatus};
use crate::kernel::TrapCost;
use crate::lang::ast::ProbeSpec;
use crate::session::reader::objects::WatchNews;
use crate::session::{FollowedProcesses, ProbeStatus, Removed, SessionSpending};

/// One request or piece of news; `P` is the plan of a probe.
pub(crate) enum Message<P> {
    /// Resolve, compile and attach a probe.
    Add {
        spec: Arc<ProbeSpec>,
        reply: Reply<Result<ProbeStatus, Diagnostic>>,
    },
    /// Leave an id out.
    SkipId,
    /// The probes that the session was started with are in, since a time in ns of `CLOCK_MONOTONIC`.
    Installed { time_ns: u64 },
    /// Some of the probes to come makes spans.
    ExpectSpans,
    /// These are all the sites that there will be.
    Announce(Vec<(PathBuf, LinkAddr)>),
    /// Take a probe out for good.
    Remove {
        id: ProbeId,
        reply: Reply<Option<ProbeStatus>>,
    },
    /// Silence or wake a probe.
    SetEnabled {
        id: ProbeId,
        enabled: bool,
        reply: Reply<()>,
    },
    /// Silence all probes, or wake them when all are silent.
    SilenceAll(Reply<bool>),
    /// Return the state of every probe.
    Probes(Reply<Vec<ProbeStatus>>),
    /// Return the aggregates of the probes.
    Aggregates(Reply<Vec<Aggregate>>),
    /// Return the removed probes, without the first ones.
    Removed {
        skip: usize,
        reply: Reply<Vec<Removed>>,
    },
    /// A plan has been made, or cannot be.
    Planned {
        ticket: Ticket,
        result: Result<P, Diagnostic>,
    },
    /// The target's dynamic linker has mapped or unmapped a library.
    LibraryLoaded,
    /// A watch has come to its object, or to its end.
    Watch(WatchNews),
    /// The measured cost of a trap. `None` if measuring failed, which has been reported.
    TrapCost(Option<TrapCost>),
    /// The kernel has messages about forks.
    Forks,
    /// Cgroups may have been made that are selected.
    CgroupsChanged,
    /// A followed process or the target has exited. The number is that of its watch.
    ProcessEnded(u64),
    /// Return the counts of forked processes.
    Followed(Reply<Option<FollowedProcesses>>),
    /// Return the cost of all probes, with those that were removed.
    Spending(Reply<SessionSpending>),
    /// Return the probed processes.
    Targets(Reply<Vec<TargetStatus>>),
    /// Take every probe out.
    Finish(Reply<()>),
    /// The reader has read its last record: the counters are final.
    ReaderEnded(Reply<Vec<ProbeStatus>>),
    /// The session is dropped.
    Stop,
}

/// The channel for an answer.
pub(crate) struct Reply<T>(SyncSender<T>);

impl<T> Reply<T> {
    /// Sends the answer. The receiver may have given up by now.
    pub(crate) fn send(self, answer: T) {
        let _ = self.0.send(answer);
    }
}

/// A way for one answer.
pub(crate) fn reply_channel<T>() -> (Reply<T>, Receiver<T>) {
    let (sender, receiver) = sync_channel(1);
    (Reply(sender), receiver)
}
