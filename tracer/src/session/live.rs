//! The real side of a session: the kernel's machine, the target, the feed.

mod accounts;
mod arrival;
mod attach;
pub(in crate::session) mod budget;
mod calls;
mod departures;
mod executables;
mod family;
mod following;
mod limits;
mod linker_walk;
mod places;
mod planner;
mod removed;
mod selected;
mod selection_rules;
mod spending;
mod switch;
pub(in crate::session) mod trap_cost;
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracer_common::control::ProbeControl;
use tracer_common::trace::SeenTarget;

use accounts::closed::ClosedAccounts;
pub(super) use arrival::{Arrival, NewMember};
pub(crate) use budget::percent;
use calls::PartTrace;
use departures::DepartureNotes;
pub(crate) use executables::ExecutableId;
pub(super) use family::FamilyWatch;
use limits::KeptLimits;
use places::ModulePlaces;
use planner::PlannedProgram;
pub(super) use planner::{LivePlan, PlanJob, Planner};
pub use removed::Removed;
pub(super) use selection_rules::{SelectedTargets, processes_of};

use super::actor::{Attached, Backend, Message, NewProbe, Ticket};
use super::probes::{Probe, ProbeMap};
use super::{Cost, FollowedProcesses, ProbeStatus, SessionOptions, SessionSpending};
use crate::base::address::LinkAddr;
use crate::base::cancel;
use crate::base::diagnostic::Diagnostic;
use crate::debuginfo::site::{Exit, SourceLine};
use crate::event::{
    Aggregate, AggregateBody, Counters, PlacementId, ProbeId, TargetStatus, counted,
};
use crate::kernel::{Machine, SiteRequest, TrapCost};
use crate::lang::ast::ProbeSpec;
use crate::placement::SiteKind;
use crate::session::live::budget::{CpuBudget, Over};
use crate::session::live::executables::{Executable, Executables};
use crate::session::live::watched::part::WatchedPart;
use crate::session::locks::lock;
use crate::session::prepare::ReadySite;
use crate::session::prepare::watch_part::ReadyWatch;
use crate::session::reader::aggregates::{Adding, aggregates};
use crate::session::reader::clock::monotonic_ns;
use crate::session::reader::objects::WatchNews;
use crate::session::reader::retired::CountersBefore;
use crate::session::shared::SharedState;
use crate::session::sites::module_numbers::ModuleNumbers;
use crate::session::sites::modules::{Modules, TargetModule};
use crate::session::sites::process_modules::ProcessModules;
use crate::target::{ExecutableFile, ImageId};

/// The plan of a probe, and who waits for it.
pub(super) type LiveMessage = Message<LivePlan>;

/// Attaches probes to a process.
pub(super) struct Live {
    executables: Executables,
    options: Arc<SessionOptions>,
    /// Shared with the thread that measures the cost of a trap.
    machine: Arc<Mutex<Machine>>,
    shared: Arc<SharedState>,
    planner: Planner,
    /// Some probe makes spans, or will.
    has_spans: bool,
    placements: u32,
    /// The probe that reports when the target loads a library.
    loader: Option<u32>,
    /// The program that the target executes.
    image: Option<ImageId>,
    /// Last time when it was looked at, in ns of `CLOCK_MONOTONIC`.
    image_seen_ns: u64,
    /// Time of the last look before the target executed its program.
    executed_after_ns: u64,
    /// Number of programs that it has executed.
    epoch: u64,
    /// The epoch in which each probe was attached last.
    attached_in: BTreeMap<ProbeId, u64>,
    budget: CpuBudget,
    trap: TrapKnowledge,
    /// Removed probes with their final counts.
    removed: Vec<Removed>,
    /// Hits of processes that are gone.
    closed: ClosedAccounts,
    /// Number of the last call of each trace that was taken out, for when it is placed again.
    last_calls: BTreeMap<ProbeId, u64>,
    /// The limits of probes that were taken out, for when they are placed again.
    kept_limits: BTreeMap<ProbeId, KeptLimits>,
    /// Processes that have executed another program, by their ids in the initial pid namespace. Calls that they were
    /// in are over.
    executed: Vec<u32>,
    /// Follows the processes that the target forks, if requested.
    family: Option<family::FamilyTracker>,
    /// Notes on targets that leave or stop.
    departures: DepartureNotes,
    /// For threads that send messages.
    messages: Sender<LiveMessage>,
    /// The places of modules in each process. `None` if all have those of the first: it forked them.
    places: Option<ModulePlaces>,
}

