//! The interface of a session's owner thread to the world: the kernel, the target, the feed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Ticket;
use crate::base::address::LinkAddr;
use crate::base::diagnostic::Diagnostic;
use crate::event::{Aggregate, ProbeId, TargetStatus};
use crate::kernel::TrapCost;
use crate::lang::ast::ProbeSpec;
use crate::session::live::budget::Over;
use crate::session::probes::{Probe, ProbeMap};
use crate::session::reader::objects::WatchNews;
use crate::session::{FollowedProcesses, ProbeStatus, Removed, SessionSpending};

/// A probe to be attached.
pub(crate) struct NewProbe<'p> {
    pub(crate) id: ProbeId,
    pub(crate) name: &'p str,
    pub(crate) spec: &'p Arc<ProbeSpec>,
}

/// A probe that was attached.
pub(crate) struct Attached<P> {
    pub(crate) placement: P,
    /// Notes for the user: omitted sites, unavailable values.
    pub(crate) notes: Vec<String>,
}

/// The kernel, the target and the feed, as the owner of a session sees them.
///
/// The owner decides; this carries out. The tests of schedules have one that attaches nothing.
pub(crate) trait Backend {
    /// Everything that is known of a probe before it is attached.
    type Plan;
    /// The holder of a probe's sites.
    type Placement;

    /// Grows each time that the target executes a program: plans of an earlier epoch are for another program.
    fn epoch(&self) -> u64;
    /// Returns true if the module is not where a plan of the current epoch expects it.
    fn is_outdated(&self, plan: &Self::Plan) -> bool;
    /// Why a probe has to wait: its module is not loaded.
    fn absent_module(&self, spec: &ProbeSpec) -> Option<String>;
    /// Begins to make a plan; for an attached probe, only for the programs that it lacks. The result
    /// comes as a message with this ticket.
    fn begin_plan(
        &mut self,
        ticket: Ticket,
        spec: Arc<ProbeSpec>,
        attached: Option<&Self::Placement>,
    );
    /// The probes that the session was started with are in, since a time in ns of `CLOCK_MONOTONIC`. Reports the
    /// processes that came before them.
    fn installed(&mut self, probes: &ProbeMap<Self::Placement>, time_ns: u64);
    /// Returns true if targets run a program that an attached probe was not planned for.
    fn lacks_programs(&self, placement: &Self::Placement) -> bool;
    /// Attaches a probe in the programs that it lacked. Reports those without its location.
    fn attach_more(
        &mut self,
        probe: &mut Probe<Self::Placement>,
        plan: Result<Self::Plan, Diagnostic>,
    );
    /// Attaches a probe by its plan.
    ///
    /// # Errors
    /// The kernel refused. Nothing is left attached.
    fn attach(
        &mut self,
        new: &NewProbe<'_>,
        plan: Self::Plan,
    ) -> Result<Attached<Self::Placement>, Diagnostic>;
    /// Removes a probe's sites for good, and returns its last state.
    fn take_out(&mut self, status: ProbeStatus, placement: Self::Placement) -> ProbeStatus;
    /// Takes the sites of an attached probe out for now, or puts them back.
    fn switch(&mut self, probe: &mut Probe<Self::Placement>, enabled: bool);
    /// Reports that a waiting probe is attached.
    fn placed(&mut self, probe: &Probe<Self::Placement>, anew: bool);
    /// The state of a probe, with counters of now.
    fn status(&self, probe: &Probe<Self::Placement>) -> ProbeStatus;
    /// Adds the hits of each process to the states of probes.
    fn add_processes(&self, probes: &ProbeMap<Self::Placement>, statuses: &mut [ProbeStatus]);
    /// The aggregates of the probes.
    fn aggregates(&self, probes: &ProbeMap<Self::Placement>) -> Vec<Aggregate>;
    /// Probes that are gone, oldest first, without the first `skip`.
    fn removed(&self, skip: usize) -> Vec<Removed>;
    /// Frees the map elements of removed probes; of all of them when the reader takes no more
    /// `looks`.
    fn tidy(&mut self, looks: bool);
    /// Announces the sites of all future probes.
    fn announce(&mut self, sites: Vec<(PathBuf, LinkAddr)>);
    /// Plans from now on are for a session with spans.
    fn expect_spans(&mut self);
    /// Has [`super::Message::LibraryLoaded`] sent when the target loads a library.
    fn watch_loader(&mut self);
    /// Takes out probes that have had their last hit.
    fn look_at_limits(&mut self, probes: &mut ProbeMap<Self::Placement>);
    /// Returns true if the target has executed a program since the last call.
    fn follow_exec(&mut self) -> bool;
    /// Returns true if the target's modules have changed in a way that matters since the last call.
    fn follow_modules(&mut self, probes: &ProbeMap<Self::Placement>) -> bool;
    /// Reports the probes whose code the target has moved away.
    fn tell_moved(&mut self, probes: &mut ProbeMap<Self::Placement>);
    /// Returns true if the module is not where the plan expects it.
    fn has_moved(&self, placement: &Self::Placement) -> bool;
    /// Marks the sites of a finished probe: its module has left their place.
    fn set_stale(&self, placement: &mut Self::Placement);
    /// Returns true if the sites are so marked.
    fn is_stale(&self, placement: &Self::Placement) -> bool;
    /// The cost of all probes until now, with those that were taken out.
    fn spending(&self, probes: &ProbeMap<Self::Placement>) -> SessionSpending;
    /// Charges probes for their cost since the last call, `passed` ago. Returns those that cost too
    /// much.
    fn spend(&mut self, probes: &ProbeMap<Self::Placement>, passed: Duration) -> Vec<Over>;
    /// A watch has come to its object, or to its end.
    fn watch_news(&mut self, probes: &mut ProbeMap<Self::Placement>, news: WatchNews);
    /// Sets the measured cost of a trap, or that it cannot be measured.
    fn set_trap_cost(&mut self, cost: Option<TrapCost>);
    /// Takes the kernel's reports of forks and executions. Returns true if targets run a new program.
    fn take_forks(&mut self) -> bool;
    /// A process that is watched has ended. Returns true if targets run a new program.
    fn process_ended(&mut self, number: u64) -> bool;
    /// Looks for processes that have become targets without a report. Returns true if targets run a
    /// new program.
    fn look_for_processes(&mut self) -> bool;
    /// Looks at cgroups that may have been made. Returns true if targets run a new program.
    fn cgroups_changed(&mut self) -> bool;
    /// Reports the programs in which all probes are attached now.
    fn tell_programs(&mut self, probes: &ProbeMap<Self::Placement>);
    /// Counts of the forked processes. `None` if they are not followed.
    fn followed(&self) -> Option<FollowedProcesses>;
    /// The processes that are probed.
    fn targets(&self) -> Vec<TargetStatus>;
    /// Detaches everything for good.
    fn end(&mut self, probes: &mut ProbeMap<Self::Placement>);
    /// Sends the state of all probes to the frontends that want it.
    fn tell_probes(&self, probes: &ProbeMap<Self::Placement>);
    /// Sends a warning to the user.
    fn warn(&self, text: String);
}
