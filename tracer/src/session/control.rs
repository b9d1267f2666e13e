//! The interface between a session and its frontends.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use super::playback::Playback;
use super::{
    FollowedProcesses, LineInfo, Notice, OutlineEntry, ProbeStatus, Removed, SessionSpending,
    SourceFile, VariableInfo,
};
use crate::actions::parse_probe;
use crate::base::diagnostic::Diagnostic;
use crate::base::visible::Visible;
use crate::event::{Aggregate, Event, ProbeId, TargetStatus, Used};
use crate::lang::ast::ProbeSpec;
use crate::sources::SourceText;

/// The name of a session's targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetName {
    /// File name of the executable, which is hostile text.
    pub name: String,
    /// Process id in the tracer's own pid namespace. `None` if the targets were selected otherwise.
    pub pid: Option<u32>,
}

impl std::fmt::Display for TargetName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Visible(&self.name);
        match self.pid {
            Some(pid) => write!(f, "{name} ({pid})"),
            None => write!(f, "{name}"),
        }
    }
}

/// The interface between a session and its frontends, which know no other part of a session.
///
/// Notices, and counters of lost events, are those of one subscriber ([`super::Subscription`]).
/// Everything else is the same for all frontends.
pub trait Control: Send + Sync {
    /// The target that was chosen.
    fn target(&self) -> TargetName;
    /// The processes that are probed now: the one that was chosen, and those that it forked.
    fn targets(&self) -> Vec<TargetStatus>;
    /// Counts of the processes that the target has forked. `None` if they are not followed.
    fn followed(&self) -> Option<FollowedProcesses>;

    /// Every source file of every module, sorted by path. Those on disk come first.
    fn source_files(&self) -> Vec<SourceFile>;
    /// A source file, at most [`crate::base::limits::SOURCE_BYTES`].
    ///
    /// # Errors
    /// Says why it could not be read.
    fn source_text(&self, file: &SourceFile) -> Result<SourceText, Diagnostic>;
    /// The path of a source file among the files of this machine, for an editor.
    ///
    /// # Errors
    /// Says why there is none.
    fn source_path(&self, file: &SourceFile) -> Result<PathBuf, Diagnostic>;
    /// The files whose text a frontend has asked for, in the order of asking.
    fn shown_sources(&self) -> Vec<SourceFile> {
        Vec::new()
    }
    /// The functions that are declared in a source file, by line: a substitute for a text that is not
    /// there.
    fn outline(&self, file: &SourceFile) -> Vec<OutlineEntry>;
    /// The lines of a file that have code, by line.
    ///
    /// # Errors
    /// The debug information could not be read.
    fn lines(&self, file: &SourceFile) -> Result<Vec<LineInfo>, Diagnostic>;
    /// The variables in scope at a line (at its first site).
    ///
    /// # Errors
    /// The line has no code, or the debug information could not be read.
    fn variables(&self, file: &SourceFile, line: u64) -> Result<Vec<VariableInfo>, Diagnostic>;

    /// The names that may stand at a location, given as probes write it: variables, or the members of the expression
    /// `owner` if there is one. For completion.
    ///
    /// # Errors
    /// The location or the expression has no meaning.
    fn names_at(&self, location: &str, owner: &str) -> Result<Vec<VariableInfo>, Diagnostic> {
        let _ = (location, owner);
        Ok(Vec::new())
    }
    /// Names of functions whose last part begins with a text, the program's own first. For completion.
    fn function_names(&self, front: &str) -> Vec<String> {
        let _ = front;
        Vec::new()
    }

    /// Plans and attaches a probe.
    ///
    /// # Errors
    /// See [`Diagnostic`]. Nothing is left attached.
    fn add_spec(&self, spec: &ProbeSpec) -> Result<ProbeStatus, Diagnostic>;
    /// Parses, plans and attaches a probe.
    ///
    /// # Errors
    /// See [`Diagnostic`]. Nothing is left attached.
    fn add(&self, text: &str) -> Result<ProbeStatus, Diagnostic> {
        self.add_spec(&parse_probe(text)?)
    }
    /// Leaves a number out, so that the names `p1`, `p2` … of probes that were asked for together
    /// tell their place among these, whichever are refused.
    fn skip_number(&self);
    /// Silences a probe at once, detaches it, and returns its last state.
    fn remove(&self, probe: ProbeId) -> Option<ProbeStatus>;
    /// Silences or wakes a probe. A finished probe starts again when it is woken, with its original
    /// number of hits and time.
    fn set_enabled(&self, probe: ProbeId, enabled: bool);
    /// Silences every probe at once; wakes them when all are silent already. True when they are
    /// silent now. Probes that are done stay so.
    fn silence_all(&self) -> bool;
    /// All probes, by id, with counters of now.
    fn probes(&self) -> Vec<ProbeStatus>;
    /// The cost of all probes until now, with those that were removed.
    fn spending(&self) -> SessionSpending {
        SessionSpending::default()
    }
    /// The aggregates of probes that add hits up, by probe.
    fn aggregates(&self) -> Vec<Aggregate>;
    /// The probes removed since the last call that will have no more events. After
    /// [`Control::finish`], these are all that remain.
    fn take_removed(&self) -> Vec<Removed>;
    /// Returns true if no probe can have more events: there are probes, and all are done.
    fn is_done(&self) -> bool {
        let probes = self.probes();
        !probes.is_empty() && probes.iter().all(|probe| probe.done.is_some())
    }

    /// Returns up to `max` waiting notices, oldest first, without waiting.
    fn take_notices(&self, max: usize) -> Vec<Notice>;
    /// Completes when [`Control::take_notices`] has something to give.
    fn notices_ready(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    /// Takes back displayed events, whose memory is reused for new ones. The list is empty
    /// afterwards.
    fn give_back(&self, events: &mut Vec<Used>);
    /// Events that wait to be taken, about.
    fn waiting_events(&self) -> usize;
    /// Drops the waiting events, which their probes count as lost.
    fn drop_events(&self);
    /// Counts an event that was taken and will not be shown as lost by its probe.
    fn count_unshown(&self, event: &Event);
    /// Counts events that this frontend should have passed on and could not, for all frontends to see
    /// ([`ProbeStatus::undelivered`]).
    fn count_undelivered(&self, probe: ProbeId, events: u64);
    /// Events of each probe that this frontend was too slow for, up to now.
    fn dropped_events(&self) -> Vec<(ProbeId, u64)>;
    /// Reports a problem to all frontends.
    fn warn(&self, text: String);
    /// Reports a requested or expected change to all frontends.
    fn note(&self, text: String);

    /// The session as one that is over and can be shown as it was at any time. `None` for one that runs.
    fn playback(&self) -> Option<&dyn Playback> {
        None
    }

    /// Silences and detaches every probe, and reads the ring to its end. Only the last events
    /// remain to be taken, and the counters are final. The session is over for all frontends.
    fn finish(&self) -> Vec<ProbeStatus>;
}