/// The state of measuring the cost of a trap.
#[derive(Clone, Copy, Debug)]
enum TrapKnowledge {
    Unknown,
    BeingMeasured,
    Known(TrapCost),
    /// It could not be measured.
    None,
}

/// The sites of a probe in the target.
pub(super) struct Placement {
    id: PlacementId,
    /// Source place of its first site.
    first: FirstSite,
    /// Index of the probe in the kernel's maps.
    slot: u32,
    cookies: Vec<u32>,
    control: ProbeControl,
    /// Its sites in each executable.
    parts: Vec<PlacementPart>,
    /// The executables that it was planned for, with or without a site there.
    planned: Vec<ExecutableId>,
    /// The planned ones in which it has a place.
    placed: Vec<ExecutableId>,
    /// The sites of all parts, without their plans, to attach them again.
    requests: Vec<SiteRequest>,
    /// The dearest of the instructions, for the kernel.
    kind: SiteKind,
    /// The probe was in the program that the target ran before.
    follows_exec: bool,
    /// The probe is done, and these are sites of a place that the module has left since.
    stale: bool,
    /// The user has a note that the probe is over its rate.
    told_limited: bool,
    /// The user has a note that some process has no account.
    told_unaccounted: bool,
    /// The user knows that calls found no room to be recorded.
    told_full: bool,
    /// The code of a trace, in each executable.
    traces: Vec<PartTrace>,
    /// Called addresses that recorded calls have computed, as far as they were looked at.
    seen: BTreeSet<SeenTarget>,
    /// Calls that are recorded beyond those that the user wants.
    extra_calls: u64,
    /// Time since which the breakpoints are in the target. `None` if they are out.
    attached_at: Option<Instant>,
    /// For how long they were before.
    attached_before: Duration,
    /// Its counters at the end of the session, if that has come.
    at_end: Option<CountersBefore>,
}

/// The sites of a probe in one executable.
struct PlacementPart {
    executable: ExecutableId,
    /// Has the sites.
    module: Arc<TargetModule>,
    /// The part of [`Placement::requests`].
    requests: Range<usize>,
    /// The part of [`Placement::cookies`].
    cookies: Range<usize>,
    held: HeldAddresses,
    /// The user has a note that the code of a site is no longer mapped.
    moved: bool,
    /// The watched value, for a watch.
    watched: WatchedPart,
}

/// The load addresses that the plans of some sites contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HeldAddresses {
    /// All addresses are read relative to the site.
    None,
    /// That of the site's module: a return by trampoline does not show it.
    OfModule,
    /// Also those of other modules. There is a plan for each copy of the site's module.
    OfEachCopy,
}

impl HeldAddresses {
    /// Of all these sites.
    fn of(sites: &[ReadySite]) -> Self {
        let of_site = |site: &ReadySite| match site.site.exit {
            _ if site.bound => Self::OfEachCopy,
            Some(Exit::Trampoline) => Self::OfModule,
            _ if matches!(site.watch, Some(ReadyWatch::At(_))) => Self::OfModule,
            _ => Self::None,
        };
        sites.iter().map(of_site).max().unwrap_or(Self::None)
    }
}

/// The source position of the first site of a probe.
#[derive(Clone, Debug, Default)]
struct FirstSite {
    /// `None` if no debug information describes the site.
    source: Option<SourceLine>,
    function: String,
}

impl Placement {
    /// For how long its breakpoints were in the target.
    fn attached(&self) -> Duration {
        let since = self.attached_at.map(|since| since.elapsed());
        self.attached_before + since.unwrap_or_default()
    }

    /// Returns true if it was not planned for an executable.
    fn lacks(&self, executable: ExecutableId) -> bool {
        !self.planned.contains(&executable)
    }

    /// Its breakpoints are being taken out.
    fn is_taken_out(&mut self) {
        self.attached_before = self.attached();
        self.attached_at = None;
    }
}

/// The parts from which the backend of a new session is built.
pub(super) struct LiveParts {
    pub(super) file: ExecutableFile,
    pub(super) modules: Arc<ProcessModules>,
    pub(super) options: Arc<SessionOptions>,
    pub(super) machine: Machine,
    pub(super) shared: Arc<SharedState>,
    pub(super) planner: Planner,
    pub(super) family: Option<FamilyWatch>,
    pub(super) known_trap: Option<TrapCost>,
    pub(super) messages: Sender<LiveMessage>,
    /// Numbers of modules, if its processes are started apart.
    pub(super) numbers: Option<Arc<ModuleNumbers>>,
}

impl Live {
    pub(super) fn new(parts: LiveParts) -> Self {
        let LiveParts {
            file,
            modules,
            options,
            machine,
            shared,
            planner,
            family,
            known_trap,
            messages,
            numbers,
        } = parts;
        if let Some(process) = modules.process() {
            shared.labels().came(process.pid());
        }
        Self {
            image: modules.process().and_then(|process| process.image()),
            executables: Executables::new(file, modules, &options),
            budget: CpuBudget::new(options.max_cpu),
            trap: known_trap.map_or(TrapKnowledge::Unknown, TrapKnowledge::Known),
            machine: Arc::new(Mutex::new(machine)),
            family: family.map(family::FamilyTracker::new),
            departures: DepartureNotes::new(),
            placements: 0,
            loader: None,
            image_seen_ns: monotonic_ns(),
            executed_after_ns: 0,
            epoch: 0,
            attached_in: BTreeMap::new(),
            removed: Vec::new(),
            closed: ClosedAccounts::default(),
            last_calls: BTreeMap::new(),
            kept_limits: BTreeMap::new(),
            executed: Vec::new(),
            options,
            shared,
            planner,
            has_spans: false,
            messages,
            places: numbers.map(ModulePlaces::new),
        }
    }

    /// The modules of the first executable.
    fn modules(&self) -> Arc<Modules> {
        self.executables.first().modules.now()
    }

    /// The process that was chosen, or that stands for all. `None` while there is none.
    fn pid(&self) -> Option<u32> {
        self.executables.first().pid()
    }

    /// The cost of a placement that is attached or was.
    fn cost(&self, probe: ProbeId, spec: &ProbeSpec, placement: &Placement) -> Cost {
        Cost {
            kind: Some(placement.kind),
            trap_ns: self.trap_ns(placement.kind),
            cpus: self.budget.share(probe),
            attached: placement.attached(),
            allowed: self.budget.allowed(spec.options.cpu),
        }
    }

    /// The counters of a placement. Events that could not be decoded count as lost.
    fn counters(&self, machine: &Machine, placement: PlacementId, slot: u32) -> Counters {
        // An unreadable map of the tracer shows no numbers rather than wrong ones.
        let kernel = machine.counters(slot).unwrap_or_default();
        let lost = self.shared.undecodable(placement).min(kernel.events);
        // Frontends get no event for a step that is only counted.
        let repeated = self.shared.repeated(placement).min(kernel.events - lost);
        Counters {
            hits: kernel.hits.saturating_sub(repeated),
            events: kernel.events - lost - repeated,
            lost: kernel.lost + lost,
            limited: kernel.limited,
            rejected: kernel.rejected,
            faults: kernel.faults,
            silenced: kernel.silenced,
            expired: kernel.expired,
            over_budget: kernel.over_budget,
            read_faults: kernel.read_faults,
            cut: kernel.cut,
            bpf_ns: estimated(kernel.bpf_ns, kernel.timed, kernel.hits),
            passed: kernel.passed + repeated,
        }
    }
}

/// Estimates the time of all hits from the time of some of them.
fn estimated(timed_ns: u64, timed: u64, hits: u64) -> u64 {
    let all = u128::from(timed_ns) * u128::from(hits);
    let all = all.checked_div(u128::from(timed)).unwrap_or(0);
    u64::try_from(all).unwrap_or(u64::MAX)
}

impl Backend for Live {
    type Plan = LivePlan;
    type Placement = Placement;

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn is_outdated(&self, plan: &LivePlan) -> bool {
        plan.parts.iter().any(|part| {
            let held = HeldAddresses::of(&part.probe.sites);
            self.is_module_elsewhere(part.executable, &part.probe.module, held)
        })
    }

    fn absent_module(&self, spec: &ProbeSpec) -> Option<String> {
        let name = spec.location.module.as_deref()?;
        let mut all = self.executables.iter();
        let is_there = all.any(|one| !one.modules.now().named(Some(name)).is_empty());
        (!is_there).then(|| {
            let loaded = self.modules().names();
            format!("waits for `{name}` to be loaded; loaded modules: {loaded}")
        })
    }

    fn begin_plan(&mut self, ticket: Ticket, spec: Arc<ProbeSpec>, attached: Option<&Placement>) {
        self.has_spans |= spec.action.kind().makes_spans();
        let lacking = |one: &Executable| {
            let Some(placement) = attached else {
                return Some(PlannedProgram::of(one, None));
            };
            let more = placement.more_calls(one.id);
            (placement.lacks(one.id) || more.is_some()).then(|| PlannedProgram::of(one, more))
        };
        let programs = self.executables.iter().filter_map(lacking).collect();
        self.planner.begin(PlanJob {
            ticket,
            spec,
            programs,
            has_spans: self.has_spans,
        });
    }

    fn attach(
        &mut self,
        new: &NewProbe<'_>,
        plan: LivePlan,
    ) -> Result<Attached<Placement>, Diagnostic> {
        self.attach_plan(new, plan)
    }

    fn lacks_programs(&self, placement: &Placement) -> bool {
        placement.has_more_calls() || self.executables.iter().any(|one| placement.lacks(one.id))
    }

    fn attach_more(&mut self, probe: &mut Probe<Placement>, plan: Result<LivePlan, Diagnostic>) {
        self.attach_in_more(probe, plan);
    }

    fn take_out(&mut self, status: ProbeStatus, placement: Placement) -> ProbeStatus {
        self.detach(status, placement)
    }

    fn switch(&mut self, probe: &mut Probe<Placement>, enabled: bool) {
        self.switch_sites(probe, enabled);
    }

    fn placed(&mut self, probe: &Probe<Placement>, anew: bool) {
        let name = &probe.name;
        if anew {
            let placement = probe.placement();
            let reason = placement.map(|placement| self.reason_of_new_place(placement));
            let reason = reason.unwrap_or_default();
            self.shared
                .note(format!("{name}: attached again, {reason}"));
            return;
        }
        let module = probe.spec.location.module.as_deref().unwrap_or_default();
        let sites = probe.placement().map_or(0, |one| one.requests.len());
        let sites = counted(sites, "site");
        let unseen = self.unseen_of_library();
        self.shared
            .note(format!("{name}: `{module}` is loaded: {sites}{unseen}"));
    }

    fn status(&self, probe: &Probe<Placement>) -> ProbeStatus {
        let mut status = ProbeStatus {
            id: probe.id,
            name: probe.name.clone(),
            text: probe.spec.text.clone(),
            file: Arc::default(),
            line: 0,
            function: String::new(),
            sites: 0,
            placement: probe.placement().map(|placement| placement.id),
            enabled: probe.enabled,
            done: probe.done,
            counters: Counters::default(),
            cost: Cost::default(),
            notes: probe.notes.clone(),
            processes: Vec::new(),
            undelivered: 0,
        };
        if let Some(placement) = probe.placement() {
            if let Some(SourceLine { file, line, .. }) = &placement.first.source {
                (status.file, status.line) = (Arc::clone(file), *line);
            }
            status.function.clone_from(&placement.first.function);
            let seeking = placement.parts.iter().map(|part| part.watched.seeking());
            let sites = placement.requests.len() + seeking.sum::<usize>();
            status.sites = u32::try_from(sites).unwrap_or(u32::MAX);
            let counters = self.counters(&lock(&self.machine), placement.id, placement.slot);
            status.counters = match placement.at_end {
                Some(before) => before.counters(counters),
                None => counters,
            };
            status.cost = self.cost(probe.id, &probe.spec, placement);
        }
        status
    }

    fn add_processes(&self, probes: &ProbeMap<Placement>, statuses: &mut [ProbeStatus]) {
        self.add_hits_of_processes(probes, statuses, true);
    }

    fn aggregates(&self, probes: &ProbeMap<Placement>) -> Vec<Aggregate> {
        let adding = |probe: &Probe<Placement>| {
            let placement = probe.placement()?;
            Some(Adding {
                id: probe.id,
                name: probe.name.clone(),
                slot: placement.slot,
                cookies: placement.cookies.clone(),
            })
        };
        let adding: Vec<Adding> = probes.iter().filter_map(adding).collect();
        let machine = lock(&self.machine);
        let processes = |adding: &Adding, counters: &Counters| {
            self.hits_of_processes(&machine, adding.slot, counters)
        };
        let mut all = aggregates(&machine, &self.shared.sites(), adding, &processes);
        drop(machine);
        for aggregate in &mut all {
            let probe = probes.get(aggregate.probe);
            if let AggregateBody::Times(times) = &mut aggregate.body
                && let Some(placement) = probe.and_then(Probe::placement)
            {
                times.exemplars = self.shared.exemplars(placement.id);
            }
            if let Some(before) = probe.and_then(|probe| probe.placement()?.at_end) {
                before.aggregate(aggregate);
            }
        }
        all
    }

    fn removed(&self, skip: usize) -> Vec<Removed> {
        self.removed.get(skip..).unwrap_or_default().to_vec()
    }

    fn tidy(&mut self, looks: bool) {
        self.forget(looks);
    }

    fn expect_spans(&mut self) {
        self.has_spans = true;
    }

    fn announce(&mut self, sites: Vec<(PathBuf, LinkAddr)>) {
        let placing = &mut self.executables.first_mut().placing;
        Arc::make_mut(placing).announce(sites.into_iter());
    }

    fn watch_loader(&mut self) {
        self.attach_to_loader();
    }

    fn look_at_limits(&mut self, probes: &mut ProbeMap<Placement>) {
        self.watch_new_processes(probes);
        self.take_out_done(probes);
    }

    fn follow_exec(&mut self) -> bool {
        self.has_executed()
    }

    fn follow_modules(&mut self, probes: &ProbeMap<Placement>) -> bool {
        self.have_modules_changed(probes)
    }

    fn tell_moved(&mut self, probes: &mut ProbeMap<Placement>) {
        self.tell_moved_text(probes);
    }

    fn has_moved(&self, placement: &Placement) -> bool {
        let mut parts = placement.parts.iter();
        parts.any(|part| self.is_module_elsewhere(part.executable, &part.module, part.held))
    }

    fn set_stale(&self, placement: &mut Placement) {
        placement.stale = true;
    }

    fn is_stale(&self, placement: &Placement) -> bool {
        placement.stale
    }

    fn spend(&mut self, probes: &ProbeMap<Placement>, passed: Duration) -> Vec<Over> {
        self.charge(probes, passed)
    }

    fn spending(&self, probes: &ProbeMap<Placement>) -> SessionSpending {
        self.spending_of(probes)
    }

    fn watch_news(&mut self, probes: &mut ProbeMap<Placement>, news: WatchNews) {
        self.take_watch_news(probes, news);
    }

    fn set_trap_cost(&mut self, cost: Option<TrapCost>) {
        self.trap = cost.map_or(TrapKnowledge::None, TrapKnowledge::Known);
    }

    fn take_forks(&mut self) -> bool {
        let before = self.executables.count();
        self.follow_forks();
        self.executables.count() != before
    }

    fn process_ended(&mut self, number: u64) -> bool {
        let before = self.executables.count();
        self.follow_end(number);
        self.executables.count() != before
    }

    fn cgroups_changed(&mut self) -> bool {
        let before = self.executables.count();
        self.cgroups_have_changed();
        self.executables.count() != before
    }

    fn look_for_processes(&mut self) -> bool {
        let before = self.executables.count();
        self.look_for_stopped();
        self.look_for_selected();
        self.executables.count() != before
    }

    fn installed(&mut self, probes: &ProbeMap<Placement>, time_ns: u64) {
        self.tell_early(probes.iter().next().map(|_| time_ns));
    }

    fn tell_programs(&mut self, probes: &ProbeMap<Placement>) {
        self.tell_attached_programs(probes);
    }

    fn followed(&self) -> Option<FollowedProcesses> {
        self.followed_counts()
    }

    fn targets(&self) -> Vec<TargetStatus> {
        self.target_statuses()
    }

    fn end(&mut self, probes: &mut ProbeMap<Placement>) {
        let started = Instant::now();
        let mut machine = lock(&self.machine);
        for placement in probes.iter_mut().filter_map(Probe::placement_mut) {
            placement
                .at_end
                .get_or_insert_with(|| CountersBefore::read(&machine, placement.slot));
            placement.is_taken_out();
        }
        // From now on, attachments by the thread that measures the cost of a trap are refused.
        machine.end();
        self.tell_open_calls(probes, &machine);
        drop(machine);
        cancel::detached();
        let took_ms = started.elapsed().as_secs_f64() * 1e3;
        tracing::debug!(took_ms, "probes detached");
    }

    fn tell_probes(&self, probes: &ProbeMap<Placement>) {
        let all = || {
            let mut all = probes
                .iter()
                .map(|probe| self.status(probe))
                .collect::<Vec<_>>();
            self.add_hits_of_processes(probes, &mut all, false);
            all
        };
        self.shared.feed.set_probes(all);
    }

    fn warn(&self, text: String) {
        self.shared.warn(text);
    }
}
